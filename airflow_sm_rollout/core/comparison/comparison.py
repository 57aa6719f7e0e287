"""Green against blue: harmful, healthy, or nobody can tell yet.

All periods since green's first call are taken, in the order of time: at once, or a few at each look (:class:`Course`). The answer is the
same whoever asks, and how often, so nothing has to be kept between two tasks. What is shown of the evidence is that of
:mod:`~airflow_sm_rollout.core.comparison.bets`:

- *Harm* is proven when the capital bet on it, over all metrics, has become 1 / false_rollback. A rollout with a green that is not worse
  than tolerated is rolled back with a probability of at most false_rollback, over all its looks together. It stays proven.
- *Health* is proven when in every metric the capital bet on it has become 1 / false_pass, and the one bet on harm is below 1.
  So a green that is, in any metric, worse than its healthy line in every period passes with a probability of at most false_pass,
  without a correction for the number of metrics (intersection-union test: Berger 1982). It can't see what begins later: harm is looked
  for on.
- A cold start explains calls that are slow, and none that fail: errors are judged from green's first call on, latencies once all of its
  instances have warmed up.
- Periods without figures say nothing. Where one of the two had no calls, periods are taken together until both had some: so a green that
  is rarely called is compared with all of blue's calls since, and without traffic it can never be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from airflow_sm_rollout.core.comparison.metric import MetricEvidence
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.comparison.results import Compared, Comparison, Finding, Rate
from airflow_sm_rollout.core.comparison.track import Mark, Track
from airflow_sm_rollout.core.comparison.wording import describe
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, METRICS, Margin, Tolerances

__all__ = ["METRICS", "Compared", "Comparison", "Course", "Finding", "Margin", "Rate", "Tolerances", "compare"]

_SEEN_LATE = timedelta(minutes=1)


def compare(
    baseline: Sequence[Period],
    periods: Sequence[Period],
    tolerances: Tolerances = DEFAULTS,
    *,
    planned: timedelta,
    since: datetime | None = None,
    renewed: Sequence[datetime] = (),
) -> Comparison:
    """Judge green by all its periods so far. Look as often as you like: the chance of a false rollback is one for all looks together.

    :param baseline: blue's periods before green had traffic, from which its rates and their dispersion are known; may be empty.
    :param periods: all periods since green has had traffic, over all the steps of the rollout, in order of time.
    :param tolerances: what is tolerated.
    :param planned: how long all the steps of the rollout that have both variants' traffic take, as planned; must not change between looks.
    :param since: when this step's bake began: health has to be proven by a period that ends ``min_bake`` after it; ``None``: green's first
        call.
    :param renewed: when green began to serve from more instances than before: each time it warms up anew.
    """
    course = Course(baseline, tolerances, planned=planned, since=since, renewed=renewed)
    for period in periods:
        course.take(period)
    return course.conclude()


class Course:
    """What has been seen up to some period; the arguments are those of :func:`compare`."""

    def __init__(
        self,
        baseline: Sequence[Period],
        tolerances: Tolerances = DEFAULTS,
        *,
        planned: timedelta,
        since: datetime | None = None,
        renewed: Sequence[datetime] = (),
    ) -> None:
        self._tolerances = tolerances
        self._needed = 1 / tolerances.false_rollback
        self._health_needed = 1 / tolerances.false_pass
        self._planned_minutes = max(planned / timedelta(minutes=1), 1.0)
        self._since = since
        self._renewed = tuple(renewed)
        self._waiting: Period | None = None
        self._metrics = [MetricEvidence(metric, tolerances, baseline) for metric in METRICS]
        self._first_call: datetime | None = None
        self._requests = (0, 0)
        self._until: datetime | None = None
        self._track = Track(len(METRICS))
        self.harmful_at: datetime | None = None
        self.healthy_at: datetime | None = None

    def take(self, period: Period) -> None:
        """Take one more period, in the order of time; once harm is proven nothing more is asked."""
        if self.harmful_at:
            return
        self._until = period.end
        if period.green is None or period.blue is None:
            return
        if period.green.requests:
            self._first_call = self._first_call or period.start
        whole = self._waiting + period if self._waiting else period
        self._waiting = None if _is_comparable(whole) else whole
        if self._first_call and not self._waiting:
            self._compare(whole, period.end, self._first_call)

    def _compare(self, period: Period, end: datetime, first_call: datetime) -> None:
        green, blue = period.green, period.blue
        if green is None or blue is None:
            return
        self._requests = (self._requests[0] + green.requests, self._requests[1] + blue.requests)
        is_warm = not self._is_warming_up(period, first_call)
        minutes = period.seconds / 60
        planned_share, asks_health = minutes / self._planned_minutes, self.healthy_at is None
        for metric in self._metrics:
            metric.take(green, blue, planned_share, minutes, is_warm=is_warm, asks_health=asks_health)
        self._decide(end)
        if self._track.count():
            self._track.add(self._mark(end))

    def _mark(self, end: datetime) -> Mark:
        metrics = self._metrics
        harm, health = sum(metric.evidence for metric in metrics), min(metric.health for metric in metrics)
        return Mark(end.timestamp(), harm, health, tuple(metric.counts for metric in metrics))

    def _is_warming_up(self, period: Period, first_call: datetime) -> bool:
        """Whether some of green's instances are new. AWS lets each serve once it is ready, a little before that can be seen."""
        if period.start < first_call + self._tolerances.warm_up:
            return True
        return any(
            period.end > at - _SEEN_LATE and period.start < at + self._tolerances.warm_up for at in self._renewed
        )

    def _decide(self, end: datetime) -> None:
        harm = sum(metric.evidence for metric in self._metrics)
        if harm >= self._needed:
            self.harmful_at = end
        elif self.healthy_at is None and harm < 1 and self._baked_by(end):
            healthy = all(metric.health >= self._health_needed for metric in self._metrics)
            self.healthy_at = end if healthy else None

    def _baked_by(self, end: datetime) -> bool:
        begins = [begin for begin in (self._first_call, self._since) if begin is not None]
        return end >= max(begins) + self._tolerances.min_bake

    def conclude(self) -> Comparison:
        """What it amounts to."""
        metrics = tuple(metric.compare() for metric in self._metrics)
        decided_at = self.harmful_at or self.healthy_at
        proven = Finding.HARM if self.harmful_at else Finding.HEALTHY
        verdict = proven if decided_at else Finding.CANNOT_TELL
        worst = max(metrics, key=lambda metric: metric.evidence)
        suspect = max(self._metrics, key=lambda metric: metric.suspicion)
        comparison = Comparison(
            verdict=verdict,
            decided_at=decided_at,
            culprit=worst.metric if verdict is Finding.HARM else None,
            metrics=metrics,
            evidence=sum(metric.evidence for metric in metrics),
            needed=self._needed,
            health=min(metric.health for metric in metrics),
            health_needed=self._health_needed,
            green_requests=self._requests[0],
            blue_requests=self._requests[1],
            judged_until=self._until,
            sentence="",
            suspect=suspect.metric if suspect.suspicion >= 1 else "",
            track=self._track.ended_by(self._mark(self._until) if self._until and self._first_call else None),
        )
        return describe(comparison)


def _is_comparable(period: Period) -> bool:
    return bool(period.green and period.blue and period.green.requests and period.blue.requests)
