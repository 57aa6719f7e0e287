"""Metric math: text to a tree, and a tree to values (pure; no ``eval``).

Weakest first: ``OR ||``, ``AND &&``, comparison, ``+ -``, ``* /``, unary minus, ``^`` (to the right).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from airflow_sm_rollout.sandbox.cloudwatch.functions import (
    FUNCTIONS,
    OPERATORS,
    ExpressionError,
    Scope,
    TimeSeries,
    Value,
    combine,
    fill,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text, which only ``METRICS`` takes."""

    value: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The id of a metric or of another expression."""

    name: str


@dataclass(frozen=True, slots=True)
class Keyword:
    """``REPEAT`` or ``LINEAR``."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """``[a, b]``: an array of time series."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; ``&&`` and ``||`` are kept as AND and OR."""

    operator: str
    left: Node
    right: Node


Node: TypeAlias = "Number | Text | Reference | Keyword | Array | Call | Binary"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<mark>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]]))"
)
_SAME = {"&&": "AND", "||": "OR"}
_LEVELS: Sequence[tuple[str, ...]] = (("OR",), ("AND",), ("==", "!=", "<=", ">=", "<", ">"), ("+", "-"), ("*", "/"))
_KEYWORDS = frozenset({"REPEAT", "LINEAR"})
_OWN_FORMS = frozenset({"METRICS", "PERIOD", "FILL"})


def parse_expression(text: str) -> Node:
    """The tree of a metric math expression.

    :raises ExpressionError: with what is wrong, and where.
    """
    parser = _Parser(text)
    node = parser.parse_level(0)
    parser.expect_end()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self._next = 0

    @staticmethod
    def _split(text: str) -> Iterator[tuple[str, str, int]]:
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise ExpressionError(f"unexpected '{text[place:].lstrip()[0]}' at position {place}")
            token = match[match.lastgroup]
            yield match.lastgroup, _SAME.get(token, token), match.start(match.lastgroup)
            place = match.end()

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "", len(self._text))

    def _take(self) -> tuple[str, str, int]:
        token = self._peek()
        self._next += 1
        return token

    def _accept(self, *marks: str) -> str | None:
        kind, token, _ = self._peek()
        if kind in ("mark", "name") and token in marks:
            self._next += 1
            return token
        return None

    def _fail(self) -> ExpressionError:
        kind, token, place = self._peek()
        return ExpressionError("unexpected end" if kind == "end" else f"unexpected '{token}' at position {place}")

    def expect_end(self) -> None:
        if self._peek()[0] != "end":
            raise self._fail()

    def parse_level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._parse_unary()
        node = self.parse_level(level + 1)
        while mark := self._accept(*_LEVELS[level]):
            node = Binary(mark, node, self.parse_level(level + 1))
        return node

    def _parse_unary(self) -> Node:
        if self._accept("-"):
            return Binary("*", Number(-1.0), self._parse_unary())
        base = self._parse_atom()
        return Binary("^", base, self._parse_unary()) if self._accept("^") else base

    def _parse_atom(self) -> Node:
        if self._accept("("):
            node = self.parse_level(0)
            self._close(")")
            return node
        if self._accept("["):
            return Array(self._parse_list("]"))
        kind, token, _ = self._peek()
        if kind not in ("number", "text", "name"):
            raise self._fail()
        self._take()
        return {"number": self._number, "text": self._quoted, "name": self._parse_name}[kind](token)

    def _number(self, token: str) -> Node:
        return Number(float(token))

    def _quoted(self, token: str) -> Node:
        return Text(token[1:-1])

    def _parse_name(self, token: str) -> Node:
        if self._accept("("):
            return _checked_call(token, self._parse_list(")"))
        if token in _KEYWORDS:
            return Keyword(token)
        if not token[0].islower():
            raise ExpressionError(f"unknown name '{token}'; ids start with a lowercase letter")
        return Reference(token)

    def _parse_list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        if self._accept(closing):
            return ()
        while True:
            items.append(self.parse_level(0))
            if not self._accept(","):
                self._close(closing)
                return tuple(items)

    def _close(self, closing: str) -> None:
        if not self._accept(closing):
            raise self._fail()


def _checked_call(name: str, arguments: tuple[Node, ...]) -> Call:
    if name == "METRICS":
        fits = not arguments or (len(arguments) == 1 and isinstance(arguments[0], Text))
    elif name == "PERIOD":
        fits = len(arguments) == 1 and isinstance(arguments[0], Reference)
    elif name == "FILL":
        fits = len(arguments) == 2
    elif name in FUNCTIONS:
        fits = len(arguments) in FUNCTIONS[name][0]
    else:
        raise ExpressionError(f"function {name} is unknown, or not supported by the sandbox")
    if not fits:
        raise ExpressionError(f"{len(arguments)} argument(s) do not fit {name}")
    return Call(name, arguments)


def find_references(node: Node) -> frozenset[str]:
    """The ids that an expression names."""
    if isinstance(node, Reference):
        return frozenset({node.name})
    children: tuple[Node, ...] = ()
    if isinstance(node, Array):
        children = node.items
    elif isinstance(node, Call):
        children = node.arguments
    elif isinstance(node, Binary):
        children = (node.left, node.right)
    return frozenset().union(*(find_references(child) for child in children))


def evaluate_node(node: Node, scope: Scope) -> Value:
    """The value of a tree.

    :raises ExpressionError: where operands do not fit their function.
    """
    match node:
        case Number(value):
            return value
        case Reference(name):
            return scope.values[name]
        case Binary(mark, left, right):
            return combine(evaluate_node(left, scope), evaluate_node(right, scope), OPERATORS[mark])
        case Array(items):
            return _flatten(evaluate_node(item, scope) for item in items)
        case Call(name, arguments):
            return _call(name, arguments, scope)
        case _:
            raise ExpressionError("a text or keyword is not a value")


def _flatten(values: Iterator[Value]) -> tuple[TimeSeries, ...]:
    series: list[TimeSeries] = []
    for value in values:
        if isinstance(value, float):
            raise ExpressionError("an array holds time series, not scalars")
        series.extend(value if isinstance(value, tuple) else (value,))
    return tuple(series)


def _call(name: str, arguments: tuple[Node, ...], scope: Scope) -> Value:
    if name in _OWN_FORMS:
        return _call_own_form(name, arguments, scope)
    _, function = FUNCTIONS[name]
    return function(scope, [evaluate_node(argument, scope) for argument in arguments])


def _call_own_form(name: str, arguments: tuple[Node, ...], scope: Scope) -> Value:
    """The three whose arguments are more than values: an id, a part of an id, a keyword."""
    if name == "FILL":
        filler = arguments[1]
        by = filler.name if isinstance(filler, Keyword) else evaluate_node(filler, scope)
        return fill(scope, evaluate_node(arguments[0], scope), by)
    if name == "METRICS":
        part = arguments[0].value if arguments and isinstance(arguments[0], Text) else ""
        return _flatten(scope.values[metric] for metric in scope.metrics if part in metric)
    metric = next(iter(find_references(arguments[0])))
    return _period_of(metric, scope.periods)


def _period_of(metric: str, periods: Mapping[str, int]) -> float:
    if metric not in periods:
        raise ExpressionError(f"PERIOD needs a metric, and '{metric}' is an expression")
    return float(periods[metric])
