"""A function, its versions and its aliases, as values."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError

LATEST = "$LATEST"

_PUBLISHED = re.compile(r"\d+")
_NAME = re.compile(
    r"(?:arn:[^:]+:lambda:[^:]+:\d{12}:|\d{12}:)?(?:function:)?([\w-]+)(?::(\$LATEST|[\w-]+))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Version:
    """What a function is, at one moment.

    :param number: ``$LATEST``, or a count from 1.
    :param settings: the members of its configuration that a caller sets, as AWS names them.
    :param code: the bytes of a ZIP file.
    :param modified: seconds since the epoch.
    """

    number: str
    settings: Mapping[str, Any]
    code: bytes
    modified: float
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))

    def is_like(self, other: Version) -> bool:
        """Whether AWS takes them for the same: then it publishes no second version. A version's description does not count."""
        return self.code == other.code and _told_apart(self.settings) == _told_apart(other.settings)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for one version, or for two that share the calls.

    :param weights: the second version's share of the calls, from 0 to 1, by its number.
    """

    name: str
    version: str
    description: str
    weights: Mapping[str, float]
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))

    def draw(self, rng: random.Random) -> str:
        """The version that gets one call."""
        for number, weight in self.weights.items():
            if rng.random() < weight:
                return number
        return self.version


@dataclass(slots=True)
class Function:
    """All that stands under one name."""

    name: str
    latest: Version
    published: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    last_number: int = 0
    busy_until: float = 0.0
    provisioned: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By alias or number, how much concurrency, and when it is ready."""

    def version(self, qualifier: str | None) -> Version | None:
        """The version of a number; ``None``: the function has none of it."""
        return self.latest if qualifier in (None, LATEST) else self.published.get(str(qualifier))

    def resolve(self, qualifier: str | None, rng: random.Random) -> Version | None:
        """The version that answers a call by a number or an alias."""
        alias = self.aliases.get(str(qualifier))
        return self.version(alias.draw(rng) if alias else qualifier)

    def why_not_weighted(self, version: str, weights: Mapping[str, float]) -> str:
        """Why an alias can't split calls so; empty: it can (Lambda guide, "Create an alias", weighted aliases)."""
        if len(weights) > 1:
            return "Only one additional version can be routed to by an alias."
        for number, weight in weights.items():
            if version == LATEST or not _PUBLISHED.fullmatch(number):
                return "$LATEST is not supported for an alias pointing to more than 1 version"
            if number == version:
                return f"Invalid function version {number}. Function version {number} is already included in routing configuration."
            if not 0 <= weight <= 1:
                return f"Weight must be between 0.0 and 1.0, and is {weight}"
            if self._roles_differ(version, number):
                return "Function versions of an alias must have the same execution role and dead-letter queue."
        return ""

    def _roles_differ(self, first: str, second: str) -> bool:
        one, other = self.published[first].settings, self.published[second].settings
        return any(one.get(name) != other.get(name) for name in ("Role", "DeadLetterConfig"))


def split_name(name: str, qualifier: str | None = None) -> tuple[str, str | None]:
    """A function's own name and qualifier, of what a caller has put for them: a name, a part of an ARN or a whole one.

    :raises AwsError: if they name two qualifiers.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise AwsError("InvalidParameterValueException", f"{name} is no function's name or ARN")
    if qualifier and found[2] and qualifier != found[2]:
        raise AwsError(
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    return found[1], qualifier or found[2]


def _told_apart(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "Description"}
