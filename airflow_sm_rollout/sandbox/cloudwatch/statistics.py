"""CloudWatch's statistics of the points of one period (pure).

Boundaries and names are those of "CloudWatch statistics definitions" in the user guide: an absolute lower bound is
exclusive and the upper one inclusive; ``tm90`` is ``TM(:90%)``; what needs raw points is not available for a statistic
set whose minimum and maximum differ, nor where a value is negative. CloudWatch interpolates from an approximation; here
percentiles are exact, interpolated linearly between ranks, and a percentage bound keeps a fraction of a point (the guide:
trimmed count "can return decimal values").
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple


class Samples(NamedTuple):
    """The entries of one period, column by column: each a value that occurred ``counts`` times, or a statistic set."""

    counts: Sequence[float]
    sums: Sequence[float]
    minima: Sequence[float]
    maxima: Sequence[float]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic by its AWS name.

    :param compute: of at least one entry; None where it is not available.
    :param percentile: 0-100 for ``pNN``, else None.
    """

    name: str
    compute: Callable[[Samples], float | None]
    percentile: float | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """Raw values in ascending order with how often each occurred."""

    values: Sequence[float]
    weights: Sequence[float]
    cumulative: Sequence[float]

    @classmethod
    def of(cls, samples: Samples) -> Distribution | None:
        """None where the raw values are not known, or one is negative."""
        if list(samples.minima) != list(samples.maxima) or min(samples.minima) < 0:
            return None
        pairs = sorted(zip(samples.minima, samples.counts, strict=True))
        weights = [count for _, count in pairs]
        return cls([value for value, _ in pairs], weights, list(accumulate(weights)))

    def percentile(self, percent: float) -> float:
        """Linear interpolation between the two nearest ranks."""
        rank = max((self.cumulative[-1] - 1) * percent / 100, 0.0)
        below = math.floor(rank)
        low, high = self._at(below), self._at(below + 1)
        return low + (high - low) * (rank - below)

    def _at(self, rank: float) -> float:
        return self.values[min(bisect_right(self.cumulative, rank), len(self.values) - 1)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a trimmed statistic keeps: above ``low``, up to and including ``high``; None is open."""

    low: float | None
    high: float | None
    percent: bool

    def kept(self, points: Distribution) -> list[tuple[float, float]]:
        """The values that stay, each with the weight that stays of it."""
        if not self.percent:
            low = -math.inf if self.low is None else self.low
            high = math.inf if self.high is None else self.high
            return [(v, w) for v, w in zip(points.values, points.weights, strict=True) if low < v <= high]
        total = points.cumulative[-1]
        first, last = (self.low or 0.0) / 100 * total, (100.0 if self.high is None else self.high) / 100 * total
        shares = (
            (value, min(end, last) - max(end - weight, first))
            for value, weight, end in zip(points.values, points.weights, points.cumulative, strict=True)
        )
        return [(value, weight) for value, weight in shares if weight > 0]

    def limits(self, points: Distribution) -> tuple[float, float]:
        """The values at the two edges."""
        if self.percent:
            return points.percentile(self.low or 0.0), points.percentile(100.0 if self.high is None else self.high)
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high


def _trimmed_count(points: Distribution, bounds: Bounds) -> float:
    return sum(weight for _, weight in bounds.kept(points))


def _trimmed_sum(points: Distribution, bounds: Bounds) -> float:
    return sum(value * weight for value, weight in bounds.kept(points))


def _trimmed_mean(points: Distribution, bounds: Bounds) -> float | None:
    count = _trimmed_count(points, bounds)
    return _trimmed_sum(points, bounds) / count if count else None


def _winsorized_mean(points: Distribution, bounds: Bounds) -> float:
    low, high = bounds.limits(points)
    total = sum(min(max(v, low), high) * w for v, w in zip(points.values, points.weights, strict=True))
    return total / points.cumulative[-1]


def _percentile_rank(points: Distribution, bounds: Bounds) -> float:
    return 100 * _trimmed_count(points, bounds) / points.cumulative[-1]


_SIMPLE: dict[str, Callable[[Samples], float | None]] = {
    "SampleCount": lambda samples: float(sum(samples.counts)),
    "Sum": lambda samples: float(sum(samples.sums)),
    "Average": lambda samples: sum(samples.sums) / sum(samples.counts),
    "Minimum": lambda samples: min(samples.minima),
    "Maximum": lambda samples: max(samples.maxima),
}
SIMPLE_STATISTICS = tuple(_SIMPLE)

_TRIMMED: dict[str, Callable[[Distribution, Bounds], float | None]] = {
    "TM": _trimmed_mean,
    "TC": _trimmed_count,
    "TS": _trimmed_sum,
    "WM": _winsorized_mean,
    "PR": _percentile_rank,
}

_PERCENT = r"\d{1,2}(?:\.\d{1,10})?|100"
_PERCENTILE = re.compile(rf"p({_PERCENT})")
_SHORT = re.compile(rf"(tm|tc|ts|wm)({_PERCENT})")
_RANGE = re.compile(r"(TM|TC|TS|WM|PR)\((?:(\d+(?:\.\d+)?)(%?))?:(?:(\d+(?:\.\d+)?)(%?))?\)")


@lru_cache(maxsize=1024)
def parse_statistic(name: str) -> Statistic:
    """The statistic of an AWS name: ``Sum``, ``p99.9``, ``tm90``, ``IQM``, ``TC(0.1:2)``, ``TM(5%:95%)``, ``PR(:300)``.

    :raises ValueError: if there is none of that name.
    """
    if name in _SIMPLE:
        return Statistic(name, _SIMPLE[name])
    if name == "IQM":
        return _of_range(name, "TM", Bounds(25.0, 75.0, percent=True))
    if match := _PERCENTILE.fullmatch(name):
        percent = float(match[1])
        return Statistic(name, _of_raw(lambda points: points.percentile(percent)), percent)
    if match := _SHORT.fullmatch(name):
        return _of_range(name, match[1].upper(), Bounds(None, float(match[2]), percent=True))
    if match := _RANGE.fullmatch(name):
        return _of_range(name, match[1], _parse_bounds(name, *match.groups()))
    raise ValueError(f"unknown statistic {name}")


def _parse_bounds(name: str, family: str, low: str | None, low_mark: str, high: str | None, high_mark: str) -> Bounds:
    marks = {mark for number, mark in ((low, low_mark), (high, high_mark)) if number is not None}
    if len(marks) != 1 or (family == "PR" and "%" in marks):
        raise ValueError(f"bounds of {name} must be numbers, or both percentages")
    bounds = Bounds(None if low is None else float(low), None if high is None else float(high), marks == {"%"})
    if bounds.percent and max(bounds.low or 0, bounds.high or 0) > 100:
        raise ValueError(f"a bound of {name} is above 100 %")
    if bounds.low is not None and bounds.high is not None and bounds.low >= bounds.high:
        raise ValueError(f"the lower bound of {name} is not below the upper one")
    return bounds


def _of_range(name: str, family: str, bounds: Bounds) -> Statistic:
    compute = _TRIMMED[family]
    return Statistic(name, _of_raw(lambda points: compute(points, bounds)))


def _of_raw(compute: Callable[[Distribution], float | None]) -> Callable[[Samples], float | None]:
    def compute_from_samples(samples: Samples) -> float | None:
        points = Distribution.of(samples)
        return None if points is None else compute(points)

    return compute_from_samples
