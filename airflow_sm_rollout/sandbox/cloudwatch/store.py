"""What was published: series of points, each readable only from its time of visibility on.

Retention: raw points are kept for :data:`RAW_SECONDS` behind the newest point of their series; then a minute's points
become one for each value, of three significant digits, and one for all its statistic sets, kept for :data:`KEPT_SECONDS`.
So counts and sums stay exact, percentiles and trimmed statistics to half a percent. AWS keeps sub-minute points 3 hours and
one-minute points 15 days.
"""

from __future__ import annotations

import heapq
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from airflow_sm_rollout.sandbox.cloudwatch.statistics import Samples, Statistic

RAW_SECONDS = 3600
KEPT_SECONDS = 15 * 86400
_FOLD_EVERY = 600


class SeriesKey(NamedTuple):
    """A metric: namespace, name, and its dimensions as pairs in order of their names."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]


class Entry(NamedTuple):
    """One published value that occurred so many times, or one statistic set. Times are seconds since the epoch."""

    at: float
    visible_at: float
    occurrences: float
    total: float
    minimum: float
    maximum: float


def make_key(namespace: str, metric: str, dimensions: Mapping[str, str]) -> SeriesKey:
    """The key of a metric, whatever the order of its dimensions."""
    return SeriesKey(namespace, metric, tuple(sorted(dimensions.items())))


class Matcher(Protocol):
    """Which series are meant, where it is more than one."""

    def matches(self, key: SeriesKey) -> bool:
        """Whether a series is one of them."""
        ...


class Points:
    """The entries of one series and unit, in order of time."""

    __slots__ = ("columns", "folded_until")

    def __init__(self) -> None:
        self.columns = tuple(array("d") for _ in Entry._fields)
        self.folded_until = 0.0

    def add(self, entry: Entry) -> None:
        """Insert in order of time; the same value again in the same second only raises a count, so counters stay small."""
        times = self.columns[0]
        if not times or entry.at >= times[-1]:
            if times and self._repeats_last(entry):
                self.columns[2][-1] += entry.occurrences
                self.columns[3][-1] += entry.total
                return
            for column, number in zip(self.columns, entry, strict=True):
                column.append(number)
            self._fold(entry.at)
            return
        place = bisect_right(times, entry.at)
        for column, number in zip(self.columns, entry, strict=True):
            column.insert(place, number)

    def entries(self) -> list[Entry]:
        """All of them, oldest first."""
        return [Entry(*numbers) for numbers in zip(*self.columns, strict=True)]

    def _repeats_last(self, entry: Entry) -> bool:
        times, visible, _, _, minima, maxima = self.columns
        return (entry.at, entry.visible_at) == (times[-1], visible[-1]) and (
            entry.minimum == entry.maximum == minima[-1] == maxima[-1]
        )

    def _fold(self, newest: float) -> None:
        limit = (newest - RAW_SECONDS) // 60 * 60
        if self.folded_until + _FOLD_EVERY > limit or self.columns[0][0] >= limit:
            return
        times = self.columns[0]
        expired, last = bisect_left(times, newest - KEPT_SECONDS), bisect_left(times, limit)
        first = max(expired, bisect_left(times, self.folded_until))
        folded = [entry for i, j in _runs(times, first, last, 60) for entry in self._fold_minute(i, j)]
        for index, column in enumerate(self.columns):
            column[first:last] = array("d", [entry[index] for entry in folded])
            del column[:expired]
        self.folded_until = limit

    def _fold_minute(self, first: int, last: int) -> Iterator[Entry]:
        alike: dict[float | None, list[int]] = {}
        minima, maxima = self.columns[4], self.columns[5]
        for index in range(first, last):
            value = float(f"{minima[index]:.3g}") if minima[index] == maxima[index] else None
            alike.setdefault(value, []).append(index)
        start = self.columns[0][first] // 60 * 60
        for value, indices in alike.items():
            visible, counts, sums, low, high = ([column[i] for i in indices] for column in self.columns[1:])
            extremes = (min(low), max(high)) if value is None else (value, value)
            yield Entry(start, max(visible), sum(counts), sum(sums), *extremes)

    def samples(self, first: int, last: int, now: float) -> Samples | None:
        """Of the entries ``first`` to ``last``, those visible at ``now``; None if there are none."""
        visible = self.columns[1][first:last]
        if not visible:
            return None
        columns = [column[first:last] for column in self.columns[2:]]
        if max(visible) <= now:
            return Samples(*columns)
        seen = [index for index, since in enumerate(visible) if since <= now]
        return Samples(*([column[index] for index in seen] for column in columns)) if seen else None

    def periods(self, start: int, end: int, period: int, now: float) -> Iterator[tuple[int, Samples]]:
        """The periods counted from ``start`` that have visible points, oldest first, each with its start."""
        times = self.columns[0]
        first, last = bisect_left(times, start), bisect_left(times, end)
        for i, j in _runs(times, first, last, period, start):
            if samples := self.samples(i, j, now):
                yield start + int(times[i] - start) // period * period, samples

    def values(self, statistic: Statistic, span: tuple[int, int, int], now: float) -> dict[int, float]:
        """A statistic by the start of its period, where it is available.

        :param span: start, end and period in seconds.
        """
        computed = {at: statistic.compute(samples) for at, samples in self.periods(*span, now)}
        return {at: value for at, value in computed.items() if value is not None}

    def periods_back(self, start: int, end: int, period: int, now: float) -> Iterator[tuple[int, Samples]]:
        """The periods counted back from ``end`` to ``start`` that have visible points, newest first."""
        times = self.columns[0]
        first, last = bisect_left(times, start), bisect_left(times, end)
        while last > first:
            begin = end - (int(end - 1 - times[last - 1]) // period + 1) * period
            middle = bisect_left(times, begin, first, last)
            if samples := self.samples(middle, last, now):
                yield begin, samples
            last = middle


def _runs(times: array[float], first: int, last: int, period: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """Index ranges of entries in the same period."""
    while first < last:
        end = start + (int(times[first] - start) // period + 1) * period
        middle = bisect_left(times, end, first, last)
        yield first, middle
        first = middle


@dataclass(slots=True)
class Series:
    """One metric: its points by unit, and when it was first seen and last fed."""

    units: dict[str, Points] = field(default_factory=dict)
    visible_from: float = float("inf")
    newest: float = 0.0

    def add(self, unit: str, entry: Entry) -> None:
        self.units.setdefault(unit, Points()).add(entry)
        self.visible_from = min(self.visible_from, entry.visible_at)
        self.newest = max(self.newest, entry.at)

    def chosen_units(self, unit: str | None) -> list[tuple[str, Points]]:
        """The points to read for a unit, or of every unit in alphabetical order."""
        if unit is not None:
            return [(unit, self.units[unit])] if unit in self.units else []
        return sorted(self.units.items()) if len(self.units) > 1 else list(self.units.items())


def _merged(found: list[Series]) -> Series:
    merged = Series()
    for unit in {unit for series in found for unit in series.units}:
        entries = [series.units[unit].entries() for series in found if unit in series.units]
        for entry in heapq.merge(*entries):
            merged.add(unit, entry)
    return merged


class MetricStore:
    """All series. Safe to feed from many threads; hold :attr:`lock` while reading points."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._series: dict[SeriesKey, Series] = {}

    def add(self, key: SeriesKey, unit: str, entry: Entry) -> None:
        """Publish. An entry's time counts in whole seconds, CloudWatch's finest resolution."""
        with self.lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = Series()
            series.add(unit, entry)

    def find(self, key: SeriesKey | Matcher) -> Series | None:
        """A series; or all that match, as one. Hold :attr:`lock`."""
        if isinstance(key, SeriesKey):
            return self._series.get(key)
        found = [series for each, series in self._series.items() if key.matches(each)]
        return _merged(found) if found else None

    def items(self) -> list[tuple[SeriesKey, Series]]:
        with self.lock:
            return list(self._series.items())
