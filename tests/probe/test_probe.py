"""The probe against the sandbox: no difference, and where the sandbox is bent just that."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest

from airflow_sm_rollout import cli_probe
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.probe.facts import FACTS
from airflow_sm_rollout.probe.lab import Asked, Lab
from airflow_sm_rollout.probe.run import ask, table
from airflow_sm_rollout.sandbox import Fault, Sandbox
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect
from probe.bends import BENDS, TIMINGS, bent

NAME = "sm-rollout-probe-1"
IDS = [fact.id for fact in FACTS]
ROLE = "arn:aws:iam::123456789012:role/serving"


class SandboxClock:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._sandbox.clock.now(), timezone.utc)

    def wait(self, seconds: float) -> None:
        self._sandbox.schedule.advance(seconds)


@pytest.fixture(scope="module")
def session() -> InProcessSession:
    return connect(bent(()))


@pytest.fixture
def lab_of(session: InProcessSession) -> Callable[[Sandbox], Lab]:
    def lab_of(sandbox: Sandbox) -> Lab:
        session.point_at(sandbox)
        for name in ("good", "broken"):
            container = {"Image": "i:1"}
            session.client("sagemaker").create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        return Lab(session, SandboxClock(sandbox), Asked("good", broken_model="broken"), NAME)

    return lab_of


def left(session: InProcessSession) -> list[Any]:
    sagemaker, cloudwatch = session.client("sagemaker"), session.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return [
        *sagemaker.list_endpoints()["Endpoints"],
        *sagemaker.list_endpoint_configs()["EndpointConfigs"],
        *alarms["MetricAlarms"],
        *alarms["CompositeAlarms"],
    ]


def test_the_sandbox_does_as_it_says_in_every_fact_and_nothing_is_left(
    session: InProcessSession, lab_of: Callable[[Sandbox], Lab]
) -> None:
    findings = list(ask(FACTS, lab_of(bent(())), lambda line: None))
    assert [(one.fact.id, one.found, one.trouble) for one in findings if not one.is_same] == []
    assert table(findings)[-1] == f"{len(FACTS)} facts as in the sandbox, 0 different, 0 not known"
    assert left(session) == []


def test_the_page_has_the_actions_that_the_probe_needs(lab_of: Callable[[Sandbox], Lab]) -> None:
    sandbox = bent(())
    lab = lab_of(sandbox)
    sandbox.calls.clear()
    list(ask(FACTS, lab, lambda line: None))
    made = {(call.service, call.operation) for call in sandbox.calls} | {("sagemaker", "InvokeEndpoint")}
    made.add(("application-autoscaling", "DeregisterScalableTarget"))  # where it did not go with its endpoint
    rows = re.findall(r"\| `([\w-]+)` \| (`.*`) \|", (Path(__file__).parents[2] / "docs/probe.md").read_text())
    assert {(service, name) for service, names in rows for name in re.findall(r"`(\w+)`", names)} == made


def test_every_fact_has_a_bend() -> None:
    assert sorted(IDS) == sorted([*BENDS, *TIMINGS])


def halves() -> list[list[str]]:
    """Sets of facts, so that of any two there is a set with one of them and without the other, and each is in one of them."""
    bits = len(IDS).bit_length()
    return [[name for number, name in enumerate(IDS, start=1) if number >> bit & 1] for bit in range(bits)]


@pytest.mark.parametrize("ids", halves(), ids=lambda ids: f"{len(ids)} from {ids[0]}")
def test_what_is_bent_is_found_and_nothing_else(ids: Collection[str], lab_of: Callable[[Sandbox], Lab]) -> None:
    findings = list(ask(FACTS, lab_of(bent(ids)), lambda line: None))
    assert [(one.fact.id, one.trouble) for one in findings if one.is_same is None] == []
    assert [one.fact.id for one in findings if one.is_same is False] == [name for name in IDS if name in ids]


@pytest.mark.parametrize("fact", FACTS, ids=IDS)
def test_a_fact_says_what_is_asked_how_and_by_which_source(fact: Any) -> None:
    assert fact.question.endswith("?")
    assert fact.how[0].islower()
    assert fact.source in {"recorded", "documented", "third party", "inferred", "unknown"}


def test_ctrl_c_deletes_what_was_made(session: InProcessSession, lab_of: Callable[[Sandbox], Lab]) -> None:
    lab = lab_of(bent(()))
    lab.serve(blue=1.0)
    lab.put_alarm("new", "nothing", "missing")
    lab.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=lab.configure({"blue": 1.0}))

    def interrupted(fact: Any) -> str:
        raise KeyboardInterrupt

    facts = [type(FACTS[0])("one", "?", "", "", "unknown", "endpoint", interrupted)]
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        list(ask(facts, lab, said.append))
    assert left(session) == []
    assert said[-1] == f"deleting what was made, all of it called {NAME}"


def test_what_can_not_be_deleted_is_named(lab_of: Callable[[Sandbox], Lab], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = lab_of(bent(("delete-in-progress",)))
    lab.serve(blue=1.0)
    monkeypatch.setattr(lab, "settled", lambda: {"EndpointStatus": "InService"})
    lab.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=lab.configure({"blue": 1.0}))
    said: list[str] = []
    lab.clean_up(said.append)
    [line] = [line for line in said if "is left" in line]
    assert line.startswith(f"endpoint {NAME} is left, delete it yourself: ")
    assert "OtherException" in line


def test_what_is_refused_to_the_caller_is_not_known(lab_of: Callable[[Sandbox], Lab]) -> None:
    sandbox = bent(())
    lab = lab_of(sandbox)
    sandbox.put_fault(Fault("denied", operation="DescribeAlarms", times=50))
    findings = list(ask([fact for fact in FACTS if fact.id in {"label", "first-state"}], lab, lambda line: None))
    assert [(one.fact.id, one.is_same) for one in findings] == [("label", True), ("first-state", None)]
    assert "AccessDenied" in str(findings[1].trouble)
    assert table(findings)[-1] == "1 facts as in the sandbox, 0 different, 1 not known"


@pytest.fixture
def at_home(session: InProcessSession, lab_of: Callable[[Sandbox], Lab], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that the command talks to, on its clock."""
    sandbox = bent(("label",))
    lab_of(sandbox)
    monkeypatch.setattr(boto3, "Session", lambda **options: session)
    monkeypatch.setattr(cli_probe, "RealClock", lambda: SandboxClock(sandbox))
    return sandbox


