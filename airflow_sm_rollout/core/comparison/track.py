"""How the evidence came about, in few enough marks to be kept and sent, for people: nothing is decided by it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

MOST_MARKS = 40
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
    """Marks of a course. Once there are :data:`MOST_MARKS`, every second one goes, and only every second period is marked from then on.

    All its room is taken at once, and copied at once: ten thousand bakes may have one each, and each look copies it.

    :param metrics: how many metrics each mark counts.
    """

    def __init__(self, metrics: int) -> None:
        self._row = 3 + 4 * metrics
        self._numbers = array("d", bytes(8 * self._row * MOST_MARKS))
        self._marks = 0
        self._every = 1
        self._left = 0

    def count(self) -> bool:
        """Count a period that has ended: whether it is one that is marked."""
        self._left = (self._left or self._every) - 1
        return self._left == 0

    def add(self, mark: Mark) -> None:
        """Mark the end of a period."""
        self._put(self._marks, array("d", mark.as_list()))
        self._marks += 1
        if self._marks == MOST_MARKS:
            for number in range(MOST_MARKS // 2):
                self._put(number, self._get(2 * number + 1))
            self._marks //= 2
            self._every *= 2

    def ended_by(self, last: Mark | None) -> tuple[Mark, ...]:
        """All marks, and the last state where that is none yet."""
        marks = read_marks([self._get(number) for number in range(self._marks)])
        return marks if last is None or (marks and marks[-1].at >= last.at) else (*marks, last)

    def _put(self, number: int, row: array[float]) -> None:
        self._numbers[number * self._row : (number + 1) * self._row] = row

    def _get(self, number: int) -> array[float]:
        return self._numbers[number * self._row : (number + 1) * self._row]


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
