"""Reads the last value of what each alarm measures: for people, never for a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.cloudwatch import describe_alarms
from airflow_sm_rollout.aws.errors import AWS_ERRORS
from airflow_sm_rollout.aws.metrics import Values, read_results
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.alarm_limit import AlarmLimit, band_of, limit_of, period_of, scale_of, watched_of

_LEAST, _MOST = (
    timedelta(minutes=5),
    timedelta(hours=3),
)  # looked back; finer periods than a minute are kept for three hours
_BEYOND = 3  # periods: the newest ones may not be published yet


def read_limits(cloudwatch: Any, names: Sequence[str], now: datetime) -> dict[str, AlarmLimit]:
    """The limits of those alarms that exist, by name, each with its last value: a call for each alarm over metrics."""
    found = {str(alarm.get("AlarmName")): alarm for alarm in describe_alarms(cloudwatch, names)}
    return {name: limit for name, alarm in found.items() if (limit := _read(cloudwatch, alarm, now)) is not None}


def _read(cloudwatch: Any, alarm: Mapping[str, Any], now: datetime) -> AlarmLimit | None:
    limit = limit_of(alarm)
    queries = _queries(alarm)
    if limit is None or not queries:
        return limit
    periods = int(alarm.get("EvaluationPeriods") or 1) + _BEYOND
    back = min(max(timedelta(seconds=period_of(alarm) * periods), _LEAST), _MOST)
    try:
        results = list(read_results(cloudwatch, queries, now - back, now))
    except (Passing, *AWS_ERRORS):
        return limit  # with the value of its last change
    return _with_last(limit, alarm, results)


def _queries(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    if alarm.get("Metrics"):
        shown = {watched_of(alarm).get("Id"), band_of(alarm).get("Id")}
        return [{**query, "ReturnData": query.get("Id") in shown} for query in alarm["Metrics"]]
    if not alarm.get("MetricName"):
        return []
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions") if name in alarm}
    stat = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    unit = {"Unit": alarm["Unit"]} if alarm.get("Unit") else {}
    return [{"Id": "m1", "MetricStat": {"Metric": metric, "Period": alarm["Period"], "Stat": stat, **unit}}]


def _with_last(limit: AlarmLimit, alarm: Mapping[str, Any], results: Sequence[tuple[str, Values]]) -> AlarmLimit:
    scale, band = scale_of(alarm), band_of(alarm).get("Id")
    measured = [point for name, values in results if name != band for point in values.items()]
    if not measured:
        return limit
    at, last = max(measured)
    # The band is two results of one query; which is the upper one their values tell.
    ends = [scale.read(values[at]) for name, values in results if name == band and at in values]
    low, high = (min(ends), max(ends)) if len(ends) > 1 else (None, None)
    return replace(limit, last=scale.read(last), low=low, high=high, at=at)
