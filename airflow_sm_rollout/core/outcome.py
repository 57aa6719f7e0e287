"""How a rollout ended: by what its last task has noted, or by what AWS shows where none has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_rollout.core.observation import Observation
    from airflow_sm_rollout.core.rollout import Rollout


class Outcome(str, Enum):
    """How a rollout ended, or that it has not.

    ``NOT_SETTLED``: its run is over, and nobody has brought it to one of its two ends. ``REFUSED``: it never began.
    ``UNDONE``: it was promoted, and everything is as before again.
    """

    RUNNING = "running"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    NOT_SETTLED = "not_settled"
    REFUSED = "refused"
    UNDONE = "undone"

    def __str__(self) -> str:
        return self.value

    @property
    def noted(self) -> str:
        """The word for it in XCom."""
        return "as_before" if self is Outcome.ROLLED_BACK else self.value


class Aftermath(str, Enum):
    """What AWS shows of a rollout, whoever brought it there.

    ``HELD``: its record is there, so it is not settled. Otherwise nothing of it is left, and what serves is green alone (``PROMOTED``),
    blue on its config (``AS_BEFORE``), or what somebody else or a later rollout has made of it since (``CHANGED``).
    """

    HELD = "held"
    PROMOTED = "promoted"
    AS_BEFORE = "as_before"
    CHANGED = "changed"


def find_outcome(notes: Iterable[Mapping[str, Any]], aftermath: Aftermath | None = None, *, is_over: bool) -> Outcome:
    """How a rollout that was planned has ended.

    :param notes: what its tasks have left in XCom, by ``kind``. The task that settled it leaves ``outcome``, as :attr:`Outcome.noted`.
    :param aftermath: what AWS shows; ``None``: it was not read.
    :param is_over: whether no task will settle it any more.
    """
    noted = {note.get("kind"): note for note in notes}
    if "refused" in noted and not noted.keys() & {"shadow", "share"}:
        return Outcome.REFUSED
    if "undone" in noted:
        return Outcome.UNDONE
    if "settled" in noted:
        is_promoted = noted["settled"].get("outcome") == Outcome.PROMOTED.noted
        return Outcome.PROMOTED if is_promoted else Outcome.ROLLED_BACK
    if not is_over:
        return Outcome.RUNNING
    shown = {Aftermath.PROMOTED: Outcome.PROMOTED, Aftermath.AS_BEFORE: Outcome.ROLLED_BACK}
    return shown.get(aftermath, Outcome.NOT_SETTLED) if aftermath else Outcome.NOT_SETTLED


def find_aftermath(rollout: Rollout, seen: Observation) -> Aftermath:
    """What became of a rollout.

    :param seen: with the record that is there now, the live pointer, and as ``endpoint`` the one that clients call.
    """
    if seen.record is not None and seen.record.rollout_id == rollout.rollout_id:
        return Aftermath.HELD
    serving = (seen.endpoint.name, seen.endpoint.config_name) if seen.endpoint else None
    if serving == (rollout.green_endpoint_name, rollout.names.final_config):
        return Aftermath.PROMOTED
    if seen.pointer is not None and (seen.pointer.split is None or seen.pointer.split.green):
        return Aftermath.CHANGED
    is_blue = serving == (rollout.blue_endpoint_name, rollout.blue.config_name)
    return Aftermath.AS_BEFORE if is_blue else Aftermath.CHANGED
