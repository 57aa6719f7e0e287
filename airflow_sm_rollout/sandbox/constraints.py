"""What a service's model says about its parameters, held for every call before any code of the sandbox's, refused in AWS's words.

boto3 checks types and required members before it sends; patterns, lengths, ranges and enumerations it leaves to AWS. Other clients
leave all of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.wire import CBOR, Call

_CODES = {
    "cloudwatch": "ValidationError",
    "sagemaker-runtime": "ValidationError",
    "resourcegroupstaggingapi": "InvalidParameterException",
}
# CloudWatch has words of its own for these, with a code of their own (see its operations).
_ANSWERED_BY_THE_OPERATION = {
    "cloudwatch": ("statistics", "unit", "treatMissingData", "recentlyActive"),
    "sagemaker-runtime": ("body",),
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (Mapping,),
    "map": (Mapping,),
    "list": (Sequence,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (datetime,),
    "blob": (bytes, bytearray, str),
}
_NUMBERS = ("integer", "long", "float", "double")
_LONGEST_MATCHED = 20_000
# Python's expressions lack Java's classes of characters. These let a few more through, and none less.
_JAVA_CLASSES = {r"\p{ASCII}": r"[\x00-\x7f]", r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{M}": r"\w"}


def validate(call: Call) -> None:
    """Refuse parameters that break the constraints of their operation's input shape.

    :raises AwsError: ``SerializationException`` for a value of another type, else the service's own code with AWS's text, all
        violations in one.
    """
    shape = call.model.input_shape
    if shape is None:
        return
    misfit = next(_misfits(shape, call.params, ""), None)
    if misfit is not None:
        raise AwsError("SerializationException", misfit)
    if call.protocol not in (CBOR, "query") and any(_not_finite(shape, call.params)):
        raise AwsError("SerializationException", "NaN and infinity are no numbers in JSON")
    left_out = _ANSWERED_BY_THE_OPERATION.get(call.service, ())
    broken = [text for path, text in _violations(shape, call.params, "") if path.partition(".")[0] not in left_out]
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected"
        raise AwsError(_CODES.get(call.service, "ValidationException"), f"{count}: {'; '.join(broken)}")


def _parts(shape: Any, value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """The members of a value that are there, each with its shape and its path."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield member, value[name], _at(path, name)
    elif shape.type_name == "list":
        for index, item in enumerate(value, 1):
            yield shape.member, item, f"{path}.{index}.member"
    elif shape.type_name == "map":
        for key, item in value.items():
            yield shape.key, key, f"{path}.key"
            yield shape.value, item, f"{path}.{key}.value"


def _at(path: str, name: str) -> str:
    return f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")


def _misfits(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not _fits(shape.type_name, value):
        yield f"{path or 'the request'} is a {type(value).__name__}, expected a {shape.type_name}"
        return
    for part in _parts(shape, value, path):
        yield from _misfits(*part)


def _fits(type_name: str, value: Any) -> bool:
    if type_name == "list" and isinstance(value, str | bytes):
        return False
    if type_name in _NUMBERS and isinstance(value, bool):
        return False
    return isinstance(value, _TYPES[type_name])


def _not_finite(shape: Any, value: Any) -> Iterator[bool]:
    if isinstance(value, float):
        yield not math.isfinite(value)
    for member, item, _ in _parts(shape, value, ""):
        yield from _not_finite(member, item)


def _violations(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    for name in shape.required_members if shape.type_name == "structure" else ():
        if value.get(name) is None:
            at = _at(path, name)
            yield at, f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
    for part in _parts(shape, value, path):
        yield from _violations(*part)
    for constraint in _broken(shape, value):
        yield path, f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}"


def _broken(shape: Any, value: Any) -> Iterator[str]:
    if shape.type_name == "string":
        yield from _broken_text(shape, value)
    if shape.type_name in ("string", "list", "map", "blob"):
        yield from _broken_bounds(shape.metadata, len(value), "have length less than", "have length greater than")
    elif shape.type_name in _NUMBERS:
        yield from _broken_bounds(shape.metadata, value, "have value less than", "have value greater than")


def _broken_text(shape: Any, value: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern")
    if (
        pattern
        and len(value) <= _LONGEST_MATCHED
        and (compiled := _compiled(pattern))
        and not compiled.fullmatch(value)
    ):
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
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern)
    except re.error:
        # Some other class of Java's; such members go unchecked.
        return None
