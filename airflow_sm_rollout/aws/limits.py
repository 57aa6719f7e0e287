"""Reads what fixed limits and Model Monitor judge green by. As everywhere, only final figures count, and what is missing is not zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_sm_rollout.aws.cloudwatch import Figures, read_figures, stat_query
from airflow_sm_rollout.aws.evidence import count_above
from airflow_sm_rollout.core.evidence.limits import Counts, Kpi, Series
from airflow_sm_rollout.core.evidence.monitor import Execution
from airflow_sm_rollout.core.evidence.periods import Period
from airflow_sm_rollout.core.evidence.sources import Sources, final_until, floor, kept_seconds
from airflow_sm_rollout.core.rollout import Rollout

_KPI = "sm_rollout_kpi"


def read_calls(cloudwatch: Any, dimensions: Mapping[str, str], periods: Sequence[Period]) -> Figures:
    """All calls of an endpoint's variant by the start of a period, in periods that were read already.

    :param dimensions: without a config, so that its calls of all fleets are counted.
    """
    query = stat_query("calls", dimensions, "Invocations", "Sum", periods[0].seconds)
    return read_figures(cloudwatch, [query], periods[0].start, periods[-1].end)["calls"]


def read_counts(
    cloudwatch: Any, sources: Sources, periods: list[Period], max_p99_ms: float | None, since: datetime
) -> Counts:
    """What green did since a moment, in the periods that were read already.

    :param max_p99_ms: count calls above it, too.
    """
    lately = [period for period in periods if period.end > since and period.green is not None]
    samples = [period.green for period in lately if period.green is not None]
    over = None
    if max_p99_ms is not None and lately:
        query = stat_query("over", sources.green, "ModelLatency", count_above(1000 * max_p99_ms), sources.seconds)
        found = read_figures(cloudwatch, [query], lately[0].start, lately[-1].end)["over"]
        busy = [period.start for period in lately if period.green is not None and period.green.requests]
        over = round(sum(found[start] for start in busy)) if all(start in found for start in busy) else None
    errors = sum(sample.errors_4xx + sample.errors_5xx for sample in samples)
    return Counts(sum(sample.requests for sample in samples), errors, over)


def read_kpi(cloudwatch: Any, kpi: Kpi, rollout: Rollout, since: datetime, now: datetime) -> Series:
    """A KPI's values since a moment: green's, and blue's where it is relative to them."""
    seconds = kept_seconds(kpi.period_seconds, now - since)
    start, end = floor(since, seconds), final_until(now, seconds)
    green = _kpi_values(cloudwatch, kpi, _green_names(rollout), seconds, start, end)
    if not kpi.relative_to_blue:
        return Series(tuple(green.values()))
    blue = _kpi_values(cloudwatch, kpi, _blue_names(rollout), seconds, start, end)
    return Series(tuple(green.values()), tuple(blue.get(at) for at in green))


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
    return dict(sorted(read_figures(cloudwatch, queries, start, end, wanted)[wanted].items()))


def read_executions(sagemaker: Any, schedule: str, since: datetime) -> list[Execution]:
    """A monitoring schedule's executions that were due since a moment."""
    pages = sagemaker.get_paginator("list_monitoring_executions").paginate(
        MonitoringScheduleName=schedule, ScheduledTimeAfter=since
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
