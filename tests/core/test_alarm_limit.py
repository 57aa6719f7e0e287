"""An alarm's limit is told in words, with its unit and its last value, whatever kind of alarm it is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.aws.alarm_values import read_limits
from airflow_sm_rollout.core.alarm_limit import limit_of
from airflow_sm_rollout.core.observation import Alarm

NOW = datetime(2026, 11, 28, 8, 20, tzinfo=timezone.utc)
PERIODS = {"EvaluationPeriods": 3, "ComparisonOperator": "GreaterThanThreshold"}
LATENCY = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency"}


def reason(**document: Any) -> str:
    return json.dumps({"version": "1.0", "queryDate": "2026-11-28T08:12:30.479+0000", **document})


def math(expression: str, label: str = "") -> list[dict[str, Any]]:
    metric = {"Metric": {**LATENCY, "MetricName": "Invocations"}, "Period": 60, "Stat": "Sum"}
    shown = {"Id": "e1", "Expression": expression, "ReturnData": True, **({"Label": label} if label else {})}
    return [{"Id": "m1", "MetricStat": metric, "ReturnData": False}, shown]


def band(width: str = "2") -> dict[str, Any]:
    watched = {"Id": "m1", "MetricStat": {"Metric": LATENCY, "Period": 60, "Stat": "p99"}, "ReturnData": True}
    expected = {"Id": "ad1", "Expression": f"ANOMALY_DETECTION_BAND(m1, {width})", "ReturnData": True}
    operator = "LessThanLowerOrGreaterThanUpperThreshold"
    return {**PERIODS, "ComparisonOperator": operator, "ThresholdMetricId": "ad1", "Metrics": [watched, expected]}


CASES = {
    "microseconds are milliseconds": (
        {**PERIODS, **LATENCY, "ExtendedStatistic": "p99", "Period": 60, "Threshold": 74920.0}
        | {"StateReasonData": reason(recentDatapoints=[61000.0, 118850.15185993322])},
        "rings when p99 of ModelLatency is over 74.9 ms in 3 periods of 60 s in a row",
        "last 119 ms at 08:12:30 UTC",
    ),
    "the mean of failures is a share": (
        {**PERIODS, **LATENCY, "MetricName": "Invocation5XXErrors", "Statistic": "Average", "Period": 60}
        | {"Threshold": 0.05, "DatapointsToAlarm": 2, "ComparisonOperator": "GreaterThanOrEqualToThreshold"},
        "rings when Average of Invocation5XXErrors is at 5 % or more in 2 of 3 periods of 60 s",
        "",
    ),
    "a number without a unit": (
        {**PERIODS, "Namespace": "Shop", "MetricName": "orders", "Statistic": "Sum", "Period": 3600, "Threshold": 12000}
        | {"EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold"},
        "rings when Sum of orders is below 12,000 in one period of 3600 s",
        "",
    ),
    "an alarm's own unit counts": (
        {**PERIODS, "Namespace": "Shop", "MetricName": "wait", "Statistic": "Maximum", "Period": 10, "Threshold": 2.5}
        | {"Unit": "Seconds", "StateReasonData": reason(recentDatapoints=[1.25])},
        "rings when Maximum of wait is over 2.5 s in 3 periods of 10 s in a row",
        "last 1.25 s at 08:12:30 UTC",
    ),
    "metric math has the unit of its label": (
        {**PERIODS, "Metrics": math("100 * a / b", "failing, % above 3 x blue's"), "Threshold": 5.0}
        | {"StateReasonData": reason(recentDatapoints=[0.2])},
        "rings when failing, % above 3 x blue's is over 5 % in 3 periods of 60 s in a row",
        "last 0.2 % at 08:12:30 UTC",
    ),
    "metric math without a label is told by its expression": (
        {**PERIODS, "Metrics": math("m1 / 60"), "Threshold": 5.0},
        "rings when m1 / 60 is over 5 in 3 periods of 60 s in a row",
        "",
    ),
    "a band that CloudWatch expects": (
        {**band(), "StateReasonData": reason(recentDatapoints=[120000.0], recentLowerThresholds=[41000.0])}
        | {
            "StateReasonData": reason(
                recentDatapoints=[120000.0], recentLowerThresholds=[41000.0], recentUpperThresholds=[90500.0]
            )
        },
        "rings when p99 of ModelLatency is outside the expected band (2 standard deviations) in 3 periods of 60 s in a row",
        "last 120 ms (expected from 41 to 90.5 ms) at 08:12:30 UTC",
    ),
    "a band with one end": (
        {**band("0.5"), "ComparisonOperator": "GreaterThanUpperThreshold", "EvaluationPeriods": 1}
        | {"StateReasonData": reason(recentDatapoints=[120000.0], recentUpperThresholds=[90500.0])},
        "rings when p99 of ModelLatency is above the expected band (0.5 standard deviations) in one period of 60 s",
        "last 120 ms (expected to 90.5 ms) at 08:12:30 UTC",
    ),
    "an alarm over others": (
        {
            "AlarmRule": 'ALARM("wine 5xx") AND NOT (OK(arn:aws:cloudwatch:eu-west-1:1:alarm:night) OR INSUFFICIENT_DATA(b))',
            "StateReasonData": json.dumps(
                {
                    "triggeringAlarms": [
                        {
                            "arn": "arn:aws:cloudwatch:eu-west-1:1:alarm:wine 5xx",
                            "state": {"value": "ALARM", "timestamp": "2026-11-28T08:11:00.000+0000"},
                        }
                    ]
                }
            ),
        },
        "rings when wine 5xx rings and not (night is OK or b has no data)",
        "last changed by wine 5xx at 08:11:00 UTC",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_limit_is_told_with_its_unit_and_the_last_value(name: str) -> None:
    found, rings, last = CASES[name]
    limit = limit_of({"AlarmName": "a", "StateValue": "OK", **found})
    assert limit is not None
    assert (limit.describe(), limit.describe_last()) == (rings, last)
    told = Alarm("a", "OK", "Threshold Crossed: 1 datapoint [118850.15185993322]", limit=limit).describe()
    assert told == f"alarm a: OK, {rings}" + (f", {last}" if last else "")


@pytest.mark.parametrize(
    "found",
    [
        {"StateValue": "OK"},
        {**PERIODS, **LATENCY, "Statistic": "Sum", "Period": 60},
        {**PERIODS, **LATENCY, "Threshold": 1.0, "ComparisonOperator": "OfAnotherYear"},
    ],
)
def test_an_alarm_of_a_kind_that_nobody_knows_is_told_in_clouds_words(found: dict[str, Any]) -> None:
    assert limit_of(found) is None
    assert Alarm("a", "OK", "as it was").describe() == "alarm a: OK as it was"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["recentDatapoints", "recentLowerThresholds", "queryDate", "triggeringAlarms"]), JSON
    ),
    st.sampled_from(sorted(CASES)),
)
def test_whatever_a_state_was_set_with_by_hand_the_limit_is_told(document: dict[str, Any], name: str) -> None:
    found, rings, _ = CASES[name]
    for text in (json.dumps(document), "quiet", "[" * 5):
        limit = limit_of({**found, "StateReasonData": text})
        assert limit is not None
        assert limit.describe() == rings
        limit.describe_last()


def answered(alarm: dict[str, Any], results: list[tuple[str, list[float]]], kind: str = "MetricAlarms") -> Any:
    """What is read of an alarm where CloudWatch answers so."""
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    with Stubber(cloudwatch) as stub:
        stub.add_response("describe_alarms", {kind: [{"AlarmName": "a", "StateValue": "OK", **alarm}]})
        moments = [NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)]
        found = [{"Id": name, "Timestamps": moments, "Values": values} for name, values in results]
        if results:
            stub.add_response("get_metric_data", {"MetricDataResults": found})
        else:
            stub.add_client_error("get_metric_data", "Throttling")
        return read_limits(cloudwatch, ["a"], NOW)["a"].describe_last()


def test_the_last_value_is_todays_not_that_of_the_last_change() -> None:
    plain = CASES["microseconds are milliseconds"][0]
    assert answered(plain, [("m1", [40000.0, 52000.0])]) == "last 52 ms at 08:19:00 UTC"
    of_math = CASES["metric math has the unit of its label"][0]
    assert answered(of_math, [("e1", [0.5, 1.5])]) == "last 1.5 % at 08:19:00 UTC"


@pytest.mark.parametrize("order", [1, -1])
def test_the_expected_bands_two_ends_are_told_apart_by_their_values(order: int) -> None:
    ends = [("ad1", [50000.0, 60000.0]), ("ad1", [30000.0, 40000.0])][::order]
    said = answered(band(), [("m1", [40000.0, 52000.0]), *ends])
    assert said == "last 52 ms (expected from 40 to 60 ms) at 08:19:00 UTC"


def test_where_the_value_cannot_be_read_it_is_that_of_the_last_change() -> None:
    assert answered(CASES["microseconds are milliseconds"][0], []) == "last 119 ms at 08:12:30 UTC"
