"""Reads options as people, forms and templates give them: numbers, names and mappings. What is none of these is a PlanError.

A template that is rendered as text gives ``"[25, 100]"``, ``"{'LEVEL': 'debug'}"`` and ``"None"`` for what native rendering gives as such.
Both mean the same.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from airflow_sm_rollout.core.errors import PlanError

Fitting = Mapping[str, tuple[Callable[[float], bool], str]]

_NOTHING = ("", "none", "null")


def plain(option: str, value: Any) -> Any:
    """A value as Python's own kinds have it: a number or an array of numpy's as a number or a list.

    :raises PlanError: for one that can't be compared, written, or told true from false, so that nobody can read it.
    """
    listed = getattr(type(value), "tolist", None)
    if listed is not None and not isinstance(value, memoryview):
        return listed(value)
    if type(value) is dict:
        return {
            name: plain(f"{option}.{name}" if isinstance(name, str) else option, each) for name, each in value.items()
        }
    try:
        bool(value), value in (0, "", None), str(value)
    except Exception:  # noqa: BLE001 - whatever an object of somebody's raises
        raise PlanError(option, value, "a value of Python's own kinds, such as a text, a number or a list") from None
    return value


def unrendered(value: Any) -> Any:
    """What a template meant by a text: a list or a mapping where it is the text of one, ``None`` for no or an empty value."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in _NOTHING:
        return None
    if text[0] in "[{(":
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                return read(text)
    return value


def meant(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant by a name that is none, as the end of a sentence; empty: nobody can tell."""
    close = get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def parse_number(option: str, value: Any, allowed: str, fits: Callable[[float], bool]) -> float:
    """A number, also as text.

    :param fits: whether it is one that is possible.
    :raises PlanError: for anything else.
    """
    number = None
    if not isinstance(value, bool):
        with suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if number is None or not fits(number):
        raise PlanError(option, value, allowed)
    return number


def parse_flag(option: str, value: Any) -> bool:
    """Yes or no; from a form or the environment also as the text of it. ``None``: no.

    :raises PlanError: for anything else: any other text would count as yes.
    """
    given = unrendered(value)
    said = {"true": True, "false": False}
    flag = said.get(given.strip().lower()) if isinstance(given, str) else False if given is None else given
    if not isinstance(flag, bool):
        raise PlanError(option, value, "True or False")
    return flag


def parse_count(option: str, value: Any, allowed: str, least: int = 0) -> int:
    """A whole number, also as text.

    :raises PlanError: for anything else.
    """
    return int(parse_number(option, value, allowed, lambda number: number.is_integer() and number >= least))


def parse_names(option: str, value: Any, allowed: str) -> tuple[str, ...]:
    """Names: a list of texts, or one text with commas; ``None``: none.

    :raises PlanError: for anything else.
    """
    given = unrendered(value)
    names = given.split(",") if isinstance(given, str) else given
    if names is None or names is False:
        return ()
    if isinstance(names, (Mapping, bytes)) or not isinstance(names, Iterable):
        raise PlanError(option, value, allowed)
    found = tuple(names)
    if not all(isinstance(name, str) for name in found):
        raise PlanError(option, value, allowed)
    return tuple(name.strip() for name in found if name.strip())


def parse_mapping(option: str, value: Any, allowed: str) -> dict[str, Any]:
    """A mapping by names.

    :raises PlanError: for anything else.
    """
    given = unrendered(value)
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise PlanError(option, value, allowed)
    return dict(given)


def parse_text(option: str, value: Any, allowed: str) -> str | None:
    """A text; ``None``: it is left out.

    :raises PlanError: for anything else.
    """
    given = unrendered(value)
    if given is None or (isinstance(given, str) and "\0" not in given):
        return given
    raise PlanError(option, value, allowed)


def parse_environment(value: Any) -> dict[str, str] | None:
    """Environment variables by name, or as lines such as ``LEVEL=debug``, which a form gives; a number is written as text. ``None``: it is
    left out.

    :raises PlanError: for anything else.
    """
    allowed = "environment variables as texts by name, such as {'LEVEL': 'debug'}, or as a list of texts such as 'LEVEL=debug'"
    given = unrendered(value)
    if given is None:
        return None
    if isinstance(given, (list, tuple)):
        given = _by_name(value, given, allowed)
    given = parse_mapping("environment", given, allowed)
    for each in given.values():
        if isinstance(each, bool) or not isinstance(each, (str, int, float)):
            raise PlanError("environment", value, allowed)
    return {name: str(each) for name, each in given.items()}


def _by_name(value: Any, lines: Sequence[Any], allowed: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in lines if isinstance(each, str)]
    named = {name.strip(): text for name, mark, text in pairs if mark and name.strip()}
    if len(named) < len(lines):
        raise PlanError("environment", value, f"{allowed}; each name once")
    return named


def set_numbers(owner: Any, fitting: Fitting, *, counts: Sequence[str] = (), optional: Sequence[str] = ()) -> None:
    """Let a frozen dataclass have its numbers as such, whatever kind of number they were given as.

    :param fitting: by member, whether a number is possible, and what is, as a half sentence.
    :param counts: the members that are whole numbers.
    :param optional: the members that may be ``None``.
    :raises PlanError: naming the member.
    """
    for name, (fits, allowed) in fitting.items():
        value = getattr(owner, name)
        if value is None and name in optional:
            continue
        number = parse_number(name, value, allowed, fits)
        object.__setattr__(owner, name, parse_count(name, value, allowed) if name in counts else number)