@pytest.mark.usefixtures("at_home")
def test_the_command_prints_where_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--only", "label", "--only", "percentile"]
    assert main(["probe", "--model", "good", "--yes", *chosen]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "same       percentile             25",
        "DIFFERENT  label                  nothing",
        "                                  the sandbox: points  (unknown)",
        "1 facts as in the sandbox, 1 different, 0 not known",
    ]
    assert "It takes about 20 minutes." in told.err
    assert main(["probe", "--model", "good", "--yes", "-o", "json", *chosen]) == 1
    [percentile, label] = json.loads(capsys.readouterr().out)["facts"]
    assert (percentile["same"], label["same"], label["aws"], label["sandbox"]) == (True, False, "nothing", "points")


def test_the_command_asks_before_it_spends(
    session: InProcessSession, at_home: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["probe", "--model", "good", "--only", "stragglers"]
    assert main(arguments) == 1
    assert "--yes says so" in capsys.readouterr().err
    answer = io.StringIO("n\n")
    answer.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", answer)
    at_home.calls.clear()
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert "2.5 instance-hours of ml.t2.medium, about 0.14 $ at 0.056 $ an hour" in told
    assert "nothing was made" in told
    assert at_home.calls == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "nothing"], "there is no fact nothing"),
        (["--only", "failed-update"], "--broken-model is needed for failed-update"),
        ([], "--model is needed"),
    ],
)
def test_what_the_command_can_not_do_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_the_list_shows_all_facts_without_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == IDS
