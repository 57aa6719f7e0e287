"""Reads a rollout's figures for people: requests, failures, latency, alarms. Nothing is decided by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.evidence import read_baseline, read_periods
from airflow_sm_rollout.core.comparison.comparison import Comparison, compare
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.figures import Figures, Point, choose_period, ringing_spans
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.sources import planned_comparison, sources_of

_METRICS = {
    "requests": ("Invocations", "Sum"),
    "bad": ("Invocation4XXErrors", "Sum"),
    "broken": ("Invocation5XXErrors", "Sum"),
    "p99": ("ModelLatency", "p99"),
}
_MICROSECONDS_IN_MS = 1000


def read_figures(clients: Clients, rollout: Rollout, now: datetime, *, is_shadow_read: bool) -> Figures:
    """Everything since the rollout was planned, in as few calls as it takes: one for the metrics, one for each alarm.

    :param is_shadow_read: whether to read, too, what green did as a shadow; its metrics are another variant's, and cost as much again.
    """
    period = choose_period(rollout.metric_period_seconds, rollout.started_at, now)
    whose = {"blue": rollout.blue_dimensions, "green": rollout.green_dimensions}
    if is_shadow_read:
        whose["shadow"] = {"EndpointName": rollout.endpoint_name, "VariantName": rollout.names.shadow}
    found = _read_metrics(clients.cloudwatch, whose, rollout.started_at, period, now)
    return Figures(
        counted_at=now,
        period_seconds=period,
        blue=_points("blue", found),
        green=_points("green", found),
        shadow=_points("shadow", found),
        rang={name: _read_ringing(clients.cloudwatch, name, rollout.started_at) for name in rollout.watched_alarms},
    )


def read_past_of_blue(clients: Clients, rollout: Rollout, now: datetime) -> list[Period]:
    """What blue did before the rollout, for :func:`read_comparison`; it does not change any more."""
    sources = sources_of(rollout, now)
    return read_baseline(clients.cloudwatch, sources, rollout.started_at) if sources else []


def read_comparison(clients: Clients, rollout: Rollout, past: list[Period], now: datetime) -> Comparison | None:
    """Green against blue by now, as a bake compares them; ``None``: green has had no traffic yet, or the plan does not compare.

    :param rollout: as it is recorded on AWS.
    :param past: see :func:`read_past_of_blue`.
    """
    sources, tolerances = sources_of(rollout, now), rollout.plan.evidence.tolerances
    if sources is None or tolerances is None:
        return None
    periods = read_periods(clients.cloudwatch, sources, now)
    return compare(past, periods, tolerances, planned=planned_comparison(rollout))


def _read_metrics(
    cloudwatch: Any, whose: Mapping[str, Mapping[str, str]], since: datetime, period: int, now: datetime
) -> dict[str, dict[float, float]]:
    queries = [
        _query(f"{side}_{name}", dimensions, metric, stat, period)
        for side, dimensions in whose.items()
        for name, (metric, stat) in _METRICS.items()
    ]
    found: dict[str, dict[float, float]] = {}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=since, EndTime=now, ScanBy="TimestampAscending"
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            values = zip(result["Timestamps"], result["Values"], strict=True)
            found.setdefault(result["Id"], {}).update((at.timestamp(), value) for at, value in values)
    return found


def _query(query_id: str, dimensions: Mapping[str, str], metric: str, stat: str, period: int) -> dict[str, Any]:
    named = {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    return {"Id": query_id, "MetricStat": {"Metric": named, "Period": period, "Stat": stat}, "ReturnData": True}


def _points(side: str, found: Mapping[str, Mapping[float, float]]) -> tuple[Point, ...]:
    requests, bad, broken, p99 = (found.get(f"{side}_{name}", {}) for name in _METRICS)
    return tuple(
        Point(
            at,
            count,
            bad.get(at, 0.0) + broken.get(at, 0.0),
            round(p99[at] / _MICROSECONDS_IN_MS, 3) if at in p99 else None,
        )
        for at, count in sorted(requests.items())
    )


def _read_ringing(cloudwatch: Any, name: str, since: datetime) -> tuple[tuple[float, float | None], ...]:
    return ringing_spans(sorted(_changes(cloudwatch, name, since)))


def _changes(cloudwatch: Any, name: str, since: datetime) -> Iterator[tuple[float, bool]]:
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, AlarmTypes=["MetricAlarm", "CompositeAlarm"], HistoryItemType="StateUpdate", StartDate=since
    )
    for page in pages:
        for item in page["AlarmHistoryItems"]:
            yield item["Timestamp"].timestamp(), item["HistorySummary"].endswith("to ALARM")
