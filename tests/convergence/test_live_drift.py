"""Two endpoints behind a live pointer: somebody else changes something meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.core.errors import RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShare, OnlyGreen, Wait
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import BLUE_CONFIG, ENDPOINT
from convergence.live_lab import (
    POINTER,
    LiveLab,
    count_of,
    delete_endpoint,
    second_rollout,
    step,
    update_by_hand,
)


@pytest.mark.parametrize("make", [LiveLab, second_rollout])
@pytest.mark.parametrize(
    ("tasks_done", "goal"), [(1, GreenShare(100)), (3, GreenShare(0)), (3, OnlyGreen()), (3, AsBefore())]
)
def test_a_pointer_that_somebody_else_wrote_is_never_overwritten(
    make: Callable[[], LiveLab], tasks_done: int, goal: Goal
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    lab.put_pointer(endpoint_name="theirs")
    with pytest.raises(RolloutGaveUp, match=r"somebody else wrote the live pointer.*names endpoint theirs"):
        lab.reach(goal)
    assert lab.live() == "theirs"


def test_a_pointer_written_away_and_back_before_the_switch_is_noticed_by_its_version() -> None:
    lab = second_rollout()
    lab.run(until=1)
    text = lab.before["pointer"]
    for each in (json.dumps({"endpoint_name": "theirs"}), text):
        lab.clients.ssm.put_parameter(Name=POINTER, Value=each, Type="String", Overwrite=True)
    with pytest.raises(RolloutGaveUp, match=r"in version 3;.*version 1 when planned"):
        lab.reach(GreenShare(100))
    assert lab.pointer() == {"text": text, "version": 3}


def test_a_pointer_changed_between_plan_and_start_is_refused() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    lab.put_pointer(endpoint_name="theirs")
    before = lab.describe()
    with pytest.raises(RolloutRefused, match="somebody else wrote the live pointer"):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == before


def test_a_pointer_that_a_person_has_put_back_on_blue_is_left_and_the_rest_is_tidied() -> None:
    lab = LiveLab()
    lab.run(until=3)
    lab.put_pointer(endpoint_name=ENDPOINT, by="alice")
    with pytest.raises(RolloutGaveUp, match="somebody else wrote the live pointer"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert lab.describe() == {**lab.before, "pointer": json.dumps({"endpoint_name": ENDPOINT, "by": "alice"})}
    assert not lab.under_capacity


def intrude(lab: LiveLab, target: str) -> None:
    """Somebody else writes the pointer between the rollout's next look and its writing."""

    def hook(service: str, operation: str, phase: str) -> None:
        if (operation, phase) == ("PutParameter", "before") and lab.calls[-2:-1] != ["ssm:PutParameter"]:
            lab.hook = None
            lab.put_pointer(endpoint_name=target)

    lab.hook = hook


def noted_green_traffic(lab: LiveLab) -> None:
    """The record says that green is about to get traffic, so that the next write is the pointer's."""
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    write_record(lab.clients.ssm, replace(rollout, green_traffic_since=lab.now()), overwrite=True)


def test_a_first_pointer_is_not_written_over_one_that_somebody_else_wrote_at_the_same_moment() -> None:
    lab = LiveLab()
    lab.run(until=1)
    noted_green_traffic(lab)
    intrude(lab, "theirs")
    with pytest.raises(RolloutGaveUp, match="names endpoint theirs in version 1"):
        lab.reach(GreenShare(100))
    assert lab.live() == "theirs"


