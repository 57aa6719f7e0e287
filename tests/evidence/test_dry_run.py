"""A dry run judges green, tells what it would have done, and never does it; what a person wishes is heeded as ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.control import write_control
from airflow_sm_rollout.aws.guardian import leave_sign
from airflow_sm_rollout.aws.watch import Lookout
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.guardian import Sign, State
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.watch.ringing import harm_by_alarms
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.operators.ask import AskOperator
from airflow_sm_rollout.operators.snapshot import SnapshotOperator
from airflow_sm_rollout.sensors.bake import BakeSensor
from convergence.lab import ENDPOINT, USER_ALARM
from convergence.test_guardian_walk import guardian_of
from evidence.test_looks import STRICT, BakingLab

FAILING = {"requests": 10, "e5": 10}


def dry_lab(**options: Any) -> BakingLab:
    lab = BakingLab(**{"tolerances": STRICT, "dry_run": True, **options})
    lab.bake = replace(lab.bake, dry_run=True)
    return lab


def by_comparison(lab: BakingLab) -> None:
    lab.serve(6, blue={"requests": 90}, green=FAILING)


def by_alarm(lab: BakingLab) -> None:
    lab.serve(6, blue={"requests": 90}, green={"requests": 10})
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="ALARM", StateReason="it rings")
    lab.pass_time(10)


def by_alarm_that_is_gone(lab: BakingLab) -> None:
    lab.serve(6, blue={"requests": 90}, green={"requests": 10})
    lab.clients.cloudwatch.delete_alarms(AlarmNames=[USER_ALARM])


HARMS = pytest.mark.parametrize("harm", [by_comparison, by_alarm, by_alarm_that_is_gone])


@HARMS
def test_harm_is_told_at_each_look_and_passes_at_the_end(harm: Any) -> None:
    wet = BakingLab(tolerances=STRICT)
    harm(wet)
    assert wet.look().judgement.verdict is Verdict.HARMFUL
    lab = dry_lab()
    harm(lab)
    seen = lab.look().judgement
    assert seen.verdict is Verdict.WATCHING
    assert "dry run: " in seen.reason
    assert "would have gone back" in seen.reason
    lab.pass_time(600)
    last = lab.look().judgement
    assert (last.verdict, last.passes) == (Verdict.HARMFUL, True)
    assert "would have gone back" in last.reason


def test_what_nobody_can_tell_passes_at_the_end_of_a_dry_run_and_is_not_called_healthy() -> None:
    lab = dry_lab(require_proof=True)
    lab.pass_time(600)
    last = lab.look().judgement
    assert (last.verdict, last.passes) == (Verdict.INCONCLUSIVE, True)


@HARMS
@pytest.mark.parametrize("dry_run", [True, False])
def test_no_wait_of_a_dry_rollout_turns_around(harm: Any, dry_run: bool) -> None:
    lab = dry_lab(dry_run=dry_run)
    recorded(lab)
    harm(lab)
    world = AwsWorld(lab.clients, lab.rollout.endpoint_name, lab.rollout.rollout_id, now=lab.now)
    lookout = Lookout(world)
    lookout.see(world.read_record())
    assert bool(lookout.why_turn()) is not dry_run
    alarms = read_alarms(lab.clients.cloudwatch, [USER_ALARM], lab.rollout.green_traffic_since)
    stops = bool(harm_by_alarms(lab.rollout, alarms))
    assert stops is (harm is not by_comparison and not dry_run)


@pytest.mark.parametrize(
    ("wish", "verdict", "passes"),
    [
        (Wish.ABORT, Verdict.ABORTED, False),
        (Wish.PROMOTE, Verdict.HARMFUL, True),
        (Wish.PAUSE, Verdict.WATCHING, False),
    ],
)
def test_what_a_person_wishes_of_a_dry_run_is_heeded(wish: Wish, verdict: Verdict, passes: bool) -> None:
    lab = dry_lab()
    by_comparison(lab)
    control = Control(lab.rollout.rollout_id, wish, lab.now())
    write_control(lab.clients.ssm, ENDPOINT, control)
    said = lab.look().judgement
    assert (said.verdict, said.passes) == (verdict, passes)


@pytest.mark.parametrize("given", ["perhaps", 2, [True]])
def test_only_yes_and_no_say_whether_a_run_is_dry(given: Any) -> None:
    with pytest.raises(PlanError, match="dry_run"):
        BakeSensor(task_id="bake", endpoint_name="fraud", step=0, dry_run=given)
    with pytest.raises(PlanError, match="dry_run"):
        SnapshotOperator(task_id="snapshot", endpoint_name="fraud", model_name="v2", dry_run=given)


def recorded(lab: BakingLab) -> BakingLab:
    lab.clients.ssm.put_parameter(Name=lab.rollout.names.record, Value=to_json(lab.rollout), Overwrite=True)
    return lab


@pytest.mark.parametrize("wish", [None, Wish.PROMOTE])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_guardian_takes_no_dry_rollout_back_for_harm(dry_run: bool, wish: Wish | None) -> None:
    lab = recorded(dry_lab(dry_run=dry_run))
    by_alarm(lab)
    leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
    if wish:
        write_control(lab.clients.ssm, ENDPOINT, Control(lab.rollout.rollout_id, wish, lab.now()))
    [finding] = guardian_of(lab).look()
    assert (finding.state is State.TAKING_BACK) is not dry_run


@pytest.mark.parametrize("harm", [by_comparison, by_alarm])
@pytest.mark.parametrize("wish", [None, Wish.PROMOTE])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_person_is_asked_in_a_dry_run_whatever_was_found(
    harm: Any, wish: Wish | None, dry_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = recorded(dry_lab(dry_run=dry_run))
    harm(lab)
    if wish:
        write_control(lab.clients.ssm, ENDPOINT, Control(lab.rollout.rollout_id, wish, lab.now()))
    question = AskOperator(task_id="ask", endpoint_name=ENDPOINT, bake_task_id="bake")
    monkeypatch.setattr(question, "clients", lambda: lab.clients)
    monkeypatch.setattr("airflow_sm_rollout.aws.world.utc_now", lab.now)
    if dry_run:
        question._refuse_harm({}, lab.rollout)
        return
    with pytest.raises(RolloutGaveUp):
        question._refuse_harm({}, lab.rollout)
