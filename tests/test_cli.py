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
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.demo.airflow_processes import free_ports
from production import GOOD, IMAGE, Production, wait_until

ENDPOINT = "fraud"


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``tell("status", "fraud")``: exit code, standard output and standard error of a command."""

    def tell(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return tell


def orphan_a_rollout(production: Production, begun: timedelta = timedelta()) -> str:
    """A rollout with green at 25 %, begun that long ago, whose Airflow never comes back. Returns its id."""
    clients = Clients.of(boto3.Session(region_name="us-east-1"))
    names = Names(ENDPOINT, "0badcafe")
    owner = {"dag_id": "canary", "run_id": "monday"}
    plan = Plan(canary([25, 100], 60))
    rollout = plan_rollout(clients, names, owner, Green(image=IMAGE, model_data_url=GOOD), plan, utc_now() - begun)
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
    assert f"rollout {rollout_id} (dag_id canary, run_id monday), started 20" in shown
    assert "STALE" not in shown
    assert (
        "plan: canary, traffic by variants: 25 % for 1 min, 100 % for 1 min\ngreen has 25 % of the traffic\n" in shown
    )
    assert shown.endswith("next: green gets 100 % after a bake of 1 min\n")
    assert f"alarm sm-rollout-fraud-{rollout_id}-errors: " in shown

    code, told, _ = tell("rollback", ENDPOINT, "--poke-interval", "0.2")
    assert code == 0
    assert "set weights" in told
    assert production.describe(ENDPOINT) == before


def test_a_rollout_that_is_older_than_its_plan_is_shown_as_stale_with_what_ends_it(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    orphan_a_rollout(production, begun=timedelta(days=2, hours=3))
    [stale] = [line for line in tell("status", ENDPOINT)[1].splitlines() if line.startswith("STALE")]
    assert stale.startswith("STALE: it was begun 2 d 3 h ago, and its plan takes 2 min and ")
    assert stale.endswith("asks no person and nobody drives it any more, sm-rollout rollback fraud ends it")


def test_a_rollout_whose_endpoint_somebody_has_deleted_is_still_found(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    rollout_id = orphan_a_rollout(production)
    production.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    wait_until(lambda: not production.sagemaker.list_endpoints()["Endpoints"])
    assert f"rollout {rollout_id} (dag_id canary" in tell("status", ENDPOINT)[1]
    assert tell("rollback", ENDPOINT, "--poke-interval", "0.2")[0] == 0
    assert production.belongings(ENDPOINT) == {
        "configs": ["fraud-config"],
        "models": ["fraud-v1"],
        "alarms": ["fraud-refused"],
        "records": [],
    }


def test_somebody_elses_change_is_restored_over_only_if_a_person_says_so(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    before = production.describe(ENDPOINT)
    orphan_a_rollout(production)
    variant = {"VariantName": "Theirs", "ModelName": "fraud-v1", "InstanceType": "ml.m5.xlarge"}
    production.sagemaker.create_endpoint_config(
        EndpointConfigName="theirs", ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    production.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="theirs")
    production.wait_until_settled(ENDPOINT)
    code, _, error = tell("rollback", ENDPOINT, "--poke-interval", "0.2")
    assert code == 1
    assert "somebody else changed the endpoint: endpoint fraud is InService on config theirs" in error
    assert tell("rollback", ENDPOINT, "--poke-interval", "0.2", "--on-drift", "restore")[0] == 0
    assert production.describe(ENDPOINT) == before


def test_a_logical_name_leads_to_the_endpoint_that_the_live_pointer_names(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    pointer = json.dumps({"endpoint_name": ENDPOINT})
    production.ssm.put_parameter(Name="/sm-rollout-live/checkout", Value=pointer, Type="String")
    code, shown, _ = tell("status", "checkout")
    assert code == 0
    assert shown.startswith("endpoint fraud is InService on config fraud-config (AllTraffic 100 % on 4 instance(s))\n")
    assert shown.endswith("the live pointer names endpoint fraud\nno rollout is in progress\n")
    assert "no rollout of endpoint checkout is in progress" in tell("rollback", "checkout")[1]


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
    assert "endpoint fraud is Updating" in error  # however late it is, green loses its traffic first


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("status", "-x-"), None),
        (("status", "a_b"), "sm-rollout status: endpoint_name='a_b' is not possible"),
        (("plan", "--steps", "50,10"), "sm-rollout plan: steps='50,10' is not possible"),
        (("plan", "--bake", "-1"), "sm-rollout plan: bake='-1' is not possible"),
        (
            ("plan", "--strategy", "linear", "--steps", "50"),
            "sm-rollout plan: steps='50' is not possible: no option of",
        ),
        (
            ("plan", "--traffic", "guardrails"),
            "sm-rollout plan: steps=[10.0, 50.0, 100.0] is not possible: ",
        ),
        (("iam-policy", "fraud", "--clients"), "sm-rollout iam-policy: --clients and --blue-endpoint are for"),
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
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    code, _, error = tell("status", ENDPOINT)
    assert code == 1
    assert error.startswith("sm-rollout status: AWS does not answer (Could not connect to the endpoint URL")
    assert error.count("\n") == 1
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert tell("status", ENDPOINT)[2] == (
        "sm-rollout status: no AWS region is set. Give --region, or set AWS_DEFAULT_REGION\n"
    )


def test_a_plan_is_shown_with_its_least_duration(tell: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = tell("plan", "--steps", "5,100", "--bake", "600,1200")
    assert code == 0
    assert shown.splitlines() == [
        "     5 %  for 0:10:00",
        "   100 %  for 0:20:00",
        "at least 0:30:00, and what SageMaker takes for each change",
        "Green costs about 0.57 instance-hours beside blue's 1 instance(s)",
    ]


def test_a_plan_says_what_it_costs_to_have_capacity_ahead(tell: Callable[..., tuple[int, str, str]]) -> None:
    assert (
        "about 2.4 instance-hours beside blue's 4 instance(s); capacity='when_needed' about 1.7"
        in (tell("plan", "--instances", "4")[1])
    )
    assert "about 1.7 instance-hours" in tell("plan", "--instances", "4", "--capacity", "when_needed")[1]
    with pytest.raises(SystemExit):
        tell("plan", "--instances", "0")


def test_a_linear_plan_is_shown_by_the_clock(tell: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = tell(
        "plan", "--strategy", "linear", "--step", "40", "--interval", "900", "--traffic", "guardrails"
    )
    assert code == 0
    assert shown.splitlines() == [
        "    40 %  for 0:15:00, from 0:00:00 on",
        "    80 %  for 0:15:00, from 0:15:00 on",
        "   100 %  for 0:15:00, from 0:30:00 on",
        "at least 0:45:00, and what SageMaker takes for each change",
        "Green costs about 0.79 instance-hours beside blue's 1 instance(s)",
    ]


def test_a_blue_green_plan_is_one_step(tell: Callable[..., tuple[int, str, str]]) -> None:
    assert tell("plan", "--strategy", "blue_green", "--traffic", "endpoints")[1].splitlines() == [
        "   100 %  for 0:30:00",
        "at least 0:30:00, and what SageMaker takes for each change",
        "Green costs about 0.54 instance-hours beside blue's 1 instance(s)",
    ]


def test_a_plan_says_which_of_its_bakes_are_shorter_than_instances_take_to_warm_up(
    tell: Callable[..., tuple[int, str, str]],
) -> None:
    shown = tell("plan", "--steps", "5,20,100", "--bake", "180,600,180")[1].splitlines()
    assert shown[-1] == "too short to prove that green is slow, as new instances warm up for 0:05:00 first: 5 %"


def test_the_policy_of_clients_is_printed_instead(tell: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = tell("iam-policy", "fraud", "--traffic", "endpoints", "--clients", "--blue-endpoint", "legacy")
    assert code == 0
    allowed = [(statement["Action"], statement["Resource"]) for statement in json.loads(shown)["Statement"]]
    assert allowed == [
        (["ssm:GetParameter"], ["arn:*:ssm:*:*:parameter/sm-rollout-live/fraud"]),
        (["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"], ["arn:*:sagemaker:*:*:endpoint/fraud*"]),
        (["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"], ["arn:*:sagemaker:*:*:endpoint/legacy"]),
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
for name in ("moto", "psutil", "rich", "sklearn", "urllib3", "werkzeug", "airflow"):
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
    assert "is not installed; it comes with pip install airflow-sm-rollout-sandbox" in ran.stderr


def test_a_plan_can_be_replayed_over_an_endpoints_own_past_if_that_has_traffic(
    production: Production, tell: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, told = tell("replay", "fraud", "--days", "2", "--steps", "20,100", "--bake", "600")
    assert code == 1
    assert told.startswith(
        "sm-rollout replay: endpoint fraud has 0 minutes of traffic in the last 2 days, 60 are needed"
    )
    code, _, told = tell("replay", "fraud", "--strategy", "blue_green")
    assert code == 1
    assert "at least one step below 100 %" in told
