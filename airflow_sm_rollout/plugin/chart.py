"""A rollout's pictures as geometry: what the templates draw as SVG. No numbers are rounded away; the tables beside them have them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_sm_rollout.core.figures import Figures, Point
from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.core.story import SharePoint

WIDTH, HEIGHT = 1000, 100
_SHORTEST = timedelta(seconds=30)
_LABELS = {"blue": "blue", "green": "green", "shadow": "green as a shadow (copies)"}


@dataclass(frozen=True, slots=True)
class Line:
    """A path.

    :param kind: its class in the style sheet: ``planned``, ``real``, ``blue``, ``green`` or ``shadow``.
    """

    kind: str
    label: str
    path: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, ``x`` of :data:`WIDTH`."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: its title, what its upper edge stands for, and its lines."""

    title: str
    top: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """When an alarm rang, as x and width of each time.

    :param is_known: whether there is any telling.
    """

    name: str
    state: str
    spans: tuple[tuple[float, float], ...]
    is_known: bool

    @property
    def told(self) -> str:
        """Whether it rang, in words."""
        return ("rang" if self.spans else "quiet") if self.is_known else "its history was not read"


@dataclass(frozen=True, slots=True)
class Chart:
    """All pictures of a rollout, over the same time.

    :param ticks: texts below them, at equal distances from the left to the right edge.
    """

    panels: tuple[Panel, ...]
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[str, ...]


def draw(report: Report, now: datetime) -> Chart:
    """Lay a report out."""
    begun, until = report.started_at, report.ended_at or now
    ended = max(until, begun + _SHORTEST, *(at for at, _ in report.planned if report.is_running))
    span = (ended - begun).total_seconds()

    def x(at: float) -> float:
        return round(min(max((at - begun.timestamp()) / span, 0.0), 1.0) * WIDTH, 1)

    figures = _until(report.figures, ended) if report.figures else None
    return Chart(
        panels=(_share_panel(report, x, until, ended), *(_figure_panels(figures, x) if figures else ())),
        bands=tuple(_bands(report, x, ended.timestamp())),
        marks=tuple(
            Mark(x(task.ended_at.timestamp()), task.name)
            for task in report.tasks
            if task.ended_at is not None and (task.did or task.state == "failed")
        ),
        ticks=tuple((begun + (ended - begun) * part / 4).strftime("%H:%M:%S") for part in range(5)),
    )


def _until(figures: Figures, ended: datetime) -> Figures:
    """Without what came after the rollout's end."""
    last = ended.timestamp() - figures.period_seconds

    def kept(points: Sequence[Point]) -> tuple[Point, ...]:
        return tuple(point for point in points if point.at <= last)

    return replace(figures, blue=kept(figures.blue), green=kept(figures.green), shadow=kept(figures.shadow))


def _sides(figures: Figures) -> dict[str, Sequence[Point]]:
    return {"blue": figures.blue, "green": figures.green, "shadow": figures.shadow}


def _share_panel(report: Report, x: Callable[[float], float], until: datetime, ended: datetime) -> Panel:
    last = report.shares[-1][1] if report.shares else 0.0
    lines = (
        Line("planned", "planned share", _steps(report.planned, x, ended)),
        Line("real", f"green's share, now {last:g} %", _steps(report.shares, x, until)),
    )
    return Panel("Green's share of the requests", "100 %", lines)


def _steps(points: Sequence[SharePoint], x: Callable[[float], float], until: datetime) -> str:
    path = f"M0 {HEIGHT}"
    for at, share in points:
        if at <= until:
            path += f"H{x(at.timestamp()):g}V{HEIGHT - share * HEIGHT / 100:g}"
    return f"{path}H{x(until.timestamp()):g}"


def _figure_panels(figures: Figures, x: Callable[[float], float]) -> Iterator[Panel]:
    per_second = 1 / figures.period_seconds
    yield _panel("Requests", "a second", figures, x, lambda point: point.requests * per_second)
    yield _panel("Failed requests", "a second", figures, x, lambda point: point.failures * per_second)
    yield _panel("Latency, p99", "ms", figures, x, lambda point: point.latency_ms)


def _panel(
    title: str, unit: str, figures: Figures, x: Callable[[float], float], value: Callable[[Point], float | None]
) -> Panel:
    sides = {
        kind: [(point.at + figures.period_seconds / 2, value(point)) for point in points]
        for kind, points in _sides(figures).items()
    }
    top = max((number for points in sides.values() for _, number in points if number is not None), default=0.0)
    lines = tuple(Line(kind, _LABELS[kind], _path(points, x, top or 1.0)) for kind, points in sides.items() if points)
    return Panel(title, f"{top:.3g} {unit}", lines)


def _path(points: Sequence[tuple[float, float | None]], x: Callable[[float], float], top: float) -> str:
    path, pen = "", "M"
    for at, number in points:
        if number is None:
            pen = "M"  # a gap is no zero
            continue
        path += f"{pen}{x(at):g} {HEIGHT - number * HEIGHT / top:.1f}"
        pen = "L"
    return path


def _bands(report: Report, x: Callable[[float], float], ended: float) -> Iterator[Band]:
    rang = report.figures.rang if report.figures else {}
    for name, state in report.alarms.items():
        spans = tuple((x(begun), max(x(over or ended) - x(begun), 3.0)) for begun, over in rang.get(name, ()))
        yield Band(name, state, spans, name in rang)
