"""A rollout's pictures as geometry: what the templates draw as SVG, and the tables behind it.

They are drawn on the server: so one code makes the tab, the question's picture and the saved report, all can be tested without a
browser, nothing is fetched from anywhere, and the pages' security policy allows no style and no script but our own files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_sm_rollout.core.alarm_limit import AlarmLimit
from airflow_sm_rollout.core.figures import Figures, Point
from airflow_sm_rollout.core.report import Limits, Report
from airflow_sm_rollout.core.screen.proof import last_comparison
from airflow_sm_rollout.core.story import SharePoint
from airflow_sm_rollout.plugin.proof import draw_evidence
from airflow_sm_rollout.plugin.scale import (
    HEIGHT,
    Limit,
    Line,
    Plot,
    Row,
    Table,
    TimeScale,
    ValueScale,
    moment,
    nice_top,
    path_of,
)

BUCKETS = 240
"""More points than this across a picture nobody can tell apart, and each costs a row of the table."""
_SHORTEST = timedelta(seconds=30)
_LABELS = {"blue": "blue", "green": "green", "shadow": "green as a shadow (copies)"}
_EMPTY = Point(0.0, 0.0, 0.0, 0.0, None, None, None)


@dataclass(frozen=True, slots=True)
class Lane:
    """When an alarm rang, as x and width of each time.

    :param state: CloudWatch's word for it now.
    :param is_known: whether there is any telling.
    :param limit: when it rings, and its last value; ``None``: not known.
    """

    name: str
    state: str
    spans: tuple[tuple[float, float], ...]
    is_known: bool
    limit: AlarmLimit | None = None

    @property
    def told(self) -> str:
        """Whether it rang, in words."""
        if not self.is_known:
            return "its history was not read"
        return f"rang {len(self.spans)} time{'s' * (len(self.spans) > 1)}" if self.spans else "quiet"


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which green had one share."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All pictures of a rollout, over the same time.

    :param evidence: those of the comparison.
    :param ticks: times below them, at equal distances from the left to the right edge.
    """

    plots: tuple[Plot, ...]
    evidence: tuple[Plot, ...]
    tables: tuple[Table, ...]
    lanes: tuple[Lane, ...]
    bands: tuple[Band, ...]
    ticks: tuple[datetime, ...]


def draw(report: Report, now: datetime) -> Chart:
    """Lay a report out."""
    begun, until = report.started_at, report.ended_at or now
    ended = max(until, begun + _SHORTEST, *(at for at, _ in report.planned if not report.state.is_over))
    time = TimeScale(begun.timestamp(), ended.timestamp())
    buckets = _Buckets(report.figures, time) if report.figures else None
    comparison = last_comparison(report.comparison, report.verdicts)
    evidence, proofs = draw_evidence(comparison, report.limits.tolerances, time) if comparison else ((), None)
    figures = (buckets.table(time),) if buckets else ()
    return Chart(
        plots=(
            _share_plot(report, buckets, time, until),
            *(_figure_plots(buckets, report.limits, time) if buckets else ()),
        ),
        evidence=evidence,
        tables=(*figures, *((proofs,) if proofs else ())),
        lanes=tuple(_lanes(report, time)),
        bands=tuple(_bands(report.shares, time, until)),
        ticks=tuple(begun + (ended - begun) * part / 4 for part in range(5)),
    )


class _Buckets:
    """Both variants' figures in few enough buckets: requests and errors added up, of latencies the worst one."""

    def __init__(self, figures: Figures, time: TimeScale) -> None:
        period = figures.period_seconds
        self.seconds = period * max(1, math.ceil((time.ended - time.begun) / period / BUCKETS))
        # What came after the rollout's end is none of its.
        last, begin = time.ended - period, time.begun
        sides = {"blue": figures.blue, "green": figures.green, "shadow": figures.shadow}
        self.sides = {
            side: _merged([point for point in points if point.at <= last], begin, self.seconds)
            for side, points in sides.items()
            if points or side != "shadow"
        }
        self.starts = sorted({at for points in self.sides.values() for at in points})

    def line(self, side: str, value: _Value) -> list[tuple[float, float | None]]:
        """One side's values, each in the middle of its bucket."""
        return [(at + self.seconds / 2, value(point, self.seconds)) for at, point in sorted(self.sides[side].items())]

    def measured(self) -> list[tuple[float, float | None]]:
        """Green's part of the requests, in percent."""
        found = []
        for at in self.starts:
            blue, green = (self.sides[side].get(at, _EMPTY).requests for side in ("blue", "green"))
            found.append((at + self.seconds / 2, 100 * green / (blue + green) if blue + green else None))
        return found

    def table(self, time: TimeScale) -> Table:
        """All values; the first column is green's measured share, then come each side's."""
        names = [name for name, *_ in _FIGURES]
        head = ("Green's share", *(f"{name}, {side}" for side in self.sides for name in names))
        measured = dict(self.measured())
        rows = []
        for at in self.starts:
            middle = at + self.seconds / 2
            cells = [_text(measured[middle], "%")]
            for points in self.sides.values():
                point = points.get(at)
                cells += [_text(value(point, self.seconds) if point else None, unit) for _, unit, value in _FIGURES]
            rows.append(Row(time.x(middle), moment(middle), tuple(cells)))
        return Table("figures", f"Figures, in periods of {self.seconds} s", head, tuple(rows))


