"""The evidence of a measure that green is compared with blue by: of counts, or of means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from airflow_sm_rollout.core.comparison.bets import Count
from airflow_sm_rollout.core.comparison.dispersion import Dispersion, estimate_bunching
from airflow_sm_rollout.core.comparison.mean import MeanEvidence, Sums
from airflow_sm_rollout.core.comparison.rate import RateEvidence
from airflow_sm_rollout.core.comparison.wording import format_percent
from airflow_sm_rollout.core.plan.measures import Mean, Measure
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.watch.rows import Counted

LEAST = Dispersion(1.25, 0.25)
_ODDS = ((1.7, 0.4), (3.5, 0.6))
"""As of errors: what is assumed at least, and what is bet on."""
_HEALTH_LEAST = Dispersion(1.0, 0.18)


class Beside(Protocol):
    """What is known by it so far."""

    @property
    def harm(self) -> float:
        """What a capital of 1 that was bet on harm has become."""
        ...

    @property
    def health(self) -> float:
        """Likewise of health; 0 where nothing was seen."""
        ...

    def take(self, period: Counted, planned_minutes: float) -> None:
        """Take one more period, in the order of time.

        :param planned_minutes: how long the comparison is planned to last.
        """

    def describe(self) -> str:
        """Both figures; empty: there are none."""
        ...


def begin_beside(measure: Measure, before: Sequence[Count | Sums], tolerances: Tolerances, needed: float) -> Beside:
    """The evidence with which a comparison begins.

    :param before: blue's periods before green had any.
    :param needed: how much of it is proof of harm.
    """
    if measure.mean is not None:
        return _Means(measure.mean, [each for each in before if isinstance(each, Sums)])
    return _Counts(measure, counts_among(before), tolerances, needed)


def counts_among(periods: Sequence[Count | Sums]) -> list[Count]:
    """Those that are counts."""
    return [each for each in periods if not isinstance(each, Sums)]


class _Counts:
    """Of events. Periods are taken together until both had trials."""

    def __init__(self, measure: Measure, before: Sequence[Count], tolerances: Tolerances, needed: float) -> None:
        self._waiting: tuple[int, Count, Count] = (0, (0, 0), (0, 0))
        self._rate = RateEvidence(
            measure.margin,
            before,
            dispersion=estimate_bunching(before, LEAST),
            of_health=estimate_bunching(before, _HEALTH_LEAST, unknown=LEAST),
            odds=_ODDS,
            harm_proof=needed,
            proof=1 / tolerances.false_pass,
            deadline=tolerances.min_bake_minutes,
        )
        self._rate.begin_anew()

    @property
    def harm(self) -> float:
        return self._rate.harm

    @property
    def health(self) -> float:
        return self._rate.health

    def take(self, period: Counted, planned_minutes: float) -> None:
        if isinstance(period.green, Sums) or isinstance(period.blue, Sums) or not period.green or not period.blue:
            return
        seconds, green, blue = self._waiting
        seconds, green, blue = seconds + period.seconds, _sum(green, period.green), _sum(blue, period.blue)
        if not green[0] or not blue[0]:
            self._waiting = seconds, green, blue
            return
        self._waiting = 0, (0, 0), (0, 0)
        minutes = seconds / 60
        self._rate.take(green, blue, minutes / planned_minutes, minutes, asks_harm=True, asks_health=True)

    def describe(self) -> str:
        of_green, all_green, of_blue, all_blue = self._rate.counts
        if not all_green:
            return ""
        return (
            f"{of_green:,} of green's {all_green:,} ({format_percent(of_green / all_green)}); of blue's in the same periods "
            f"{of_blue:,} of {all_blue:,} ({format_percent(of_blue / all_blue)})"
        )


class _Means:
    """Of values."""

    def __init__(self, mean: Mean, before: Sequence[Sums]) -> None:
        self._mean = mean
        self._evidence = MeanEvidence(mean.tolerated / (mean.high - mean.low), before)

    @property
    def harm(self) -> float:
        return self._evidence.harm

    @property
    def health(self) -> float:
        return self._evidence.health

    def take(self, period: Counted, planned_minutes: float) -> None:
        green, blue = period.green, period.blue
        if isinstance(green, Sums) and isinstance(blue, Sums) and green.count and blue.count:
            self._evidence.take(green, blue)

    def describe(self) -> str:
        green, blue = self._evidence.green, self._evidence.blue
        if not green.count:
            return ""
        return (
            f"{self._mean.named(green.mean):.4g} in the mean of green's {green.count:,}; {self._mean.named(blue.mean):.4g} in the mean of "
            f"blue's {blue.count:,} in the same periods"
        )


def _sum(one: Count, other: Count) -> Count:
    return one[0] + other[0], one[1] + other[1]
