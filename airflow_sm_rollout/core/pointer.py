"""The live pointer: the JSON in the SSM parameter ``/sm-rollout-live/<name>`` that says which endpoint serves under a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer as SSM has it.

    :param text: its JSON.
    :param version: SSM's count of the values it has had, from 1.
    :param written_at: when it got this one.
    """

    text: str
    version: int
    written_at: datetime

    @property
    def endpoint_name(self) -> str | None:
        """The endpoint that it names; ``None``: it is not readable."""
        name = self._stored.get("endpoint_name")
        return name if isinstance(name, str) else None

    @property
    def rollout_id(self) -> str | None:
        """The rollout that wrote it, if one did."""
        return self._stored.get("rollout_id")

    @property
    def is_what_was_meant(self) -> bool:
        """Whether nobody wrote between its writer's look and its writing."""
        return self.version == self._stored.get("version")

    @property
    def _stored(self) -> Mapping[str, Any]:
        try:
            stored = json.loads(self.text)
        except ValueError:
            return {}
        return stored if isinstance(stored, dict) else {}


def render_pointer(endpoint_name: str, rollout_id: str, since: datetime, version: int) -> str:
    """A pointer's text.

    :param since: since when it is to name the endpoint.
    :param version: the version that it becomes unless somebody else writes first.
    """
    written = since.isoformat(timespec="seconds")
    return json.dumps(
        {"endpoint_name": endpoint_name, "since": written, "rollout_id": rollout_id, "version": version},
        separators=(",", ":"),
    )


def is_as_recorded(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether nobody has written the pointer since the rollout was planned."""
    seen = (pointer.text, pointer.version) if pointer else (None, 0)
    return seen == (rollout.blue.pointer, rollout.blue.pointer_version)


def is_ours(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether this rollout wrote the pointer last."""
    return pointer is not None and pointer.rollout_id == rollout.rollout_id


def is_on_green(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether this rollout has pointed clients at green."""
    return is_ours(rollout, pointer) and pointer is not None and pointer.endpoint_name == rollout.green_endpoint_name
