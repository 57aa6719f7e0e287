"""``sm-rollout status`` and what is beside it: for people, in a real terminal, and for programs."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import jsonschema
import pytest

from airflow_sm_rollout import cli_status
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.world import AwsWorld, utc_now
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.cli_examples import EXAMPLES
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.goals import AsBefore, Done, Goal, GreenShare, OnlyGreen
from airflow_sm_rollout.core.observation import Alarm, Endpoint, Observation, Pending, Variant
from airflow_sm_rollout.core.outcome import Aftermath
from airflow_sm_rollout.core.plan.strategy import canary, linear
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.screen.summary import describe_summary, ended, summarize, summary_to_dict
from airflow_sm_rollout.guardian.guardian import Guardian
from airflow_sm_rollout.plugin.live import read_backdrop
from airflow_sm_rollout.plugin.reads import Connection, Found
from airflow_sm_rollout.sandbox.faults import Fault
from answering import Answer, Asked, answering
from core.test_status import BEGUN, NOW, endpoint, wish
from core.test_status import rollout as planned_without_model
from production import Production, wait_until
from test_cli import ENDPOINT, orphan_a_rollout, tell  # noqa: F401 - a fixture

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "status.schema.json").read_text())
Tell = Callable[..., tuple[int, str, str]]


def rollout(*arguments: Any, **others: Any) -> Rollout:
    """A record with all that AWS tells of blue."""
    planned = planned_without_model(*arguments, **others)
    variant = {"VariantName": "AllTraffic", "ModelName": "fraud-v1"}
    return replace(planned, blue=replace(planned.blue, config={"ProductionVariants": [variant]}))


def drive(goal: Goal, rollout_id: str) -> None:
    """As a task of its DAG run does."""
    clients = Clients.of(boto3.Session(region_name="us-east-1"))
    world, deadline = AwsWorld(clients, ENDPOINT, rollout_id), utc_now() + timedelta(seconds=60)
    wait_until(lambda: isinstance(advance(goal, rollout_id, world, deadline, lambda line: None), Done))


class Terminal:
    """A command in a real terminal."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "airflow_sm_rollout.cli", *arguments]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self.shown = ""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.shown += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:
                return

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.shown, 60)

    def end(self) -> int:
        code = self.process.wait(60)
        self._reader.join(5)
        os.close(self._ours)
        return code


