"""The command line, against the sandbox; what is told to people, and the exit codes that scripts see."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.world import AwsWorld, utc_now
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.goals import Done, GreenDeployed, GreenShare
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.core.strategy import canary
from airflow_sm_rollout.demo.airflow_processes import free_port
from production import GOOD, IMAGE, Production, wait_until

ENDPOINT = "fraud"


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``tell("status", "fraud")``: exit code, standard output and standard error of a command."""

    def tell(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return tell


def orphan_a_rollout(production: Production) -> str:
    """A rollout with green at 25 %, whose Airflow never comes back. Returns its id."""
    clients = Clients.of(boto3.Session(region_name="us-east-1"))
    names = Names(ENDPOINT, "0badcafe")
    owner = {"dag_id": "canary", "run_id": "monday"}
    plan = Plan(canary([25, 100], 60))
    rollout = plan_rollout(clients, names, owner, Green(image=IMAGE, model_data_url=GOOD), plan, utc_now())
    world = AwsWorld(clients, ENDPOINT, names.rollout_id)
    for goal in (GreenDeployed(rollout), GreenShare(25)):
        deadline = utc_now() + timedelta(seconds=60)
        wait_until(
            lambda goal=goal, deadline=deadline: isinstance(  # type: ignore[misc]
                advance(goal, names.rollout_id, world, deadline, lambda line: None), Done
            )
        )
    assert production.shares(ENDPOINT).green == 25
    return names.rollout_id


def test_an_orphaned_rollout_is_shown_and_taken_back_from_its_record_alone(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    before = production.describe(ENDPOINT)
    rollout_id = orphan_a_rollout(production)

    code, shown, _ = tell("status", ENDPOINT)
    assert code == 0
    assert f"model-{rollout_id} 25 %" in shown
    assert f"rollout {rollout_id} (dag_id canary, run_id monday)" in shown
    assert f"alarm sm-rollout-fraud-{rollout_id}-errors: " in shown

    code, told, _ = tell("rollback", ENDPOINT, "--poke-interval", "0.2")
    assert code == 0
    assert "set weights" in told
    assert production.describe(ENDPOINT) == before


def test_a_person_holds_a_rollout_lets_it_go_on_and_ends_it(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    rollout_id = orphan_a_rollout(production)
    for command, told in [("pause", "paused by"), ("resume", "resumed by"), ("promote", "told to promote by")]:
        code, shown, _ = tell(command, ENDPOINT, "--note", "lunch")
        assert code == 0
        assert rollout_id in shown
        assert told in shown
        assert "(lunch)" in tell("status", ENDPOINT)[1]
    assert tell("resume", ENDPOINT) == (1, "", "sm-rollout resume: the rollout is not paused\n")
    assert tell("abort", ENDPOINT)[0] == 0
    code, _, error = tell("pause", ENDPOINT)
    assert code == 1
    assert "nothing else can be asked of it" in error
    assert tell("rollback", ENDPOINT, "--poke-interval", "0.2")[0] == 0
    assert tell("pause", ENDPOINT)[2] == "sm-rollout pause: no rollout of endpoint fraud is in progress\n"


def test_rolling_back_where_nothing_is_in_progress_changes_nothing(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    writes = len(production.writes())
    assert tell("rollback", ENDPOINT) == (
        0,
        "no rollout of endpoint fraud is in progress: nothing to roll back\n",
        "",
    )
    assert "no rollout is in progress" in tell("status", ENDPOINT)[1]
    assert len(production.writes()) == writes


@pytest.mark.parametrize("command", ["status", "rollback"])
def test_an_endpoint_that_does_not_exist_is_an_error(
    command: str, production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    told = f"sm-rollout {command}: there is no endpoint frud in region us-east-1\n"
    assert tell(command, "frud") == (1, "", told)


def test_a_rollback_that_comes_to_no_end_gives_up_with_the_state(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    orphan_a_rollout(production)
    code, _, error = tell("rollback", ENDPOINT, "--timeout", "0.001")
    assert code == 1
    assert error.startswith("sm-rollout rollback: not reached by ")
    assert "endpoint fraud is InService" in error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("status", "-x-"), None),
        (("status", "a_b"), "sm-rollout status: endpoint_name='a_b' is not possible"),
        (("plan", "--steps", "50,10"), "sm-rollout plan: steps='50,10' is not possible"),
        (("plan", "--bake", "-1"), "sm-rollout plan: bake='-1' is not possible"),
        (("sandbox", "--speed", "0"), None),
        (("rollback", "fraud", "--poke-interval", "nan"), None),
        (("sandboxes",), None),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_option(
    arguments: tuple[str, ...], error: str | None, tell: Callable[..., tuple[int, str, str]]
) -> None:
    if error is None:
        with pytest.raises(SystemExit) as refused:
            tell(*arguments)
        assert refused.value.code == 2
        return
    code, _, told = tell(*arguments)
    assert code == 1
    assert told.startswith(error)
    assert told.count("\n") == 1


def test_no_way_to_reach_aws_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tell: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, _, error = tell("status", ENDPOINT)
    assert code == 1
    assert error.startswith("sm-rollout status: Could not connect to the endpoint URL")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert tell("status", ENDPOINT)[2] == "sm-rollout status: You must specify a region.\n"


def test_a_plan_is_shown_with_its_least_duration(tell: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = tell("plan", "--steps", "5,100", "--bake", "600,1200")
    assert code == 0
    assert shown.splitlines() == [
        "     5 %  for 0:10:00",
        "   100 %  for 0:20:00",
        "at least 0:30:00, and what SageMaker takes for each change",
    ]


def test_the_policy_is_printed_for_one_endpoint(tell: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = tell("iam-policy", "fraud", "--account", "123456789012", "--region", "eu-west-1")
    assert code == 0
    actions: dict[str, Any] = {
        action: statement["Resource"] for statement in json.loads(shown)["Statement"] for action in statement["Action"]
    }
    assert actions["sagemaker:UpdateEndpointWeightsAndCapacities"] == [
        "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/fraud"
    ]


def test_a_port_that_is_taken_is_one_sentence(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    port = production.server.url.rpartition(":")[2]
    told = f"sm-rollout sandbox: can't listen on 127.0.0.1:{port}: Address already in use\n"
    assert tell("sandbox", "--port", port, "--no-containers") == (1, "", told)


WITHOUT_EXTRA = """
import sys
for name in ("joblib", "moto", "psutil", "rich", "sklearn", "urllib3", "werkzeug", "airflow"):
    if name not in {allowed!r}:
        sys.modules[name] = None
from airflow_sm_rollout.cli import main
sys.exit(main({arguments!r}))
"""


def without_extra(*arguments: str, allowed: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    program = WITHOUT_EXTRA.format(arguments=arguments, allowed=allowed)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_what_is_about_aws_needs_neither_airflow_nor_the_sandbox_extra(production: Production) -> None:
    ran = without_extra("rollback", ENDPOINT, allowed=("urllib3",))  # boto3's own
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_what_needs_the_sandbox_extra_says_so(command: str) -> None:
    ran = without_extra(command, allowed=())
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "is not installed; it comes with pip install 'airflow-sm-rollout[sandbox]'" in ran.stderr
