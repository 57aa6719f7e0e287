"""Judges an endpoint's own past as if a slice of blue had been green: how often would a plan have rolled back, and how soon for harm.

The slice is drawn at random from each minute's calls, as a router would: it is as good as blue, so that every rollback is a false one. Harm
of a known size is then done to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import timedelta
from statistics import median
from typing import Protocol

from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding, compare
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.strategy import Strategy
from airflow_sm_rollout.core.plan.tolerances import Tolerances

_BASELINE_PERIODS = 180
_EXACT = 60  # calls up to which a draw is made one by one; above, by the normal approximation
_MINUTE = timedelta(minutes=1)

Over = tuple["int | None", "int | None", "int | None", "int | None"]
"""Calls slower than blue's p50, p95, p99 and twice that; ``None``: not known."""


class Chance(Protocol):
    """What draws are made with: ``random.Random``."""

    def random(self) -> float:
        """A number from 0 to below 1."""
        ...

    def gauss(self, mu: float, sigma: float) -> float:
        """A number from a normal distribution."""
        ...


@dataclass(frozen=True, slots=True)
class Harm:
    """What is wrong with a green; by default nothing.

    :param added_error_rate: errors per call that it has more than blue, 0 to 1.
    :param slowdown: how many times as long as blue it takes for each call, 1 or more.
    """

    added_error_rate: float = 0.0
    slowdown: float = 1.0

    def __str__(self) -> str:
        """What such a green does, behind "a green that"."""
        percent = 100 * (self.added_error_rate or self.slowdown - 1)
        if self.added_error_rate:
            return "fails every call" if percent >= 100 else f"fails {percent:g} % more of its calls"
        if self.slowdown >= 2:
            return "is twice as slow" if self.slowdown == 2 else f"is {self.slowdown:g} times as slow"
        return f"is {percent:.3g} % slower" if percent else "is as good as blue"


@dataclass(frozen=True, slots=True)
class PastMinute:
    """A minute of blue's past.

    :param period: what blue did; there is no green.
    :param over_if_slower: by slowdown, how many of its calls were over blue's thresholds if each had taken so many times as long.
    """

    period: Period
    over_if_slower: Mapping[float, Over] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of replayed rollouts.

    :param harm: what was wrong with green.
    :param rollouts: how many were replayed.
    :param rolled_back: how many were proven harmful.
    :param healthy: how many were proven healthy.
    :param median_until_harm: from green's first call to the proof, in the median of those rolled back; ``None``: none was.
    """

    harm: Harm
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


def tolerances_by(tolerances: Tolerances, shares: Sequence[float]) -> Tolerances:
    """The tolerances for a plan that may compare for less than ``min_bake_minutes``: its rollouts can be proven healthy by their end, as
    its bakes can (:func:`~.sources.tolerances_in`).

    :param shares: see :func:`shares_by_minute`.
    """
    return replace(tolerances, min_bake_minutes=min(tolerances.min_bake_minutes, len(shares)))


def replay(
    pasts: Sequence[Sequence[PastMinute]], shares: Sequence[float], tolerances: Tolerances, harm: Harm, chance: Chance
) -> Outcome:
    """Replay one rollout after the other over the past.

    :param pasts: blue's minutes, in order, without gaps in time; a stretch for each variant that was blue.
    :param shares: see :func:`shares_by_minute`.
    :param harm: what is wrong with green.
    :param chance: where randomness comes from.
    """
    planned = len(shares) * _MINUTE
    found: list[tuple[Comparison, Period]] = []
    for baseline, minutes in _windows(pasts, len(shares)):
        periods = [_split(each, share, harm, chance) for each, share in zip(minutes, shares, strict=True)]
        known = [each.period for each in baseline]
        found.append((compare(known, periods, tolerances, planned=planned), periods[0]))
    harmful = [
        comparison.decided_at - first.start
        for comparison, first in found
        if comparison.verdict is Finding.HARM and comparison.decided_at is not None
    ]
    healthy = sum(1 for comparison, _ in found if comparison.verdict is Finding.HEALTHY)
    soon = timedelta(seconds=median(each.total_seconds() for each in harmful)) if harmful else None
    return Outcome(harm, len(found), len(harmful), healthy, soon)


def _windows(
    pasts: Sequence[Sequence[PastMinute]], length: int
) -> Iterator[tuple[Sequence[PastMinute], Sequence[PastMinute]]]:
    """Rollouts one after the other, each with the hours before it."""
    for past in pasts:
        first = min(_BASELINE_PERIODS, len(past) // 4)
        for start in range(first, len(past) - length + 1, length):
            yield past[max(0, start - _BASELINE_PERIODS) : start], past[start : start + length]


def _split(minute: PastMinute, share: float, harm: Harm, chance: Chance) -> Period:
    """Some of a minute's calls as green's, with harm done to them, the others as blue's as they were."""
    period, whole = minute.period, minute.period.blue
    if whole is None:
        return period
    over = (whole.over_p50, whole.over_p95, whole.over_p99, whole.over_twice_p99)
    over_if_harmed: Over = (
        over if harm.slowdown == 1 else minute.over_if_slower.get(harm.slowdown, (None, None, None, None))
    )
    taken = _draw_nested({whole.requests, *over, *over_if_harmed}, share, chance)
    requests = taken[whole.requests] or 0
    e5 = _draw_among(whole.errors_5xx, requests, whole.requests, chance)
    e4 = _draw_among(whole.errors_4xx, requests - e5, whole.requests - whole.errors_5xx, chance)
    added = _draw(requests - e5 - e4, harm.added_error_rate, chance)
    green = Sample(requests, e5 + added, e4, *(taken[count] for count in over_if_harmed))
    left = (None if count is None else count - (taken[count] or 0) for count in over)
    blue = Sample(whole.requests - requests, whole.errors_5xx - e5, whole.errors_4xx - e4, *left)
    return Period(period.start, period.seconds, blue, green)


def _draw_among(events: int, taken: int, calls: int, chance: Chance) -> int:
    """How many of the events among so many calls are among those taken of them."""
    drawn = _draw(events, taken / calls, chance) if calls > 0 else 0
    return min(max(drawn, taken + events - calls, 0), events, taken)


def _draw_nested(counts: AbstractSet[int | None], share: float, chance: Chance) -> dict[int | None, int | None]:
    """How many are taken of each of some sets of calls, given by their sizes, of which each holds all smaller ones: calls slower than
    this are also slower than that.
    """
    taken: dict[int | None, int | None] = {None: None}
    inner = drawn = 0
    for count in sorted(count for count in counts if count is not None):
        drawn += _draw(count - inner, share, chance)
        inner = count
        taken[count] = drawn
    return taken


def _draw(count: int, share: float, chance: Chance) -> int:
    """How many of ``count`` are taken, each with that probability."""
    if share in (0.0, 1.0):
        return round(count * share)
    if count <= _EXACT or count * min(share, 1 - share) < _EXACT / 4:
        return sum(chance.random() < share for _ in range(count))
    drawn = round(chance.gauss(count * share, (count * share * (1 - share)) ** 0.5))
    return min(max(drawn, 0), count)
