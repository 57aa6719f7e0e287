"""The live pointer: the JSON in the SSM parameter ``/sm-rollout-live/<name>`` that says which endpoints serve under a name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Rollout


_TOLERANCE = 1e-4  # percent


@dataclass(frozen=True, slots=True)
class Split:
    """Where clients go: to one endpoint, or a share of their requests to a second one, green.

    :param endpoint_name: where all other requests go, and all those of clients that know nothing of shares.
    :param green: the second endpoint; empty: there is none.
    :param share: green's, in percent of the requests: above 0 and below 100, and 0 where there is no green.
    """

    endpoint_name: str
    green: str = ""
    share: float = 0.0

    def share_of(self, endpoint_name: str) -> float:
        """An endpoint's share of the requests, in percent."""
        if endpoint_name == self.green:
            return self.share
        return 100.0 - self.share if endpoint_name == self.endpoint_name else 0.0

    def __str__(self) -> str:
        rest = f" and, for {self.share:g} % of the requests, endpoint {self.green}" if self.green else ""
        return f"endpoint {self.endpoint_name}{rest}"


def split_between(blue: str, green: str, share: float) -> Split:
    """Two endpoints, of which green has a share, from 0 to 100 percent."""
    if share <= 0:
        return Split(blue)
    return Split(green) if share >= 100 else Split(blue, green, share)


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
    def split(self) -> Split | None:
        """Where it sends clients; ``None``: it is not readable."""
        name, green = self._stored.get("endpoint_name"), self._stored.get("green")
        if not isinstance(name, str):
            return None
        return Split(name) if green is None else _split_with(name, green)

    @property
    def endpoint_name(self) -> str | None:
        """The endpoint that it names before all others; ``None``: it is not readable."""
        return self.split.endpoint_name if self.split else None

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
        except (ValueError, RecursionError):
            return {}
        return stored if isinstance(stored, dict) else {}


def _split_with(name: str, green: object) -> Split | None:
    second, share = (green.get("endpoint_name"), green.get("share")) if isinstance(green, dict) else (None, None)
    if not isinstance(second, str) or not isinstance(share, (int, float)) or isinstance(share, bool):
        return None
    return Split(name, second, share) if second and 0 < share < 100 else None


def render_pointer(split: Split, rollout_id: str, since: datetime, version: int) -> str:
    """A pointer's text.

    :param since: since when it is to send clients there.
    :param version: the version that it becomes unless somebody else writes first.
    """
    green = {"green": {"endpoint_name": split.green, "share": split.share}} if split.green else {}
    written = {"since": since.isoformat(timespec="seconds"), "rollout_id": rollout_id, "version": version}
    return json.dumps({"endpoint_name": split.endpoint_name, **green, **written}, separators=(",", ":"))


def is_as_recorded(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether nobody has written the pointer since the rollout was planned."""
    seen = (pointer.text, pointer.version) if pointer else (None, 0)
    return seen == (rollout.blue.pointer, rollout.blue.pointer_version)


def is_ours(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether this rollout wrote the pointer last."""
    return pointer is not None and pointer.rollout_id == rollout.rollout_id


def calls_blue_too(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether clients split their requests between green and blue."""
    return 0 < share_on_green(rollout, pointer) < 100


def is_share(share: float, meant: float) -> bool:
    """Whether a share, in percent, is the one that was meant: a Lambda alias holds weights, not percents."""
    return math.isclose(share, meant, abs_tol=_TOLERANCE)


def share_on_green(rollout: Rollout, pointer: Pointer | None) -> float:
    """The share of the requests that this rollout has sent to green, in percent. Where AWS shifts for it, nobody's name stands there."""
    is_its_own = is_ours(rollout, pointer) or rollout.traffic.has_deployment
    split = pointer.split if pointer is not None and is_its_own else None
    return split.share_of(rollout.green_endpoint_name) if split else 0.0
