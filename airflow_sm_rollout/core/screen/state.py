"""The one word for where a rollout stands, and what a person may ask of it then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.traces import UNFINISHED, Approval, TaskTrace
from airflow_sm_rollout.core.undo import Left


class State(str, Enum):
    """Where a rollout stands."""

    STARTING = "starting"
    DEPLOYING = "deploying"
    SHADOWING = "shadowing"
    SHIFTING = "shifting"
    BAKING = "baking"
    PAUSED = "paused"
    ASKING = "asking"
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"
    NOT_SETTLED = "not_settled"
    UNDONE = "undone"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes by itself."""
        return self in _OVER

    @property
    def trouble(self) -> int:
        """How much it needs a person: the larger, the sooner."""
        return _TROUBLE.get(self, 0)


_OVER = frozenset({State.PROMOTED, State.ROLLED_BACK, State.REFUSED, State.NOT_SETTLED, State.UNDONE})
_TROUBLE = {
    State.NOT_SETTLED: 5,
    State.ROLLING_BACK: 4,
    State.ASKING: 3,
    State.PAUSED: 2,
    State.STARTING: 1,
    State.DEPLOYING: 1,
    State.SHADOWING: 1,
    State.SHIFTING: 1,
    State.BAKING: 1,
    State.PROMOTING: 1,
}
_BY_TASK = (
    ("bake_shadow", State.SHADOWING),
    ("shadow", State.DEPLOYING),
    ("bake", State.BAKING),
    ("shift", State.SHIFTING),
    ("promote", State.PROMOTING),
    ("snapshot", State.STARTING),
    ("deploy", State.DEPLOYING),
    ("validate", State.DEPLOYING),
)
_CHIPS = {
    State.STARTING: "Starting",
    State.DEPLOYING: "Deploying green",
    State.SHADOWING: "Watching green as a shadow",
    State.SHIFTING: "Shifting requests",
    State.BAKING: "Baking",
    State.PAUSED: "Paused",
    State.ASKING: "Waiting for a person",
    State.PROMOTING: "Promoting",
    State.ROLLING_BACK: "Rolling back",
    State.PROMOTED: "Promoted",
    State.ROLLED_BACK: "Rolled back",
    State.REFUSED: "Refused",
    State.NOT_SETTLED: "NOT SETTLED",
    State.UNDONE: "Undone",
}
UNDO = "undo"
"""What the button asks that takes back a promotion: no wish, as nobody drives any more who could heed one."""
_WITH_SHARE = (State.BAKING, State.SHIFTING, State.PAUSED)


@dataclass(frozen=True, slots=True)
class Button:
    """What may be asked of a rollout now.

    :param wish: a :class:`~airflow_sm_rollout.core.control.Wish`'s value, or :data:`UNDO`.
    :param follows: what follows, for somebody who has a second.
    """

    wish: str
    label: str
    follows: str

    @property
    def is_grave(self) -> bool:
        """Whether it can't be taken back."""
        return self.wish in (Wish.ABORT.value, UNDO)


def state_of(
    outcome: Outcome,
    tasks: Sequence[TaskTrace],
    approvals: Sequence[Approval],
    control: Control | None,
    phase: Phase | None,
    share: float,
    left: Left | None = None,
) -> State:
    """The state of a rollout.

    :param phase: as it is recorded on AWS; ``None``: it was not read.
    :param share: green's share in percent.
    :param left: what is left to undo; ``None``: it was not read.
    """
    if left is not None and left.is_undoing:
        return State.ROLLING_BACK
    if outcome is not Outcome.RUNNING:
        return State(outcome.value)
    if phase is Phase.ROLLING_BACK or (control and control.wish is Wish.ABORT) or _has_failed(tasks):
        return State.ROLLING_BACK
    if control and control.is_paused:
        return State.PAUSED
    if any(not each.answer for each in approvals):
        return State.ASKING
    now = current_task(tasks)
    known = next((state for start, state in _BY_TASK if now is not None and now.name.startswith(start)), None)
    return known or (State.BAKING if share else State.STARTING)


def current_task(tasks: Sequence[TaskTrace]) -> TaskTrace | None:
    """The task that does something now, or else the next one."""
    waiting = [task for task in tasks if task.state in UNFINISHED and task.ended_at is None]
    return next((task for task in waiting if task.started_at is not None), waiting[0] if waiting else None)


def _has_failed(tasks: Sequence[TaskTrace]) -> bool:
    """Whether a task has failed for good, which leads to ``settle``; single operators may have none, and then nobody knows what follows."""
    settles = any(task.name.startswith("settle") for task in tasks)
    return settles and any(task.state in {"failed", "upstream_failed"} for task in tasks)


def describe_state(state: State, share: float) -> str:
    """The state in a word or two, such as ``Baking 10 %``."""
    return (
        f"{_CHIPS[state]} {'at ' if state is State.PAUSED else ''}{share:g} %"
        if state in _WITH_SHARE
        else _CHIPS[state]
    )


def buttons_of(
    rollout: Rollout, state: State, control: Control | None, share: float, left: Left | None = None
) -> Iterator[Button]:
    """What may be asked now, and what follows."""
    if state is State.PROMOTED and left is not None and left.is_kept:
        yield Button(UNDO, "Undo", _what_undo_does(rollout))
    if state.is_over or state is State.ROLLING_BACK:
        return
    blue, green = rollout.blue.model_name, rollout.green_model_name
    if state is State.PAUSED:
        yield Button(
            Wish.GO_ON.value,
            "Resume",
            "The rollout goes on where it stopped. The bake is as much longer as it was paused.",
        )
    elif not rollout.traffic.is_shifted_by_aws:
        held = (
            f"{green} keeps its {share:g} % and goes on being watched: harm still rolls it back. Nothing goes forward until somebody "
            "resumes it."
        )
        yield Button(Wish.PAUSE.value, "Pause", held)
    if control is None or control.wish is not Wish.PROMOTE:
        yield Button(
            Wish.PROMOTE.value,
            "Promote",
            f"The bakes that are left are cut short: {green} gets all requests as fast as AWS shifts them. Alarms and proof of harm "
            "still roll it back.",
        )
    back = f"All requests return to {blue}, and {green} is removed. This can't be taken back."
    yield Button(Wish.ABORT.value, "Abort", back)


def _what_undo_does(rollout: Rollout) -> str:
    blue, green = rollout.blue.model_name, rollout.green_model_name
    takes = "within seconds" if rollout.traffic.has_pointer else "by an update of the endpoint, which takes minutes"
    return (
        f"All requests return to {blue}, {takes}, and {green} is removed as far as the rollout made it. This can't be taken back: to have "
        "it again, roll it out again."
    )