@pytest.fixture
def watch() -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal("status", ENDPOINT, "--watch", "--interval", "0.2", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.parametrize(
    ("goals", "code", "told"),
    [((GreenShare(100), OnlyGreen()), 0, "Promoted"), ((AsBefore(),), 1, "Rolled back")],
    ids=["good", "bad"],
)
def test_a_rollout_is_watched_in_a_terminal_to_its_end_and_the_exit_code_says_which(
    goals: tuple[Goal, ...], code: int, told: str, production: Production, watch: Callable[..., Terminal]
) -> None:
    rollout_id = orphan_a_rollout(production)
    terminal = watch()
    terminal.wait_for("Baking 25 %")
    assert "✓ Deploy  ▸ 25 %  · 100 %  · Promote" in terminal.shown
    assert "25 % of the requests" in terminal.shown
    assert re.search(r"green gets 100 % in about 0:[0-5]\d, unless something does harm", terminal.shown)
    for goal in goals:
        drive(goal, rollout_id)
    terminal.wait_for(told)
    assert terminal.end() == code


def test_it_says_who_guards_a_rollout_to_whoever_may_read_that(
    production: Production,
    tell: Tell,  # noqa: F811
) -> None:
    clients = Clients.of(boto3.Session(region_name="us-east-1"))
    Guardian(clients, name="night-watch", prefix=ENDPOINT[:2]).look()
    assert "guarded" not in tell("status", ENDPOINT)[1]
    orphan_a_rollout(production)
    rollout = read_record(clients.ssm, ENDPOINT)
    assert rollout is not None
    seen = read_backdrop(Found("", rollout, (), Connection(None, "us-east-1")))
    assert seen.guardian is not None
    assert seen.guardian.by == "night-watch"
    shown = tell("status", ENDPOINT)[1]
    assert re.search(r"^guarded by night-watch, last look .* ago$", shown, re.MULTILINE)
    production.sandbox.faults.add(Fault("denied", "GetParametersByPath", times=1))
    code, shown, _ = tell("status", ENDPOINT)
    assert code == 0
    assert "green has 25 % of the traffic" in shown
    assert "guarded" not in shown


def test_a_rollout_that_ends_between_two_reads_of_one_look_is_told_as_it_ended(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = orphan_a_rollout(production)
    looks: list[Any] = []

    def look(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) == 2:
            for goal in (GreenShare(100), OnlyGreen()):
                drive(goal, rollout_id)
        return plain(*arguments)

    plain = vars(cli_status)["_look"]
    monkeypatch.setattr(cli_status, "_look", look)
    assert main(["status", ENDPOINT, "--watch", "--interval", "0.05"]) == 0


def test_ctrl_c_ends_the_view_and_says_what_goes_on(production: Production, watch: Callable[..., Terminal]) -> None:
    orphan_a_rollout(production)
    terminal = watch()
    terminal.wait_for("Baking 25 %")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "the rollout goes on without this command" in terminal.shown
    assert production.shares(ENDPOINT).green == 25


def test_what_is_not_over_in_time_what_nobody_drives_and_nothing_at_all_are_told_apart(
    production: Production,
    tell: Tell,  # noqa: F811
) -> None:
    assert tell("status", ENDPOINT, "--watch")[0] == 2
    orphan_a_rollout(production)
    code, shown, told = tell("status", ENDPOINT, "--watch", "--for", "0.3", "--interval", "0.1")
    assert (code, shown.count("\n")) == (3, 1), "a log has a line for what is new"
    assert "not over within 0.3 s; the rollout goes on" in told


def test_a_rollout_that_nobody_drives_any_more_ends_the_watch(production: Production, tell: Tell) -> None:  # noqa: F811
    orphan_a_rollout(production, begun=timedelta(days=2))
    assert tell("status", ENDPOINT, "--watch")[0] == 2


def test_all_rollouts_are_listed_and_what_is_spoilt_is_named(production: Production, tell: Tell) -> None:  # noqa: F811
    assert tell("status") == (0, "no rollout is in progress\n", "")
    rollout_id = orphan_a_rollout(production)
    production.ssm.put_parameter(Name="/sm-rollout/spoilt", Value="garbage", Type="String")
    code, shown, _ = tell("status")
    assert code == 0
    first, second = shown.splitlines()
    assert first.startswith("fraud ")
    assert f"Baking 25 %                rollout {rollout_id} (dag_id canary" in first
    assert second.startswith("spoilt: can't be read: ")
    [listed] = json.loads(tell("status", "-o", "json")[1])
    jsonschema.validate(listed, SCHEMA)
    assert tell("status", "--watch")[0] == 1


def test_what_programs_read_of_a_real_rollout_is_as_documented(production: Production, tell: Tell) -> None:  # noqa: F811
    def read(*more: str) -> list[Any]:
        shown = tell("status", ENDPOINT, "-o", "json", *more)[1]
        found = [json.loads(line) for line in shown.splitlines()] if more else [json.loads(shown)]
        for each in found:
            jsonschema.validate(each, SCHEMA)
        return found

    assert read()[0]["rollout"] is None
    rollout_id = orphan_a_rollout(production)
    [shown] = read()
    assert (shown["rollout"]["id"], shown["rollout"]["state"], shown["rollout"]["share"]) == (rollout_id, "baking", 25)
    assert tell("pause", ENDPOINT, "--note", "lunch")[0] == 0
    [paused] = read()
    assert (paused["rollout"]["state"], paused["rollout"]["next_at"]) == ("paused", None)
    assert paused["rollout"]["wish"]["note"] == "lunch"
    assert read("--watch", "--for", "0.1")[-1]["rollout"]["state"] == "paused"


def states() -> Iterator[tuple[str, Any]]:
    """What can be seen of a rollout, and the state that it is."""
    plan = canary([10, 50, 100], bake=600)
    busy = Endpoint("fraud", "arn", "Updating", "fraud-v1", (Variant("AllTraffic", 1, 1, 4, 4),), BEGUN)
    pending = Pending("final", "Baking", BEGUN)
    alarm = Alarm("errors", "OK", "0.1 is below 5.0")
    for strategy in (plan, linear(25), None):
        record = rollout(strategy=strategy)
        yield "deploying", Observation(NOW, endpoint(0), record)
        yield "baking", Observation(NOW, endpoint(10), record, alarms=(alarm,))
        yield "paused", Observation(NOW, endpoint(10), record, control=wish(Wish.PAUSE))
        yield "rolling_back", Observation(NOW, endpoint(10), record, control=wish(Wish.ABORT))
        yield "rolling_back", Observation(NOW, endpoint(0), rollout(strategy=strategy, phase=Phase.ROLLING_BACK))
        yield "promoting", Observation(NOW, endpoint(100), rollout(strategy=strategy, phase=Phase.PROMOTED))
    yield "deploying", Observation(NOW, busy, rollout(strategy=plan))
    yield "deploying", Observation(NOW, None, rollout(strategy=plan))
    yield "shifting", Observation(NOW, endpoint(0, pending), rollout("guardrails", plan))


@pytest.mark.parametrize(("state", "seen"), list(states()))
def test_every_state_has_a_word_lines_for_people_and_json_as_documented(state: str, seen: Observation) -> None:
    summary = summarize("fraud", seen)
    written = summary_to_dict(summary)
    jsonschema.validate(written, SCHEMA)
    assert written["rollout"]["state"] == state
    lines = list(describe_summary(summary, NOW))
    assert lines[0].startswith(f"fraud: {summary.chip}")
    assert all("None" not in line for line in lines)


@pytest.mark.parametrize(
    ("aftermath", "state"),
    [
        (Aftermath.PROMOTED, "promoted"),
        (Aftermath.AS_BEFORE, "rolled_back"),
        (Aftermath.AS_BEFORE, "undone"),
        (Aftermath.CHANGED, "not_settled"),
    ],
)
def test_what_became_of_it_is_json_too(aftermath: Aftermath, state: str) -> None:
    record = replace(rollout(strategy=canary()), undoes=state == "undone")
    before = summarize("fraud", Observation(NOW, endpoint(10), record))
    over = ended(before, Observation(NOW, endpoint(0), None), aftermath)
    jsonschema.validate(summary_to_dict(over), SCHEMA)
    assert summary_to_dict(over)["rollout"]["state"] == state
    assert "endpoint fraud is InService" in "\n".join(describe_summary(over, NOW))


def test_the_countdown_begins_when_the_share_was_set_and_a_pause_moves_it() -> None:
    record = rollout(strategy=canary([10, 50, 100], bake=1800))
    seen = Observation(NOW, endpoint(10), record)
    way = summarize("fraud", seen).way
    assert way is not None
    assert way.next_at == BEGUN + timedelta(minutes=30)
    resumed = Control("0badcafe", Wish.GO_ON, NOW, "ada", paused_before=timedelta(minutes=7))
    moved = summarize("fraud", Observation(NOW, endpoint(10), record, control=resumed)).way
    assert moved is not None
    assert moved.next_at == BEGUN + timedelta(minutes=37)
    assert "green gets 50 % in about 10:00" in "\n".join(describe_summary(summarize("fraud", seen), NOW))


@dataclass
class FakeAirflow:
    """Airflow's API as far as a question needs it."""

    url: str = ""
    open: list[str] = field(default_factory=list)
    status: int = 200
    asked: list[tuple[str, str, Any, str | None]] = field(default_factory=list)


@contextmanager
def fake_airflow() -> Iterator[FakeAirflow]:
    airflow = FakeAirflow()

    def answer(asked: Asked) -> Answer:
        sent = json.loads(asked.text) if asked.text else None
        airflow.asked.append((asked.method, asked.path, sent, asked.headers.get("Authorization")))
        asking = [
            {"options": ["Approve", "Reject"], "task_instance": {"task_id": each, "map_index": -1}}
            for each in airflow.open
        ]
        questions = {"hitl_details": asking, "total_entries": len(asking)} if asked.method == "GET" else {}
        body = questions if airflow.status == 200 else {"detail": "not yours"}
        return Answer(json.dumps(body), "application/json", airflow.status)

    with answering(answer) as airflow.url:
        yield airflow


@pytest.mark.parametrize(("command", "option"), [("approve", "Approve"), ("reject", "Reject")])
def test_the_open_question_is_answered_as_whoever_the_token_is_of(
    command: str,
    option: str,
    production: Production,
    tell: Tell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orphan_a_rollout(production)
    monkeypatch.setenv("AIRFLOW_TOKEN", "alice's")
    with fake_airflow() as airflow:
        arguments = (command, ENDPOINT, "--airflow-url", airflow.url, "--note", "seen it")
        code, _, told = tell(*arguments)
        assert code == 1
        assert "one question must be open" in told
        airflow.open = ["canary.approve_100"]
        code, shown, _ = tell(*arguments)
        assert code == 0
        assert shown.endswith(f"{command.rstrip('e')}ed, in task canary.approve_100\n")
        method, path, sent, who = airflow.asked[-1]
        assert (method, who) == ("PATCH", "Bearer alice's")
        assert path == "/api/v2/dags/canary/dagRuns/monday/taskInstances/canary.approve_100/-1/hitlDetails"
        assert sent == {"chosen_options": [option], "params_input": {"note": "seen it"}}
        airflow.status = 403
        assert "Airflow refused (403 Forbidden): not yours; AIRFLOW_TOKEN holds" in tell(*arguments)[2]
    assert "Airflow does not answer at http://127.0.0.1" in tell(*arguments)[2]
    assert "begins with http" in tell(command, ENDPOINT, "--airflow-url", "ftp://x")[2]


def test_an_endpoint_without_a_past_rollout_says_so(production: Production, tell: Tell) -> None:  # noqa: F811
    code, shown, _ = tell("history", ENDPOINT, "--days", "1")
    assert code == 0
    assert shown.startswith("no past rollout in 1 day")


def test_every_command_has_examples_that_it_understands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    [listed] = re.findall(r"positional arguments:\n(.*?)\n\n", capsys.readouterr().out, re.DOTALL)
    commands = set(re.findall(r"^    ([a-z-]+)", listed, re.MULTILINE))
    assert commands == set(EXAMPLES)
    for command in commands:
        with pytest.raises(SystemExit) as ended_:
            main([command, "--help"])
        assert ended_.value.code == 0
        assert f"examples:\n  {EXAMPLES[command][0]}" in capsys.readouterr().out


@pytest.mark.parametrize("command", EXAMPLES)
def test_each_example_is_a_command_line_that_is_possible(command: str) -> None:
    import shlex

    from airflow_sm_rollout.cli import _parser

    for example in EXAMPLES[command]:
        words = shlex.split(example, comments=True)
        if "sm-rollout" not in words:  # inside a shell's own words
            words = shlex.split(words[1].removeprefix("$(").removesuffix(")"))
        words = words[words.index("sm-rollout") + 1 :]
        end = next((number for number, word in enumerate(words) if word in {"&&", "|", ">"}), len(words))
        assert _parser().parse_args(words[:end]).name == command


def test_a_profile_that_does_not_exist_is_named(tell: Tell) -> None:  # noqa: F811
    code, _, told = tell("status", ENDPOINT, "--profile", "no-such")
    assert code == 1
    assert "no-such" in told
    assert "list-profiles" in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str, tell: Tell) -> None:  # noqa: F811
    code, shown, _ = tell("completion", shell)
    assert code == 0
    assert "sm-rollout" in shown


def test_a_shell_that_asks_is_answered() -> None:
    asking = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": "sm-rollout sta",
        "COMP_POINT": "14",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
    }
    program = "import os; os.dup2(1, 8); from airflow_sm_rollout.cli import main; main([])"
    answered = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **asking}, capture_output=True, text=True, check=False
    )
    assert answered.stdout.split("\x0b") == ["status"], answered.stderr
