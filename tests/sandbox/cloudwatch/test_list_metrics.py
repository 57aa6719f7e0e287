"""ListMetrics as boto3 meets it: what the filters mean, pages, and how long a metric is listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.inprocess import connect

DAY = 86_400


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(clock=ManualClock())
    yield sandbox
    sandbox.close()


def record(sandbox: Sandbox, metric: str, **dimensions: str) -> None:
    now = sandbox.clock.now()
    sandbox.cloudwatch.record("AWS/SageMaker", metric, dimensions, 1.0, "None", now, now)


def listed(sandbox: Sandbox, **asked: Any) -> list[tuple[str, dict[str, str]]]:
    pages = connect(sandbox).client("cloudwatch").get_paginator("list_metrics").paginate(**asked)
    return [
        (each["MetricName"], {named["Name"]: named["Value"] for named in each["Dimensions"]})
        for page in pages
        for each in page["Metrics"]
    ]


def test_a_filter_asks_for_a_dimension_or_for_its_value_and_lets_others_be(sandbox: Sandbox) -> None:
    plain, by_config = {"EndpointName": "e", "VariantName": "v"}, {"EndpointConfigName": "c"}
    record(sandbox, "Invocations", **plain)
    record(sandbox, "Invocations", **plain, **by_config)
    record(sandbox, "Invocations", EndpointName="other", VariantName="v")
    record(sandbox, "ModelLatency", **plain)
    of_endpoint = [{"Name": "EndpointName", "Value": "e"}]
    asked = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations"}
    assert listed(sandbox, **asked, Dimensions=of_endpoint) == [
        ("Invocations", plain),
        ("Invocations", {**by_config, **plain}),
    ]
    assert listed(sandbox, Dimensions=[*of_endpoint, {"Name": "EndpointConfigName"}]) == [
        ("Invocations", {**by_config, **plain})
    ]
    assert len(listed(sandbox, Dimensions=[{"Name": "VariantName"}])) == 4
    assert listed(sandbox, Dimensions=[{"Name": "EndpointName", "Value": "E"}]) == []
    assert listed(sandbox, Namespace="AWS/Sage") == []


def test_all_pages_hold_each_metric_once(sandbox: Sandbox) -> None:
    for number in range(1201):
        record(sandbox, "Invocations", EndpointName="e", VariantName=f"v{number:04}")
    pages = list(connect(sandbox).client("cloudwatch").get_paginator("list_metrics").paginate())
    assert [len(page["Metrics"]) for page in pages] == [500, 500, 201]
    assert len({named["VariantName"] for _, named in listed(sandbox)}) == 1201


def test_a_metric_is_listed_for_two_weeks_and_recently_for_three_hours(sandbox: Sandbox) -> None:
    record(sandbox, "Invocations", EndpointName="e")
    sandbox.schedule.advance(3 * 3600)
    assert len(listed(sandbox, RecentlyActive="PT3H")) == 1
    sandbox.schedule.advance(60)
    assert listed(sandbox, RecentlyActive="PT3H") == []
    sandbox.schedule.advance(14 * DAY - 3 * 3600 - 60)
    assert len(listed(sandbox)) == 1
    sandbox.schedule.advance(60)
    assert listed(sandbox) == []


def test_no_other_time_can_be_asked_for(sandbox: Sandbox) -> None:
    with pytest.raises(ClientError) as refused:
        connect(sandbox).client("cloudwatch").list_metrics(RecentlyActive="PT6H")
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
