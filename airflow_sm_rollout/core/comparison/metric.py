"""The evidence in one metric: its tests, and the counts they have seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from airflow_sm_rollout.core.comparison.bets import Capital, Count, LineTest
from airflow_sm_rollout.core.comparison.deadline import MOST_EXPONENT
from airflow_sm_rollout.core.comparison.dispersion import Dispersion, estimate_bunching, estimate_noise
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.comparison.rate import RateEvidence
from airflow_sm_rollout.core.comparison.results import Compared, Rate
from airflow_sm_rollout.core.comparison.track import Counts
from airflow_sm_rollout.core.plan.tolerances import Tolerances

DEFAULT_DISPERSIONS = {
    "errors_5xx": Dispersion(1.25, 0.25),
    "errors_4xx": Dispersion(1.25, 0.25),
    "over_p50": Dispersion(1.0, 0.04),
    "over_p95": Dispersion(1.0, 0.10),
    "over_p99": Dispersion(1.0, 0.12),
    "over_twice_p99": Dispersion(1.25, 0.25),
}
"""What is assumed at least. Found on the tuning half of ``benchmarks/verdict``, so are the weights and the alternatives."""
WEIGHTS = {
    "errors_5xx": 0.36,
    "errors_4xx": 0.07,
    "over_p50": 0.12,
    "over_p95": 0.05,
    "over_p99": 0.23,
    "over_twice_p99": 0.12,
}
"""Each metric's part of the capital that is bet on harm; the rest is the guards'."""
GUARD_WEIGHTS = {"errors_5xx": 0.03, "errors_4xx": 0.02}
"""A container that answers everything with 400 is as broken as one that crashes: on a recorded canary nobody watched for that."""
ERRORS = frozenset({"errors_5xx", "errors_4xx"})
BUNCHED = ERRORS | {"over_twice_p99"}
"""Whose events come in bunches: clients retry, and a pause makes all calls hang that meet it. Calls that are merely slow do not."""
ODDS = {
    "errors_5xx": ((1.7, 0.4), (3.5, 0.6)),
    "errors_4xx": ((1.7, 0.4), (3.5, 0.6)),
    "over_p50": ((1.3, 0.3), (1.8, 0.7)),
    "over_p95": ((1.4, 0.4), (2.2, 0.6)),
    "over_p99": ((1.6, 0.3), (2.5, 0.7)),
    "over_twice_p99": ((4.0, 0.5), (10.0, 0.5)),
}
GUARD_RATIO, GUARD_POINTS = 3.0, 0.05
GUARD_ODDS = (4.0, 300.0)
_MOST_OF_A_BUNCH = 7.0
"""Logarithm; one that alone is proof has about 9."""
HEALTH_DISPERSION = Dispersion(1.0, 0.18)
"""What is assumed of errors at least where blue's history tells of them and health is bet on: there the level is for a wrong pass."""


class Guard:
    """Evidence that green fails far more calls than blue, from its first minute on: no cold start does that.

    A bunch of errors may be all of green's calls in a quiet minute. So where blue's history has bunches, no minute counts for more than one
    may unless it holds more than they explain; but two in a row are proof. With larger bunches than are assumed at least that is no fair
    bet any more; what it costs is in the rows of bunches in ``benchmarks/verdict``.

    :param dispersion: of blue's history.
    :param least: what is assumed at least.
    """

    __slots__ = ("_bunched", "_capital", "_left", "_line")

    def __init__(self, dispersion: Dispersion, least: Dispersion) -> None:
        self._line = LineTest(GUARD_RATIO, GUARD_POINTS, least)
        self._bunched = LineTest(GUARD_RATIO, GUARD_POINTS, dispersion)
        self._capital = Capital((0.5, 0.5))
        self._left = _MOST_OF_A_BUNCH

    @property
    def evidence(self) -> float:
        """What the capital of 1 has become."""
        return self._capital.total

    def bet(self, green: Count, blue: Count, blue_rate: float, planned_share: float, minutes: float) -> None:
        """Take one more period; the arguments are those of :meth:`~airflow_sm_rollout.core.comparison.bets.HarmTest.bet`."""
        one, other = self._line.log_factors(green, blue, blue_rate, GUARD_ODDS, minutes)
        self._left = min(_MOST_OF_A_BUNCH, self._left + _MOST_OF_A_BUNCH * minutes)
        if one > self._left or other > self._left:
            beyond = self._bunched.log_factors(green, blue, blue_rate, GUARD_ODDS, minutes)
            one, other = _bound(one, beyond[0], self._left), _bound(other, beyond[1], self._left)
        self._left = max(0.0, self._left - max(0.0, one, other))
        self._capital.multiply(planned_share, (one, other))


def _bound(factor: float, beyond_bunches: float, left: float) -> float:
    return min(factor, max(left, beyond_bunches), MOST_EXPONENT)


