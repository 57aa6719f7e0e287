from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from airflow_sm_rollout.sandbox.clock import ManualClock, Schedule
from airflow_sm_rollout.sandbox.cloudwatch import CloudWatch
from airflow_sm_rollout.sandbox.cloudwatch.timestamps import to_datetime

START = 1_700_000_040  # 22:14:00 UTC, a whole minute
NAMESPACE = "AWS/SageMaker"


class Bench:
    """A CloudWatch on a manual clock, called as the wire layer would; every call is held against botocore's service model."""

    model = botocore.session.get_session().get_service_model("cloudwatch")

    def __init__(self) -> None:
        self.schedule = Schedule(ManualClock(float(START)))
        self.cloudwatch = CloudWatch(self.schedule)

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        shapes = self.model.operation_model(operation)
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
        answer = getattr(self.cloudwatch, name)(params)
        for shape, content in ((shapes.input_shape, params), (shapes.output_shape, answer)):
            if shape is not None:
                report = ParamValidator().validate(content, shape)
                assert not report.has_errors(), report.generate_report()
                assert set(content) <= set(shape.members)
        return answer

    def record(self, value: float, at: float = 0, seen: float = 0, metric: str = "Errors", **dimensions: str) -> None:
        """Publish a point ``at`` seconds after the start, visible from ``seen`` seconds after the start."""
        self.cloudwatch.record(NAMESPACE, metric, dimensions, value, "None", START + at, START + seen)

    def put_alarm(self, name: str = "errors", **changes: Any) -> None:
        """An alarm on the sum of Errors over one minute, at least 1."""
        alarm = {
            "AlarmName": name,
            "Namespace": NAMESPACE,
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        } | changes
        self.call("PutMetricAlarm", **{key: content for key, content in alarm.items() if content is not None})

    def alarm(self, name: str = "errors", kind: str = "MetricAlarm") -> dict[str, Any]:
        return self.call("DescribeAlarms", AlarmNames=[name], AlarmTypes=[kind])[f"{kind}s"][0]

    def history(self, name: str = "errors", kind: str = "MetricAlarm") -> list[tuple[float, str, str]]:
        """State changes, oldest first: seconds since the start, new state, its reason."""
        items = self.call(
            "DescribeAlarmHistory",
            AlarmName=name,
            AlarmTypes=[kind],
            HistoryItemType="StateUpdate",
            ScanBy="TimestampAscending",
        )["AlarmHistoryItems"]
        documents = [json.loads(item["HistoryData"])["newState"] for item in items]
        return [
            (item["Timestamp"].timestamp() - START, document["stateValue"], document["stateReason"])
            for item, document in zip(items, documents, strict=True)
        ]

    def values(
        self, stat: str = "Sum", period: int = 60, metric: str = "Errors", end: float = 3600
    ) -> dict[float, float]:
        """A statistic by seconds since the start."""
        query = {
            "Id": "m",
            "MetricStat": {"Metric": {"Namespace": NAMESPACE, "MetricName": metric}, "Period": period, "Stat": stat},
        }
        result = self.data([query], end)[0]
        return {at.timestamp() - START: value for at, value in zip(result["Timestamps"], result["Values"], strict=True)}

    def data(self, queries: list[dict[str, Any]], end: float = 3600, **params: Any) -> list[dict[str, Any]]:
        return self.call(
            "GetMetricData",
            MetricDataQueries=queries,
            StartTime=to_datetime(START),
            EndTime=to_datetime(START + end),
            **params,
        )["MetricDataResults"]


@pytest.fixture(scope="session")
def new_bench() -> type[Bench]:
    return Bench


@pytest.fixture
def bench(new_bench: type[Bench]) -> Bench:
    return new_bench()
