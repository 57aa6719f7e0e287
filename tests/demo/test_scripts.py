"""The demo asks the sample DAGs for what they can do, and says what it can't show."""

from __future__ import annotations

import importlib
from copy import deepcopy
from pathlib import Path

import pytest

from airflow_sm_rollout.core.converge import WAYS, validate_plan
from airflow_sm_rollout.core.deployment_config import why_too_few
from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.core.plan.function import parse_function
from airflow_sm_rollout.core.plan.strategy import STRATEGIES, expand_strategy, parse_duration
from airflow_sm_rollout.core.rollout import Plan
from airflow_sm_rollout.demo.clients import HOLD_SECONDS
from airflow_sm_rollout.demo.kinds import KINDS, NoSuchEndpoint
from airflow_sm_rollout.demo.scripts import NoSuchDemo, Script, find_script

DAGS = Path(__file__).parent.parent.parent / "dags"
NOT_SHOWN = ("components",)
PAIRS = [(strategy, traffic) for strategy in STRATEGIES for traffic in WAYS if traffic not in NOT_SHOWN]
SHOWN = [find_script(*pair) for pair in PAIRS]


def plan_of(script: Script) -> Plan:
    no_steps = ("drain", "function", "codedeploy_role")
    strategy = {name: value for name, value in script.plan.items() if name not in no_steps}
    role = script.plan.get("codedeploy_role")
    return Plan(
        expand_strategy({"name": script.dag_id, **strategy}),
        traffic=script.traffic,
        function=parse_function(script.plan.get("function"), None, None),
        deployment=Deploying(role_arn=role) if role else None,
    )


@pytest.mark.parametrize("traffic", [way for way in WAYS if way not in NOT_SHOWN])
def test_what_does_not_go_together_is_refused_with_what_does(traffic: str) -> None:
    shown = f"shadow does not go with traffic {traffic}, which can do .*canary"
    with pytest.raises(NoSuchDemo, match=shown):
        find_script("shadow", traffic)


@pytest.mark.parametrize("script", SHOWN, ids=lambda script: f"{script.dag_id} by {script.traffic}")
def test_each_plan_is_one_that_its_way_to_split_traffic_can_do(script: Script) -> None:
    plan = plan_of(script)
    validate_plan(plan)
    assert plan.strategy is not None
    if script.traffic == "guardrails":
        assert why_too_few(plan.strategy, script.instances) == ""
    elif script.traffic == "codedeploy":
        assert script.shares == {"promote": 100.0}
    else:
        assert list(script.shares.values()) == [step.share for step in plan.strategy.steps]


@pytest.mark.parametrize("script", SHOWN, ids=lambda script: f"{script.dag_id} by {script.traffic}")
def test_each_form_is_one_that_the_sample_dag_takes(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import ParamsDict

    monkeypatch.syspath_prepend(str(DAGS))
    module = importlib.import_module(script.dag_id)
    training = importlib.import_module("airflow_sm_rollout.sample_training")
    form = ParamsDict(deepcopy({**training.PARAMS, **getattr(module, script.dag_id.upper())}))
    assert set(script.form) <= set(form.keys())
    form.update(dict(script.form))
    form.validate()


def test_an_endpoint_is_drained_for_longer_than_clients_hold_its_name() -> None:
    for strategy in STRATEGIES:
        drain = find_script(strategy, "endpoints").plan["drain"]
        assert parse_duration("drain", drain).total_seconds() > 2 * HOLD_SECONDS


KINDS_BY_WAY = {
    "serverless": {"endpoints", "lambda", "codedeploy"},
    "async": {"endpoints"},
    "instances": {traffic for _, traffic in PAIRS},
}


@pytest.mark.parametrize("endpoint", KINDS)
@pytest.mark.parametrize("traffic", sorted(KINDS_BY_WAY["instances"]))
def test_a_kind_of_endpoint_is_shown_by_the_ways_that_can_or_refused_with_why(endpoint: str, traffic: str) -> None:
    if traffic in KINDS_BY_WAY[endpoint]:
        assert find_script("canary", traffic, endpoint).endpoint == endpoint
        return
    with pytest.raises(NoSuchEndpoint, match=f"does not go with traffic {traffic}: .*(serverless|asynchronous)"):
        find_script("canary", traffic, endpoint)
