"""Application Auto Scaling of endpoint variants: what it keeps, and what it does to the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
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


# Target tracking


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(clock=ManualClock(), policies_act=True)
    yield sandbox
    sandbox.close()


def put_tracking(autoscaling: Any, **more: Any) -> list[str]:
    policy = {"PolicyName": "requests", "PolicyType": "TargetTrackingScaling"}
    configuration = {**REQUESTS, **more}
    answer = autoscaling.put_scaling_policy(TargetTrackingScalingPolicyConfiguration=configuration, **policy, **TARGET)
    return [alarm["AlarmName"] for alarm in answer["Alarms"]]


def invoke(sandbox: Sandbox, runtime: Any, minutes: int, calls: int) -> None:
    """So many calls of blue in each of some minutes."""
    for _ in range(minutes):
        for _ in range(calls):
            runtime.invoke_endpoint(EndpointName="shop", Body=b"1", TargetVariant="blue")
        sandbox.schedule.advance(60)


def test_a_tracking_policy_makes_two_alarms_that_go_with_it(autoscaling: Any, session: InProcessSession) -> None:
    cloudwatch = session.client("cloudwatch")

    def thresholds() -> list[float]:
        found = cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-endpoint/shop/variant/blue-Alarm")
        return [alarm["Threshold"] for alarm in found["MetricAlarms"]]

    names = put_tracking(autoscaling)
    [told] = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in told["Alarms"]] == names
    assert thresholds() == [70.0, 63.0]
    assert len(put_tracking(autoscaling, DisableScaleIn=True)) == 1
    assert thresholds() == [70.0]
    autoscaling.delete_scaling_policy(PolicyName="requests", **TARGET)
    assert thresholds() == []
    put_tracking(autoscaling)
    autoscaling.deregister_scalable_target(**TARGET)
    assert thresholds() == []


def test_the_alarms_of_an_endpoint_that_is_deleted_are_gone(
    autoscaling: Any, sagemaker: Any, session: InProcessSession
) -> None:
    put_tracking(autoscaling)
    sagemaker.delete_endpoint(EndpointName="shop")
    assert session.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_the_load_brings_instances_and_takes_them_away(
    autoscaling: Any, sandbox: Sandbox, sagemaker: Any, runtime: Any
) -> None:
    put_tracking(autoscaling, TargetValue=20.0)
    invoke(sandbox, runtime, 3, calls=200)
    assert status(sagemaker)[1] == 2  # not yet: three minutes must be over it, and be seen
    invoke(sandbox, runtime, 3, calls=200)
    assert status(sagemaker)[1] == 4
    invoke(sandbox, runtime, 30, calls=10)
    assert status(sagemaker) == ("InService", 1)


def test_scaling_in_can_be_left_out(autoscaling: Any, sandbox: Sandbox, sagemaker: Any, runtime: Any) -> None:
    put_tracking(autoscaling, DisableScaleIn=True)
    invoke(sandbox, runtime, 30, calls=1)
    assert status(sagemaker) == ("InService", 2)


def test_a_metric_that_the_sandbox_can_not_follow_is_refused_by_name(autoscaling: Any) -> None:
    kind = {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
        }
    }
    with pytest.raises(ClientError, match="sandbox does not play target tracking of SageMakerVariantConcurrent"):
        put_tracking(autoscaling, **kind)
    assert autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
