"""``shift_by`` and ``deployment``: what CodeDeploy can't do is refused when the DAG file is read, by name and with what it may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.core.appspec import config_name, is_config_made, revision, routing
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.deployment import Deploying, parse_deployment
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.plan.strategy import canary, expand_strategy, linear
from airflow_sm_rollout.core.traffic import parse_way
from airflow_sm_rollout.operators.snapshot import SnapshotOperator

ROLE = "arn:aws:iam::123456789012:role/codedeploy"
OPTIONS: dict[str, Any] = {
    "task_id": "snapshot",
    "endpoint_name": "fraud",
    "model_name": "green",
    "function": "scorer",
    "traffic": "lambda",
    "shift_by": "codedeploy",
    "deployment": {"role_arn": ROLE},
    "strategy": {"name": "canary", "steps": [10, 100], "bake": 300},
}


def snapshot(**options: Any) -> SnapshotOperator:
    return SnapshotOperator(**{name: value for name, value in {**OPTIONS, **options}.items() if value is not ...})


def test_what_codedeploy_can_do_is_taken_and_frozen_as_a_way_of_its_own() -> None:
    _, plan = snapshot().read_options()
    assert (plan.traffic, plan.deployment) == ("codedeploy", Deploying(role_arn=ROLE))
    _, plan = snapshot(traffic="codedeploy", shift_by=...).read_options()
    assert plan.traffic == "codedeploy"


@pytest.mark.parametrize(
    ("options", "option", "words"),
    [
        ({"shift_by": "sagemaker"}, "shift_by", "'codedeploy', or left out"),
        ({"traffic": "variants", "function": ..., "deployment": ...}, "shift_by", "it goes with 'lambda'"),
        ({"deployment": ...}, "deployment", "by whose means"),
        ({"shift_by": ...}, "deployment", "left out, or given with shift_by"),
        ({"deployment": {"role_arn": "codedeploy"}}, "deployment role_arn", "the ARN of a role"),
        ({"deployment": {"application": "scorer"}}, "deployment", "application and group, or role_arn alone"),
        ({"deployment": {"application": "a", "group": "b", "role_arn": ROLE}}, "deployment", "role_arn alone"),
        ({"deployment": {"role": ROLE}}, "deployment", "there is no role; did you mean role_arn"),
        (
            {"deployment": {"role_arn": ROLE, "before": "no function!"}},
            "deployment before",
            "name of a Lambda function",
        ),
        ({"strategy": ...}, "strategy", "CodeDeploy runs all of it"),
        ({"strategy": {"name": "canary", "steps": [1, 10, 100], "bake": 60}}, "steps", "a canary of one first step"),
        ({"strategy": {"name": "canary", "steps": [0.5, 100], "bake": 60}}, "steps", "whole percents from 1 to 99"),
        ({"strategy": {"name": "canary", "steps": [10, 100], "bake": 90}}, "bake", "whole minutes"),
        ({"strategy": {"name": "linear", "step": 1, "interval": 1800}}, "interval", "at most 2880 minutes"),
        ({"strategy": {"name": "linear", "step": 12.5, "interval": 60}}, "step", "whole percents"),
        ({"strategy": {"name": "canary", "steps": [20, 40, 100], "bake": [60, 120, 60]}}, "steps", "equal steps"),
        (
            {"strategy": {"name": "canary", "steps": [50, 100], "bake": [60, 90]}, "alarms": list("abcdefgh")},
            "alarms",
            "at most 7",
        ),
        ({"limits": {"max_error_rate": 0.1}}, "limits", "looks at alarms only"),
        ({"end_early": True}, "end_early", "looks at alarms only"),
    ],
)
def test_what_it_can_not_do_is_refused_by_name(options: dict[str, Any], option: str, words: str) -> None:
    with pytest.raises(PlanError) as refusal:
        snapshot(**options)
    assert option in str(refusal.value)
    assert words in str(refusal.value)


def test_what_is_known_only_when_the_dag_runs_is_refused_then() -> None:
    task = snapshot(shift_by="{{ params.by }}")
    task.shift_by = "nobody"
    with pytest.raises(PlanError, match="shift_by"):
        task.read_options()


@pytest.mark.parametrize("bake", [0, 45, 3600])
def test_the_last_bake_is_the_rollouts_own_and_may_be_any(bake: int) -> None:
    snapshot(strategy={"name": "canary", "steps": [10, 100], "bake": [60, bake]})


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        ({"name": "blue_green", "bake": 90}, "CodeDeployDefault.LambdaAllAtOnce"),
        *(
            (
                {"name": "canary", "steps": [10, 100], "bake": 60 * m},
                f"CodeDeployDefault.LambdaCanary10Percent{m}Minutes",
            )
            for m in (5, 10, 15, 30)
        ),
        ({"name": "linear", "step": 10, "interval": 60}, "CodeDeployDefault.LambdaLinear10PercentEvery1Minute"),
        ({"name": "linear", "step": 10, "interval": 180}, "CodeDeployDefault.LambdaLinear10PercentEvery3Minutes"),
        ({"name": "linear", "step": 10, "interval": 240}, None),
        ({"name": "canary", "steps": [10, 100], "bake": 120}, None),
        ({"name": "canary", "steps": [5, 100], "bake": 300}, None),
    ],
)
def test_a_config_of_codedeploys_own_is_used_where_one_fits(strategy: dict[str, Any], name: str | None) -> None:
    from convergence.deploy_lab import DeployLab

    lab = DeployLab()
    type(lab).strategy, before = expand_strategy(strategy), lab.strategy
    try:
        rollout = lab.plan()
    finally:
        type(lab).strategy = before
    assert config_name(rollout) == (name or rollout.names.deployment)
    assert is_config_made(rollout) == (name is None)


def test_the_config_and_the_appspec_are_aws_s() -> None:
    assert routing(canary([5, 100], bake=timedelta(minutes=2))) == {
        "type": "TimeBasedCanary",
        "timeBasedCanary": {"canaryPercentage": 5, "canaryInterval": 2},
    }
    assert routing(linear(25, timedelta(minutes=4))) == {
        "type": "TimeBasedLinear",
        "timeBasedLinear": {"linearPercentage": 25, "linearInterval": 4},
    }
    told = revision(FunctionAlias("scorer"), "3", "4", Deploying(role_arn=ROLE, before="look"))
    assert told["revisionType"] == "AppSpecContent"
    for word in ('"CurrentVersion": "3"', '"TargetVersion": "4"', '"Alias": "live"', '{"BeforeAllowTraffic": "look"}'):
        assert word in told["appSpecContent"]["content"]


def test_a_way_is_named_by_both_options() -> None:
    assert parse_way("lambda", "") == "lambda"
    assert parse_way("lambda", "codedeploy") == parse_way("codedeploy", "codedeploy") == "codedeploy"
    assert parse_deployment("None") is None
    assert parse_deployment(f'{{"role_arn": "{ROLE}"}}') == Deploying(role_arn=ROLE)
