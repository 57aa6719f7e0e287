"""``sm-rollout rollback`` and ``status`` where somebody has deleted the record of a rollout in progress."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.aws.lost import read_rests
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.serving import read_endpoint
from airflow_sm_rollout.core.lost import find_unrecorded
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.operators.handle import handle_of
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT as LAB_ENDPOINT
from convergence.lab import Lab
from convergence.live_lab import LiveLab, SharedLab
from production import Production
from test_cli import ENDPOINT, orphan_a_rollout, tell  # noqa: F401 - a fixture

Tell = Callable[..., tuple[int, str, str]]
FORMS: dict[str, Callable[[Any], str]] = {
    "the handle": lambda rollout: json.dumps(handle_of(rollout)),
    "the handle as a text": lambda rollout: json.dumps(json.dumps(handle_of(rollout))),
    "the record": to_json,
}
NO_PLANS = [
    "",
    "{}",
    "[]",
    "null",
    "7",
    "nan",
    '{"frozen": 7}',
    '{"frozen": "{}"}',
    "\0",
    "[" * 100_000,
    '{"version": 1}',
]


def lose(production: Production) -> Any:
    """A rollout with green at 25 % whose record is deleted; as it was planned."""
    orphan_a_rollout(production)
    rollout = read_record(production.ssm, ENDPOINT)
    assert rollout is not None
    production.ssm.delete_parameter(Name=rollout.names.record)
    return rollout


@pytest.mark.parametrize("form", FORMS)
def test_a_rollout_is_taken_back_by_its_plan(
    form: str,
    production: Production,
    tell: Tell,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = production.describe(ENDPOINT)
    rollout = lose(production)
    text = FORMS[form](rollout)
    (tmp_path / "plan.json").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    file = "-" if form == "the record" else str(tmp_path / "plan.json")
    code, told, error = tell("rollback", ENDPOINT, "--plan", file, "--poke-interval", "0.2")
    assert (code, error) == (0, "")
    assert "set weights" in told
    assert production.describe(ENDPOINT) == before


def test_without_a_plan_it_is_said_what_stands_and_how_to_end_it(
    production: Production,
    tell: Tell,  # noqa: F811
    tmp_path: Path,
) -> None:
    rollout = lose(production)
    names = rollout.names
    stands = [f"model-{names.rollout_id} 25 %", f"endpoint config {names.mixed_config}", f"model {names.model}"]
    for command, expected in (("rollback", 1), ("status", 0)):
        code, told, error = tell(command, ENDPOINT)
        assert code == expected
        for words in (*stands, f"alarm {names.error_alarm}", names.record, "--plan FILE", "clear it, if it is over"):
            assert words in told + error
    assert production.shares(ENDPOINT).green == 25
    for text in NO_PLANS:
        (tmp_path / "plan.json").write_text(text)
        code, _, error = tell("rollback", ENDPOINT, "--plan", str(tmp_path / "plan.json"))
        assert code == 1
        assert "this is no plan of a rollout" in error, text
    (tmp_path / "plan.json").write_text(
        to_json(rollout).replace('"endpoint_name":"fraud"', '"endpoint_name":"risk"', 1)
    )
    assert "a rollout of endpoint risk" in tell("rollback", ENDPOINT, "--plan", str(tmp_path / "plan.json"))[2]
    assert "could not write or read" in tell("rollback", ENDPOINT, "--plan", str(tmp_path / "none.json"))[2]
    assert production.shares(ENDPOINT).green == 25


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_a_rollout_gives_itself_away_from_its_first_request_on_and_not_before_or_after(make: Callable[[], Lab]) -> None:
    lab = make()
    found: list[bool] = []
    tasks = lab.tasks()
    for task in [lambda: None, *tasks]:
        task()
        live = read_endpoint(lab.clients.sagemaker, LAB_ENDPOINT)
        rests = read_rests(lab.clients, LAB_ENDPOINT, live)
        assert {each.names for each in rests} <= {lab.names}
        found.append(bool(rests))
    assert found == [False, *(len(tasks) - 1) * [True], False]


class NoAlarmsLab(SharedLab):
    """The users' own alarms are all that watch."""

    def plan(self) -> Rollout:
        planned = super().plan()
        return replace(planned, plan=replace(planned.plan, default_alarms=None))


def test_a_rollout_by_endpoints_without_alarms_of_its_own_gives_itself_away_and_what_a_promotion_leaves_does_not() -> (
    None
):
    lab, found = NoAlarmsLab(), list[bool]()
    lab.delete_blue = False
    for run in ("run", "second", "third"):
        if run != "run":
            lab.next_rollout(run)
        for task in lab.tasks():
            found.append(bool(read_rests(lab.clients, LAB_ENDPOINT, None)))
            task()
            assert {each.names for each in read_rests(lab.clients, LAB_ENDPOINT, None)} <= {lab.names}
        could_be_promoted = run == "run"  # nothing tells all clients on green from a first promotion that has ended
        assert found == [False, *(len(found) - 3) * [True], *2 * [not could_be_promoted]]
        found.clear()
        assert read_rests(lab.clients, LAB_ENDPOINT, None) == []


@pytest.mark.parametrize("endpoint", ["fraud", "fraud-x", "x" * 63])
def test_names_of_other_endpoints_and_of_other_people_give_nothing_away(endpoint: str) -> None:
    own = Names(endpoint, "0badcafe")
    passing = [own.mixed_config, own.shadow_config, own.spare_config, own.error_alarm, own.latency_alarm]
    assert [find_unrecorded(endpoint, [each]) for each in passing] == [[own]] * 5
    others = Names("fraud-0badcafe", "0badcaff")
    theirs = [own.final_config, own.model, others.mixed_config, others.error_alarm, "fraud-mixed", "0badcafe-mixed", ""]
    assert find_unrecorded(endpoint, theirs) == []
    assert find_unrecorded(endpoint, [own.mixed_config, own.error_alarm]) == [own]


def test_of_two_endpoints_it_is_said_how_clients_go_back_to_blue() -> None:
    lab = NoAlarmsLab()
    lab.run(until=2)
    assert lab.shares_now()[lab.names.green_endpoint] == 10
    lab.clients.ssm.delete_parameter(Name=lab.names.record)
    [rests] = read_rests(lab.clients, LAB_ENDPOINT, None)
    told = rests.describe("")
    assert (
        f"there are endpoint config {lab.names.final_config}, model {lab.names.model}, endpoint {lab.names.green_endpoint}."
        in told
    )
    assert "let all clients call blue's endpoint yourself, by the live pointer" in told


@pytest.mark.parametrize("operation", ["ListEndpoints", "GetParameters"])
def test_who_may_not_list_endpoints_is_told_the_rest(operation: str) -> None:
    lab = LiveLab()
    lab.run(until=1)
    lab.sandbox.faults.add(Fault("denied", operation, times=9))
    [rests] = read_rests(lab.clients, LAB_ENDPOINT, None)
    assert rests.names == lab.names