def test_a_write_at_the_same_moment_as_the_switch_is_noticed_by_the_version_that_came_back() -> None:
    lab = second_rollout()
    lab.run(until=1)
    noted_green_traffic(lab)
    intrude(lab, "theirs")
    waiting = step(lab, GreenShare(100))
    assert isinstance(waiting, Wait)
    assert "it is in version 3, 2 was meant" in waiting.reason
    with pytest.raises(RolloutGaveUp, match=r"somebody else wrote the live pointer.*get-parameter-history"):
        lab.reach(GreenShare(100))
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_write_at_the_same_moment_as_the_way_back_is_said_and_does_not_stop_it() -> None:
    lab = LiveLab()
    lab.run(until=3)
    intrude(lab, "theirs")
    waiting = step(lab, AsBefore())
    assert isinstance(waiting, Wait)
    assert "somebody else wrote the live pointer" in waiting.reason
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("tasks_done", [0, 1])
def test_an_endpoint_of_blue_that_somebody_changed_stops_the_rollout(tasks_done: int) -> None:
    lab = LiveLab()
    write_record(lab.clients.ssm, lab.plan(), overwrite=False)
    lab.run(until=tasks_done)
    update_by_hand(lab, ENDPOINT)
    with pytest.raises(RolloutGaveUp, match=r"somebody else changed blue's endpoint fraud: .* on config theirs"):
        lab.run(until=tasks_done + 1) if tasks_done == 0 else lab.reach(GreenShare(100))
    assert lab.pointer() is None


def test_a_rollback_tidies_its_own_and_leaves_a_blue_that_somebody_changed() -> None:
    lab = LiveLab()
    lab.run(until=3)
    update_by_hand(lab, ENDPOINT)
    count = count_of(lab, ENDPOINT)
    with pytest.raises(RolloutGaveUp, match="changed blue's endpoint"):
        lab.roll_back()
    after = lab.describe()
    assert list(after["endpoints"]) == [ENDPOINT]
    assert after["endpoints"][ENDPOINT]["EndpointConfigName"] == "theirs"
    assert count_of(lab, ENDPOINT) == count
    assert after["models"] == lab.before["models"]
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize("status", ["gone", "Deleting"])
def test_without_blue_nobody_is_sent_to_green(status: str) -> None:
    lab = LiveLab()
    lab.run(until=1)
    lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    lab.pass_time(100 if status == "gone" else 1)
    with pytest.raises(RolloutGaveUp, match="blue's endpoint fraud is gone"):
        lab.reach(GreenShare(100))


def test_a_blue_that_somebody_deleted_is_made_again() -> None:
    lab = LiveLab()
    lab.run(until=3)
    delete_endpoint(lab, ENDPOINT)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    lab.roll_back()
    after = lab.describe()
    for world in (after, lab.before):
        world["endpoints"][ENDPOINT].pop("CreationTime")
    assert after == lab.before


def test_a_blue_that_does_not_come_back_asks_for_a_person() -> None:
    lab = LiveLab()
    lab.run(until=3)
    delete_endpoint(lab, ENDPOINT)
    lab.sandbox.faults.add(Fault("no_capacity", "CreateEndpoint"))
    with pytest.raises(RolloutGaveUp, match=r"endpoint fraud is Failed.*CapacityError.*a person has to look"):
        lab.roll_back()


def test_blues_config_comes_back_though_somebody_deleted_it() -> None:
    lab = LiveLab()
    lab.run(until=2)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize(("tasks_done", "goal"), [(1, GreenShare(100)), (3, OnlyGreen()), (3, AsBefore())])
def test_an_endpoint_of_green_that_somebody_changed_is_neither_used_nor_deleted(tasks_done: int, goal: Goal) -> None:
    lab = LiveLab()
    lab.run(until=tasks_done)
    update_by_hand(lab, lab.names.green_endpoint)
    for each in (goal, GreenDeployed(read_record(lab.clients.ssm, ENDPOINT))):  # type: ignore[arg-type]
        with pytest.raises(RolloutGaveUp, match=r"changed green's endpoint|being rolled back"):
            lab.reach(each)
    assert lab.names.green_endpoint in lab.describe()["endpoints"]
    assert lab.live() == (lab.names.green_endpoint if goal == OnlyGreen() else ENDPOINT)


@pytest.mark.parametrize(("tasks_done", "goal"), [(1, GreenShare(100)), (3, GreenShare(100)), (3, OnlyGreen())])
def test_a_green_that_somebody_deleted_ends_the_way_forward_and_clients_get_blue_back(
    tasks_done: int, goal: Goal
) -> None:
    lab = LiveLab()
    lab.run(until=tasks_done)
    delete_endpoint(lab, lab.names.green_endpoint)
    with pytest.raises(RolloutGaveUp, match=f"no endpoint {lab.names.green_endpoint}"):
        lab.reach(goal)
    lab.roll_back()
    assert lab.describe() == lab.before
