"""What was published: series of points, each readable only from its time of visibility on.

Retention: some minutes behind the newest point of their series, points of one second and value become one, which loses nothing.
After :data:`RAW_SECONDS` a minute's points become one for each value, of three significant digits, and one for all its
statistic sets, kept for :data:`KEPT_SECONDS`. So counts and sums stay exact, percentiles and trimmed statistics to half a
percent. AWS keeps sub-minute points 3 hours and one-minute points 15 days.
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


class Fold(NamedTuple):
    """How points are put together when they are so old.

    :param behind: seconds behind the newest point.
    :param width: seconds of which points become one.
    :param every: how many seconds of points are folded at once.
    :param is_exact: only those of the same value, to the last digit.
    """

    behind: int
    width: int
    every: int
    is_exact: bool


FOLDS = (Fold(180, 1, 60, is_exact=True), Fold(RAW_SECONDS, 60, 600, is_exact=False))


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

    __slots__ = ("_next_fold", "columns", "folded_until")

    def __init__(self) -> None:
        self.columns = tuple(array("d") for _ in Entry._fields)
        self.folded_until = [0.0] * len(FOLDS)
        self._next_fold = 0.0

    def add(self, entry: Entry) -> None:
        """Insert in order of time; the same value again in the same second only raises a count, so counters stay small."""
        times, visible, counts, totals, minima, maxima = self.columns
        at = entry.at
        if times and at < times[-1]:
            place = bisect_right(times, at)
            for column, number in zip(self.columns, entry, strict=True):
                column.insert(place, number)
            return
        if times and at == times[-1] and self._repeats_last(entry):
            counts[-1] += entry.occurrences
            totals[-1] += entry.total
            return
        # Each invocation comes here a dozen times.
        times.append(at)
        visible.append(entry.visible_at)
        counts.append(entry.occurrences)
        totals.append(entry.total)
        minima.append(entry.minimum)
        maxima.append(entry.maximum)
        if at >= self._next_fold:
            for level, fold in enumerate(FOLDS):
                self._fold(at, level, fold)
            due = zip(self.folded_until, FOLDS, strict=True)
            self._next_fold = min(since + fold.every + fold.behind for since, fold in due)

    def entries(self) -> list[Entry]:
        """All of them, oldest first."""
        return [Entry(*numbers) for numbers in zip(*self.columns, strict=True)]

    def _repeats_last(self, entry: Entry) -> bool:
        _, visible, _, _, minima, maxima = self.columns
        return entry.visible_at == visible[-1] and entry.minimum == entry.maximum == minima[-1] == maxima[-1]

    def _fold(self, newest: float, level: int, fold: Fold) -> None:
        limit, since = (newest - fold.behind) // 60 * 60, self.folded_until[level]
        if since + fold.every > limit:
            return
        times = self.columns[0]
        expired, last = bisect_left(times, newest - KEPT_SECONDS), bisect_left(times, limit)
        first = max(expired, bisect_left(times, since))
        folded = [entry for i, j in _runs(times, first, last, fold.width) for entry in self._together(i, j, fold)]
        for index, column in enumerate(self.columns):
            column[first:last] = array("d", [entry[index] for entry in folded])
            del column[:expired]
        self.folded_until[level] = limit

    def _together(self, first: int, last: int, fold: Fold) -> Iterator[Entry]:
        alike: dict[float | None, list[int]] = {}
        minima, maxima = self.columns[4], self.columns[5]
        for index in range(first, last):
            value = minima[index] if minima[index] == maxima[index] else None
            if value is not None and not fold.is_exact:
                value = float(f"{value:.3g}")
            alike.setdefault(value, []).append(index)
        start = self.columns[0][first] // fold.width * fold.width
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
