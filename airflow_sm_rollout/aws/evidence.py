"""Reads what blue and green did, from CloudWatch. Only final figures are read, and what is missing is ``None``, never zero."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.metrics import Values, count_above, count_up_to, read_values, requests_metric, stat_query
from airflow_sm_rollout.aws.queue import BACKLOG, queue_of
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.replay.replay import Over, PastMinute
from airflow_sm_rollout.core.watch.sources import BASELINE, Sources, final_until, floor

_MINUTE = 60
_FAST, _FAR = "f", "far"
_FAILED, _QUEUE = "nf", "q"


def read_thresholds(
    cloudwatch: Any, dimensions: Mapping[str, str], since: datetime, until: datetime
) -> Thresholds | None:
    """A variant's p50, p95 and p99: medians of the minutes of that time; ``None``: no traffic."""
    queries = [stat_query(name, dimensions, "ModelLatency", name, _MINUTE) for name in ("p50", "p95", "p99")]
    figures = read_values(cloudwatch, queries, since, until)
    if not all(figures.values()):
        return None
    p50, p95, p99 = (round(statistics.median(figures[name].values())) for name in ("p50", "p95", "p99"))
    return Thresholds(p50, p95, p99)


def read_worst_errors(
    cloudwatch: Any, dimensions: Mapping[str, str], until: datetime, min_requests: int, *, is_queued: bool = False
) -> float:
    """The largest share of a variant's calls that failed in one minute of the last hours; 0: none did.

    :param min_requests: calls without which a minute does not count.
    """
    end = floor(until, _MINUTE)
    sources = Sources(dimensions, {}, None, end - BASELINE, _MINUTE, is_queued)
    minutes = _periods(cloudwatch, sources, {"b": dimensions}, end)
    told = [each.blue for each in minutes if each.blue and each.blue.requests >= min_requests]
    return max(((each.errors_4xx + each.errors_5xx) / each.requests for each in told), default=0.0)


def read_periods(cloudwatch: Any, sources: Sources, now: datetime, after: datetime | None = None) -> list[Period]:
    """What blue and green did since green first had traffic, period by period, as far as it is final.

    :param after: only what came after that end of a period; ``None``: all.
    """
    variants = {"b": sources.blue, "g": sources.green}
    new = replace(sources, since=after or sources.since)
    return _periods(cloudwatch, new, variants, final_until(now, sources.seconds))


def read_baseline(cloudwatch: Any, sources: Sources, until: datetime) -> list[Period]:
    """What blue did in the last hours before ``until``, minute by minute."""
    end = floor(until, _MINUTE)
    minutes = replace(sources, since=end - BASELINE, seconds=_MINUTE)
    return _periods(cloudwatch, minutes, {"b": sources.blue}, end)


def read_past(
    cloudwatch: Any, dimensions: Mapping[str, str], since: datetime, until: datetime, slowdowns: Sequence[float] = ()
) -> list[PastMinute]:
    """What a variant did in the past, minute by minute, as blue.

    :param slowdowns: read, too, how many calls were over its thresholds if each had taken so many times as long: a call takes ``f``
        times as long as ``t`` is over ``T`` where ``t`` is over ``T / f``, so that these are counts of real calls.
    """
    start, end = floor(since, _MINUTE), floor(until, _MINUTE)
    if end <= start:
        return []
    sources = Sources(dimensions, {}, read_thresholds(cloudwatch, dimensions, start, end), start, _MINUTE)
    queries = _queries("b", dimensions, sources) + _slowed_queries(sources, slowdowns)
    figures = read_values(cloudwatch, queries, start, end)
    return [
        PastMinute(
            Period(at, _MINUTE, _sample(figures, "b", at), None),
            {slowdown: _over(figures, f"s{number}", at, "b") for number, slowdown in enumerate(slowdowns)},
        )
        for at in _starts(start, end, _MINUTE)
    ]


def _slowed_queries(sources: Sources, slowdowns: Sequence[float]) -> list[dict[str, Any]]:
    return [
        query
        for number, slowdown in enumerate(slowdowns)
        for query in _queries_over(f"s{number}", sources.blue, sources, slowdown)
    ]


