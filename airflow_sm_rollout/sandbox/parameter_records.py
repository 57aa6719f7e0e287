"""Parameter Store's parameters as they are kept, and DescribeParameters' filters over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.surface import not_played


@dataclass(frozen=True, slots=True)
class Version:
    """One value that a parameter has had; ``labels`` is shared by all views of it and changes."""

    number: int
    value: str
    type: str
    data_type: str
    tier: str
    modified: float
    key_id: str | None = None
    description: str | None = None
    labels: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Parameter:
    """A parameter with the versions that are kept of it, oldest first."""

    name: str
    versions: list[Version]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def newest(self) -> Version:
        return self.versions[-1]


def key_of(name: str) -> str:
    """What two spellings of one parameter's name have in common."""
    return name.removeprefix("/")


def passes(parameter: Parameter, each: Mapping[str, Any]) -> bool:
    """Whether a parameter passes one of DescribeParameters' filters, of the old kind or of the new one."""
    key, option, wanted = each["Key"], each.get("Option"), each.get("Values", [])
    if key == "Path":
        return any(_below(parameter.name, path, deep=option == "Recursive") for path in wanted)
    if key.startswith("tag:"):
        return parameter.tags.get(key[4:]) in wanted if wanted else key[4:] in parameter.tags
    own = {
        "Name": parameter.name,
        "Type": parameter.newest.type,
        "KeyId": parameter.newest.key_id or "",
        "Tier": parameter.newest.tier,
        "DataType": parameter.newest.data_type,
    }
    if key not in own:
        raise not_played(f"DescribeParameters with a filter on {key}")
    return _matches(own[key], wanted, option or "Equals")


def _matches(own: str, wanted: Iterable[str], option: str) -> bool:
    if option == "BeginsWith":
        return any(own.startswith((value, f"/{value}")) for value in wanted)
    if option == "Contains":
        return any(value in own for value in wanted)
    return any(key_of(own) == key_of(value) for value in wanted)


def _below(name: str, path: str, *, deep: bool) -> bool:
    prefix = path.rstrip("/") + "/"
    return name.startswith(prefix) and (deep or "/" not in name[len(prefix) :])
