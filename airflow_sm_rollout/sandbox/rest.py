"""The operation behind the method and address of a REST service, as the service's model has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.core.utils import get_service_model

_MEMBER = re.compile(r"\{(\w+)\}")


def operation_at(service: str, method: str, path: str, query: str) -> tuple[str, Mapping[str, str]]:
    """The operation's name, and the parameters that stand in its path; an empty name if the service has none there.

    :param path: still percent-encoded, as is ``query``.
    """
    asked = set(parse_qsl(query, keep_blank_values=True))
    for route in _routes(service):
        found = route.pattern.fullmatch(path) if route.method == method and route.fixed <= asked else None
        if found:
            return route.name, {name: unquote(text) for name, text in zip(route.members, found.groups(), strict=True)}
    return "", {}


@dataclass(frozen=True, slots=True)
class _Route:
    name: str
    method: str
    pattern: re.Pattern[str]
    members: list[str]
    fixed: frozenset[tuple[str, str]]
    """What the query must have: two operations may differ in that alone."""


@cache
def _routes(service: str) -> list[_Route]:
    model = get_service_model(service)
    routes = [_route(model.operation_model(name)) for name in model.operation_names]
    return sorted(routes, key=lambda route: -len(route.fixed))


def _route(model: Any) -> _Route:
    path, _, query = model.http["requestUri"].partition("?")
    texts = _MEMBER.split(path.rstrip("/"))
    # Every other one of these is a member's name.
    pattern = "".join("([^/]+)" if at % 2 else re.escape(text) for at, text in enumerate(texts))
    fixed = frozenset(parse_qsl(query, keep_blank_values=True))
    return _Route(model.name, model.http["method"], re.compile(f"{pattern}/?"), texts[1::2], fixed)
