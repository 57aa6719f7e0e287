"""Serverless endpoints: their concurrency, what is provisioned of it, and what scales that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect

SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 3, "ProvisionedConcurrency": 2}
VARIANT = {"VariantName": "blue", "ModelName": "m", "ServerlessConfig": SERVERLESS}
TARGET = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/shop/variant/blue"}
PROVISIONED = "sagemaker:variant:DesiredProvisionedConcurrency"
INSTANCES = "sagemaker:variant:DesiredInstanceCount"


class Account:
    """The serverless endpoint ``shop``, whose container asks it again as often as ``depth`` says: so many requests are under way then."""

    def __init__(self) -> None:
        self.depth = 1
        self.sandbox = Sandbox(clock=ManualClock(), host=FunctionHost(self._answer), policies_act=True)
        self.session: InProcessSession = connect(self.sandbox)
        self.sagemaker = self.session.client("sagemaker")
        self.runtime = self.session.client("sagemaker-runtime")
        self.autoscaling = self.session.client("application-autoscaling")
        role = "arn:aws:iam::123456789012:role/r"
        self.sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i:1"}, ExecutionRoleArn=role)
        self.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[VARIANT])
        self.sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="c")
        self.sandbox.schedule.advance(200)

    def _answer(self, model: ModelSpec, body: bytes) -> Reply:
        deeper = int(body) + 1
        if deeper <= self.depth:
            self.invoke(deeper)
        return Reply(200, b"{}")

    def invoke(self, number: int = 1) -> None:
        self.runtime.invoke_endpoint(EndpointName="shop", Body=str(number).encode())

    def change(self, **wish: Any) -> None:
        self.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="shop", DesiredWeightsAndCapacities=[{"VariantName": "blue", **wish}]
        )

    def describe(self) -> tuple[str, dict[str, int], dict[str, int]]:
        endpoint = self.sagemaker.describe_endpoint(EndpointName="shop")
        [variant] = endpoint["ProductionVariants"]
        return endpoint["EndpointStatus"], variant["CurrentServerlessConfig"], variant["DesiredServerlessConfig"]

    def maximum(self, metric: str) -> float | None:
        now = self.sandbox.clock.now()
        dimensions = [{"Name": "EndpointName", "Value": "shop"}, {"Name": "VariantName", "Value": "blue"}]
        asked = {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions}
        points = self.session.client("cloudwatch").get_metric_statistics(
            **asked, StartTime=now - 600, EndTime=now, Period=600, Statistics=["Maximum"]
        )["Datapoints"]
        return max((point["Maximum"] for point in points), default=None)


def test_concurrency_changes_as_instances_do_some_time_after_the_call() -> None:
    account = Account()
    account.change(ServerlessUpdateConfig={"ProvisionedConcurrency": 3})
    wished = {**SERVERLESS, "ProvisionedConcurrency": 3}
    assert account.describe() == ("Updating", SERVERLESS, wished)
    account.sandbox.schedule.advance(200)
    assert account.describe() == ("InService", wished, wished)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"ServerlessUpdateConfig": {"ProvisionedConcurrency": 4}}, "less than or equal to its MaxConcurrency"),
        ({"DesiredInstanceCount": 2}, "has no DesiredInstanceCount"),
    ],
)
def test_what_cannot_be_is_refused(
    wish: dict[str, Any], words: str, refused: Callable[..., tuple[str, str, int]]
) -> None:
    account = Account()
    code, text, _ = refused(lambda: account.change(**wish))
    assert code == "ValidationException"
    assert words in text
    assert account.describe() == ("InService", SERVERLESS, SERVERLESS)


@pytest.mark.parametrize(
    "config",
    [
        {"ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "green"}]},
        {"ProductionVariants": [{**VARIANT, "ServerlessConfig": {**SERVERLESS, "ProvisionedConcurrency": 9}}]},
        {
            "ProductionVariants": [VARIANT],
            "DataCaptureConfig": {
                "EnableCapture": True,
                "InitialSamplingPercentage": 1,
                "DestinationS3Uri": "s3://b",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
        },
    ],
    ids=["two variants", "more than there may be", "captured"],
)
def test_a_config_that_aws_takes_for_no_serverless_endpoint_is_refused(
    config: dict[str, Any], refused: Callable[..., tuple[str, str, int]]
) -> None:
    account = Account()
    refusal = refused(lambda: account.sagemaker.create_endpoint_config(EndpointConfigName="other", **config))
    assert refusal[0] == "ValidationException"


def test_requests_beyond_the_concurrency_are_throttled_and_those_beyond_what_is_provisioned_are_counted() -> None:
    account = Account()
    account.depth = 3
    account.invoke()
    account.sandbox.schedule.advance(180)
    assert account.maximum("ServerlessConcurrentExecutionsUtilization") == 1.0
    assert account.maximum("ServerlessProvisionedConcurrencyExecutions") == 2
    assert account.maximum("ServerlessProvisionedConcurrencyUtilization") == 1.0
    assert account.maximum("ServerlessProvisionedConcurrencySpilloverInvocations") == 1
    account.depth = 4
    with pytest.raises(ClientError, match="ThrottlingException"):
        account.invoke()
    account.depth = 1
    account.invoke()


def test_provisioned_concurrency_scales_within_its_bounds_and_instances_do_not() -> None:
    account = Account()
    bounds = {"MinCapacity": 1, "MaxCapacity": 3}
    with pytest.raises(ClientError, match="ValidationException"):
        account.autoscaling.register_scalable_target(**TARGET, ScalableDimension=INSTANCES, **bounds)
    account.autoscaling.register_scalable_target(**TARGET, ScalableDimension=PROVISIONED, **bounds)
    [told] = account.autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert told["ScalableDimension"] == PROVISIONED
    assert account.sandbox.scaling.scale("shop", "blue", 9)
    account.sandbox.schedule.advance(200)
    assert account.describe()[1]["ProvisionedConcurrency"] == 3


def test_a_policy_follows_how_much_of_it_is_used() -> None:
    account = Account()
    target = {**TARGET, "ScalableDimension": PROVISIONED}
    account.autoscaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3)
    metric = {"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"}
    account.autoscaling.put_scaling_policy(
        PolicyName="use",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 0.6, "PredefinedMetricSpecification": metric},
        **target,
    )
    account.depth = 2
    for _ in range(12):
        account.invoke(2)
        account.invoke(1)
        account.sandbox.schedule.advance(30)
    assert account.describe()[2]["ProvisionedConcurrency"] == 3
