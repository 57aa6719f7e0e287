"""A watch does without what is not vital, says so, and goes on deciding by what it can read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.control import write_control
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT, USER_ALARM
from evidence.test_looks import BakingLab

FOR_EVER = 1_000_000
UNREAD = {"GetParameters": "the rollout's record and what is wished of it", "DescribeEndpoint": "the endpoint"}


def ring(lab: BakingLab) -> None:
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="ALARM", StateReason="37 of 5")


def looked(lab: BakingLab, watch: Watch, memory: Memory) -> Judgement:
    return look(lab.clients, watch, lab.now(), memory).judgement


def baking() -> tuple[BakingLab, Watch, Memory]:
    lab = BakingLab(tolerances=None)
    lab.share = 10.0
    return lab, replace(lab.asked, observes=True, min_requests=0), Memory()


@pytest.mark.parametrize("kind", ["denied", "throttle"])
@pytest.mark.parametrize("operation", UNREAD)
def test_what_only_watches_the_scene_may_stay_unread(operation: str, kind: str) -> None:
    lab, watch, memory = baking()
    lab.sandbox.faults.add(Fault(kind, operation, times=FOR_EVER))
    said = looked(lab, watch, memory)
    assert said.verdict is Verdict.WATCHING
    assert f"{UNREAD[operation]} could not be read: {operation} answered" in said.reason
    ring(lab)
    assert looked(lab, watch, memory).verdict is Verdict.HARMFUL


def test_a_bake_ends_healthy_though_its_scene_was_never_read_and_says_so() -> None:
    lab, watch, memory = baking()
    for operation in UNREAD:
        lab.sandbox.faults.add(Fault("denied", operation, times=FOR_EVER))
    lab.pass_time(600)
    said = looked(lab, watch, memory)
    assert said.verdict is Verdict.HEALTHY
    assert all(f"{what} could not be read" in said.reason for what in UNREAD.values())


def test_a_pause_holds_where_nobody_can_tell_whether_it_still_does() -> None:
    lab, watch, memory = baking()
    write_control(lab.clients.ssm, ENDPOINT, Control(lab.rollout.rollout_id, Wish.PAUSE, lab.now(), "ann"))
    assert "paused by ann" in looked(lab, watch, memory).reason
    lab.sandbox.faults.add(Fault("throttle", "GetParameters", times=FOR_EVER))
    lab.pass_time(timedelta(hours=1).total_seconds())
    said = looked(lab, watch, memory)
    assert said.verdict is Verdict.WATCHING
    assert "paused by ann" in said.reason


@pytest.mark.parametrize("kind", ["denied", "throttle"])
def test_figures_that_can_not_be_read_hide_no_alarm_that_rings(kind: str) -> None:
    lab = BakingLab()
    watch, memory = lab.asked, Memory()
    lab.sandbox.faults.add(Fault(kind, "GetMetricData", times=FOR_EVER))
    assert looked(lab, watch, memory).verdict is (Verdict.INCONCLUSIVE if kind == "denied" else Verdict.WATCHING)
    ring(lab)
    said = looked(lab, watch, memory)
    assert said.verdict is Verdict.HARMFUL
    assert "37 of 5" in said.reason
