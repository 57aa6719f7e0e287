"""Answers of CloudWatch and of the machine's clock that are odd, and no reason to see less than there is."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.stub import Stubber

from airflow_sm_rollout.aws.limits import read_kpi
from airflow_sm_rollout.aws.metrics import read_values, stat_query
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.plan.limits import Kpi, Metric
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.monitor import Execution, judge_schedule

BEGIN = datetime(2026, 11, 1, 5, tzinfo=timezone.utc)
# 01:30 in New York, for the first time: it comes once more an hour later.
REPEATED = datetime(2026, 11, 1, 5, 30, tzinfo=timezone.utc)
GREEN = {"EndpointName": "fraud", "VariantName": "model-0badcafe"}
QUERIES = [stat_query("requests", GREEN, "Invocations", "Sum", 60)]


def answering(**result: Any) -> Any:
    """A CloudWatch that answers GetMetricData once, with one result."""
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    stubber = Stubber(cloudwatch)
    stubber.add_response("get_metric_data", {"MetricDataResults": [{"Id": "requests", **result}]})
    stubber.activate()
    return cloudwatch


def test_figures_are_found_in_the_hour_that_is_repeated_where_the_machine_is() -> None:
    local = REPEATED.astimezone(ZoneInfo("America/New_York"))
    cloudwatch = answering(Timestamps=[local], Values=[7.0], StatusCode="Complete")
    found = read_values(cloudwatch, QUERIES, BEGIN, BEGIN + timedelta(hours=1))
    assert found["requests"].get(REPEATED) == 7.0


def test_figures_that_could_not_be_given_just_now_are_not_taken_for_none() -> None:
    cloudwatch = answering(Timestamps=[], Values=[], StatusCode="InternalError", Label="Invocations")
    with pytest.raises(Passing, match="Invocations"):
        read_values(cloudwatch, QUERIES, BEGIN, BEGIN + timedelta(hours=1))


def test_an_executions_time_is_told_in_utc_wherever_the_machine_is() -> None:
    local = REPEATED.astimezone(ZoneInfo("America/New_York"))
    assert "of 05:30:00 UTC" in judge_schedule("drift", [Execution("Completed", local)], BEGIN).reason


class OfTheLastHours:
    """A CloudWatch that has, as AWS's, nothing by less than a minute where the time asked for begins more than three hours ago."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def get_paginator(self, _: str) -> OfTheLastHours:
        return self

    def paginate(self, **asked: Any) -> Any:
        [query], start = asked["MetricDataQueries"], asked["StartTime"]
        is_kept = query["MetricStat"]["Period"] >= 60 or self._now - start < timedelta(hours=3)
        result = {"Id": query["Id"], "Timestamps": [start] * is_kept, "Values": [5.0] * is_kept}
        yield {"MetricDataResults": [result]}


def test_a_kpi_by_less_than_a_minute_is_still_seen_in_a_bake_of_many_hours() -> None:
    now = BEGIN + timedelta(hours=4)
    kpi = Kpi("refusals", {"m": Metric("Shop", "Refused")}, at_most=1, period_seconds=10)
    variant = {"VariantName": "AllTraffic", "ModelName": "fraud-v1"}
    blue = Blue("fraud-2024", {"ProductionVariants": [variant]}, "AllTraffic", 1.0, 1)
    rollout = Rollout("fraud", "0badcafe", {}, BEGIN, blue, Green(model_name="fraud-v2"), Plan())
    found = read_kpi(OfTheLastHours(now), kpi, rollout, BEGIN, None, now)
    assert [each.green for each in found] == [5.0] + [None] * 238  # the last minute is not final
