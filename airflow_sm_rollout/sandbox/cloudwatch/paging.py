"""Pages with an opaque token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from airflow_sm_rollout.sandbox.errors import AwsError

Item = TypeVar("Item")


def read_token(token: str | None) -> int:
    """The offset a token stands for, 0 without one.

    :raises AwsError: ``InvalidNextToken`` for one that this sandbox did not give.
    """
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode())
    except (binascii.Error, ValueError):
        raise AwsError("InvalidNextToken", "The value for parameter NextToken is invalid.") from None


def write_token(offset: int) -> str:
    """The token for the page that begins at an offset."""
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def cut_page(items: Sequence[Item], token: str | None, size: int) -> tuple[Sequence[Item], str | None]:
    """The page of at most ``size`` items that ``token`` asks for, and the token of the next one, if there is one."""
    offset = read_token(token)
    end = offset + size
    return items[offset:end], write_token(end) if end < len(items) else None
