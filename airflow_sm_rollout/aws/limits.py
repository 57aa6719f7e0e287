"""Reads what fixed limits and Model Monitor judge green by. As everywhere, only final figures count, and what is missing is not zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.cloudwatch import Figures, read_figures, stat_query
from airflow_sm_rollout.aws.evidence import count_above, count_up_to
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.plan.limits import Kpi
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.breaches import Counts, Series
from airflow_sm_rollout.core.watch.coverage import describe_gap
from airflow_sm_rollout.core.watch.monitor import LONGEST, Execution
from airflow_sm_rollout.core.watch.sources import Sources, final_until, floor, kept_seconds

_KPI = "sm_rollout_kpi"


def read_calls(cloudwatch: Any, dimensions: Mapping[str, str], periods: Sequence[Period]) -> Figures:
    """All calls of an endpoint's variant by the start of a period, in periods that were read already.

    :param dimensions: without a config, so that its calls of all fleets are counted.
    """
    query = stat_query("calls", dimensions, "Invocations", "Sum", periods[0].seconds)
    return read_figures(cloudwatch, [query], periods[0].start, periods[-1].end)["calls"]


def read_counts(
    cloudwatch: Any, sources: Sources, periods: Sequence[Period], max_p99_ms: float | None, since: datetime
) -> Counts:
    """What green did since a moment, in the periods that were read already.

    :param max_p99_ms: count calls above it, too.
    """
    lately = [period for period in periods if period.end > since]
    known = [(each.start, each.green) for each in lately if each.green is not None]
    errors = tuple((green.requests, green.errors_4xx + green.errors_5xx) for _, green in known)
    if max_p99_ms is None or not known:
        return Counts(errors, seconds=sources.seconds)
    limit = 1000 * max_p99_ms
    queries = [
        stat_query(name, sources.green, "ModelLatency", counted, sources.seconds)
        for name, counted in (("slow", count_above(limit)), ("fast", count_up_to(limit)))
    ]
    figures = read_figures(cloudwatch, queries, lately[0].start, lately[-1].end)
    found = {**dict.fromkeys(figures["fast"], 0.0), **figures["slow"]}
    slow = tuple((green.requests, round(found[start])) for start, green in known if start in found)
    is_there = {start: start in found if green.requests else None for start, green in known}
    gap = describe_gap(
        "latencies of green", ((each.start, is_there.get(each.start, False)) for each in lately), sources.seconds
    )
    return Counts(errors, slow, gap, sources.seconds)


def read_kpi(cloudwatch: Any, kpi: Kpi, rollout: Rollout, since: datetime, now: datetime) -> Series:
    """A KPI's values since a moment: green's, and blue's where it is relative to them."""
    seconds = kept_seconds(kpi.period_seconds, now - since)
    start, end = floor(since, seconds), final_until(now, seconds)
    starts = [start + timedelta(seconds=passed) for passed in range(0, int((end - start).total_seconds()), seconds)]

    def read(names: Mapping[str, str]) -> tuple[float | None, ...]:
        values = _kpi_values(cloudwatch, kpi, names, seconds, start, end)
        return tuple(values.get(each) for each in starts)

    return Series(read(_green_names(rollout)), read(_blue_names(rollout)) if kpi.relative_to_blue else None)


def _kpi_values(
    cloudwatch: Any, kpi: Kpi, names: Mapping[str, str], seconds: int, start: datetime, end: datetime
) -> Figures:
    if end <= start:
        return {}
    queries = []
    for name, metric in kpi.metrics.items():
        dimensions = metric.dimensions_of(names)
        queries.append(stat_query(name, dimensions, metric.name, metric.stat, seconds, metric.namespace))
    wanted = next(iter(kpi.metrics))
    if kpi.expression:
        wanted = _KPI
        queries.append({"Id": _KPI, "Expression": kpi.expression, "Period": seconds})
    return read_figures(cloudwatch, queries, start, end, wanted)[wanted]


def read_executions(sagemaker: Any, schedule: str, since: datetime) -> list[Execution]:
    """A monitoring schedule's executions that were due since a moment, and those of the day before."""
    pages = sagemaker.get_paginator("list_monitoring_executions").paginate(
        MonitoringScheduleName=schedule, ScheduledTimeAfter=since - LONGEST, MaxResults=100
    )
    return [
        Execution(each["MonitoringExecutionStatus"], each["ScheduledTime"], each.get("FailureReason", ""))
        for page in pages
        for each in page["MonitoringExecutionSummaries"]
    ]


def _green_names(rollout: Rollout) -> dict[str, str]:
    return {
        "endpoint": rollout.green_endpoint_name,
        "variant": rollout.green_variant,
        "model": rollout.green_model_name,
    }


def _blue_names(rollout: Rollout) -> dict[str, str]:
    return {
        "endpoint": rollout.blue_endpoint_name,
        "variant": rollout.blue.variant,
        "model": rollout.blue.model_name,
    }
