"""The rule of a composite alarm: which alarms it names, and whether it can ring for some of them alone.

The grammar is that of ``AlarmRule`` in AWS's API reference of PutCompositeAlarm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# A name with parentheses or quotation marks stands between quotation marks, and a backslash before those that are its own.
_NAME = r"""\(\s*(?:"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<plain>[^"()]+?))\s*\)"""
_NAMED = re.compile(_NAME)
_TOKEN = re.compile(
    rf"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*{_NAME}|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<mark>[()]))"
)
_DEEPEST = 50
_SAID = {"ALARM": "{} rings", "OK": "{} is OK", "INSUFFICIENT_DATA": "{} has no data"}
_Holds = Callable[[frozenset[str]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    :param names: of the alarms that it names.
    :param rings: whether it rings while these alarms do, and the others are quiet.
    """

    names: tuple[str, ...]
    rings: Callable[[frozenset[str]], bool]


def parse_rule(text: str) -> Rule:
    """Read a rule. One with words that this version does not know is taken to ring for each of the alarms that it names."""
    names = tuple(dict.fromkeys(_alarm_name(found) for found in _NAMED.finditer(text)))
    try:
        return Rule(names, _Parser(list(_split(text))).parse())
    except ValueError:
        return Rule(names, bool)


def describe_rule(text: str) -> str:
    """A rule in words, for people; one with words that this version does not know as it stands."""
    try:
        tokens = list(_split(text))
    except ValueError:
        return text
    said = ""
    for each in tokens:
        word = _SAID[each["state"]].format(_alarm_name(each)) if each["state"] else each[0].strip().lower()
        said += word if word == ")" or said.endswith("(") or not said else f" {word}"
    return said


def _alarm_name(found: re.Match[str]) -> str:
    """The name in an alarm's ARN, or the name itself."""
    reference = re.sub(r"\\(.)", r"\1", found["quoted"]) if found["quoted"] else found["plain"]
    return reference.partition(":alarm:")[2] if reference.startswith("arn:") else reference


def _split(text: str) -> Iterator[re.Match[str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"this is no rule: {text[at:]}")
        yield found
        at = found.end()


class _Parser:
    """By recursive descent: NOT binds closest, then AND."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._depth = 0

    def parse(self) -> _Holds:
        holds = self._any()
        if self._tokens:
            raise ValueError(f"this goes on behind its end: {self._tokens[0][0]}")
        return holds

    def _take(self, *words: str) -> bool:
        if not self._tokens or self._tokens[0][0].strip() not in words:
            return False
        self._tokens.pop(0)
        return True

    def _any(self) -> _Holds:
        parts = [self._all()]
        while self._take("OR"):
            parts.append(self._all())
        return lambda ringing: any(part(ringing) for part in parts)

    def _all(self) -> _Holds:
        parts = [self._one()]
        while self._take("AND"):
            parts.append(self._one())
        return lambda ringing: all(part(ringing) for part in parts)

    def _one(self) -> _Holds:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"it has more than {_DEEPEST} parts in one another")
        holds = self._part()
        self._depth -= 1
        return holds

    def _part(self) -> _Holds:
        if self._take("NOT"):
            denied = self._one()
            return lambda ringing: not denied(ringing)
        if self._take("("):
            holds = self._any()
            if not self._take(")"):
                raise ValueError("a parenthesis is open at its end")
            return holds
        if not self._tokens:
            raise ValueError("it ends too early")
        return self._state(self._tokens.pop(0))

    def _state(self, token: re.Match[str]) -> _Holds:
        word, state = token["word"], token["state"]
        if word in ("TRUE", "FALSE"):
            return lambda ringing: word == "TRUE"
        if state is None:
            raise ValueError(f"this begins nothing: {token[0]}")
        name = _alarm_name(token)
        if state == "INSUFFICIENT_DATA":
            return lambda ringing: False
        return lambda ringing: (name in ringing) is (state == "ALARM")
