"""A component's rolling update, built from the same strategies, and what of them it can't be."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, canary, linear
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rolling_update import (
    deployment,
    deployment_back,
    is_of,
    longest_run,
    specification,
    why_too_few,
    why_unsuited,
)
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout

ALONE = Evidence(tolerances=None)
BLUE = Blue(
    "wine-v1",
    {
        "EndpointName": "shared",
        "ProductionVariants": [
            {
                "VariantName": "all",
                "ModelName": "wine-v1",
                "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512},
            }
        ],
    },
    "all",
    1.0,
    8,
)


def plan(strategy: Strategy | None, evidence: Evidence = ALONE, **members: Any) -> Plan:
    return Plan(strategy, traffic="components", evidence=evidence, **members)


ROLLOUT = Rollout(
    "wine",
    "12345678",
    {},
    datetime(2026, 7, 1, tzinfo=timezone.utc),
    BLUE,
    Green(model_name="v2"),
    plan(linear(25, 600)),
)


@given(step=st.integers(5, 50), copies=st.integers(1, 100), wait=st.integers(0, 600))
def test_a_batch_is_within_sagemakers_limits_and_never_above_the_plans_step(step: int, copies: int, wait: int) -> None:
    strategy = linear(step, wait)
    if why_too_few(strategy, copies):
        return
    policy = deployment(strategy, ["a"], copies)["RollingUpdatePolicy"]
    batch = policy["MaximumBatchSize"]["Value"]
    assert 5 <= 100 * batch / copies <= step <= 50
    assert policy["RollbackMaximumBatchSize"] == policy["MaximumBatchSize"]
    assert policy["WaitIntervalInSeconds"] == wait
    assert 600 <= policy["MaximumExecutionTimeoutInSeconds"] <= 28_800


def test_every_alarm_is_named_and_by_its_own_one_the_rollout_knows_its_update() -> None:
    by = deployment(linear(25, 600), ["a", ROLLOUT.names.verdict_alarm], 8)
    assert by["AutoRollbackConfiguration"] == {
        "Alarms": [{"AlarmName": "a"}, {"AlarmName": ROLLOUT.names.verdict_alarm}]
    }
    assert is_of(ROLLOUT, by)
    back = deployment_back(ROLLOUT, 8)
    assert back is not None
    assert not is_of(ROLLOUT, back)
    assert not is_of(ROLLOUT, {})


def test_the_way_back_takes_the_batches_of_the_way_here_without_a_wait() -> None:
    back = deployment_back(ROLLOUT, 8)
    assert back is not None
    assert back["RollingUpdatePolicy"]["MaximumBatchSize"] == {"Type": "COPY_COUNT", "Value": 2}
    assert back["RollingUpdatePolicy"]["WaitIntervalInSeconds"] == 0
    assert deployment_back(ROLLOUT, 1) is None


def test_an_update_may_take_half_an_hour_for_each_batch_besides_its_wait() -> None:
    assert longest_run(linear(50, 600)) == 2 * timedelta(minutes=40)
    assert longest_run(linear(5, 600)) == timedelta(seconds=28_800)


def test_green_runs_what_blue_runs_but_for_the_model() -> None:
    assert specification(ROLLOUT) == {
        "ModelName": "v2",
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512},
    }


@pytest.mark.parametrize(
    ("wrong", "option", "words"),
    [
        (plan(None), "strategy", "since SageMaker runs all of it"),
        (plan(canary([10, 100], 60)), "steps", "equal steps of 5 to 50 %"),
        (plan(canary([10, 50, 100], 60)), "steps", "batches of one size"),
        (plan(canary([60, 100], 60)), "steps", "equal steps of 5 to 50 %"),
        (plan(linear(4, 60)), "step", "equal steps of 5 to 50 %"),
        (plan(linear(60, 60)), "step", "equal steps of 5 to 50 %"),
        (plan(blue_green(60)), "strategy", "equal steps of 5 to 50 %"),
        (plan(canary([50, 100], [60, 90])), "bake", "one wait for all steps"),
        (plan(linear(25, 3601)), "interval", "at most 3600 s each"),
        (plan(linear(5, 3000)), "interval", "27000 s all in all"),
        (plan(linear(50, 60), default_alarms=None), "alarms", "at least one"),
        (plan(linear(50, 60), alarms=tuple("abcdefghi")), "alarms", "at most 8"),
        (plan(linear(50, 60), Evidence()), "tolerances", "no figure is green's alone"),
        (plan(linear(50, 60), replace(ALONE, limits=Limits(max_error_rate=0.1))), "limits", "left out"),
        (plan(linear(50, 60), replace(ALONE, when_inconclusive="go_on")), "when_inconclusive", "left out"),
    ],
)
def test_what_sagemaker_cant_do_is_refused_naming_the_option(wrong: Plan, option: str, words: str) -> None:
    with pytest.raises(PlanError, match=re.escape(words)) as caught:
        validate_plan(wrong)
    assert caught.value.option == option


@pytest.mark.parametrize(
    "possible",
    [canary([50, 100], 3600), canary([25, 50, 75, 100], 60), linear(30, 60), linear(5, 900), linear(50, 0)],
)
def test_what_sagemaker_can_do_is_let_through(possible: Strategy) -> None:
    validate_plan(plan(possible))


@pytest.mark.parametrize(
    ("strategy", "copies", "words"),
    [
        (linear(25, 60), 3, "33.33 % is the least here"),
        (linear(50, 60), 1, "2 copies are the least"),
        (linear(5, 60), 30, "6.667 % is the least here"),
        (linear(5, 60), 20, ""),
        (linear(50, 60), 2, ""),
        (linear(50, 60), 3, ""),
    ],
)
def test_too_few_copies_for_a_step_are_refused_with_the_least_one(strategy: Strategy, copies: int, words: str) -> None:
    told = why_too_few(strategy, copies)
    assert words in told
    assert bool(words) == bool(told)


def test_what_a_component_has_not_is_refused() -> None:
    assert why_unsuited(ROLLOUT) == ""
    assert "its endpoint has" in why_unsuited(
        replace(ROLLOUT, green=Green(model_name="v2", instance_type="ml.g5.xlarge"))
    )
    assert "runs already" in why_unsuited(replace(ROLLOUT, green=Green(model_name="wine-v1")))
    assert why_unsuited(replace(ROLLOUT, blue=replace(BLUE, instance_count=1)))


def test_a_rollout_of_a_component_is_the_same_after_its_record() -> None:
    assert from_json(to_json(ROLLOUT)) == ROLLOUT
