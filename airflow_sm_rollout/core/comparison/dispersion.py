"""By how much counts scatter more than independent calls would, estimated from blue's own baseline.

Two things make a count scatter. Events come in bunches (a client that retries makes several errors of one), which multiplies its
variance by ``bunching``, the mean square of a bunch over its mean. And a variant's rate has noise of its own from minute to minute,
with coefficient of variation ``own_noise``, which adds ``own_noise ** 2 * mean ** 2``. One variant's series can't tell the two apart,
nor its own noise from what both variants meet. So all that is above the defaults is taken for bunching where that is plausible
(errors), which is the more careful of the two as long as green has the smaller share, and for noise where events can't be bunched (slow
calls).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST = 10
_MANY = 20.0
"""From so many events a minute on their differences are near enough to normal."""
_QUANTILE = 0.8
_NORMAL_QUANTILE = 1.642
"""That quantile of the square of a standard normal variable (chi-square with one degree of freedom)."""


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How counts scatter.

    :param bunching: factor on a count's variance, 1 or more.
    :param own_noise: coefficient of variation of a variant's own rate from minute to minute.
    """

    bunching: float
    own_noise: float


def estimate_bunching(
    counts: Sequence[tuple[int, int]], floor: Dispersion, *, unknown: Dispersion | None = None
) -> Dispersion:
    """Dispersion of errors.

    :param counts: calls and events of blue's baseline, minute by minute.
    :param floor: what is assumed at least.
    :param unknown: what is assumed if they tell nothing; ``None``: the floor.
    """
    observed = _variance_to_mean(counts)
    if observed is None:
        return unknown or floor
    mean, ratio = observed
    return Dispersion(max(floor.bunching, ratio - floor.own_noise**2 * mean), floor.own_noise)


def estimate_noise(counts: Sequence[tuple[int, int]], floor: Dispersion) -> Dispersion:
    """Dispersion of slow calls.

    :param counts: calls and events of blue's baseline, minute by minute.
    :param floor: what is assumed at least.
    """
    observed = _variance_to_mean(counts)
    if observed is None:
        return floor
    mean, ratio = observed
    rate = sum(events for _, events in counts) / sum(calls for calls, _ in counts)
    variance = max(0.0, ratio - floor.bunching * (1 - rate)) / mean
    return Dispersion(floor.bunching, max(floor.own_noise, variance**0.5))


def _variance_to_mean(counts: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """Mean count, and variance to mean from the differences of neighbours (von Neumann 1941), in which a slow drift cancels."""
    rates = [(calls, events / calls) for calls, events in counts if calls]
    calls = sum(count for count, _ in counts)
    events = sum(count for _, count in counts)
    if len(rates) < _FEWEST or not events:
        return None
    per_call = events / calls
    squares = [
        (rate - before) ** 2 / (per_call * (1 / calls_now + 1 / calls_before))
        for (calls_before, before), (calls_now, rate) in itertools.pairwise(rates)
    ]
    mean = events / len(rates)
    return mean, _variance_of_many(squares) if mean >= _MANY else _variance_of_few(squares, mean)


def _variance_of_many(squares: Sequence[float]) -> float:
    """Of a quantile of the squared differences, so that the few bursts that hit both variants don't count."""
    return sorted(squares)[int(_QUANTILE * len(squares))] / _NORMAL_QUANTILE


def _variance_of_few(squares: Sequence[float], mean: float) -> float:
    """Of the mean of the squared differences; jumps larger than two bunches of ten and five times the mean are bursts."""
    most = (20 + 5 * mean) ** 2 / (2 * mean)
    kept = [square for square in squares if square <= most]
    return sum(kept) / len(kept) if kept else 1.0
