"""What is found under a name of the rollout's is compared by its content before it is used or deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, ENDPOINT, ROLE, USER_ALARM, Lab
from convergence.live_lab import LiveLab

LABS: list[Callable[[], Lab]] = [Lab, LiveLab, GuardrailsLab]
PATIENCE = timedelta(minutes=10)
THEIRS = "theirs-v7"


def put_model(lab: Lab, name: str) -> None:
    container = {"Image": "theirs:7", "ModelDataUrl": "s3://theirs/7.tar.gz"}
    lab.clients.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)


def put_config(lab: Lab, name: str) -> None:
    put_model(lab, THEIRS)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": THEIRS,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    lab.clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def put_alarm(lab: Lab, name: str) -> None:
    lab.clients.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Theirs",
        MetricName="Theirs",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def ends_with(lab: Lab, goal: Goal) -> str:
    """The sentence that a way forward ends with, soon."""
    began = lab.now()
    with pytest.raises(RolloutGaveUp) as caught:
        lab.reach(goal, PATIENCE)
    assert lab.now() - began < timedelta(minutes=5)
    return str(caught.value)


@pytest.mark.parametrize("make", LABS)
def test_a_model_of_greens_name_that_is_not_green_is_neither_used_nor_deleted(make: Callable[[], Lab]) -> None:
    lab = make()
    rollout = lab.plan()
    put_model(lab, lab.names.model)
    reason = ends_with(lab, GreenDeployed(rollout))
    assert (
        f"model {lab.names.model} is another than the rollout's: its Image is 'theirs:7', where green's is 'green:2'"
        in reason
    )
    lab.roll_back()
    kept = lab.clients.sagemaker.describe_model(ModelName=lab.names.model)
    assert kept["PrimaryContainer"]["Image"] == "theirs:7"
    assert lab.describe()["records"] == []


CONFIGS: list[tuple[Callable[[], Lab], str]] = [
    (Lab, "mixed_config"),
    (LiveLab, "final_config"),
    (GuardrailsLab, "final_config"),
]


@pytest.mark.parametrize(("make", "which"), CONFIGS)
def test_a_config_of_the_rollouts_name_that_serves_another_model_is_neither_used_nor_deleted(
    make: Callable[[], Lab], which: str
) -> None:
    lab = make()
    rollout = lab.plan()
    name = getattr(lab.names, which)
    put_config(lab, name)
    reason = ends_with(lab, GreenDeployed(rollout))
    assert f"endpoint config {name} is another than the rollout's: it serves {THEIRS} as AllTraffic" in reason
    lab.roll_back()
    [variant] = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    assert variant["ModelName"] == THEIRS
    assert lab.describe()["records"] == []


def test_a_config_that_serves_green_but_not_as_blue_is_served_is_not_promoted_to() -> None:
    lab = Lab()
    lab.run(until=7)
    variant = {
        "VariantName": lab.names.variant,
        "ModelName": lab.names.model,
        "InitialInstanceCount": 4,
        "InstanceType": "ml.m5.xlarge",
    }
    lab.clients.sagemaker.create_endpoint_config(
        EndpointConfigName=lab.names.final_config, ProductionVariants=[variant]
    )
    assert "its DataCaptureConfig is not blue's" in ends_with(lab, OnlyGreen())
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_config_of_blues_name_that_was_made_anew_is_no_way_back_and_that_is_said() -> None:
    lab = Lab()
    lab.run(until=3)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    put_config(lab, BLUE_CONFIG)
    with pytest.raises(
        RolloutError, match=f"endpoint config {BLUE_CONFIG} is another than the rollout's: it is not what"
    ):
        lab.roll_back()
    [blue, green] = lab.describe_endpoint(ENDPOINT)["ProductionVariants"]
    assert (blue["VariantName"], green["CurrentWeight"]) == ("AllTraffic", 0.0)


@pytest.mark.parametrize("make", LABS)
def test_somebodys_alarm_of_the_rollouts_name_is_neither_overwritten_nor_deleted(make: Callable[[], Lab]) -> None:
    lab = make()
    rollout = lab.plan()
    put_alarm(lab, lab.names.error_alarm)
    assert f"alarm {lab.names.error_alarm} is another than the rollout's" in ends_with(lab, GreenDeployed(rollout))
    lab.roll_back()
    [kept] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[lab.names.error_alarm])["MetricAlarms"]
    assert kept["Namespace"] == "Theirs"


def with_alarms(lab: Lab, defaults: AlarmDefaults) -> Rollout:
    green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
    plan = Plan(lab.strategy, alarms=(USER_ALARM,), default_alarms=defaults)
    return plan_rollout(lab.clients, lab.names, {"run_id": "run"}, green, plan, lab.now())


def test_alarms_of_a_plan_before_are_put_right_and_deleted_at_the_end() -> None:
    """The DAG run was cleared and planned anew with other numbers, and its alarms had been left behind."""
    lab = Lab()
    lab.reach(GreenDeployed(with_alarms(lab, AlarmDefaults(max_error_percent=50))))
    [left] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[lab.names.error_alarm])["MetricAlarms"]
    lab.roll_back()
    told = ("AlarmName", "Metrics", "Threshold", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator")
    lab.clients.cloudwatch.put_metric_alarm(**{member: left[member] for member in told}, TreatMissingData="missing")
    lab.reach(GreenDeployed(with_alarms(lab, AlarmDefaults(max_error_percent=7))))
    [put] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[lab.names.error_alarm])["MetricAlarms"]
    assert (left["Threshold"], put["Threshold"]) == (50, 7)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_what_an_earlier_try_has_made_is_found_and_used() -> None:
    lab = Lab()
    rollout = lab.plan()
    lab.reach(GreenDeployed(rollout))
    made = lab.clients.sagemaker.describe_model(ModelName=lab.names.model)["CreationTime"]
    lab.reach(GreenDeployed(replace(rollout)))
    lab.reach(GreenShare(10))
    assert lab.clients.sagemaker.describe_model(ModelName=lab.names.model)["CreationTime"] == made
