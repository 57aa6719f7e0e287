"""The one door to CloudWatch's metrics (GetMetricData). What is missing is not there, never zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.core.advance import Passing

Values = dict[datetime, float]
"""A statistic by the start of its period, in UTC; a period that has no value is not there."""
_SECOND = timedelta(seconds=1)


def read_values(
    cloudwatch: Any, queries: Sequence[Mapping[str, Any]], start: datetime, end: datetime, *wanted: str
) -> dict[str, Values]:
    """Statistics by the identifiers of their queries.

    :param wanted: identifiers of those to be returned, where the others are only what metric math is made of; by default all.
    :raises Passing: if CloudWatch could not give one of them just now, which it says in an answer that is otherwise a success.
    """
    found: dict[str, Values] = {query["Id"]: {} for query in queries if not wanted or query["Id"] in wanted}
    # botocore before 1.44 cuts times to whole seconds, and AWS refuses a time that ends where it begins.
    start, end = start.replace(microsecond=0), end.replace(microsecond=0)
    if end < start + _SECOND:
        return found
    asked = [{**query, "ReturnData": query["Id"] in found} for query in queries]
    for name, values in read_results(cloudwatch, asked, start, end):
        found[name].update(values)
    return found


def read_results(
    cloudwatch: Any, queries: Sequence[Mapping[str, Any]], start: datetime, end: datetime
) -> Iterator[tuple[str, Values]]:
    """All results, each with the identifier of its query: of an expected band one query has two.

    :raises Passing: as :func:`read_values`.
    """
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=start, EndTime=end
    )
    for page in pages:
        for result in told(page, "MetricDataResults", "metrics"):
            name, moments, values = (told(result, each, "a metric") for each in ("Id", "Timestamps", "Values"))
            if result.get("StatusCode") == "InternalError" or len(moments) != len(values):
                raise Passing(f"CloudWatch could not give the figures of {result.get('Label') or name} just now")
            yield name, dict(zip(map(_utc, moments), values, strict=True))


def _utc(moment: datetime) -> datetime:
    """boto3 gives times of this machine's zone; in the hour that is repeated when summer ends these equal no time of another zone
    (PEP 495), so that no figure would be found.
    """
    return moment.astimezone(timezone.utc)


def stat_query(
    query_id: str,
    dimensions: Mapping[str, str],
    metric: str,
    stat: str,
    period_seconds: int,
    namespace: str = "AWS/SageMaker",
) -> dict[str, Any]:
    """A MetricDataQuery of one metric, which returns nothing by itself."""
    listed = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    named = {"Namespace": namespace, "MetricName": metric, "Dimensions": listed}
    return {
        "Id": query_id,
        "MetricStat": {"Metric": named, "Period": period_seconds, "Stat": stat},
        "ReturnData": False,
    }


def requests_metric(*, is_queued: bool) -> tuple[str, str]:
    """The metric whose statistic is a variant's requests.

    :param is_queued: whether it answers from a queue. It publishes no ``Invocations`` then, and a point of each of its errors for each
        request that it has answered, 0 or 1 (docs/facts-aws.md#asynchronous-endpoints).
    """
    return ("Invocation5XXErrors", "SampleCount") if is_queued else ("Invocations", "Sum")


def count_requests(
    cloudwatch: Any,
    dimensions: Mapping[str, str],
    period_seconds: int,
    start: datetime,
    end: datetime,
    *,
    is_queued: bool = False,
) -> float | None:
    """Requests that a variant had, by the dimensions of its metrics; ``None``: no data."""
    query = stat_query("requests", dimensions, *requests_metric(is_queued=is_queued), period_seconds)
    values = read_values(cloudwatch, [query], start, end)["requests"].values()
    return sum(values) if values else None


def count_above(microseconds: float) -> str:
    """CloudWatch's statistic for how many points are above a limit (a trimmed count's lower bound is exclusive).

    What it is where none is, 0 or nothing, AWS does not say; so it is read beside :func:`count_up_to`. Where that is there, it is 0.
    """
    return f"TC({round(microseconds)}:)"


def count_up_to(microseconds: float) -> str:
    """CloudWatch's statistic for how many points are not above a limit."""
    return f"TC(:{round(microseconds)})"
