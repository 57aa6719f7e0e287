from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.deployment_config import deployment_config, longest_run, why_too_few, why_unsuited
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, canary, linear
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout


def policy_of(strategy: Strategy, instances: int = 10) -> dict[str, Any]:
    return dict(deployment_config(strategy, ["a", "b"], instances)["BlueGreenUpdatePolicy"])


def test_a_canary_is_its_first_step_in_whole_instances_and_two_waits() -> None:
    policy = policy_of(canary([25, 100], [120, 600]))
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 120,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 2},
    }
    assert policy["TerminationWaitInSeconds"] == 600


def test_linear_is_its_step_in_whole_instances() -> None:
    routing = policy_of(linear(30, 60))["TrafficRoutingConfiguration"]
    assert routing["LinearStepSize"] == {"Type": "INSTANCE_COUNT", "Value": 3}
    assert (routing["Type"], routing["WaitIntervalInSeconds"]) == ("LINEAR", 60)


def test_blue_green_is_all_at_once_with_its_bake_behind_it() -> None:
    policy = policy_of(blue_green(1800))
    assert policy["TrafficRoutingConfiguration"] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    assert policy["TerminationWaitInSeconds"] == 1800


def test_every_alarm_is_named() -> None:
    config = deployment_config(blue_green(60), ["a", "b"], 1)
    assert config["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}


@given(step=st.integers(1, 50), instances=st.integers(1, 60))
def test_a_canarys_real_share_is_never_above_the_plans(step: int, instances: int) -> None:
    strategy = canary([step, 100], 60)
    if not why_too_few(strategy, instances):
        count = policy_of(strategy, instances)["TrafficRoutingConfiguration"]["CanarySize"]["Value"]
        assert 1 <= count <= instances * step / 100


@given(step=st.integers(10, 50), instances=st.integers(1, 60))
def test_a_linear_step_is_within_sagemakers_limits(step: int, instances: int) -> None:
    strategy = linear(step, 60)
    if len(strategy.steps) > 2 and not why_too_few(strategy, instances):
        count = policy_of(strategy, instances)["TrafficRoutingConfiguration"]["LinearStepSize"]["Value"]
        assert 10 <= 100 * count / instances <= step


@given(strategy=st.sampled_from([canary([25, 100], 3600), linear(10, 60), blue_green(0)]))
def test_the_execution_time_is_within_sagemakers_limits_and_above_all_waits(strategy: Strategy) -> None:
    most = policy_of(strategy)["MaximumExecutionTimeoutInSeconds"]
    assert 600 <= most <= 28_800
    assert most > strategy.minimum_duration.total_seconds()
    assert timedelta(seconds=most) == longest_run(strategy)


def plan(strategy: Strategy | None, **members: Any) -> Plan:
    return Plan(strategy, traffic="guardrails", **members)


@pytest.mark.parametrize(
    ("wrong", "option", "words"),
    [
        (plan(None), "strategy", "since SageMaker runs all of it"),
        (plan(canary([10, 50, 100], 60)), "steps", "a canary of two steps"),
        (plan(canary([60, 100], 60)), "steps", "at most 50 %"),
        (plan(canary([10, 20, 40, 100], 60)), "steps", "equal steps"),
        (plan(linear(5, 60)), "step", "equal steps of 10 to 50 %"),
        (plan(linear(60, 60)), "step", "at most 50 %"),
        (plan(canary([25, 100], [60, 3601])), "bake", "at most 3600 s each"),
        (plan(linear(25, 3601)), "interval", "at most 3600 s each"),
        (plan(canary([25, 50, 75, 100], [60, 90, 60, 60])), "bake", "one wait between all steps"),
        (plan(linear(10, 3000)), "interval", "25200 s all in all"),
        (plan(blue_green(60), default_alarms=None), "alarms", "at least one"),
        (plan(blue_green(60), alarms=tuple("abcdefghi")), "alarms", "at most 8"),
        (plan(blue_green(60), alarms=tuple("abcdefghijk"), default_alarms=None), "alarms", "at most 10"),
    ],
)
def test_what_sagemaker_cant_do_is_refused_naming_the_option(wrong: Plan, option: str, words: str) -> None:
    with pytest.raises(PlanError, match=re.escape(words)) as caught:
        validate_plan(wrong)
    assert caught.value.option == option


@pytest.mark.parametrize(
    "possible",
    [
        plan(canary([25, 100], [3600, 0])),
        plan(canary([25, 50, 75, 100], 60)),
        plan(linear(30, 60)),
        plan(linear(10, 900)),
        plan(linear(50, 3600)),
        plan(blue_green(3600), alarms=tuple("abcdefgh")),
        plan(blue_green(0), alarms=("mine",), default_alarms=None),
    ],
)
def test_what_sagemaker_can_do_is_let_through(possible: Plan) -> None:
    validate_plan(possible)


@pytest.mark.parametrize(
    ("strategy", "instances", "words"),
    [
        (canary([10, 100], 60), 9, "11.11 % is the least"),
        (canary([50, 100], 60), 1, "all at once is all it can do"),
        (linear(10, 60), 15, "13.33 % is the least"),
        (linear(10, 60), 10, ""),
        (canary([10, 100], 60), 10, ""),
        (blue_green(60), 1, ""),
    ],
)
def test_a_fleet_too_small_for_a_step_is_refused_with_the_least_one(
    strategy: Strategy, instances: int, words: str
) -> None:
    told = why_too_few(strategy, instances)
    assert words in told
    assert bool(words) == bool(told)


def rollout(instance_type: str) -> Rollout:
    entry = {"VariantName": "AllTraffic", "ModelName": "v1", "InitialInstanceCount": 4, "InstanceType": instance_type}
    blue = Blue("blue", {"ProductionVariants": [entry]}, "AllTraffic", 1.0, 4)
    started = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Rollout("fraud", "12345678", {}, started, blue, Green(model_name="v2"), plan(blue_green(60)))


def test_inf1_instances_are_refused_on_either_side() -> None:
    assert "ml.inf1.xlarge" in why_unsuited(rollout("ml.inf1.xlarge"))
    assert why_unsuited(rollout("ml.inf2.xlarge")) == ""
    green = replace(rollout("ml.m5.large"), green=Green(model_name="v2", instance_type="ml.inf1.2xlarge"))
    assert "ml.inf1.2xlarge" in why_unsuited(green)
