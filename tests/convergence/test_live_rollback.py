"""Two endpoints behind a live pointer: the way back, from every point and whatever has gone wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GiveUp, Goal, GreenDeployed, GreenShare, OnlyGreen, Wait
from airflow_sm_rollout.core.rollout import Phase, with_phase
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT, USER_ALARM
from convergence.live_lab import (
    MAKERS,
    LiveLab,
    delete_alarm,
    forward_goals,
    scale,
    seen_by,
    step,
)
from convergence.test_exits import ring


def flap(lab: LiveLab) -> None:
    ring(lab, USER_ALARM)
    lab.pass_time(180)  # its own evaluation has put it back to OK


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("tasks_done", [0, 1, 2, 3])
def test_a_rollback_from_every_point_ends_as_before_field_by_field(
    make: Callable[[], LiveLab], tasks_done: int
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("goal", [AsBefore(), GreenShare(0)])
def test_the_way_back_is_one_write_before_anything_else_has_to_be_read(goal: Goal) -> None:
    lab = LiveLab()
    lab.run(until=3)
    scale(lab, lab.names.green_endpoint, 6)  # green is Updating
    lab.calls.clear()
    lab.reach(goal)
    looks = ["sagemaker:DescribeEndpoint"] if goal == AsBefore() else []  # whether there is a blue to go back to
    assert lab.calls[: 3 + len(looks)] == ["ssm:GetParameters", "ssm:GetParameters", *looks, "ssm:PutParameter"]
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda lab: ring(lab, USER_ALARM), "7 of 9 refused"), (flap, "7 of 9 refused"), (delete_alarm, "does not exist")],
    ids=["ringing", "rang", "missing"],
)
def test_harm_after_the_switch_stops_the_promotion_and_everything_comes_back(
    spoil: Callable[[LiveLab], None], words: str
) -> None:
    lab = LiveLab()
    lab.run(until=3)
    spoil(lab)
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(OnlyGreen())
    lab.roll_back()
    after = lab.describe()
    assert {**after, "alarms": ()} == {**lab.before, "alarms": ()}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda lab: ring(lab, USER_ALARM), "from before green had traffic"), (delete_alarm, "does not exist")],
    ids=["ringing", "missing"],
)
def test_no_client_is_sent_to_green_while_an_alarm_is_unfit(spoil: Callable[[LiveLab], None], words: str) -> None:
    lab = LiveLab()
    lab.run(until=1)
    spoil(lab)
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(GreenShare(100))
    assert lab.pointer() is None
    assert read_record(lab.clients.ssm, ENDPOINT).green_traffic_since is None  # type: ignore[union-attr]


def test_a_green_endpoint_that_never_serves_is_a_failure_with_aws_reason() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("bad_ping"))
    with pytest.raises(RolloutGaveUp, match=r"is Failed.*ping health check"):
        lab.run(until=1)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_rollback_says_that_a_green_endpoint_stuck_in_creation_can_not_be_deleted_yet_and_waits_for_it() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("bad_ping"))
    with pytest.raises(DeadlinePassed, match=f"endpoint {lab.names.green_endpoint} is Creating"):
        lab.reach(GreenDeployed(lab.plan()), patience=timedelta(minutes=5))
    waiting = step(lab, AsBefore())
    assert isinstance(waiting, Wait)
    assert "up to 24 minutes" in waiting.reason
    assert f"Clients call {ENDPOINT}" in waiting.reason
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_quota_that_is_too_small_fails_the_deployment_and_says_so() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("quota", "CreateEndpoint"))
    with pytest.raises(RolloutGaveUp, match="ResourceLimitExceeded"):
        lab.run(until=1)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_blue_scaled_while_it_had_no_clients_is_restored() -> None:
    lab = LiveLab()
    lab.run(until=3)
    scale(lab, ENDPOINT, 1)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_clients_are_not_sent_to_green_again_once_the_rollout_goes_back() -> None:
    lab = LiveLab()
    lab.run(until=3)
    lab.roll_back_denied("DeleteEndpoint")
    with pytest.raises(RolloutGaveUp, match="being rolled back"):
        lab.reach(GreenShare(100))
    assert lab.live() == ENDPOINT
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("number", range(3))
def test_nothing_goes_forward_once_the_rollout_goes_back(number: int) -> None:
    lab = LiveLab()
    lab.run(until=3)
    goal = forward_goals(lab)[number]
    seen = seen_by(lab, goal)
    assert seen.record is not None
    turned = replace(seen, record=with_phase(seen.record, Phase.ROLLING_BACK))
    decision = decide(goal, lab.names.rollout_id, turned)
    assert isinstance(decision, GiveUp)
    assert "being rolled back" in decision.reason
