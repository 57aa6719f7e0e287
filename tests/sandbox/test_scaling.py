"""Application Auto Scaling of endpoint variants: what it keeps, and what it does to the endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.inprocess import InProcessSession

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/shop/variant/blue",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
REQUESTS = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


@pytest.fixture
def autoscaling(session: InProcessSession, sandbox: Sandbox, sagemaker: Any) -> Any:
    """A client, and the endpoint ``shop`` with two variants, ``blue`` registered from 1 to 4 instances."""
    sagemaker.create_model(
        ModelName="m", PrimaryContainer={"Image": "i:1"}, ExecutionRoleArn="arn:aws:iam::123456789012:role/r"
    )
    put_config(sagemaker, "both", {"blue": "ml.m5.large", "green": "ml.m5.large"})
    sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="both")
    sandbox.schedule.advance(200)
    client = session.client("application-autoscaling")
    client.register_scalable_target(MinCapacity=1, MaxCapacity=4, **TARGET)
    return client


def put_config(sagemaker: Any, name: str, types: dict[str, str]) -> None:
    variants = [
        {"VariantName": variant, "ModelName": "m", "InitialInstanceCount": 2, "InstanceType": type_}
        for variant, type_ in types.items()
    ]
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)


def targets(autoscaling: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return found


def status(sagemaker: Any) -> tuple[str, int]:
    endpoint = sagemaker.describe_endpoint(EndpointName="shop")
    return endpoint["EndpointStatus"], endpoint["ProductionVariants"][0]["DesiredInstanceCount"]


def test_an_activity_makes_the_endpoint_busy_and_stays_within_bounds(
    autoscaling: Any, sandbox: Sandbox, sagemaker: Any
) -> None:
    assert sandbox.scaling.scale("shop", "blue", 9)
    assert status(sagemaker) == ("Updating", 4)
    assert not sandbox.scaling.scale("shop", "blue", 1)
    sandbox.schedule.advance(200)
    assert status(sagemaker) == ("InService", 4)


@pytest.mark.parametrize(("member", "count"), [("DynamicScalingInSuspended", 1), ("DynamicScalingOutSuspended", 3)])
def test_what_is_suspended_does_not_happen_and_the_rest_does(
    autoscaling: Any, sandbox: Sandbox, member: str, count: int
) -> None:
    autoscaling.register_scalable_target(SuspendedState={member: True}, **TARGET)
    [target] = targets(autoscaling)
    assert (target["MinCapacity"], target["MaxCapacity"], target["SuspendedState"][member]) == (1, 4, True)
    assert not sandbox.scaling.scale("shop", "blue", count)
    assert sandbox.scaling.scale("shop", "blue", 4 - count)


def test_an_activity_over_quota_fails_by_itself(autoscaling: Any, sandbox: Sandbox, sagemaker: Any) -> None:
    before = status(sagemaker)
    sandbox.faults.add(Fault("quota"))
    assert not sandbox.scaling.scale("shop", "blue", 4)
    assert status(sagemaker) == before


def test_bounds_that_the_capacity_is_out_of_change_it_at_once(autoscaling: Any, sagemaker: Any) -> None:
    autoscaling.register_scalable_target(MinCapacity=3, MaxCapacity=4, **TARGET)
    assert status(sagemaker) == ("Updating", 3)


@pytest.mark.parametrize("types", [{"green": "ml.m5.large"}, {"blue": "ml.c5.large", "green": "ml.m5.large"}])
def test_a_registered_variant_can_neither_be_removed_nor_retyped(
    autoscaling: Any, sagemaker: Any, refused: Callable[..., tuple[str, str, int]], types: dict[str, str]
) -> None:
    put_config(sagemaker, "other", types)
    update = lambda: sagemaker.update_endpoint(EndpointName="shop", EndpointConfigName="other")  # noqa: E731
    code, text, _ = refused(update)
    assert (code, text.partition("]")[0]) == ("ValidationException", 'The variant(s) "[blue')
    autoscaling.deregister_scalable_target(**TARGET)
    update()


def test_policies_and_schedules_are_kept_and_go_with_their_target(autoscaling: Any) -> None:
    policy = {"PolicyName": "requests", "PolicyType": "TargetTrackingScaling"}
    autoscaling.put_scaling_policy(TargetTrackingScalingPolicyConfiguration=REQUESTS, **policy, **TARGET)
    autoscaling.put_scheduled_action(ScheduledActionName="night", Schedule="rate(1 day)", **TARGET)
    [told] = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert told["TargetTrackingScalingPolicyConfiguration"] == REQUESTS
    [action] = autoscaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert action["Schedule"] == "rate(1 day)"
    autoscaling.delete_scaling_policy(PolicyName="requests", **TARGET)
    autoscaling.delete_scheduled_action(ScheduledActionName="night", **TARGET)
    assert autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []


def test_a_deleted_endpoint_takes_its_targets_with_it(autoscaling: Any, sagemaker: Any) -> None:
    sagemaker.delete_endpoint(EndpointName="shop")
    assert targets(autoscaling) == []


def test_what_is_not_there_is_refused_as_aws_does(
    autoscaling: Any, refused: Callable[..., tuple[str, str, int]]
) -> None:
    other = {**TARGET, "ResourceId": "endpoint/shop/variant/green"}
    assert refused(lambda: autoscaling.deregister_scalable_target(**other))[0] == "ObjectNotFoundException"
    nowhere = {**TARGET, "ResourceId": "endpoint/shop/variant/none"}
    assert (
        refused(lambda: autoscaling.register_scalable_target(MinCapacity=1, MaxCapacity=2, **nowhere))[0]
        == "ValidationException"
    )
    assert refused(lambda: autoscaling.register_scalable_target(MaxCapacity=2, **other))[0] == "ValidationException"
