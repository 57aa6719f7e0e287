"""A Lambda function's alias on the sandbox: written in one call, read back, and never over somebody else's change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.front import read_alias, read_alias_pointer
from airflow_sm_rollout.core.actions import NameEndpoint, PublishVersion
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.goals import Act, AsBefore, Goal, GreenDeployed, GreenShare
from airflow_sm_rollout.core.pointer import split_between
from convergence.lab import ENDPOINT
from convergence.lambda_lab import PLACE, LambdaLab
from convergence.live_lab import seen_by, world_of


def next_action(lab: LambdaLab, goal: Goal) -> Any:
    decision = decide(goal, lab.names.rollout_id, seen_by(lab, goal))
    assert isinstance(decision, Act)
    return decision.action


@pytest.mark.parametrize("share", [0.0, 0.5, 10.0, 100 / 3, 100.0])
def test_any_share_is_one_write_of_the_alias_and_is_read_back(share: float) -> None:
    lab = LambdaLab()
    lab.run(until=1)
    lab.reach(GreenShare(50))
    lab.calls.clear()
    lab.reach(GreenShare(share))
    writes = [call for call in lab.calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert writes == ["lambda:UpdateAlias"]
    assert lab.planned is not None
    pointer = read_alias_pointer(lab.clients.functions, lab.planned, lab.now())
    assert pointer is not None
    meant = split_between(ENDPOINT, lab.names.green_endpoint, round(share, 6))
    assert (pointer.split, pointer.rollout_id) == (meant, lab.names.rollout_id)
    assert {name: round(each, 6) for name, each in lab.shares_now().items()} == {
        name: round(meant.share_of(name), 6) for name in (meant.endpoint_name, meant.green) if name
    }


@pytest.mark.parametrize("goal", [AsBefore(), GreenShare(0)])
def test_the_way_back_is_one_write_before_anything_else_is_read(goal: Goal) -> None:
    lab = LambdaLab()
    lab.run(until=3)
    lab.calls.clear()
    lab.reach(goal)
    looks = ["sagemaker:DescribeEndpoint"] if goal == AsBefore() else []  # whether there is a blue to go back to
    assert lab.calls[: 3 + len(looks)] == ["ssm:GetParameters", "lambda:GetAlias", *looks, "lambda:UpdateAlias"]
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize("kind", [NameEndpoint, PublishVersion])
def test_a_change_of_the_function_between_the_look_and_the_act_is_not_written_over(kind: type) -> None:
    lab = LambdaLab()
    goal = GreenDeployed(lab.plan())
    world = world_of(lab)
    for _ in range(60):
        decision = decide(goal, lab.names.rollout_id, seen_by(lab, goal))
        if isinstance(decision, Act) and isinstance(decision.action, kind):
            break
        if isinstance(decision, Act):
            world.perform(decision.action)
        else:
            lab.pass_time(35)
    action = next_action(lab, goal)
    assert isinstance(action, kind)
    lab.clients.functions.update_function_configuration(FunctionName=PLACE.function, Timeout=9)
    lab.pass_time(60)
    changed = lab.describe()
    with pytest.raises(Passing, match="PreconditionFailed"):
        world.perform(action)
    assert lab.describe() == changed


def test_an_alias_that_somebody_has_written_since_the_look_is_not_written_over() -> None:
    lab = LambdaLab()
    lab.run(until=2)
    action = next_action(lab, AsBefore())
    lab.put_alias(Description="mine")
    changed = lab.describe()
    with pytest.raises(Passing, match="PreconditionFailed"):
        world_of(lab).perform(action)
    assert lab.describe() == changed


def test_no_alias_is_read_as_none() -> None:
    lab = LambdaLab()
    for place in (replace(PLACE, alias="other"), replace(PLACE, function="other")):
        assert read_alias(lab.clients.functions, place) is None


def test_no_client_of_lambda_is_made_for_rollouts_without_a_function() -> None:
    made: list[str] = []

    class Factory:
        def client(self, service_name: str) -> Any:
            made.append(service_name)
            return self

        def get_alias(self, **named: str) -> dict[str, str]:
            return {"FunctionVersion": "1", "RevisionId": "r"}

    clients = Clients.of(Factory())
    assert "lambda" not in made
    for _ in range(2):
        assert read_alias(clients.functions, PLACE) is not None
    assert made.count("lambda") == 1
