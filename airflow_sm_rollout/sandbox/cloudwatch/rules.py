"""The rule of a composite alarm: text to a predicate over the states of other alarms (pure).

Grammar of ``AlarmRule`` in the API reference of PutCompositeAlarm: ``ALARM(x)``, ``OK(x)``, ``INSUFFICIENT_DATA(x)``,
``TRUE``, ``FALSE``, ``AND``, ``OR``, ``NOT``, parentheses; ``x`` is a name or an ARN, in quotes or not. ``NOT`` binds
closest, then ``AND``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

MAX_CHILDREN = 100
MAX_ELEMENTS = 500

StateOf: TypeAlias = Callable[[str], str]
Predicate: TypeAlias = Callable[[StateOf], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"(?P<quoted>[^\"]+)\"|(?P<bare>[^\"()]+?))\s*\)"
    r"|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<paren>[()]))"
)


class RuleError(ValueError):
    """A rule that cannot be parsed, or is too large."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A parsed rule.

    :param children: names of the alarms it depends on, in order of appearance.
    :param holds: whether it is true, given the state of each child.
    """

    children: tuple[str, ...]
    holds: Predicate


def parse_rule(text: str) -> Rule:
    """Parse an ``AlarmRule``.

    :raises RuleError: with what is wrong.
    """
    if text != text.strip():
        raise RuleError("AlarmRule must not contain leading or trailing whitespace or be null")
    parser = _Parser(list(_split(text)))
    holds = parser.parse_or()
    parser.expect_end()
    children = tuple(dict.fromkeys(parser.children))
    if len(children) > MAX_CHILDREN or len(parser.tokens) > MAX_ELEMENTS:
        raise RuleError(f"AlarmRule may have {MAX_CHILDREN} child alarms and {MAX_ELEMENTS} elements")
    return Rule(children, holds)


def name_of(reference: str) -> str:
    """The alarm name in an ARN, or the name itself."""
    return reference.split(":alarm:", 1)[1] if reference.startswith("arn:") and ":alarm:" in reference else reference


def _split(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise RuleError(f"AlarmRule is not valid at position {place}: '{text[place : place + 40].strip()}'")
        yield match["state"] or match["word"] or match["paren"], name_of(match["quoted"] or match["bare"] or "")
        place = match.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.children: list[str] = []
        self._next = 0

    def _peek(self) -> str:
        return self.tokens[self._next][0] if self._next < len(self.tokens) else ""

    def expect_end(self) -> None:
        if self._next < len(self.tokens):
            raise RuleError(f"AlarmRule is not valid: unexpected {self._peek()}")

    def parse_or(self) -> Predicate:
        return self._parse_chain("OR", self._parse_and, any)

    def _parse_and(self) -> Predicate:
        return self._parse_chain("AND", self._parse_not, all)

    def _parse_chain(
        self, word: str, parse: Callable[[], Predicate], test: Callable[[Iterator[bool]], bool]
    ) -> Predicate:
        parts = [parse()]
        while self._peek() == word:
            self._next += 1
            parts.append(parse())
        return parts[0] if len(parts) == 1 else lambda state_of: test(part(state_of) for part in parts)

    def _parse_not(self) -> Predicate:
        if self._peek() != "NOT":
            return self._parse_atom()
        self._next += 1
        part = self._parse_not()
        return lambda state_of: not part(state_of)

    def _parse_atom(self) -> Predicate:
        if self._next == len(self.tokens):
            raise RuleError("AlarmRule is not valid: it ends too soon")
        word, name = self.tokens[self._next]
        self._next += 1
        if word in ("TRUE", "FALSE"):
            return lambda state_of: word == "TRUE"
        if name:
            self.children.append(name)
            return lambda state_of: state_of(name) == word
        if word != "(":
            raise RuleError(f"AlarmRule is not valid: unexpected {word}")
        inner = self.parse_or()
        if self._peek() != ")":
            raise RuleError("AlarmRule is not valid: a parenthesis is not closed")
        self._next += 1
        return inner
