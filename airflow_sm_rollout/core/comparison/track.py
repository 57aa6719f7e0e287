"""How the evidence came about, in few enough marks to be kept and sent, for people: nothing is decided by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MOST_MARKS = 64
Counts = tuple[int, int, int, int]
"""Green's events and calls, blue's events and calls, of one metric."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was known at the end of a period.

    :param at: that end, in seconds since the epoch.
    :param evidence: of harm, in all metrics together, and
    :param health: of health, in the metric that has least of it; see ``Comparison``.
    :param counts: one for each metric, since the end of the warm-up, or while it lasts.
    """

    at: float
    evidence: float
    health: float
    counts: tuple[Counts, ...]

    def as_list(self) -> list[float]:
        """As JSON takes it, in one row."""
        return [self.at, self.evidence, self.health, *(each for counts in self.counts for each in counts)]


class Track:
    """Marks of a course. Once there are :data:`MOST_MARKS`, every second one goes, and only every second period is marked from then on."""

    def __init__(self) -> None:
        self._marks: list[Mark] = []
        self._every = 1
        self._left = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Track:
        """A copy for whoever only looks ahead; the marks themselves do not change."""
        track = Track()
        track._marks, track._every, track._left = list(self._marks), self._every, self._left
        return track

    def count(self) -> bool:
        """Count a period that has ended: whether it is one that is marked."""
        self._left = (self._left or self._every) - 1
        return self._left == 0

    def add(self, end: datetime, evidence: float, health: float, counts: Sequence[Counts]) -> None:
        """Mark the end of a period."""
        self._marks.append(Mark(end.timestamp(), evidence, health, tuple(counts)))
        if len(self._marks) >= MOST_MARKS:
            self._marks = self._marks[1::2]
            self._every *= 2

    def ended_by(self, last: Mark | None) -> tuple[Mark, ...]:
        """All marks, and the last state where that is none yet."""
        if last is None or (self._marks and self._marks[-1].at >= last.at):
            return tuple(self._marks)
        return (*self._marks, last)


def read_marks(rows: Sequence[Sequence[float]]) -> tuple[Mark, ...]:
    """Marks from their JSON."""
    return tuple(
        Mark(
            float(at),
            float(evidence),
            float(health),
            tuple(_read_counts(counts[start : start + 4]) for start in range(0, len(counts), 4)),
        )
        for at, evidence, health, *counts in rows
    )


def _read_counts(counts: Sequence[float]) -> Counts:
    green_events, green_calls, blue_events, blue_calls = (int(each) for each in counts)
    return green_events, green_calls, blue_events, blue_calls