class MetricEvidence:
    """What is known of one metric so far.

    :param metric: one of :data:`~airflow_sm_rollout.core.plan.tolerances.METRICS`.
    :param baseline: blue's periods before green had traffic.
    :ivar evidence: of harm: the part of all evidence that is this metric's.
    """

    def __init__(self, metric: str, tolerances: Tolerances, baseline: Sequence[Period]) -> None:
        minutes = _count_minutes(metric, baseline)
        least = DEFAULT_DISPERSIONS[metric]
        estimate = estimate_bunching if metric in BUNCHED else estimate_noise
        self.dispersion = of_health = estimate(minutes, least)
        if metric in ERRORS:
            of_health = estimate_bunching(minutes, HEALTH_DISPERSION, unknown=least)
        self.metric = metric
        self._may_be_cold = metric not in ERRORS
        self._rate = RateEvidence(
            tolerances.margin(metric),
            minutes,
            dispersion=self.dispersion,
            of_health=of_health,
            odds=ODDS[metric],
            harm_proof=1 / (WEIGHTS[metric] * tolerances.false_rollback),
            proof=1 / tolerances.false_pass,
            deadline=tolerances.min_bake_minutes,
        )
        self._guard = Guard(self.dispersion, least) if metric in GUARD_WEIGHTS else None
        self._is_warm = False
        self._weight, self._guard_weight = WEIGHTS[metric], GUARD_WEIGHTS.get(metric, 0.0)
        self.evidence = self._weight + self._guard_weight

    @property
    def health(self) -> float:
        """Evidence of health; 0 where nothing was seen."""
        return self._rate.health

    @property
    def suspicion(self) -> float:
        """How much worse green looks of late; from 1 on it is enough to wait."""
        return self._rate.lately.strength

    def take(
        self, green: Sample, blue: Sample, planned_share: float, minutes: float, *, is_warm: bool, asks_health: bool
    ) -> None:
        """Take one more period in which both had calls.

        :param planned_share: the period's length over the planned time.
        :param minutes: the period's length.
        :param is_warm: whether no instance of green's is warming up; of errors nobody asks that.
        :param asks_health: whether health is not proven yet; what is proven needs no more bets.
        """
        green_events, blue_events = getattr(green, self.metric), getattr(blue, self.metric)
        if green_events is None or blue_events is None:
            return
        # At the edge of a period an event may be counted apart from its call.
        of_green = (green.requests, min(green_events, green.requests))
        of_blue = (blue.requests, min(blue_events, blue.requests))
        is_warm = is_warm or not self._may_be_cold
        if is_warm and not self._is_warm:
            self._is_warm = True
            self._rate.begin_anew()
        if self._guard:
            self._guard.bet(of_green, of_blue, self._rate.blue_rate, planned_share, minutes)
        asks_health = asks_health and (is_warm or not self._is_warm)  # new instances again say nothing for green either
        self._rate.take(of_green, of_blue, planned_share, minutes, asks_harm=is_warm, asks_health=asks_health)
        self.evidence = self._weight * self._rate.harm
        if self._guard:
            self.evidence += self._guard_weight * self._guard.evidence

    @property
    def counts(self) -> Counts:
        """What is shown of both."""
        return self._rate.counts

    def compare(self) -> Compared:
        """The metric as it is shown."""
        spread, (green_events, green_calls, blue_events, blue_calls) = self.dispersion, self.counts
        green = measure_rate(green_calls, green_events, spread.bunching)
        blue = measure_rate(blue_calls, blue_events, spread.bunching)
        return Compared(self.metric, green, blue, self.evidence, self.health, spread.bunching, spread.own_noise)


def measure_rate(calls: int, events: int, bunching: float) -> Rate | None:
    """A rate with Wilson's interval (1927) of 95 %, of calls that count less when their events come in bunches.

    :param bunching: factor on the variance.
    """
    if not calls:
        return None
    independent = calls / bunching
    rate = events / calls
    square = 1.96**2 / independent
    middle = (rate + square / 2) / (1 + square)
    half = math.sqrt(square * (rate * (1 - rate) + square / 4)) / (1 + square)
    return Rate(events, calls, rate, max(0.0, middle - half), min(1.0, middle + half))


def _count_minutes(metric: str, periods: Sequence[Period]) -> list[tuple[int, int]]:
    """Blue's calls and events, shorter periods added up to minutes."""
    minutes: dict[float, tuple[int, int]] = {}
    for period in periods:
        events = getattr(period.blue, metric) if period.blue else None
        if period.blue and events is not None:
            minute = period.start.timestamp() // 60
            before = minutes.get(minute, (0, 0))
            minutes[minute] = (before[0] + period.blue.requests, before[1] + events)
    return list(minutes.values())
