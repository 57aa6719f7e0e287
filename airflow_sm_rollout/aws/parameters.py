"""SSM parameters, several in one call. One that is not there is no error: GetParameters leaves it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.parsers import ResponseParserError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.core.pointer import Pointer


def read_parameters(ssm: Any, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Those of the parameters that exist, by name.

    :param names: ten at most, AWS's limit.
    :raises botocore.parsers.ResponseParserError: if AWS tells of one neither what it holds nor that it is not there.
    """
    answer = ssm.get_parameters(Names=list(names))
    found = {told(each, "Name", "an SSM parameter"): each for each in answer.get("Parameters") or ()}
    untold = set(names) - set(found) - set(answer.get("InvalidParameters") or ())
    if untold:
        raise ResponseParserError(f"AWS does not tell what SSM parameter {min(untold)} holds")
    return found


def text_of(parameter: Mapping[str, Any], name: str) -> str:
    """A parameter's value."""
    return str(told(parameter, "Value", f"SSM parameter {name}"))


def pointer_of(parameter: Mapping[str, Any], name: str) -> Pointer:
    """A parameter as a live pointer."""
    return Pointer(
        *(told(parameter, each, f"SSM parameter {name}") for each in ("Value", "Version", "LastModifiedDate"))
    )
