"""What all pictures of a rollout share: time from left to right, values from bottom to top, as coordinates of one drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

WIDTH, HEIGHT = 1000, 100


@dataclass(frozen=True, slots=True)
class Line:
    """A path.

    :param kind: its class in the style sheet: ``planned``, ``real``, ``measured``, ``blue``, ``green``, ``shadow``, ``harm``, ``health``.
    """

    kind: str
    label: str
    path: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A dashed line from edge to edge."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture.

    :param ticks: what the upper edge, the middle and the lower edge stand for.
    :param areas: paths of intervals, behind the lines.
    :param table: the table that has its values, by its key, and
    :param columns: in which columns, line by line; -1: in none.
    :param note: what somebody who does not see it is told.
    """

    title: str
    ticks: tuple[str, str, str]
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...] = ()
    areas: tuple[str, ...] = ()
    table: str = "figures"
    columns: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What a table says of a moment.

    :param x: where it is in the pictures, of :data:`WIDTH`.
    """

    x: float
    at: datetime
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The values behind pictures.

    :param key: what :attr:`Plot.table` calls it.
    :param head: the columns' names, but for the first one, the time.
    """

    key: str
    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Seconds since the epoch as x."""

    begun: float
    ended: float

    def x(self, at: float) -> float:
        """Where a moment is; beyond an edge, on it."""
        return round(min(max((at - self.begun) / (self.ended - self.begun), 0.0), 1.0) * WIDTH, 1)


@dataclass(frozen=True, slots=True)
class ValueScale:
    """Values as y, between two edges."""

    low: float
    high: float

    def y(self, value: float) -> float:
        """Where a value is; beyond an edge, on it."""
        part = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - min(max(part, 0.0), 1.0) * HEIGHT, 1)


def nice_top(value: float) -> float:
    """The next larger number that is easy to read: 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-9))


def path_of(points: Sequence[tuple[float, float | None]], time: TimeScale, values: ValueScale) -> str:
    """A line through points; one without a value leaves a gap, since it is no zero."""
    path, pen = "", "M"
    for at, value in points:
        if value is None:
            pen = "M"
            continue
        path += f"{pen}{time.x(at):g} {values.y(value):g}"
        pen = "L"
    return path


def area_of(points: Sequence[tuple[float, float, float]], time: TimeScale, values: ValueScale) -> str:
    """The area between two lines: of each point its time, low and high."""
    up = [f"{time.x(at):g} {values.y(high):g}" for at, _, high in points]
    down = [f"{time.x(at):g} {values.y(low):g}" for at, low, _ in reversed(points)]
    return f"M{'L'.join([*up, *down])}Z" if points else ""


def moment(at: float) -> datetime:
    """Seconds since the epoch as a time."""
    return datetime.fromtimestamp(at, tz=timezone.utc)
