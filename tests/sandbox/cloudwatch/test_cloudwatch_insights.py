"""Metrics Insights: a query is answered from all metrics that match it when it is asked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.inprocess import connect

SCHEMA = 'SCHEMA("Shop/Serving", EndpointName, VariantName)'
OF_FRAUD = "WHERE EndpointName = 'fraud'"
START = 1_700_000_040.0  # a full minute


class Published:
    """Errors of several variants, and of one variant's fleet."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(clock=ManualClock(START))
        self.cloudwatch: Any = connect(self.sandbox).client("cloudwatch")
        self.publish(3, EndpointName="fraud", VariantName="blue")
        self.publish(4, EndpointName="fraud", VariantName="green")
        self.publish(50, EndpointName="churn", VariantName="blue")
        self.publish(3, EndpointName="fraud", VariantName="blue", EndpointConfigName="v1")
        self.sandbox.schedule.advance(120)

    def publish(self, value: float, **dimensions: str) -> None:
        self.cloudwatch.put_metric_data(
            Namespace="Shop/Serving",
            MetricData=[
                {
                    "MetricName": "Errors",
                    "Dimensions": [{"Name": name, "Value": each} for name, each in dimensions.items()],
                    "Values": [value],
                    "Counts": [1],
                    "Timestamp": datetime.fromtimestamp(START + 5, timezone.utc),
                }
            ],
        )

    def ask(self, query: str, period: int = 60) -> list[float]:
        start = datetime.fromtimestamp(START, timezone.utc)
        answer = self.cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "q", "Expression": query, "Period": period}],
            StartTime=start,
            EndTime=start + timedelta(minutes=2),
        )
        return [value for result in answer["MetricDataResults"] for value in result["Values"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"SELECT SUM(Errors) FROM {SCHEMA} {OF_FRAUD}", [7]),
        (f"select sum(Errors) from {SCHEMA} where EndpointName='fraud'", [7]),
        (f"SELECT SUM(Errors) FROM {SCHEMA}", [57]),
        (f'SELECT SUM(Errors) FROM "Shop/Serving" {OF_FRAUD}', [10]),
        (f"SELECT SUM(Errors) FROM {SCHEMA} {OF_FRAUD} AND VariantName != 'blue'", [4]),
        (f"SELECT SUM(Errors) FROM {SCHEMA} {OF_FRAUD} AND \"VariantName\" = 'blue'", [3]),
        (f"SELECT MAX(Errors) FROM {SCHEMA} {OF_FRAUD}", [4]),
        (f"SELECT MIN(Errors) FROM {SCHEMA} {OF_FRAUD}", [3]),
        (f"SELECT AVG(Errors) FROM {SCHEMA} {OF_FRAUD}", [3.5]),
        (f"SELECT COUNT(Errors) FROM {SCHEMA} {OF_FRAUD}", [2]),
        (f"SELECT SUM(Errors) FROM {SCHEMA} WHERE EndpointName = 'nosuch'", []),
        (f"SELECT SUM(Nosuch) FROM {SCHEMA}", []),
        ('SELECT SUM(Errors) FROM SCHEMA("Shop/Serving", EndpointName)', []),
        ("SELECT SUM(Errors) FROM Shop", []),
    ],
)
def test_a_query_is_answered_from_all_metrics_that_match(query: str, expected: list[float]) -> None:
    assert Published().ask(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT SUM(Errors) FROM {SCHEMA} GROUP BY VariantName",
        f"SELECT SUM(Errors) FROM {SCHEMA} WHERE EndpointName LIKE 'f%'",
        f"SELECT SUM(Errors) FROM {SCHEMA} WHERE EndpointName = 'a' OR EndpointName = 'b'",
        f"SELECT P99(Errors) FROM {SCHEMA}",
        "SELECT SUM(Errors)",
    ],
)
def test_what_the_sandbox_does_not_play_is_refused(query: str) -> None:
    published = Published()
    with pytest.raises(published.cloudwatch.exceptions.ClientError, match="the sandbox reads"):
        published.ask(query)


def test_an_alarm_on_a_query_rings_for_a_variant_that_there_was_not_when_it_was_made() -> None:
    published = Published()
    published.cloudwatch.put_metric_alarm(
        AlarmName="all-variants",
        Metrics=[
            {"Id": "q", "Expression": f"SELECT SUM(Errors) FROM {SCHEMA} {OF_FRAUD}", "Period": 60, "ReturnData": True}
        ],
        EvaluationPeriods=1,
        Threshold=100,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        [alarm] = published.cloudwatch.describe_alarms(AlarmNames=["all-variants"])["MetricAlarms"]
        return str(alarm["StateValue"])

    published.sandbox.schedule.advance(180)
    assert state() == "OK"
    published.cloudwatch.put_metric_data(
        Namespace="Shop/Serving",
        MetricData=[
            {
                "MetricName": "Errors",
                "Dimensions": [{"Name": "EndpointName", "Value": "fraud"}, {"Name": "VariantName", "Value": "new"}],
                "Value": 200,
                "Timestamp": datetime.fromtimestamp(published.sandbox.clock.now(), timezone.utc),
            }
        ],
    )
    published.sandbox.schedule.advance(120)
    assert state() == "ALARM"