def _periods(
    cloudwatch: Any, sources: Sources, variants: Mapping[str, Mapping[str, str]], end: datetime
) -> list[Period]:
    if end <= sources.since:
        return []
    queries = [query for mark, dimensions in variants.items() for query in _queries(mark, dimensions, sources)]
    figures = read_values(cloudwatch, queries, sources.since, end)
    return [
        Period(start, sources.seconds, _sample(figures, "b", start), _sample(figures, "g", start))
        for start in _starts(sources.since, end, sources.seconds)
    ]


def _queries(mark: str, dimensions: Mapping[str, str], sources: Sources) -> list[dict[str, Any]]:
    counted = {"n": requests_metric(is_queued=sources.is_queued)}
    counted |= {"e5": ("Invocation5XXErrors", "Sum"), "e4": ("Invocation4XXErrors", "Sum")}
    counted |= {_FAILED: ("InvocationFailures", "Sum")} if sources.is_queued else {}
    queries = [stat_query(mark + name, dimensions, *metric, sources.seconds) for name, metric in counted.items()]
    if sources.is_queued:
        queries.append(
            stat_query(mark + _QUEUE, queue_of(dimensions), BACKLOG, "Maximum", max(sources.seconds, _MINUTE))
        )
    if sources.thresholds is not None:
        fast = count_up_to(sources.thresholds.p50)
        queries.append(stat_query(mark + _FAST, dimensions, "ModelLatency", fast, sources.seconds))
    return queries + _queries_over(mark, dimensions, sources)


def _queries_over(
    mark: str, dimensions: Mapping[str, str], sources: Sources, slowdown: float = 1.0
) -> list[dict[str, Any]]:
    thresholds = sources.thresholds
    if thresholds is None:
        return []
    limits = {"p50": thresholds.p50, "p95": thresholds.p95, "p99": thresholds.p99, _FAR: 2 * thresholds.p99}
    return [
        stat_query(mark + name, dimensions, "ModelLatency", count_above(limit / slowdown), sources.seconds)
        for name, limit in limits.items()
    ]


def _sample(figures: Mapping[str, Values], mark: str, start: datetime) -> Sample | None:
    """A variant's figures of one period; ``None``: they are not there, or not complete."""
    requests, *errors = (figures.get(mark + name, {}).get(start) for name in ("n", "e5", "e4"))
    if mark + _QUEUE in figures:
        requests, errors[0] = _queued(figures, mark, start, requests, errors)
    if requests == 0:
        return Sample(0, 0, 0, 0, 0, 0, 0)
    if requests is None or None in errors:
        # Errors are published with each call (recorded), so that calls without them are a period that is not all there.
        return None
    errors_5xx, errors_4xx = (round(value or 0.0) for value in errors)
    return Sample(round(requests), errors_5xx, errors_4xx, *_over(figures, mark, start, mark))


def _queued(
    figures: Mapping[str, Values], mark: str, start: datetime, answered: float | None, errors: Sequence[float | None]
) -> tuple[float | None, float | None]:
    """Requests and 5XX errors of a queue. What failed without an answer of the model (its input could not be read, say) counts as both.

    Nothing is published of a period without an answer, but how long the queue is: then there were no requests.
    """
    failed = figures.get(mark + _FAILED, {}).get(start)
    if answered is None and failed is None:
        is_told = start.replace(second=0) in figures[mark + _QUEUE]
        return (0.0 if is_told else None), errors[0]
    errors_5xx, errors_4xx = (each or 0.0 for each in errors)
    unanswered = max((failed or 0.0) - errors_5xx - errors_4xx, 0.0)
    return (answered or 0.0) + unanswered, errors_5xx + unanswered


def _over(figures: Mapping[str, Values], mark: str, start: datetime, variant: str) -> Over:
    """Calls above the thresholds.

    :param variant: the mark of the figures of the variant whose calls these are.
    """
    is_timed = any(start in figures.get(variant + name, {}) for name in (_FAST, "p50"))
    counts = (
        figures.get(mark + name, {}).get(start, 0.0 if is_timed else None) for name in ("p50", "p95", "p99", _FAR)
    )
    p50, p95, p99, far = (None if count is None else round(count) for count in counts)
    return p50, p95, p99, far


def _starts(since: datetime, end: datetime, seconds: int) -> Iterator[datetime]:
    start = since
    while start < end:
        yield start
        start += timedelta(seconds=seconds)
