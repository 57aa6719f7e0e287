"""aioboto3, which the amazon provider's triggers are written with, too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import aioboto3
from botocore.exceptions import ClientError

from told import ASKED, IMAGE, MODEL_DATA, NAME, ROLE, equal, step, variants

SESSION = aioboto3.Session()
SOON = {"Delay": 1, "MaxAttempts": 120}
Deed = Callable[[Any], Awaitable[None]]


async def deploy(sagemaker: Any) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": MODEL_DATA}
    await sagemaker.create_model(ModelName=f"{NAME}-model", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    await sagemaker.create_endpoint_config(**variants(f"{NAME}-1", [("blue", 1)]))
    await sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-1")
    await in_service(sagemaker)


async def in_service(sagemaker: Any) -> None:
    await sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig=SOON)


async def invoke(runtime: Any) -> None:
    async def once() -> tuple[str, bytes]:
        told = await runtime.invoke_endpoint(EndpointName=NAME, ContentType="application/json", Body=ASKED)
        async with told["Body"] as body:
            return told["InvokedProductionVariant"], await body.read()

    equal(set(await asyncio.gather(*(once() for _ in range(50)))), {("blue", b"{}")})


async def refused(sagemaker: Any) -> None:
    try:
        await sagemaker.describe_endpoint(EndpointName="nobody")
    except ClientError as error:
        equal(error.response["Error"]["Code"], "ValidationException")
    else:
        raise AssertionError("it was not refused")


async def update(sagemaker: Any) -> None:
    await sagemaker.create_endpoint_config(**variants(f"{NAME}-2", [("blue", 9), ("green", 1)]))
    await sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-2")
    await in_service(sagemaker)
    equal((await sagemaker.describe_endpoint(EndpointName=NAME))["EndpointConfigName"], f"{NAME}-2")


async def weights(sagemaker: Any) -> None:
    wished = [{"VariantName": "green", "DesiredWeight": 9}]
    await sagemaker.update_endpoint_weights_and_capacities(EndpointName=NAME, DesiredWeightsAndCapacities=wished)
    await in_service(sagemaker)
    now = (await sagemaker.describe_endpoint(EndpointName=NAME))["ProductionVariants"]
    equal({variant["VariantName"]: variant["CurrentWeight"] for variant in now}, {"blue": 9.0, "green": 9.0})


async def lists(sagemaker: Any) -> None:
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(
        NameContains=f"{NAME}-", PaginationConfig={"PageSize": 1}
    )
    found = [entry["EndpointConfigName"] async for page in pages for entry in page["EndpointConfigs"]]
    equal(sorted(found), [f"{NAME}-1", f"{NAME}-2"])


async def metrics(cloudwatch: Any) -> None:
    dimensions = [{"Name": "EndpointName", "Value": NAME}, {"Name": "VariantName", "Value": "blue"}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations", "Dimensions": dimensions}
    query = {"Id": "calls", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    for _ in range(100):
        now = datetime.now(timezone.utc)
        found = await cloudwatch.get_metric_data(
            MetricDataQueries=[query], StartTime=now - timedelta(hours=1), EndTime=now
        )
        if sum(found["MetricDataResults"][0]["Values"]) == 50:
            return
        await asyncio.sleep(1)
    raise AssertionError(f"not 50 Invocations after 100 s, but {found['MetricDataResults']}")


async def alarm(cloudwatch: Any) -> None:
    await cloudwatch.put_metric_alarm(
        AlarmName=NAME,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": NAME}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    await cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="ALARM", StateReason="a test")
    equal((await cloudwatch.describe_alarms(AlarmNames=[NAME]))["MetricAlarms"][0]["Threshold"], 1.0)
    history = await cloudwatch.describe_alarm_history(AlarmName=NAME, HistoryItemType="StateUpdate")
    assert any("to ALARM" in item["HistorySummary"] for item in history["AlarmHistoryItems"]), history
    await cloudwatch.delete_alarms(AlarmNames=[NAME])
    equal((await cloudwatch.describe_alarms(AlarmNames=[NAME]))["MetricAlarms"], [])


async def delete(sagemaker: Any) -> None:
    await sagemaker.delete_endpoint(EndpointName=NAME)
    await sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig=SOON)
    for name in (f"{NAME}-1", f"{NAME}-2"):
        await sagemaker.delete_endpoint_config(EndpointConfigName=name)
    await sagemaker.delete_model(ModelName=f"{NAME}-model")


async def with_client(service: str, deed: Deed) -> None:
    async with SESSION.client(service) as client:
        await deed(client)


STEPS: tuple[tuple[Deed, str], ...] = (
    (deploy, "sagemaker"),
    (invoke, "sagemaker-runtime"),
    (refused, "sagemaker"),
    (update, "sagemaker"),
    (weights, "sagemaker"),
    (lists, "sagemaker"),
    (metrics, "cloudwatch"),
    (alarm, "cloudwatch"),
    (delete, "sagemaker"),
)

if __name__ == "__main__":
    for deed, service in STEPS:
        step(deed.__name__, lambda service=service, deed=deed: asyncio.run(with_client(service, deed)))
