"""The record says that green is promoted, AWS that green does not serve. AWS's word counts: whoever can still serve gets the clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from airflow_sm_rollout.aws.guardian import read_taken_back
from airflow_sm_rollout.aws.record import read_record, update_record, write_record
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Goal, OnlyGreen
from airflow_sm_rollout.core.guardian import State
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from convergence.conftest import WALKED
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, ENDPOINT, Killed, Lab
from convergence.live_lab import LiveLab, SharedLab, begin_promotion, delete_endpoint, deleting_blue, scale
from convergence.meddling import EXITS, MEDDLINGS, Make, moments, walk
from convergence.test_guardian_walk import guard, guardian_of

pytestmark = pytest.mark.usefixtures("direct")

SAMPLED = 20
[GREEN_IS_DELETED] = [each for each in MEDDLINGS if each.name == "green's endpoint is deleted"]
[RECORD_IS_DELETED] = [each for each in MEDDLINGS if each.name == "the record is deleted"]


def promotion_of(make: Make) -> list[int]:
    """The numbers of the calls of a rollout's last two tasks."""
    lab = make()
    lab.plan()
    for task in lab.tasks()[:-1]:
        task()
    return [at for at in moments(make) if at >= len(lab.calls)]


@pytest.mark.parametrize("make", [LiveLab, deleting_blue, SharedLab])
def test_whenever_green_is_deleted_in_its_promotion_nobody_is_left_without_an_answer_who_need_not_be(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    moments_of = [(GREEN_IS_DELETED, at, way_out) for at in promotion_of(make) for way_out in EXITS]
    walked = list(walk(make, Random(11).sample(moments_of, SAMPLED)))
    record_property(WALKED, len(walked))
    assert len([case for case in walked if case.ended == "as_before"]) > SAMPLED / 3


@pytest.mark.parametrize("make", [LiveLab, SharedLab])
def test_a_record_deleted_in_the_promotion_sends_nobody_to_a_blue_that_is_gone(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    moments_of = [(RECORD_IS_DELETED, at, way_out) for at in promotion_of(make) for way_out in EXITS]
    walked = list(walk(make, Random(12).sample(moments_of, SAMPLED)))
    record_property(WALKED, len(walked))
    assert [case.name for case in walked for told in case.lab.under_capacity if "nobody answers" in told] == []


def with_promotion_noted(make: Make) -> tuple[Lab, Rollout]:
    """A rollout that is killed after green serves everything, and whose record says that blue is being deleted."""
    lab = make()
    planned = lab.plan()
    for task in lab.tasks()[:-1]:
        task()

    def die(service: str, operation: str, phase: str) -> None:
        if operation == "DeleteParameters" and phase == "before":
            raise Killed

    lab.hook = die
    with pytest.raises(Killed):
        lab.reach(OnlyGreen())
    lab.hook = None
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    noted = replace(with_phase(record, Phase.PROMOTED), plan=replace(record.plan, delete_blue=True))
    write_record(lab.clients.ssm, noted, overwrite=True)
    return lab, planned


@pytest.mark.parametrize("make", [Lab, GuardrailsLab])
@pytest.mark.parametrize("knows_plan", [True, False])
def test_an_endpoint_that_somebody_has_put_back_on_blue_is_as_before(make: Make, knows_plan: bool) -> None:
    lab, planned = with_promotion_noted(make)
    for target in lab.describe()["scaling"]:  # AWS refuses an update that removes a scalable variant
        if lab.names.variant in target:
            lab.clients.autoscaling.deregister_scalable_target(
                ServiceNamespace="sagemaker",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
                ResourceId=target,
            )
    lab.clients.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=BLUE_CONFIG)
    lab.pass_time(300)
    assert lab.reach(AsBefore(planned if knows_plan else None)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [Lab, GuardrailsLab])
def test_a_promotion_is_finished_where_green_serves(make: Make) -> None:
    lab, planned = with_promotion_noted(make)
    assert lab.reach(AsBefore(planned)).outcome is Outcome.PROMOTED
    assert lab.describe()["records"] == []


def test_a_promotion_is_finished_where_both_endpoints_stand() -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    lab.roll_back()
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize("status", ["Deleting", "Failed", "OutOfService"])
def test_clients_are_taken_from_a_promoted_green_that_can_not_answer(status: str) -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    endpoint = lab.sandbox.endpoints.serving(lab.names.green_endpoint)
    assert endpoint is not None
    endpoint.status = status
    lab.calls.clear()
    with pytest.raises(Killed):
        first_write(lab, AsBefore())
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize("status", ["deleted", "Failed", "OutOfService", "InService"])
def test_a_guardian_takes_clients_from_a_promoted_green_that_can_not_answer_and_from_no_other(status: str) -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    endpoint = lab.sandbox.endpoints.serving(lab.names.green_endpoint)
    assert endpoint is not None
    if status == "deleted":
        delete_endpoint(lab, lab.names.green_endpoint)
    else:
        endpoint.status = status
    [found] = guardian_of(lab).look()
    if status == "InService":
        assert (found.state, lab.live()) == (State.LEFT_ALONE, lab.names.green_endpoint)
        return
    assert lab.live() == ENDPOINT
    note = read_taken_back(lab.clients.ssm, ENDPOINT, lab.names.rollout_id)
    assert note is not None
    assert note.why.startswith("green is promoted, and its ")


def test_a_guardian_brings_all_to_as_before_where_a_promoted_green_was_deleted() -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    delete_endpoint(lab, lab.names.green_endpoint)
    guard(lab, guardian_of(lab))
    lab.pass_time(300)
    guard(lab, guardian_of(lab))
    after = lab.describe()
    assert lab.live() == ENDPOINT
    assert set(after["endpoints"]) == {ENDPOINT}
    assert {each: after[each] for each in ("configs", "models", "alarms", "records")} == {
        each: lab.before[each] for each in ("configs", "models", "alarms", "records")
    }


def first_write(lab: Lab, goal: Goal) -> None:
    def die(service: str, operation: str, phase: str) -> None:
        if operation == "PutParameter" and phase == "after":
            lab.hook = None
            raise Killed

    lab.hook = die
    lab.reach(goal, timedelta(minutes=1))


@pytest.mark.parametrize("knows_plan", [True, False])
def test_nobody_says_as_before_where_a_promoted_green_was_deleted_and_blue_is_gone(knows_plan: bool) -> None:
    lab = deleting_blue()
    planned = lab.plan()
    lab.run()
    delete_endpoint(lab, lab.names.green_endpoint)
    with pytest.raises(RolloutGaveUp, match="no endpoint answers there"):
        lab.reach(AsBefore(planned if knows_plan else None))


def test_clients_go_back_to_the_blue_that_was_kept_where_a_promoted_green_was_deleted() -> None:
    lab = LiveLab()
    planned = lab.plan()
    lab.run()
    for count in (5, 4):  # blue is changed afterwards, so that the times of its changes say nothing any more
        scale(lab, ENDPOINT, count)
        lab.pass_time(200)
    delete_endpoint(lab, lab.names.green_endpoint)
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before


def test_a_promotion_is_turned_by_whoever_has_seen_it_and_by_nobody_else() -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    ssm, promoted = lab.clients.ssm, read_record(lab.clients.ssm, ENDPOINT)
    assert promoted is not None
    assert promoted.phase is Phase.PROMOTED
    update_record(ssm, with_phase(promoted, Phase.ROLLING_BACK), turned_from=Phase.FORWARD)
    assert read_record(ssm, ENDPOINT) == promoted
    update_record(ssm, with_phase(promoted, Phase.ROLLING_BACK), turned_from=Phase.PROMOTED)
    assert read_record(ssm, ENDPOINT) == with_phase(promoted, Phase.ROLLING_BACK)
