"""Reads what blue and green did, from CloudWatch. Only final figures are read, and what is missing is ``None``, never zero."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.cloudwatch import Figures, read_figures, stat_query
from airflow_sm_rollout.core.evidence.periods import Period, Sample
from airflow_sm_rollout.core.evidence.plan import Thresholds
from airflow_sm_rollout.core.evidence.sources import BASELINE, Sources, final_until, floor

_MINUTE = 60


def read_thresholds(
    cloudwatch: Any, dimensions: Mapping[str, str], since: datetime, until: datetime
) -> Thresholds | None:
    """A variant's p50, p95 and p99: medians of the minutes of that time; ``None``: no traffic."""
    queries = [stat_query(name, dimensions, "ModelLatency", name, _MINUTE) for name in ("p50", "p95", "p99")]
    figures = read_figures(cloudwatch, queries, since, until)
    if not all(figures.values()):
        return None
    p50, p95, p99 = (round(statistics.median(figures[name].values())) for name in ("p50", "p95", "p99"))
    return Thresholds(p50, p95, p99)


def read_periods(cloudwatch: Any, sources: Sources, now: datetime) -> list[Period]:
    """What blue and green did since green first had traffic, period by period."""
    return _periods(cloudwatch, sources, {"b": sources.blue, "g": sources.green}, final_until(now, sources.seconds))


def read_baseline(cloudwatch: Any, sources: Sources, until: datetime) -> list[Period]:
    """What blue did in the last hours before ``until``, minute by minute."""
    end = floor(until, _MINUTE)
    minutes = Sources(sources.blue, sources.green, sources.thresholds, end - BASELINE, _MINUTE)
    return _periods(cloudwatch, minutes, {"b": sources.blue}, end)


def read_past(
    cloudwatch: Any, dimensions: Mapping[str, str], thresholds: Thresholds | None, since: datetime, until: datetime
) -> list[Period]:
    """What a variant did in the past, minute by minute, as blue."""
    minutes = Sources(dimensions, {}, thresholds, floor(since, _MINUTE), _MINUTE)
    return _periods(cloudwatch, minutes, {"b": dimensions}, floor(until, _MINUTE))


def _periods(
    cloudwatch: Any, sources: Sources, variants: Mapping[str, Mapping[str, str]], end: datetime
) -> list[Period]:
    if end <= sources.since:
        return []
    queries = [query for mark, dimensions in variants.items() for query in _queries(mark, dimensions, sources)]
    figures = read_figures(cloudwatch, queries, sources.since, end)
    return [
        Period(start, sources.seconds, _sample(figures, "b", start), _sample(figures, "g", start))
        for start in _starts(sources.since, end, sources.seconds)
    ]


def _queries(mark: str, dimensions: Mapping[str, str], sources: Sources) -> list[dict[str, Any]]:
    seconds, thresholds = sources.seconds, sources.thresholds
    counted = {"n": "Invocations", "e5": "Invocation5XXErrors", "e4": "Invocation4XXErrors"}
    queries = [stat_query(mark + name, dimensions, metric, "Sum", seconds) for name, metric in counted.items()]
    if thresholds is None:
        return queries
    over = {"p50": thresholds.p50, "p95": thresholds.p95, "p99": thresholds.p99}
    return queries + [
        stat_query(mark + name, dimensions, "ModelLatency", count_above(limit), seconds) for name, limit in over.items()
    ]


def count_above(microseconds: float) -> str:
    """CloudWatch's statistic for how many points are above a limit (a trimmed count's lower bound is exclusive)."""
    return f"TC({round(microseconds)}:)"


def _sample(figures: Mapping[str, Figures], mark: str, start: datetime) -> Sample | None:
    """A variant's figures of one period; ``None``: they are not there, or not complete."""
    requests, *errors = (figures.get(mark + name, {}).get(start) for name in ("n", "e5", "e4"))
    if requests == 0:
        return Sample(0, 0, 0, 0, 0, 0)
    if requests is None or None in errors:
        # Errors are published with each call (recorded), so that calls without them are a period that is not all there.
        return None
    over = [figures.get(mark + name, {}).get(start) for name in ("p50", "p95", "p99")]
    counts = [None if value is None else round(value) for value in (*errors, *over)]
    return Sample(round(requests), counts[0] or 0, counts[1] or 0, *counts[2:])


def _starts(since: datetime, end: datetime, seconds: int) -> Iterator[datetime]:
    start = since
    while start < end:
        yield start
        start += timedelta(seconds=seconds)
