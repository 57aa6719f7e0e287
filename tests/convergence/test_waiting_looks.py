"""A look of a task that waits: it serves the wait and the watch, and reads nothing twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.watch import Lookout
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.goals import (
    AsBefore,
    GiveUp,
    GreenDeployed,
    GreenShare,
    Hold,
    Wait,
)
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.guardrails_lab import GuardrailsLab
from convergence.histories import History, assert_promises, blues_config_is_deleted, capacity_is_refused
from convergence.lab import ENDPOINT, USER_ALARM, AheadLab, Lab
from convergence.live_lab import LiveLab
from convergence.test_exits import wish


def waiting(share: float = 10.0) -> tuple[Lab, Lookout]:
    """A rollout whose green has had traffic, and whose endpoint is changing."""
    lab = Lab()
    planned = lab.plan()
    lab.reach(GreenDeployed(replace(planned, plan=replace(planned.plan, default_alarms=None, evidence=Evidence(None)))))
    lab.reach(GreenShare(share))
    green = {"VariantName": lab.names.variant, "DesiredInstanceCount": 2}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[green]
    )
    return lab, Lookout(AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now))


def calls_of_a_look(lab: Lab, lookout: Lookout) -> Counter[str]:
    lab.calls.clear()
    lookout.look_for(GreenShare(50.0))
    return Counter(lab.calls)


def test_each_look_asks_once_for_the_record_the_wish_the_endpoint_and_the_alarms() -> None:
    lab, lookout = waiting()
    calls_of_a_look(lab, lookout)  # the first one reads an alarm's history, too
    assert calls_of_a_look(lab, lookout) == {
        "ssm:GetParameters": 1,
        "sagemaker:DescribeEndpoint": 1,
        "cloudwatch:DescribeAlarms": 1,
    }


def test_a_wish_is_heeded_by_the_watch_while_the_endpoint_is_changing() -> None:
    lab, lookout = waiting()
    decision, harm = lookout.look_for(GreenShare(50.0))
    assert (type(decision), harm) == (Wait, "")
    wish(lab, Wish.ABORT)
    decision, harm = lookout.look_for(GreenShare(50.0))
    assert isinstance(decision, Wait)
    assert "aborted by alice" in harm


def test_a_pause_holds_as_soon_as_the_endpoint_can_be_changed_and_an_alarm_ends_that() -> None:
    lab, lookout = waiting()
    wish(lab, Wish.PAUSE)
    assert isinstance(lookout.look_for(GreenShare(50.0))[0], Wait)
    lab.pass_time(300)
    decision, harm = lookout.look_for(GreenShare(50.0))
    assert (type(decision), harm) == (Hold, "")
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="ALARM", StateReason="37 of 5")
    decision, _ = lookout.look_for(GreenShare(50.0))
    assert isinstance(decision, GiveUp)
    assert "37 of 5" in decision.reason


def test_on_the_way_back_nobody_asks_for_wishes_and_nothing_turns_it() -> None:
    lab, lookout = waiting()
    wish(lab, Wish.ABORT)
    lab.calls.clear()
    assert lookout.look_for(AsBefore())[1] == ""
    assert Counter(lab.calls) == {"ssm:GetParameters": 1, "sagemaker:DescribeEndpoint": 1}


def test_steps_that_follow_each_other_read_no_config_and_no_model_twice() -> None:
    lab = Lab()
    lab.run()
    calls = Counter(lab.calls)
    made_or_deleted = sum(calls[f"sagemaker:{verb}EndpointConfig"] for verb in ("Create", "Delete"))
    bursts = (
        2 + 1 + 2
    )  # green deployed before and after its update, the shadow that never was, promotion before and after its own
    assert calls["sagemaker:DescribeEndpointConfig"] <= 4 * bursts + made_or_deleted
    assert calls["sagemaker:DescribeModel"] <= 2 * bursts


@pytest.mark.parametrize("make", [Lab, AheadLab, LiveLab, GuardrailsLab])
def test_a_healthy_rollout_asks_for_nothing_that_is_not_there(make: type[Lab]) -> None:
    lab = make()
    lab.sandbox.calls.clear()
    lab.run()
    assert lab.is_promoted(lab.describe())
    answered = {call.operation: call.error_code for call in lab.sandbox.calls if call.error_code}
    assert answered == {}


@pytest.mark.parametrize("make", [Lab, LiveLab, GuardrailsLab])
def test_a_role_that_may_not_list_describes_what_may_not_be_there(make: type[Lab]) -> None:
    lab = make()
    for operation in ("ListEndpoints", "ListEndpointConfigs", "ListModels"):
        lab.sandbox.faults.add(Fault("denied", operation, times=99))
    lab.run()
    lab.sandbox.faults.clear()
    assert lab.is_promoted(lab.describe())


def test_an_update_that_aws_was_just_asked_for_is_not_looked_at_at_once() -> None:
    lab = Lab()
    world = AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now)
    waits = advance(GreenDeployed(lab.plan()), lab.names.rollout_id, world, lab.now() + timedelta(hours=1), lab.tell)
    assert isinstance(waits, Wait)
    assert waits.expected.total_seconds() > 60
    assert lab.calls[-1] == "sagemaker:UpdateEndpoint"


def test_what_was_read_before_a_step_is_read_again_by_who_looks_without_a_step() -> None:
    lab, lookout = waiting()
    world, goal = lookout.world, GreenShare(50.0)
    world.observe(goal)
    wish(lab, Wish.ABORT)
    assert world.observe(goal).control is not None


def test_what_a_step_has_made_or_deleted_is_read_again() -> None:
    lab = Lab()
    lab.reach(GreenDeployed(lab.plan()))
    read_again = [call for call in lab.calls if call.endswith("EndpointConfig")]
    at = read_again.index("sagemaker:CreateEndpointConfig")
    assert "sagemaker:DescribeEndpointConfig" in read_again[at:]


@pytest.mark.parametrize("at", range(4, 12))
@pytest.mark.parametrize("make", [Lab, LiveLab, GuardrailsLab])
def test_what_is_deleted_at_any_step_of_the_way_back_is_seen(make: type[Lab], at: int) -> None:
    history = History(make(on_drift="restore"), [(0, capacity_is_refused), (at, blues_config_is_deleted)])
    history.run()
    assert_promises(history, f"blue's config is deleted before effect {at}")
