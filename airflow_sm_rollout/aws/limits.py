"""Reads what fixed limits and Model Monitor judge green by. As everywhere, only final figures count, and what is missing is not zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.metrics import Values, count_above, count_up_to, read_values, stat_query
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.plan.limits import Kpi
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.monitor import LONGEST, Execution
from airflow_sm_rollout.core.watch.readings import KpiPeriod
from airflow_sm_rollout.core.watch.rows import names_of_blue, names_of_green
from airflow_sm_rollout.core.watch.sources import Sources, final_until, floor, kept_seconds

_KPI = "sm_rollout_kpi"


def read_calls(cloudwatch: Any, dimensions: Mapping[str, str], periods: Sequence[Period]) -> Values:
    """All calls of an endpoint's variant by the start of a period, in periods that were read already.

    :param dimensions: without a config, so that its calls of all fleets are counted.
    """
    query = stat_query("calls", dimensions, "Invocations", "Sum", periods[0].seconds)
    return read_values(cloudwatch, [query], periods[0].start, periods[-1].end)["calls"]


def read_slow(cloudwatch: Any, sources: Sources, periods: Sequence[Period], max_p99_ms: float) -> dict[datetime, int]:
    """How many of green's calls took longer, by the start of a period; one of which that is not known is not there.

    :param periods: those that were read already.
    """
    known = [each.start for each in periods if each.green is not None]
    if not known:
        return {}
    limit = 1000 * max_p99_ms
    queries = [
        stat_query(name, sources.green, "ModelLatency", counted, sources.seconds)
        for name, counted in (("slow", count_above(limit)), ("fast", count_up_to(limit)))
    ]
    values = read_values(cloudwatch, queries, periods[0].start, periods[-1].end)
    found = {**dict.fromkeys(values["fast"], 0.0), **values["slow"]}
    return {start: round(found[start]) for start in known if start in found}


def read_kpi(
    cloudwatch: Any, kpi: Kpi, rollout: Rollout, since: datetime, before: KpiPeriod | None, now: datetime
) -> list[KpiPeriod]:
    """A KPI's periods that have become final: green's values, and blue's where it is relative to them.

    :param since: when the watch began.
    :param before: the last period that was read; ``None``: none was. Where periods have become longer all are read anew.
    """
    seconds = kept_seconds(kpi.period_seconds, now - since)
    start, end = floor(since, seconds), final_until(now, seconds)
    if before is not None and before.seconds == seconds:
        start = before.start + timedelta(seconds=seconds)
    starts = [start + timedelta(seconds=passed) for passed in range(0, int((end - start).total_seconds()), seconds)]

    def read(names: Mapping[str, str]) -> Values:
        return _kpi_values(cloudwatch, kpi, names, seconds, start, end) if starts else {}

    green, blue = read(names_of_green(rollout)), read(names_of_blue(rollout)) if kpi.relative_to_blue else {}
    return [KpiPeriod(each, seconds, green.get(each), blue.get(each)) for each in starts]


def _kpi_values(
    cloudwatch: Any, kpi: Kpi, names: Mapping[str, str], seconds: int, start: datetime, end: datetime
) -> Values:
    queries = []
    for name, metric in kpi.metrics.items():
        dimensions = metric.dimensions_of(names)
        queries.append(stat_query(name, dimensions, metric.name, metric.stat, seconds, metric.namespace))
    wanted = next(iter(kpi.metrics))
    if kpi.expression:
        wanted = _KPI
        queries.append({"Id": _KPI, "Expression": kpi.expression, "Period": seconds})
    return read_values(cloudwatch, queries, start, end, wanted)[wanted]


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