def _merged(points: Sequence[Point], begin: float, seconds: float) -> dict[float, Point]:
    groups: dict[float, list[Point]] = {}
    for point in points:
        groups.setdefault(begin + (point.at - begin) // seconds * seconds, []).append(point)
    return {at: _sum(at, group) for at, group in groups.items()}


def _sum(at: float, group: Sequence[Point]) -> Point:
    latencies = [
        max((value for point in group if (value := getattr(point, name)) is not None), default=None)
        for name in ("p50_ms", "p95_ms", "p99_ms")
    ]
    sums = [sum(getattr(point, name) for point in group) for name in ("requests", "errors_4xx", "errors_5xx")]
    return Point(at, *sums, *latencies)


_Value = Callable[[Point, float], float | None]


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


_FIGURES: tuple[tuple[str, str, _Value], ...] = (
    ("Requests", "/s", lambda point, seconds: point.requests / seconds),
    ("Errors, 5XX", "%", lambda point, _: _percent(point.errors_5xx, point.requests)),
    ("Errors, 4XX", "%", lambda point, _: _percent(point.errors_4xx, point.requests)),
    ("Latency, p50", "ms", lambda point, _: point.p50_ms),
    ("Latency, p95", "ms", lambda point, _: point.p95_ms),
    ("Latency, p99", "ms", lambda point, _: point.p99_ms),
)


def _text(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.3g} {unit}"


def _share_plot(report: Report, buckets: _Buckets | None, time: TimeScale, until: datetime) -> Plot:
    lines = [
        Line("planned", "planned", _steps(report.planned, time, moment(time.ended))),
        Line("real", "set on AWS", _steps(report.shares, time, until)),
    ]
    if buckets is not None:
        lines.append(Line("measured", "measured", path_of(buckets.measured(), time, ValueScale(0, 100))))
    note = f"Green's share of the requests is {report.share:g} %."
    return Plot("Green's share of the requests", ("100 %", "50 %", "0 %"), tuple(lines), columns=(-1, -1, 0), note=note)


def _steps(points: Sequence[SharePoint], time: TimeScale, until: datetime) -> str:
    path = f"M0 {HEIGHT}"
    for at, share in points:
        if at <= until:
            path += f"H{time.x(at.timestamp()):g}V{HEIGHT - share * HEIGHT / 100:g}"
    return f"{path}H{time.x(until.timestamp()):g}"


def _figure_plots(buckets: _Buckets, limits: Limits, time: TimeScale) -> Iterator[Plot]:
    asked = _limits(limits)
    for number, (name, unit, value) in enumerate(_FIGURES):
        sides = {side: buckets.line(side, value) for side in buckets.sides}
        highest = max((each for points in sides.values() for _, each in points if each is not None), default=0.0)
        drawn = asked.get(name, ())
        # A limit far above what there is would flatten it: then it is said and not drawn.
        within = [limit for limit, _ in drawn if limit <= 4 * highest]
        top = nice_top(max([highest, *(1.1 * limit for limit in within)]))
        values = ValueScale(0, top)
        yield Plot(
            name,
            (f"{top:g} {unit}", f"{top / 2:g}", "0"),
            tuple(Line(side, _LABELS[side], path_of(points, time, values)) for side, points in sides.items() if points),
            tuple(
                Limit(values.y(limit), f"{label}{'' if limit in within else ' (above the picture)'}")
                for limit, label in drawn
            ),
            columns=tuple(1 + number + len(_FIGURES) * side for side in range(len(sides))),
            note=f"{name}: {_said(sides, unit)}.",
        )


def _limits(limits: Limits) -> Mapping[str, Sequence[tuple[float, str]]]:
    p99 = [(limits.p99_ms, f"limit of the plan: {limits.p99_ms:g} ms")] if limits.p99_ms else []
    if limits.slow_ms:
        p99.append((limits.slow_ms, f"slow to the alarm: {limits.slow_ms:.4g} ms"))
    errors = limits.error_percent
    both = [(errors, f"limit of the plan, both kinds together: {errors:g} %")] if errors else []
    return {"Latency, p99": p99, "Errors, 5XX": both, "Errors, 4XX": both}


def _said(sides: Mapping[str, Sequence[tuple[float, float | None]]], unit: str) -> str:
    last = {
        side: next((value for _, value in reversed(points) if value is not None), None)
        for side, points in sides.items()
    }
    return ", ".join(f"{_LABELS[side]} last {_text(value, unit)}" for side, value in last.items())


def _lanes(report: Report, time: TimeScale) -> Iterator[Lane]:
    rang = report.figures.rang if report.figures else {}
    for name, state in report.alarms.items():
        spans = tuple(
            (time.x(begun), max(time.x(over or time.ended) - time.x(begun), 3.0)) for begun, over in rang.get(name, ())
        )
        yield Lane(name, _alarm_word(state, report), spans, name in rang, report.alarm_limits.get(name))


def _alarm_word(state: str, report: Report) -> str:
    """An own alarm that is gone after the end was tidied away: that is no news."""
    return "removed with the rollout" if state == "MISSING" and report.state.is_over else state


def _bands(shares: Sequence[SharePoint], time: TimeScale, until: datetime) -> Iterator[Band]:
    changes = [
        point for before, point in zip([None, *shares], shares, strict=False) if not before or before[1] != point[1]
    ]
    for number, (at, share) in enumerate(changes):
        over = changes[number + 1][0] if number + 1 < len(changes) else until
        x = time.x(at.timestamp())
        if share:
            yield Band(x, max(time.x(over.timestamp()) - x, 0.0), f"{share:g} %")
