"""Autoscaling rests while a rollout runs; afterwards green scales as blue did, or blue as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, OnlyGreen, Wait
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUES_TARGET, ENDPOINT, POLICIES, SCALES, Killed, Lab
from convergence.live_lab import LiveLab, deleting_blue, second_rollout, step
from convergence.test_drift import other_variant, same_variant
from convergence.test_exits import scale


def act(lab: Lab, count: int, variant: str = "AllTraffic", endpoint: str = ENDPOINT) -> bool:
    """Autoscaling wants a variant to have that many instances."""
    return lab.sandbox.scaling.scale(endpoint, variant, count)


def is_suspended(lab: Lab) -> bool:
    [target] = lab.clients.autoscaling.describe_scalable_targets(ResourceIds=[BLUES_TARGET], **SCALES)[
        "ScalableTargets"
    ]
    return all(target["SuspendedState"].values())


def killed_after(lab: Lab, operation: str, reach: Callable[[], object], time: int = 1) -> None:
    """The process dies right after its call number ``time`` of that operation."""
    seen = 0

    def hook(service: str, called: str, phase: str) -> None:
        nonlocal seen
        seen += (called, phase) == (operation, "after")
        if seen == time:
            lab.hook = None
            raise Killed

    lab.hook = hook
    with pytest.raises(Killed):
        reach()


def until_promotion(lab: Lab) -> None:
    lab.run(until=3 if isinstance(lab, LiveLab) else 7)


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_blue_is_not_scaled_while_the_rollout_runs(make: Callable[[], Lab]) -> None:
    lab = make()
    assert not is_suspended(lab)
    lab.run(until=1)
    assert is_suspended(lab)
    until_promotion(lab)
    assert not act(lab, 2)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert act(lab, 2)


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_scaling_rests_before_green_is_made(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run(until=1)
    effects = [call.split(":")[1] for call in lab.calls]
    assert effects.index("RegisterScalableTarget") < effects.index("CreateModel")


@pytest.mark.parametrize("make", [Lab, LiveLab, deleting_blue, second_rollout])
def test_green_scales_as_blue_did_once_it_is_promoted(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert act(lab, 6, lab.green_place[1], lab.green_place[0])


@pytest.mark.parametrize(
    ("make", "denied"), [(Lab, "DeleteEndpointConfig"), (LiveLab, "DeleteEndpointConfig"), (LiveLab, "DeleteEndpoint")]
)
def test_blue_scales_again_even_where_what_is_left_must_not_be_deleted(make: Callable[[], Lab], denied: str) -> None:
    lab = make()
    lab.run(until=2)
    lab.roll_back_denied(denied)
    assert act(lab, 6)


def test_a_blue_that_is_kept_scales_again_even_where_what_is_left_must_not_be_deleted() -> None:
    lab = LiveLab()
    until_promotion(lab)
    lab.sandbox.faults.add(Fault("denied", "DeleteAlarms"))
    with pytest.raises(RolloutGaveUp, match="AccessDenied"):
        lab.reach(OnlyGreen())
    assert act(lab, 6)


def test_blue_scales_again_while_green_keeps_the_rollback_waiting() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("bad_ping"))
    with pytest.raises(DeadlinePassed):
        lab.reach(GreenDeployed(lab.plan()), patience=timedelta(minutes=5))
    assert is_suspended(lab)
    assert isinstance(step(lab, AsBefore()), Wait)
    assert lab.describe()["scaling"] == lab.before["scaling"]
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_kept_blue_whose_variant_somebody_else_has_replaced_does_not_hold_up_the_promotion() -> None:
    lab = LiveLab()
    until_promotion(lab)
    other_variant(lab)
    lab.reach(OnlyGreen())
    assert lab.live() == lab.names.green_endpoint
    assert BLUES_TARGET not in lab.describe()["scaling"]
    assert lab.describe()["records"] == []


@pytest.mark.parametrize("change", [same_variant, other_variant])
def test_a_rollback_over_which_somebody_else_has_changed_blue_leaves_its_scaling_alone(
    change: Callable[[Lab], None],
) -> None:
    lab = LiveLab()
    lab.run(until=2)
    change(lab)
    theirs = lab.describe()["scaling"]
    with pytest.raises(RolloutGaveUp, match="somebody else changed blue's endpoint"):
        lab.roll_back()
    assert lab.describe()["scaling"].get(BLUES_TARGET) == theirs.get(BLUES_TARGET)


def test_an_endpoint_that_somebodys_scaling_makes_busy_is_waited_for() -> None:
    lab = Lab()
    rollout = lab.plan()
    write_record(lab.clients.ssm, rollout, overwrite=False)
    assert act(lab, 6)  # in the moment before it is suspended
    lab.reach(GreenDeployed(rollout))
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [Lab, LiveLab])
@pytest.mark.parametrize("suspended", [True, False])
def test_a_target_that_was_suspended_before_is_so_again(make: Callable[[], Lab], suspended: bool) -> None:
    lab = make()
    states = dict.fromkeys(("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"))
    lab.clients.autoscaling.register_scalable_target(
        ResourceId=BLUES_TARGET, SuspendedState=dict.fromkeys(states, suspended), **SCALES
    )
    lab.before = lab.describe()
    lab.run(until=2)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_a_target_that_somebody_deregistered_meanwhile_comes_back_with_its_policies(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run(until=2)
    lab.clients.autoscaling.deregister_scalable_target(ResourceId=BLUES_TARGET, **SCALES)
    killed_after(lab, "PutScalingPolicy", lab.roll_back)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [Lab, LiveLab, GuardrailsLab])
def test_a_policy_that_somebody_changed_meanwhile_is_as_before(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run(until=2)
    lab.clients.autoscaling.put_scaling_policy(
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        ResourceId=BLUES_TARGET,
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 5.0, **POLICIES["requests"]},
        **SCALES,
    )
    assert lab.describe()["scaling"] != lab.before["scaling"]
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_denied_delete_does_not_keep_blue_from_scaling_as_before() -> None:
    lab = GuardrailsLab()
    lab.run(until=2)
    lab.clients.autoscaling.put_scaling_policy(
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        ResourceId=BLUES_TARGET,
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 5.0, **POLICIES["requests"]},
        **SCALES,
    )
    lab.sandbox.faults.add(Fault("denied", "DeleteEndpointConfig", times=10_000))
    with pytest.raises(RolloutGaveUp, match="DeleteEndpointConfig"):
        lab.roll_back()
    assert lab.describe()["scaling"] == lab.before["scaling"]


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_a_rollback_after_green_scales_takes_that_away_and_gives_it_back_to_blue(make: Callable[[], Lab]) -> None:
    lab = make()
    until_promotion(lab)
    killed_after(lab, "PutScalingPolicy", lambda: lab.reach(OnlyGreen()))
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_what_autoscaling_does_once_it_is_blues_again_is_left_alone(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run(until=2)
    killed_after(lab, "RegisterScalableTarget", lab.roll_back)
    assert act(lab, 6)
    lab.pass_time(200)
    lab.roll_back()
    [variant] = lab.describe_endpoint(ENDPOINT)["ProductionVariants"]
    assert variant["DesiredInstanceCount"] == 6
    assert lab.describe()["scaling"] == lab.before["scaling"]
    assert lab.describe()["records"] == []


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_instances_that_somebody_changed_while_scaling_rested_come_back(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run(until=2)
    scale(lab, "AllTraffic", 6)
    lab.roll_back()
    assert lab.describe() == lab.before


def step_policy(lab: Lab) -> None:
    adjustment = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    lab.clients.autoscaling.put_scaling_policy(
        PolicyName="by-alarm",
        PolicyType="StepScaling",
        ResourceId=BLUES_TARGET,
        StepScalingPolicyConfiguration={"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [adjustment]},
        **SCALES,
    )


def nightly(lab: Lab) -> None:
    lab.clients.autoscaling.put_scheduled_action(
        ScheduledActionName="nightly",
        Schedule="cron(0 22 * * ? *)",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 2},
        ResourceId=BLUES_TARGET,
        **SCALES,
    )


@pytest.mark.parametrize(
    ("add", "words"), [(step_policy, "by-alarm is of type StepScaling"), (nightly, r"scheduled scaling \(nightly\)")]
)
@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_scaling_that_green_could_not_have_is_refused_with_the_way_out(
    make: Callable[[], Lab], add: Callable[[Lab], None], words: str
) -> None:
    lab = make()
    add(lab)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match=f"{words}.*before the rollout"):
        lab.plan()
    assert lab.describe() == before


def test_blue_gets_back_what_it_had_at_least_though_it_scales_by_itself() -> None:
    lab = Lab()
    write_record(lab.clients.ssm, lab.plan(), overwrite=False)  # killed before anything was suspended
    assert act(lab, 2)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_record_holds_how_blue_scales() -> None:
    lab = Lab()
    rollout: Any = lab.plan()
    write_record(lab.clients.ssm, rollout, overwrite=False)
    read = read_record(lab.clients.ssm, ENDPOINT)
    assert read == rollout
    assert read is not None
    assert [policy["PolicyName"] for policy in read.blue.scaling.policies] == ["requests", "cpu"]  # type: ignore[union-attr]


def test_an_endpoint_that_does_not_scale_is_asked_for_its_scaling_once() -> None:
    lab = Lab()
    lab.clients.autoscaling.deregister_scalable_target(ResourceId=BLUES_TARGET, **SCALES)
    lab.before = lab.describe()
    lab.calls.clear()
    lab.run()
    assert [call for call in lab.calls if call.startswith("application")] == [
        "application-autoscaling:DescribeScalableTargets"
    ]
    assert lab.describe()["scaling"] == {}


def test_a_green_of_another_type_is_refused_where_sagemaker_shifts_a_variant_that_scales() -> None:
    lab = GuardrailsLab()
    plan, green = Plan(lab.strategy, traffic="guardrails"), replace(lab.plan().green, instance_type="ml.c5.xlarge")
    with pytest.raises(RolloutRefused, match=r"scalable target.*instance type.*traffic='variants'"):
        plan_rollout(lab.clients, lab.names, {}, green, plan, lab.now())


def test_a_green_of_another_type_scales_as_blue_did_by_the_other_ways() -> None:
    lab = Lab()
    rollout = lab.plan()
    lab.reach(GreenDeployed(replace(rollout, green=Green(model_name="fraud-v1", instance_type="ml.c5.xlarge"))))
    for task in lab.tasks()[1:]:
        task()
    assert act(lab, 6, lab.names.variant)
