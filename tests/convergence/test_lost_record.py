"""Somebody deletes the rollout's record. What AWS shows counts then: nobody says "as before" while green has traffic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Rollout
from convergence.guardrails_lab import CANARY_BAKES_AT, GuardrailsLab
from convergence.lab import ENDPOINT, Killed, Lab
from convergence.live_lab import LiveLab, deleting_blue
from convergence.test_exits import green_share


def delete_record(lab: Lab) -> None:
    lab.clients.ssm.delete_parameter(Name=lab.names.record)


def begun(lab: Lab, tasks_done: int) -> Rollout:
    """A rollout after that many tasks; as it was planned."""
    planned = lab.plan()
    lab.run(until=tasks_done)
    return planned


@pytest.mark.parametrize(
    ("make", "tasks_done"),
    [
        *((Lab, done) for done in range(1, 8)),
        *((LiveLab, done) for done in range(1, 4)),
        (GuardrailsLab, 1),
        (GuardrailsLab, 2),
    ],
)
def test_everything_is_as_before_by_the_plan(make: Callable[[], Lab], tasks_done: int) -> None:
    lab = make()
    planned = begun(lab, tasks_done)
    delete_record(lab)
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before


def test_traffic_that_sagemaker_has_shifted_is_taken_back_since_nobody_can_tell_whether_green_was_watched() -> None:
    lab = GuardrailsLab()
    planned = begun(lab, 1)
    lab.shift(CANARY_BAKES_AT + 400)
    delete_record(lab)
    with pytest.raises(RolloutGaveUp, match=r"the record of rollout .* is gone"):
        lab.reach(OnlyGreen(planned))
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before


def test_clients_that_are_on_green_are_taken_back_since_nobody_can_tell_whether_green_was_watched() -> None:
    lab = LiveLab()
    planned = begun(lab, 2)
    delete_record(lab)
    with pytest.raises(RolloutGaveUp, match=r"the record of rollout .* is gone"):
        lab.reach(OnlyGreen(planned))
    lab.reach(AsBefore(planned))
    assert lab.describe() == lab.before


@pytest.mark.parametrize("tasks_done", [2, 4, 7])
@pytest.mark.parametrize("goal", [GreenShare(100), OnlyGreen(), AsBefore()], ids=str)
def test_without_the_plan_it_is_said_what_stands_and_how_to_end_it(goal: Goal, tasks_done: int) -> None:
    lab = Lab()
    lab.run(until=tasks_done)
    share = green_share(lab)
    delete_record(lab)
    with pytest.raises(RolloutGaveUp) as caught:
        lab.reach(goal)
    for words in (lab.names.record, f"{share:g} %", lab.names.mixed_config, "Task settle"):
        assert words in str(caught.value)
    assert green_share(lab) == share


@pytest.mark.parametrize("goal", [OnlyGreen, AsBefore])
def test_a_promotion_whose_record_is_deleted_behind_its_update_is_brought_to_its_end(
    goal: Callable[[Rollout], Goal],
) -> None:
    lab = Lab()
    planned = begun(lab, 7)

    def kill_behind_the_update(service: str, operation: str, phase: str) -> None:
        if operation == "UpdateEndpoint" and phase == "after":
            raise Killed

    lab.hook = kill_behind_the_update
    with pytest.raises(Killed):
        lab.reach(OnlyGreen(planned))
    lab.hook = None
    delete_record(lab)
    assert lab.reach(goal(planned)).outcome is Outcome.PROMOTED
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize("make", [Lab, LiveLab, deleting_blue, GuardrailsLab])
def test_of_a_rollout_that_has_ended_nothing_is_taken_for_lost(make: Callable[[], Lab]) -> None:
    lab = make()
    planned = lab.plan()
    lab.run()
    promoted = lab.describe()
    assert lab.reach(AsBefore(planned)).outcome is Outcome.PROMOTED
    assert lab.describe() == promoted


@pytest.mark.parametrize("make", [Lab, LiveLab, GuardrailsLab])
def test_of_a_rollout_that_never_began_nothing_is_taken_for_lost(make: Callable[[], Lab]) -> None:
    lab = make()
    planned = lab.plan()
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    with pytest.raises(RolloutError, match="not in progress"):
        lab.reach(OnlyGreen(planned))
    assert lab.describe() == lab.before


def test_a_later_rollout_of_the_same_endpoint_is_left_alone() -> None:
    lab = Lab()
    planned = lab.plan()
    lab.run()
    mine, lab.names = lab.names, Names(ENDPOINT, "ffffffff")
    lab.before = lab.describe()
    lab.run(until=3)
    state, theirs, lab.names = lab.describe(), lab.names, mine
    assert "left alone" in lab.reach(AsBefore(planned)).reason
    assert lab.describe() == state
    lab.names = theirs
    lab.roll_back()
    assert lab.describe() == lab.before


def test_an_endpoint_that_is_changing_is_waited_for_before_anything_is_said() -> None:
    lab = Lab()
    planned = lab.plan()

    def kill_behind_the_update(service: str, operation: str, phase: str) -> None:
        if operation == "UpdateEndpoint" and phase == "after":
            raise Killed

    lab.hook = kill_behind_the_update
    with pytest.raises(Killed):
        lab.run(until=1)
    lab.hook = None
    delete_record(lab)
    began = lab.now()
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    assert lab.now() - began > timedelta(minutes=1)
    assert lab.describe() == lab.before
