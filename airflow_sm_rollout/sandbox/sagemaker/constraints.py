"""A parameter's constraints, read from botocore's model, refused in AWS's words.

boto3 checks types and required members before it sends; patterns, lengths, ranges and enumerations it leaves to AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError


def validate(shape: Any, params: Mapping[str, Any]) -> None:
    """Refuse parameters that break the constraints of their operation's input shape.

    :raises AwsError: ``ValidationException`` with AWS's text, all violations in one.
    """
    broken = list(_violations(shape, params, "")) if shape is not None else []
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected"
        raise AwsError("ValidationException", f"{count}: {'; '.join(broken)}")


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _of_structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _of_list(shape, value, path)
    for constraint in _broken(shape, value):
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}"


def _of_structure(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        at = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
        if value.get(name) is not None:
            yield from _violations(member, value[name], at)
        elif name in shape.required_members:
            yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"


def _of_list(shape: Any, value: list[Any], path: str) -> Iterator[str]:
    for index, item in enumerate(value, 1):
        yield from _violations(shape.member, item, f"{path}.{index}.member")


def _broken(shape: Any, value: Any) -> Iterator[str]:
    if shape.type_name == "string":
        yield from _broken_text(shape, value)
    if shape.type_name in ("string", "list"):
        yield from _broken_bounds(shape.metadata, len(value), "have length less than", "have length greater than")
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _broken_bounds(shape.metadata, value, "have value less than", "have value greater than")


def _broken_text(shape: Any, value: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern")
    if pattern and (compiled := _compiled(pattern)) and not compiled.fullmatch(value):
        yield f"satisfy regular expression pattern: {pattern}"
    if shape.enum and value not in shape.enum:
        yield f"satisfy enum value set: [{', '.join(shape.enum)}]"


def _broken_bounds(metadata: Mapping[str, Any], size: float, less: str, greater: str) -> Iterator[str]:
    if size > metadata.get("max", size):
        yield f"{less} or equal to {metadata['max']}"
    if size < metadata.get("min", size):
        yield f"{greater} or equal to {metadata['min']}"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        # Java's character classes (\p{L}), which Python's expressions lack; such members go unchecked.
        return None
