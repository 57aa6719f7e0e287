"""What the comparison of green with blue says, for tasks, reports and people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from airflow_sm_rollout.core.comparison.track import Mark, read_marks


class Finding(str, Enum):
    """What the comparison says of green."""

    HARM = "harm"
    HEALTHY = "healthy"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened, with an interval that holds the truth in 95 of 100 cases.

    :param events: calls that failed, or were slow.
    :param requests: all calls.
    :param rate: ``events / requests``, 0 to 1; so are ``low`` and ``high``, the interval's ends.
    """

    events: int
    requests: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of green against blue, since the end of the warm-up, or while it lasts.

    :param metric: one of :data:`METRICS`.
    :param green: ``None``: not known, so are blue's.
    :param evidence: that green is worse than tolerated; as much as ``Comparison.needed`` in all metrics together is proof.
    :param health: evidence that green is better than the healthy line; ``Comparison.health_needed`` of it is proof.
    :param bunching: how counts scatter, and so ``own_noise``: see :class:`~.dispersion.Dispersion`.
    """

    metric: str
    green: Rate | None
    blue: Rate | None
    evidence: float
    health: float
    bunching: float = 1.0
    own_noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the periods so far say of green.

    :param verdict: harm is said once it is proven, and for good; healthy as long as no harm is proven.
    :param decided_at: the end of the period with which it was first proven; ``None``: it can't be told.
    :param culprit: the metric, one of :data:`METRICS`, that speaks most for harm; ``None`` unless harm is proven.
    :param metrics: one for each of :data:`METRICS`, up to ``judged_until``.
    :param evidence: of harm, in all metrics together.
    :param needed: evidence that is proof of harm: 1 / false_rollback.
    :param health: evidence of health, in the metric that has least of it.
    :param health_needed: evidence that is proof of health: 1 / false_pass.
    :param green_requests: green's calls in the periods that could be compared, the warm-up included.
    :param blue_requests: blue's calls in the same.
    :param judged_until: end of the last period that was looked at; ``None``: there was none.
    :param sentence: all this in plain words.
    :param track: how it came about, for people.
    :param suspect: the metric in which green looks so much worse of late that its share had better not rise; empty: in none.
    """

    verdict: Finding
    decided_at: datetime | None
    culprit: str | None
    metrics: tuple[Compared, ...]
    evidence: float
    needed: float
    health: float
    health_needed: float
    green_requests: int
    blue_requests: int
    judged_until: datetime | None
    sentence: str
    track: tuple[Mark, ...] = ()
    suspect: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON takes it."""
        return {
            **asdict(self),
            "verdict": self.verdict.value,
            "decided_at": self.decided_at and self.decided_at.isoformat(),
            "judged_until": self.judged_until and self.judged_until.isoformat(),
            "metrics": [asdict(metric) for metric in self.metrics],
            "track": [mark.as_list() for mark in self.track],
        }

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Comparison:
        """Read what :meth:`as_dict` wrote."""
        return cls(
            **{
                **written,
                "verdict": Finding(written["verdict"]),
                "decided_at": _read_time(written["decided_at"]),
                "judged_until": _read_time(written["judged_until"]),
                "metrics": tuple(
                    Compared(**{**metric, "green": _read_rate(metric["green"]), "blue": _read_rate(metric["blue"])})
                    for metric in written["metrics"]
                ),
                "track": read_marks(written.get("track", ())),
            }
        )


def _read_time(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _read_rate(written: Mapping[str, Any] | None) -> Rate | None:
    return Rate(**written) if written else None
