"""What blue's and green's requests came to in a rollout, period by period, and when its alarms rang: for people, never for a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_sm_rollout.core.watch.sources import FINE_KEPT

_POINTS = 1080  # three hours of ten seconds: about 110 KB as JSON
_SIDES = ("blue", "green", "shadow")


@dataclass(frozen=True, slots=True)
class Point:
    """One period of one variant.

    :param at: its start, in seconds since the epoch.
    :param requests: CloudWatch's ``Invocations``.
    :param errors_4xx: those answered 4XX, and so ``errors_5xx``.
    :param p50_ms: a percentile of ``ModelLatency``, and so the next two; ``None``: no requests.
    """

    at: float
    requests: float
    errors_4xx: float
    errors_5xx: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @property
    def failures(self) -> float:
        """Requests answered 4XX or 5XX."""
        return self.errors_4xx + self.errors_5xx


@dataclass(frozen=True, slots=True)
class Figures:
    """Both variants' points, and alarm changes.

    :param counted_at: when CloudWatch was read; the last minute may not have been published then.
    :param shadow: green's while it was a shadow, which answered copies of requests.
    :param rang: by alarm's name, when it went into ALARM and when out of it, in seconds since the epoch; still in it: ``None``.
    """

    counted_at: datetime
    period_seconds: int
    blue: tuple[Point, ...] = ()
    green: tuple[Point, ...] = ()
    shadow: tuple[Point, ...] = ()
    rang: Mapping[str, tuple[tuple[float, float | None], ...]] = field(default_factory=dict)


def total(points: Sequence[Point]) -> tuple[int, int]:
    """Requests, and how many of them failed."""
    return round(sum(point.requests for point in points)), round(sum(point.failures for point in points))


def choose_period(metric_period_seconds: int, start: datetime, end: datetime) -> int:
    """The finest period in seconds that CloudWatch still has since ``start`` and that makes no more than about a thousand points.

    Longer ones are whole minutes, as GetMetricData wants them after three hours.
    """
    span = (end - start).total_seconds()
    if span <= FINE_KEPT.total_seconds() and span / metric_period_seconds <= _POINTS:
        return metric_period_seconds
    return 60 * max(1, -int(-span // (60 * _POINTS)))


def figures_to_dict(figures: Figures) -> dict[str, Any]:
    """Figures as JSON, a list per point."""
    sides = {side: [_stored(point) for point in getattr(figures, side)] for side in _SIDES}
    return {
        "counted_at": figures.counted_at.isoformat(),
        "period_seconds": figures.period_seconds,
        **sides,
        "rang": {name: [list(span) for span in spans] for name, spans in figures.rang.items()},
    }


def figures_from_dict(stored: Mapping[str, Any]) -> Figures:
    """Figures from their JSON."""
    return Figures(
        counted_at=datetime.fromisoformat(stored["counted_at"]),
        period_seconds=int(stored["period_seconds"]),
        **{side: tuple(_read_point(*point) for point in stored.get(side, ())) for side in _SIDES},
        rang={
            name: tuple((float(begun), None if ended is None else float(ended)) for begun, ended in spans)
            for name, spans in stored["rang"].items()
        },
    )


def _stored(point: Point) -> list[float | None]:
    return [getattr(point, name) for name in Point.__slots__]


def _read_point(at: Any, requests: Any, errors_4xx: Any, errors_5xx: Any, *latencies: Any) -> Point:
    p50_ms, p95_ms, p99_ms = (None if each is None else float(each) for each in latencies)
    return Point(float(at), float(requests), float(errors_4xx), float(errors_5xx), p50_ms, p95_ms, p99_ms)


def ringing_spans(changes: Sequence[tuple[float, bool]]) -> tuple[tuple[float, float | None], ...]:
    """From when to when an alarm rang.

    :param changes: in the order of time, when its state changed, and whether it was to ALARM.
    """
    spans: list[tuple[float, float | None]] = []
    for at, to_alarm in changes:
        if to_alarm:
            spans.append((at, None))
        elif spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], at)
    return tuple(spans)
