"""Reads an endpoint's past from CloudWatch: who served when, and what both did in a past rollout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.evidence import read_baseline, read_periods, read_thresholds
from airflow_sm_rollout.aws.metrics import Values, read_values, stat_query
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.replay.history import Fleet, PastRollout
from airflow_sm_rollout.core.watch.sources import THRESHOLDS_FROM, Sources

_MINUTE = 60
_QUERIES_PER_CALL = 500  # GetMetricData's limit


def list_fleets(cloudwatch: Any, endpoint_name: str) -> list[Fleet]:
    """The endpoint's variants, and their fleets by config, that had figures in the last two weeks: CloudWatch lists no others, and
    lists a new one up to 15 minutes late (ListMetrics).
    """
    pages = cloudwatch.get_paginator("list_metrics").paginate(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint_name}],
    )
    found = (
        {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
        for page in pages
        for metric in page.get("Metrics", ())
    )
    # What else has these dimensions, such as an inference component, is no fleet.
    return sorted(
        Fleet(named["VariantName"], named.get("EndpointConfigName", ""))
        for named in found
        if "VariantName" in named and named.keys() <= {"EndpointName", "VariantName", "EndpointConfigName"}
    )


def read_calls(
    cloudwatch: Any, endpoint_name: str, fleets: Iterable[Fleet], since: datetime, until: datetime
) -> dict[Fleet, Values]:
    """Each fleet's calls by the minute."""
    calls: dict[Fleet, Values] = {}
    for some in _batches(sorted(set(fleets))):
        queries = [
            stat_query(f"n{number}", fleet.dimensions(endpoint_name), "Invocations", "Sum", _MINUTE)
            for number, fleet in enumerate(some)
        ]
        figures = read_values(cloudwatch, queries, since, until)
        calls |= {fleet: figures[f"n{number}"] for number, fleet in enumerate(some)}
    return calls


def _batches(fleets: list[Fleet]) -> Iterator[list[Fleet]]:
    for start in range(0, len(fleets), _QUERIES_PER_CALL):
        yield fleets[start : start + _QUERIES_PER_CALL]


def read_rollout(cloudwatch: Any, endpoint_name: str, rollout: PastRollout) -> tuple[list[Period], list[Period]]:
    """What a past rollout is judged by, as it would have been then: blue's hours before, and what both did in it.

    Thresholds are blue's in the hour before green's first call.
    """
    blue, green = (fleet.dimensions(endpoint_name) for fleet in (rollout.blue, rollout.green))
    thresholds = read_thresholds(cloudwatch, blue, rollout.began - THRESHOLDS_FROM, rollout.began)
    sources = Sources(blue, green, thresholds, rollout.began, _MINUTE)
    are_final = rollout.ended + timedelta(seconds=_MINUTE)
    return read_baseline(cloudwatch, sources, rollout.began), read_periods(cloudwatch, sources, are_final)
