"""Reads answers that may lack anything: AWS's models call most members optional, and a proxy's page read as JSON has none at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from botocore.parsers import ResponseParserError


def told(answer: Mapping[str, Any], member: str, whose: str) -> Any:
    """A member that an answer can't do without.

    :param whose: what the answer is about, for the message.
    :raises botocore.parsers.ResponseParserError: if it is not there, which says nothing about the request and is waited out.
    """
    value = answer.get(member)
    if value is None:
        raise ResponseParserError(f"AWS does not tell {member} of {whose}")
    return value


def moment_of(answer: Mapping[str, Any], member: str, whose: str) -> datetime:
    """A moment that an answer can't do without; as AWS writes it, in seconds, or as botocore reads it."""
    value = told(answer, member, whose)
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value, timezone.utc)
