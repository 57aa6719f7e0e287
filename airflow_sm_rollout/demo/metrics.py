"""What the demo asks CloudWatch: which variant had how many requests and errors, and when an alarm rang."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_sm_rollout.demo.report import VariantCounts

PERIOD_SECONDS = 10
_REQUESTS = ("Invocations", "InvocationsProcessed")
"""An endpoint publishes one of the two: the second if it answers from a queue."""
_METRICS = (*_REQUESTS, "Invocation4XXErrors", "Invocation5XXErrors")


def count_invocations(cloudwatch: Any, dimensions: Mapping[str, str], since: float) -> VariantCounts:
    """Requests and errors of the variant that has these CloudWatch dimensions.

    :param since: seconds since the epoch.
    """
    queries = [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                },
                "Period": PERIOD_SECONDS,
                "Stat": "Sum",
            },
        }
        for index, metric in enumerate(_METRICS)
    ]
    start = datetime.fromtimestamp(since // PERIOD_SECONDS * PERIOD_SECONDS, timezone.utc)
    end = datetime.now(timezone.utc) + timedelta(seconds=PERIOD_SECONDS)
    answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end)
    counts = [sum(result["Values"]) for result in answer["MetricDataResults"]]
    return VariantCounts(sum(counts[: len(_REQUESTS)]), sum(counts[len(_REQUESTS) :]))


def find_first_alarm(cloudwatch: Any, names: Iterable[str], since: float) -> float | None:
    """When the first of these alarms went into ALARM; their history outlives them.

    :param since: seconds since the epoch.
    """
    start = datetime.fromtimestamp(since, timezone.utc)
    rang = [
        item["Timestamp"].timestamp()
        for name in names
        for item in cloudwatch.describe_alarm_history(
            AlarmName=name, HistoryItemType="StateUpdate", StartDate=start, EndDate=datetime.now(timezone.utc)
        )["AlarmHistoryItems"]
        if item["HistorySummary"].endswith("to ALARM")
    ]
    return min(rang, default=None)
