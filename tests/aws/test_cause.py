"""The cause is told, not its first symptom: a rollout that a person has rolled back takes its alarms with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GreenShare
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from airflow_sm_rollout.core.watch.judge import Look
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab


def baking(make: type[Lab]) -> tuple[Lab, Rollout]:
    lab = make()
    lab.run(until=2)
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    return lab, record


def look_on(lab: Lab, rollout: Rollout) -> Look:
    end = lab.now() + timedelta(minutes=5)
    watch = Watch(lab.now(), end, rollout.green_traffic_since, 0, alarms=rollout.watched_alarms, rollout=rollout)
    return look(lab.clients, watch, lab.now(), Memory())


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_a_bake_says_that_the_rollout_was_ended_and_not_that_an_alarm_is_gone(make: type[Lab]) -> None:
    lab, rollout = baking(make)
    lab.roll_back()
    seen = look_on(lab, rollout).judgement
    assert seen.verdict is Verdict.ABORTED
    assert seen.reason.startswith(
        f"rollout {rollout.rollout_id} is over: it was ended meanwhile, by `sm-rollout rollback`"
    )


def test_a_bake_says_that_the_rollout_is_going_back() -> None:
    lab, rollout = baking(Lab)
    turned = with_phase(rollout, Phase.ROLLING_BACK)
    lab.clients.ssm.put_parameter(Name=rollout.names.record, Value=to_json(turned), Type="String", Overwrite=True)
    lab.clients.cloudwatch.delete_alarms(AlarmNames=[rollout.names.error_alarm])
    seen = look_on(lab, rollout).judgement
    assert (seen.verdict, "is being rolled back already" in seen.reason) == (Verdict.ABORTED, True)


def test_an_alarm_that_somebody_has_deleted_is_still_said_to_be_gone() -> None:
    lab, rollout = baking(Lab)
    lab.clients.cloudwatch.delete_alarms(AlarmNames=[USER_ALARM])
    seen = look_on(lab, rollout).judgement
    assert (seen.verdict, seen.reason) == (
        Verdict.HARMFUL,
        f"alarm {USER_ALARM} does not exist (deleted?), so nothing watches green",
    )


def test_a_task_that_goes_forward_says_so_too() -> None:
    lab, _ = baking(Lab)
    lab.reach(AsBefore())
    with pytest.raises(RolloutGaveUp, match="is not in progress"):
        lab.reach(GreenShare(50))
