"""``sm-rollout undo``: what it says, what it does, and its exit codes. The commands of its page are run here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import boto3

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.world import AwsWorld, utc_now
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.goals import Done, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.rollout import Green, Plan
from production import GOOD, IMAGE, Production, wait_until
from test_cli import ENDPOINT, tell  # noqa: F401 - a fixture

PAGE = Path(__file__).parent.parent / "docs" / "undo.md"
Tell = Callable[..., tuple[int, str, str]]


def promote() -> None:
    """A rollout that ends well."""
    clients, names = Clients.of(boto3.Session(region_name="us-east-1")), Names(ENDPOINT, "0badcafe")
    green, plan = Green(image=IMAGE, model_data_url=GOOD), Plan(canary([100], 60), default_alarms=None)
    rollout = plan_rollout(clients, names, {"dag_id": "canary"}, green, plan, utc_now())
    world = AwsWorld(clients, ENDPOINT, names.rollout_id)
    for goal in (GreenDeployed(rollout), GreenShare(100), OnlyGreen()):
        deadline = utc_now() + timedelta(seconds=60)
        wait_until(
            lambda goal=goal, deadline=deadline: isinstance(  # type: ignore[misc]
                advance(goal, names.rollout_id, world, deadline, lambda line: None), Done
            )
        )


def commands() -> list[list[str]]:
    """Those of the page, about this endpoint."""
    [block] = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    words = [re.findall(r'"[^"]*"|\S+', line) for line in block.splitlines()]
    return [[ENDPOINT if each == "wine" else each.strip('"') for each in line[1:]] for line in words]


def test_the_commands_of_the_page_say_what_they_would_do_and_do_it(production: Production, tell: Tell) -> None:  # noqa: F811
    before = production.describe(ENDPOINT)
    promote()
    assert production.describe(ENDPOINT) != before
    assert "was promoted at" in tell("status", ENDPOINT)[1]
    dry, real = commands()
    serving = production.describe(ENDPOINT)
    code, told, _ = tell(*dry)
    assert code == 0
    assert "goes back to config fraud-config" in told
    assert production.describe(ENDPOINT) == serving
    code, told, _ = tell(*real, "--poke-interval", "0.2")
    assert code == 0
    assert "undoing rollout 0badcafe (undo by " in told
    assert "undone: " in told
    assert production.describe(ENDPOINT) == before
    code, told, _ = tell(*real)
    assert (code, "complaints since Monday" in told) == (0, True)
    assert ": complaints since Monday" in tell("status", ENDPOINT)[1]
    last = json.loads(tell("status", ENDPOINT, "-o", "json")[1])["last_promoted"]
    assert (last["id"], last["state"], last["note"]) == ("0badcafe", "undone", "complaints since Monday")
    assert "nothing to do: rollout 0badcafe was undone by " in told


def test_where_it_can_not_be_it_says_why_and_fails(production: Production, tell: Tell) -> None:  # noqa: F811
    code, _, error = tell("undo", ENDPOINT)
    assert code == 1
    assert error.startswith("sm-rollout undo: nothing was kept of a promotion of endpoint fraud")
    promote()
    production.sagemaker.delete_model(ModelName="fraud-v1")
    code, _, error = tell("undo", ENDPOINT, "--dry-run")
    assert code == 1
    assert "blue's model fraud-v1 is gone" in error
