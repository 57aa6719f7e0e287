"""Judges an endpoint's own past as if a slice of blue had been green: how often would a plan have rolled back, and how soon for harm.

The slice is drawn at random from each minute's calls, as a router would: it is as good as blue, so that every rollback is a false one. Harm
of a known size is then added to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import Protocol

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.evidence.comparison import Comparison, Finding, compare
from airflow_sm_rollout.core.evidence.periods import Period, Sample
from airflow_sm_rollout.core.evidence.tolerances import Tolerances
from airflow_sm_rollout.core.strategy import Strategy

_BASELINE_PERIODS = 180
_EXACT = 60  # calls up to which a draw is made one by one; above, by the normal approximation
_MINUTE = timedelta(minutes=1)


class Chance(Protocol):
    """What draws are made with: ``random.Random``."""

    def random(self) -> float:
        """A number from 0 to below 1."""
        ...

    def gauss(self, mu: float, sigma: float) -> float:
        """A number from a normal distribution."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of replayed rollouts.

    :param added_error_rate: errors per call that green had more than blue.
    :param rollouts: how many were replayed.
    :param rolled_back: how many were proven harmful.
    :param healthy: how many were proven healthy.
    :param median_until_harm: from green's first call to the proof, in the median of those rolled back; ``None``: none was.
    """

    added_error_rate: float
    rollouts: int
    rolled_back: int
    healthy: int
    median_until_harm: timedelta | None


def shares_by_minute(strategy: Strategy) -> list[float]:
    """Green's share in each minute of the steps that both variants serve in, 0.0 to 1.0.

    :raises PlanError: if there are none.
    """
    shares = [
        step.share / 100
        for step in strategy.steps
        if step.share < 100
        for _ in range(max(1, round(step.bake / _MINUTE)))
    ]
    if not shares:
        shown = [step.share for step in strategy.steps]
        raise PlanError("steps", shown, "at least one step below 100 %, where blue and green can be compared")
    return shares


def replay(
    past: Sequence[Period], shares: Sequence[float], tolerances: Tolerances, added_error_rate: float, chance: Chance
) -> Outcome:
    """Replay one rollout after the other over the past.

    :param past: blue's minutes, in order, without gaps in time.
    :param shares: see :func:`shares_by_minute`.
    :param added_error_rate: harm to be added to green: errors per call, 0 to 1.
    :param chance: where randomness comes from.
    """
    planned = len(shares) * _MINUTE
    found: list[tuple[Comparison, Period]] = []
    for baseline, minutes in _windows(past, len(shares)):
        periods = [_split(each, share, added_error_rate, chance) for each, share in zip(minutes, shares, strict=True)]
        found.append((compare(baseline, periods, tolerances, planned=planned), periods[0]))
    harmful = [
        comparison.decided_at - first.start
        for comparison, first in found
        if comparison.verdict is Finding.HARM and comparison.decided_at is not None
    ]
    healthy = sum(1 for comparison, _ in found if comparison.verdict is Finding.HEALTHY)
    soon = timedelta(seconds=median(each.total_seconds() for each in harmful)) if harmful else None
    return Outcome(added_error_rate, len(found), len(harmful), healthy, soon)


def _windows(past: Sequence[Period], length: int) -> Iterator[tuple[Sequence[Period], Sequence[Period]]]:
    """Rollouts one after the other, each with the hours before it."""
    first = min(_BASELINE_PERIODS, len(past) // 4)
    for start in range(first, len(past) - length + 1, length):
        yield past[max(0, start - _BASELINE_PERIODS) : start], past[start : start + length]


def _split(period: Period, share: float, added_error_rate: float, chance: Chance) -> Period:
    """Some of a minute's calls as green's, the others as blue's."""
    if period.blue is None:
        return period
    whole = period.blue
    taken = _take(whole, share, chance)
    rest = Sample(
        whole.requests - taken.requests,
        whole.errors_5xx - taken.errors_5xx,
        whole.errors_4xx - taken.errors_4xx,
        *(
            None if count is None else count - (green or 0)
            for count, green in zip(_over(whole), _over(taken), strict=True)
        ),
    )
    sound = taken.requests - taken.errors_5xx - taken.errors_4xx
    harmed = replace(taken, errors_5xx=taken.errors_5xx + _draw(sound, added_error_rate, chance))
    return Period(period.start, period.seconds, rest, harmed)


def _take(whole: Sample, share: float, chance: Chance) -> Sample:
    e5, e4 = (_draw(count, share, chance) for count in (whole.errors_5xx, whole.errors_4xx))
    if None in _over(whole):
        sound = _draw(whole.requests - whole.errors_5xx - whole.errors_4xx, share, chance)
        return Sample(e5 + e4 + sound, e5, e4)
    # Calls by how slow they were: those within p50, then up to p95, up to p99, and above it.
    edges = [whole.requests, *(count or 0 for count in _over(whole)), 0]
    slices = [_draw(max(0, more - less), share, chance) for more, less in pairwise(edges)]
    requests, *over = (sum(slices[number:]) for number in range(4))
    requests = max(requests, e5 + e4)
    return Sample(requests, e5, e4, *over)


def _over(sample: Sample) -> tuple[int | None, int | None, int | None]:
    return sample.over_p50, sample.over_p95, sample.over_p99


def _draw(count: int, share: float, chance: Chance) -> int:
    """How many of ``count`` are taken, each with that probability."""
    if count <= _EXACT or count * min(share, 1 - share) < _EXACT / 4:
        return sum(chance.random() < share for _ in range(count))
    drawn = round(chance.gauss(count * share, (count * share * (1 - share)) ** 0.5))
    return min(max(drawn, 0), count)
