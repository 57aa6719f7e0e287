"""Goal states of an endpoint, and what a decision about one may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from airflow_sm_rollout.core.actions import Action
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Rollout

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class GreenDeployed:
    """Green stands beside blue, with instances and without traffic.

    :param rollout: the rollout to begin; once it is recorded, the record counts, not this.
    """

    rollout: Rollout

    def __str__(self) -> str:
        return "green is deployed with no traffic"


@dataclass(frozen=True, slots=True)
class GreenShadowed:
    """Green gets copies of blue's requests, and its answers are dropped.

    :param rollout: as for :class:`GreenDeployed`.
    :param percent: of the requests, above 0 and at most 100.
    """

    rollout: Rollout
    percent: float

    def __str__(self) -> str:
        return f"green gets copies of {self.percent:g} % of the requests"


@dataclass(frozen=True, slots=True)
class GreenShare:
    """Green takes ``share`` percent of the requests, 0 to 100, on enough instances."""

    share: float

    def __str__(self) -> str:
        return f"green has {self.share:g} % of the traffic"


@dataclass(frozen=True, slots=True)
class AsBefore:
    """Everything is as it was before the rollout, and nothing that it made is left.

    :param rollout: the rollout as it was planned, if it is known: a record that somebody has deleted is made again from it.
    :param refused: what AWS has refused just now on the way there, so that another way is taken if there is one.
    """

    rollout: Rollout | None = None
    refused: tuple[Action, ...] = ()

    def __str__(self) -> str:
        return "everything is as before the rollout"


@dataclass(frozen=True, slots=True)
class OnlyGreen:
    """Green alone serves; of what the rollout made, only green's config and model are left.

    :param rollout: as for :class:`AsBefore`.
    """

    rollout: Rollout | None = None

    def __str__(self) -> str:
        return "green alone serves"


Goal = GreenDeployed | GreenShadowed | GreenShare | AsBefore | OnlyGreen


def heeds_wishes(goal: Goal) -> bool:
    """Whether a pause or an abort counts on the way there. Nobody's wish keeps traffic on green, so it is not even read on the way back."""
    return not isinstance(goal, AsBefore) and goal != GreenShare(0)


@dataclass(frozen=True, slots=True)
class Act:
    """Do this, then look again."""

    action: Action


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; look again later. ``expected`` is how long it usually takes on AWS."""

    reason: str
    expected: timedelta


@dataclass(frozen=True, slots=True)
class Hold:
    """A person has paused the rollout. It waits for as long as that lasts: no deadline counts meanwhile."""

    reason: str


@dataclass(frozen=True, slots=True)
class Again:
    """AWS refuses the next step. The same is tried again after a pause, which grows from one refusal to the next.

    :param refusals: how often AWS has refused in a row, this time included.
    """

    reason: str
    refusals: int


def pause_after(refusals: int) -> timedelta:
    """The pause after so many refusals in a row: none, 5 s, 10 s, 20 s, ..., and 5 minutes at most."""
    return min(_FIRST_PAUSE * 2 ** min(refusals - 1, 10), _LONGEST_PAUSE) if refusals else timedelta()


def seconds_expected(waits: Wait | Hold | Again) -> float:
    """How long a wait usually takes; 0: nobody knows."""
    return waits.expected.total_seconds() if isinstance(waits, Wait) else 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """The goal is reached.

    :param outcome: how the rollout ended, for the goals that end one.
    """

    reason: str
    outcome: Outcome | None = None

    def as_dict(self) -> dict[str, str]:
        """What a task that ends a rollout returns."""
        return {"outcome": self.outcome.noted if self.outcome else "", "state": self.reason}


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The goal can't be reached, and looking again would not change it.

    :param refused: nothing was done at all, because the rollout was refused before it began.
    """

    reason: str
    refused: bool = False


Decision = Act | Wait | Hold | Done | GiveUp
