"""Reads a rollout's figures for people: requests, failures, latency, alarms. Nothing is decided by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import alarm_types
from airflow_sm_rollout.aws.metrics import Values, read_values, requests_metric, stat_query
from airflow_sm_rollout.core.figures import Figures, Point, choose_period, ringing_spans
from airflow_sm_rollout.core.rollout import Rollout

_METRICS = {
    "bad": ("Invocation4XXErrors", "Sum"),
    "broken": ("Invocation5XXErrors", "Sum"),
    "p50": ("ModelLatency", "p50"),
    "p95": ("ModelLatency", "p95"),
    "p99": ("ModelLatency", "p99"),
}
_MICROSECONDS_IN_MS = 1000


def read_figures(clients: Clients, rollout: Rollout, now: datetime, *, is_shadow_read: bool) -> Figures:
    """Everything since the rollout was planned, in as few calls as it takes: one for the metrics, one for each alarm.

    :param is_shadow_read: whether to read, too, what green did as a shadow; its metrics are another variant's, and cost as much again.
    """
    period = choose_period(rollout.metric_period_seconds, rollout.started_at, now)
    whose = {"blue": rollout.blue_dimensions, "green": rollout.green_dimensions}
    if rollout.traffic.has_component:  # both publish under one name, and which of it is green's nobody knows
        del whose["green"]
    if is_shadow_read:
        whose["shadow"] = {"EndpointName": rollout.endpoint_name, "VariantName": rollout.names.shadow}
    metrics = {"requests": requests_metric(is_queued=rollout.blue.is_asynchronous), **_METRICS}
    queries = [
        stat_query(f"{side}_{name}", dimensions, *metric, period)
        for side, dimensions in whose.items()
        for name, metric in metrics.items()
    ]
    found = read_values(clients.cloudwatch, queries, rollout.started_at, now)
    return Figures(
        counted_at=now,
        period_seconds=period,
        blue=_points("blue", found),
        green=_points("green", found),
        shadow=_points("shadow", found),
        rang={name: _read_ringing(clients.cloudwatch, name, rollout.started_at) for name in rollout.watched_alarms},
    )


def _points(side: str, found: Mapping[str, Values]) -> tuple[Point, ...]:
    requests, bad, broken, *latencies = (found.get(f"{side}_{name}", {}) for name in ("requests", *_METRICS))
    return tuple(
        Point(
            at.timestamp(),
            count,
            bad.get(at, 0.0),
            broken.get(at, 0.0),
            *(round(each[at] / _MICROSECONDS_IN_MS, 3) if at in each else None for each in latencies),
        )
        for at, count in sorted(requests.items())
    )


def _read_ringing(cloudwatch: Any, name: str, since: datetime) -> tuple[tuple[float, float | None], ...]:
    return ringing_spans(sorted(_changes(cloudwatch, name, since)))


def _changes(cloudwatch: Any, name: str, since: datetime) -> Iterator[tuple[float, bool]]:
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, AlarmTypes=list(alarm_types()), HistoryItemType="StateUpdate", StartDate=since
    )
    for page in pages:
        for item in page.get("AlarmHistoryItems", ()):
            at, summary = (told(item, each, f"a change of alarm {name}") for each in ("Timestamp", "HistorySummary"))
            yield at.timestamp(), summary.endswith("to ALARM")
