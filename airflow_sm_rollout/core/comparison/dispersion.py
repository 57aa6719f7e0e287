"""By how much counts scatter more than independent calls would, estimated from blue's own baseline.

Two things make a count scatter. Events come in bunches (a client that retries makes several errors of one), which multiplies its
variance by ``bunching``, the mean square of a bunch over its mean. And a variant's rate has noise of its own from minute to minute,
with coefficient of variation ``own_noise``, which adds ``own_noise ** 2 * mean ** 2``. One variant's series can't tell the two apart.
So all that is above the defaults is taken for bunching where that is plausible (errors, up to bunches of twelve), which is the more
careful of the two as long as green has the smaller share, and else for noise.

What both variants meet is no scatter: it cancels in the comparison. So neighbouring minutes are compared, each pair with *its own*
mean: in a burst that is higher, and so is the difference that is to be expected. What is left are a burst's two edges. A pair whose
difference is far beyond what the rest of them have (a scale after Huber 1964) is taken for one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

_FEWEST = 10
_MANY = 20.0
"""From so many events a minute on each pair tells as much; of fewer, those with more events tell more."""
_CLIPPED = 4.0
_CLIPPED_MEAN = 0.7785
"""The mean of the square of a standard normal variable that counts as 4 where it is more."""
_EDGE = 7.0
"""A squared difference of more than so many times the scale is a burst's edge (found on the tuning half of ``benchmarks/verdict``)."""
_LARGEST_BUNCH = 12.0
_BUNCHED_AT_LEAST = 0.2
"""The part of what is seen that is taken for bunches in any case: where many calls fail, the default noise would explain all of it."""
_ROUNDS = 12


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
    bunched = max(ratio - floor.own_noise**2 * mean, _BUNCHED_AT_LEAST * ratio)
    bunching = min(max(floor.bunching, bunched), max(floor.bunching, _LARGEST_BUNCH))
    return Dispersion(bunching, max(floor.own_noise, max(0.0, (ratio - bunching) / mean) ** 0.5))


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
    """Mean count of a minute, and variance to mean from the differences of neighbours (von Neumann 1941)."""
    minutes = [(calls, events) for calls, events in counts if calls]
    pairs = list(_pairs(minutes))
    if len(minutes) < _FEWEST or not pairs:
        return None
    mean = fmean(events for _, events in minutes)
    edge = _EDGE * _scale([square / expected for square, expected in pairs])
    kept = [(square, expected) for square, expected in pairs if square <= edge * expected]
    if mean >= _MANY:
        return mean, fmean(square / expected for square, expected in kept)
    return mean, sum(square for square, _ in kept) / sum(expected for _, expected in kept)


def _pairs(minutes: Sequence[tuple[int, int]]) -> Iterator[tuple[float, float]]:
    """Squared differences of the rates of neighbours with any events, and what these would be if calls were independent."""
    for (calls, events), (calls_after, events_after) in itertools.pairwise(minutes):
        if events or events_after:
            rate = (events + events_after) / (calls + calls_after)
            yield (events / calls - events_after / calls_after) ** 2, rate * (1 / calls + 1 / calls_after)


def _scale(squares: Sequence[float]) -> float:
    """Their mean, as if none were far beyond the others: Huber's proposal 2, for squares of normal variables."""
    scale = fmean(squares)
    for _ in range(_ROUNDS):
        scale = fmean(min(square, _CLIPPED * scale) for square in squares) / _CLIPPED_MEAN
    return max(scale, 1.0)


def noise_lasts(minutes: float) -> float:
    """A variant's own noise is that of a minute, so shorter periods share it, and its variance weighs so much more in each."""
    return minutes if minutes < 1 else 1.0
