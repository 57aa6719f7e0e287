"""The policy allows what rollouts do and nothing that they don't: it is compared with the calls that they make."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_sm_rollout.aws.iam import policy
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.converge import WAYS
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.goals import GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.names import Names
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab, with_pointer
from convergence.test_exits import ring, scale, wish

# What AWS asks for besides the action of the call's own name.
IMPLIED = {
    "sagemaker:CreateModel": {"sagemaker:AddTags", "iam:PassRole"},
    "sagemaker:CreateEndpointConfig": {"sagemaker:AddTags"},
    "cloudwatch:PutMetricAlarm": {"cloudwatch:TagResource"},
}


def promoted(make: Callable[[], Lab]) -> Lab:
    lab = make()
    rollout = lab.plan()
    lab.reach(GreenDeployed(replace(rollout, plan=replace(rollout.plan, delete_blue=True))))
    for task in lab.tasks()[1:]:
        task()
    return lab


def aborted(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=2)
    wish(lab, Wish.ABORT)
    lab.roll_back()
    return lab


def restored_though_somebody_scaled_blue_and_deleted_its_config(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=1)
    calls = len(lab.calls)
    scale(lab, "AllTraffic", 6)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    del lab.calls[calls:]
    lab.roll_back()
    return lab


def stopped_by_an_alarm_that_was_over_again(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=2)
    ring(lab, USER_ALARM)
    lab.calls.remove("cloudwatch:SetAlarmState")
    lab.pass_time(180)
    with contextlib.suppress(RolloutGaveUp):
        lab.reach(OnlyGreen())
    return lab


WALKS = (
    promoted,
    aborted,
    restored_though_somebody_scaled_blue_and_deleted_its_config,
    stopped_by_an_alarm_that_was_over_again,
)
LABS: dict[str, tuple[Callable[[], Lab], ...]] = {
    "variants": (Lab,),
    "guardrails": (GuardrailsLab,),
    "endpoints": (LiveLab, with_pointer),
}


def calls_of_rollouts(traffic: str) -> set[str]:
    """Every call of rollouts, of rollbacks, and of a person's wishes."""
    return {call for make in LABS[traffic] for walk in WALKS for call in walk(make).calls}


def actions_of(statements: list[dict[str, list[str]]]) -> set[str]:
    return {action for statement in statements for action in statement["Action"]}


@pytest.mark.parametrize("traffic", WAYS)
def test_the_policy_names_exactly_the_actions_that_rollouts_need(traffic: str) -> None:
    called = calls_of_rollouts(traffic)
    needed = called | {implied for call in called for implied in IMPLIED.get(call, ())}
    assert actions_of(policy(traffic, ENDPOINT)["Statement"]) == needed


@pytest.mark.parametrize("traffic", WAYS)
def test_what_changes_something_is_allowed_on_this_endpoints_things_only(traffic: str) -> None:
    for statement in policy(traffic, ENDPOINT, region="eu-central-1", account="123456789012")["Statement"]:
        changes = [a for a in statement["Action"] if not a.split(":")[1].startswith(("Describe", "Get", "List"))]
        if changes and statement["Sid"] not in ("RoleOfGreensModel", "RestoreBluesConfig", "ChangeConfig"):
            assert all("fraud" in resource for resource in statement["Resource"]), statement


@pytest.mark.parametrize("endpoint", ["fraud", "Fraud-EU", "a" * 63])
def test_the_resources_cover_what_a_rollout_of_that_endpoint_makes(endpoint: str) -> None:
    names = Names(endpoint, "12345678")
    made = {
        "sagemaker:DeleteModel": f"arn:aws:sagemaker:us-east-1:1:model/{names.model.lower()}",
        "sagemaker:DeleteEndpointConfig": f"arn:aws:sagemaker:us-east-1:1:endpoint-config/{names.mixed_config.lower()}",
        "cloudwatch:DeleteAlarms": f"arn:aws:cloudwatch:us-east-1:1:alarm:{names.error_alarm}",
        "ssm:PutParameter": f"arn:aws:ssm:us-east-1:1:parameter{names.record}",
        "sagemaker:UpdateEndpointWeightsAndCapacities": f"arn:aws:sagemaker:us-east-1:1:endpoint/{endpoint.lower()}",
        "sagemaker:DescribeEndpoint": f"arn:aws:sagemaker:us-east-1:1:endpoint/{endpoint.lower()}",
    }
    statements = policy("variants", endpoint, region="us-east-1", account="1")["Statement"]
    for action, arn in made.items():
        allowed = [r for statement in statements if action in statement["Action"] for r in statement["Resource"]]
        assert any(fnmatch.fnmatchcase(arn, pattern) for pattern in allowed), (action, arn, allowed)


def test_a_name_that_could_widen_the_policy_is_refused() -> None:
    with pytest.raises(PlanError):
        policy("variants", "*")
