"""The way back never gives up: what AWS refuses is tried again until the deadline, and what leads back another way is tried, too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShare, OnlyGreen, pause_after
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.blinking import green_share_now
from convergence.guardrails_lab import CANARY_BAKES_AT, GuardrailsLab
from convergence.lab import ENDPOINT, Lab
from convergence.live_lab import LiveLab
from convergence.test_exits import green_share

WEIGHTS = "UpdateEndpointWeightsAndCapacities"
ALWAYS = 1_000_000


def deny(lab: Lab, operation: str, times: int = ALWAYS) -> None:
    lab.sandbox.faults.add(Fault("denied", operation, times=times))


def delete_config(lab: Lab, name: str) -> None:
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=name)


@pytest.mark.parametrize("times", [1, 3, 8])
@pytest.mark.parametrize(("make", "tasks_done"), [(Lab, 3), (Lab, 7), (LiveLab, 2), (GuardrailsLab, 1)])
def test_what_is_denied_for_a_while_is_tried_again(make: Callable[[], Lab], tasks_done: int, times: int) -> None:
    lab = make()
    lab.run(until=tasks_done)
    deny(lab, "*", times)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert any("AccessDenied" in line for line in lab.told)


def test_the_pauses_grow_to_five_minutes() -> None:
    pauses = [pause_after(refusals).total_seconds() for refusals in range(12)]
    assert pauses == [0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300]


@pytest.mark.parametrize("tasks_done", [2, 4, 6])
def test_where_weights_are_denied_an_update_takes_the_traffic_from_green(tasks_done: int) -> None:
    lab = Lab()
    lab.run(until=tasks_done)
    deny(lab, WEIGHTS)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize(("make", "tasks_done"), [(Lab, 4), (LiveLab, 2)])
@pytest.mark.parametrize("goal", [GreenShare(0), AsBefore()], ids=str)
def test_a_wish_that_nobody_can_read_keeps_no_traffic_on_green(
    make: Callable[[], Lab], tasks_done: int, goal: Goal
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    assert green_share_now(lab) > 0
    lab.clients.ssm.put_parameter(Name=lab.names.control, Value="not a wish", Type="String", Overwrite=True)
    lab.reach(goal)
    assert green_share_now(lab) == 0


def test_green_loses_its_traffic_though_neither_weights_nor_the_record_may_be_changed() -> None:
    lab = Lab()
    lab.run(until=4)
    deny(lab, WEIGHTS)

    def keep_the_record(service: str, operation: str, phase: str) -> None:
        if service == "ssm" and operation == "PutParameter" and phase == "before":
            raise denied(operation)

    lab.hook = keep_the_record
    with pytest.raises(
        RolloutGaveUp, match="could not note in the record: rolling back: PutParameter answered AccessDenied"
    ):
        lab.reach(AsBefore(), timedelta(minutes=30))
    lab.hook = None
    assert green_share(lab) == 0
    lab.roll_back()
    assert lab.describe() == lab.before


def denied(operation: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)


def test_what_is_denied_to_the_deadline_is_told_with_what_can_be_done() -> None:
    lab = Lab()
    lab.run(until=4)
    told = lab.roll_back_denied("UpdateEndpoint")
    for words in (
        "not reached by",
        "could not update endpoint fraud",
        "UpdateEndpoint answered AccessDenied",
        "iam-policy",
    ):
        assert words in told
    assert green_share(lab) == 0
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("tasks_done", [1, 3, 7])
def test_blue_comes_back_though_somebody_deleted_the_config_that_the_endpoint_is_on(tasks_done: int) -> None:
    lab = Lab()
    lab.run(until=tasks_done)
    delete_config(lab, lab.names.mixed_config)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_blue_comes_back_though_somebody_deleted_the_config_that_sagemaker_has_shifted_to() -> None:
    lab = GuardrailsLab()
    lab.run(until=1)
    lab.shift(CANARY_BAKES_AT + 400)
    delete_config(lab, lab.names.final_config)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_green_is_promoted_though_somebody_deleted_the_config_that_the_endpoint_is_on() -> None:
    lab = Lab()
    lab.run(until=7)
    delete_config(lab, lab.names.mixed_config)
    lab.reach(OnlyGreen())
    assert lab.is_promoted(lab.describe())


def test_forward_what_is_not_there_ends_soon_with_the_reason() -> None:
    """Blue's model, of which green's takes the role, is deleted after the plan was made."""
    lab = Lab()
    rollout = lab.plan()
    lab.clients.sagemaker.delete_model(ModelName="fraud-v1")
    began = lab.now()
    with pytest.raises(RolloutGaveUp, match="blue's model fraud-v1 was deleted"):
        lab.reach(GreenDeployed(rollout))
    assert lab.now() - began < timedelta(minutes=5)


def test_forward_a_denial_ends_at_once() -> None:
    lab = Lab()
    lab.run(until=1)
    deny(lab, WEIGHTS, times=1)
    with pytest.raises(RolloutGaveUp, match="AccessDenied"):
        lab.reach(GreenShare(10))


def test_the_endpoint_of_a_rollback_that_may_not_look_is_looked_at_again() -> None:
    lab = Lab()
    lab.run(until=4)
    deny(lab, "DescribeEndpoint", times=5)
    lab.roll_back()
    assert lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "InService"
    assert lab.describe() == lab.before
