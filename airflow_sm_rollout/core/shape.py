"""Whether a value that was read from a text has the types that its dataclass declares, down to its last member.

Python takes anything for anything. A number that is a text would be found only where somebody counts with it, which may be on the way back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_WORDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    datetime: "a time with its zone",
    type(None): "nothing",
}


def misfits(value: Any, declared: Any, where: str = "") -> Iterator[str]:
    """What does not fit, each as half a sentence such as ``blue.weight is 'x', and must be a number``.

    :param declared: a dataclass, or an annotation as dataclasses have them.
    :param where: the value's own name.
    """
    origin = get_origin(declared)
    if declared is Any:
        return
    if origin in (Union, UnionType):
        yield from _misfits_of_all(value, get_args(declared), where)
    elif isinstance(declared, type) and is_dataclass(declared) and isinstance(value, declared):
        for name, each in hints(declared).items():
            yield from misfits(getattr(value, name), each, f"{where}.{name}".lstrip("."))
    elif isinstance(origin, type) and isinstance(value, origin):
        yield from _misfits_inside(value, get_args(declared), where)
    # To Python 3.10 list[str] is a type, too.
    elif origin is not None or not (isinstance(declared, type) and fits(value, declared)):
        yield f"{where} is {str(value)[:80]!r}, and must be {describe(declared)}"


def strangers(stored: Any, declared: Any, where: str = "") -> Iterator[str]:
    """The members of a stored value that no dataclass has where they stand, as paths such as ``plan.strategy.colour``.

    :param declared: what it is read as: a dataclass, or an annotation as dataclasses have them.
    """
    if isinstance(stored, list):
        yield from (path for each in stored for path in strangers(each, declared, where))
    elif isinstance(stored, Mapping) and isinstance(declared, type) and is_dataclass(declared):
        known = hints(declared)
        for name, each in stored.items():
            at = f"{where}.{name}".lstrip(".")
            yield from strangers(each, known[name], at) if name in known else (at,)
    elif isinstance(stored, Mapping) and get_origin(declared) is Mapping:
        yield from (
            path for name, each in stored.items() for path in strangers(each, get_args(declared)[1], f"{where}.{name}")
        )
    else:
        found = [list(strangers(stored, inner, where)) for inner in get_args(declared) if _holds_members(inner)]
        yield from min(found, key=len, default=[])  # of several forms it is the one that fits best


def _holds_members(declared: Any) -> bool:
    return is_dataclass(declared) or any(_holds_members(inner) for inner in get_args(declared))


def fits(value: Any, declared: type) -> bool:
    """Whether a plain value is of a plain type; yes is no number, and infinity none to count with."""
    if declared in (int, float):
        is_number = isinstance(value, int if declared is int else (int, float)) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    if declared is datetime:
        return isinstance(value, datetime) and value.tzinfo is not None
    return isinstance(value, declared)


def describe(declared: Any) -> str:
    """A type in words."""
    if get_origin(declared) is not None:
        return "a mapping" if get_origin(declared) is Mapping else "a list"
    return _WORDS.get(declared) or str(getattr(declared, "__name__", declared))


@cache
def hints(declared: Any) -> dict[str, Any]:
    """A dataclass's members with their types."""
    types = get_type_hints(declared)
    return {each.name: types[each.name] for each in fields(declared)}


def _misfits_of_all(value: Any, declared: tuple[Any, ...], where: str) -> Iterator[str]:
    found = [list(misfits(value, each, where)) for each in declared]
    if all(found):
        yield from next(each for each in found)


def _misfits_inside(value: Any, inner: tuple[Any, ...], where: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from misfits(key, inner[0], f"{where}'s key")
            yield from misfits(each, inner[1], f"{where}.{key}")
    else:
        for number, each in enumerate(value):
            yield from misfits(each, inner[0], f"{where}[{number}]")
