"""Parameter Store's parameters as they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    allowed_pattern: str | None = None
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
