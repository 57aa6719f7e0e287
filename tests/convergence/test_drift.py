"""Somebody else's change: said by default, and put back by a rollback whose plan says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.sandbox.faults import Fault
from convergence import live_lab
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, ENDPOINT, AheadLab, Lab
from convergence.live_lab import LiveLab
from convergence.test_exits import update_by_hand


def but_for_theirs(world: dict[str, Any]) -> dict[str, Any]:
    """The world without the config that somebody else has made, which is not ours to delete."""
    return {**world, "configs": [name for name in world["configs"] if name != "theirs"]}


def other_variant(lab: Lab) -> None:
    """Somebody else puts the endpoint on a variant of another name, with one instance."""
    sagemaker = lab.clients.sagemaker
    [blue] = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
    theirs = {**blue, "VariantName": "Theirs", "InitialInstanceCount": 1}
    lab.clients.autoscaling.deregister_scalable_target(
        ResourceId=f"endpoint/{ENDPOINT}/variant/AllTraffic",
        ServiceNamespace="sagemaker",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
    sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=[theirs])
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="theirs")
    lab.pass_time(200)


def same_variant(lab: Lab) -> None:
    update_by_hand(lab, "theirs")


@pytest.mark.parametrize("make", [Lab, GuardrailsLab])
def test_what_differs_is_said_and_how_to_go_on(make: Callable[[], Lab]) -> None:
    lab = make()
    lab.run(until=1)
    update_by_hand(lab, "theirs")
    with pytest.raises(RolloutGaveUp) as caught:
        lab.roll_back()
    for told in (
        "config theirs (AllTraffic 100 % on 1 instance(s))",
        BLUE_CONFIG,
        "4 instance(s)",
        "on_drift='restore'",
    ):
        assert told in str(caught.value)


@pytest.mark.parametrize("change", [same_variant, other_variant])
@pytest.mark.parametrize(("make", "tasks_done"), [(Lab, 1), (Lab, 4), (GuardrailsLab, 1)])
def test_a_plan_that_says_so_puts_blue_back_over_somebodys_change(
    make: Callable[..., Lab], tasks_done: int, change: Callable[[Lab], None]
) -> None:
    lab = make(on_drift="restore")
    lab.run(until=tasks_done)
    change(lab)
    with pytest.raises(RolloutGaveUp, match="config theirs"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert but_for_theirs(lab.describe()) == lab.before


@pytest.mark.parametrize("whose", ["blue", "green", "pointer"])
def test_a_plan_that_says_so_sends_clients_back_to_blue_as_it_was(whose: str) -> None:
    lab = LiveLab(on_drift="restore")
    lab.run(until=3)
    if whose == "pointer":
        lab.put_pointer(endpoint_name="theirs")
    else:
        live_lab.update_by_hand(lab, ENDPOINT if whose == "blue" else lab.names.green_endpoint)
    lab.roll_back()
    assert but_for_theirs(lab.describe()) == lab.before


def test_a_drift_that_nobody_knows_is_refused() -> None:
    lab = Lab()
    with pytest.raises(PlanError, match="on_drift='overwrite' is not possible: one of refuse, restore"):
        plan_rollout(lab.clients, lab.names, {}, Green(model_name="fraud-v1"), Plan(on_drift="overwrite"), lab.now())


def fail_to_roll_back(lab: Lab) -> None:
    """Somebody's rolling update fails, and so does its rollback."""
    lab.sandbox.faults.add(Fault("no_capacity", "UpdateEndpoint"))
    lab.sandbox.faults.add(Fault("failed_rollback", "UpdateEndpoint"))
    status = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    lab.clients.sagemaker.update_endpoint(
        EndpointName=ENDPOINT, EndpointConfigName=status["EndpointConfigName"], RetainAllVariantProperties=True
    )
    lab.pass_time(1500)
    assert lab.describe_endpoint(ENDPOINT)["EndpointStatus"] == "UpdateRollbackFailed"


@pytest.mark.parametrize(("make", "tasks_done"), [(Lab, 1), (Lab, 4), (Lab, 7), (GuardrailsLab, 1), (GuardrailsLab, 4)])
def test_a_rollback_leads_out_of_an_update_whose_own_rollback_failed(make: Callable[[], Lab], tasks_done: int) -> None:
    lab = make()
    lab.run(until=tasks_done)
    if isinstance(lab, GuardrailsLab):
        lab.pass_time(600)
    fail_to_roll_back(lab)
    with pytest.raises(RolloutGaveUp, match="UpdateRollbackFailed"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_rollback_that_fails_on_the_way_out_too_is_tried_by_the_other_config() -> None:
    lab = Lab()
    lab.run(until=1)
    fail_to_roll_back(lab)
    lab.sandbox.faults.add(Fault("no_capacity", "UpdateEndpoint", skip=1))
    lab.sandbox.faults.add(Fault("failed_rollback", "UpdateEndpoint"))
    lab.roll_back()
    assert lab.describe() == lab.before


def test_where_aws_refuses_the_way_out_its_answer_is_given() -> None:
    lab = Lab()
    lab.run(until=1)
    fail_to_roll_back(lab)
    assert "UpdateEndpoint answered AccessDenied" in lab.roll_back_denied("UpdateEndpoint")


def test_a_pointer_restored_over_somebodys_is_as_it_was_before() -> None:
    lab = LiveLab(on_drift="restore")
    lab.put_pointer(endpoint_name=ENDPOINT)
    lab.next_rollout("run")
    lab.run(until=2)
    lab.put_pointer(endpoint_name="theirs")
    assert lab.reach(AsBefore()).outcome is Outcome.ROLLED_BACK
    assert json.loads(lab.describe()["pointer"]) == {"endpoint_name": ENDPOINT}


@pytest.mark.parametrize("make", [Lab, AheadLab])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("moved", [0.0, 3.0, 60.0, 95.0])
def test_traffic_that_somebody_moved_between_two_bakes_is_not_added_to(
    make: Callable[[], Lab], step: int, moved: float
) -> None:
    lab = make()
    lab.reach(GreenDeployed(lab.plan()))
    shares = [each.share for each in lab.strategy.steps]
    for share in shares[:step]:
        lab.reach(GreenShare(share))
    theirs = {"AllTraffic": 100 - moved, lab.names.variant: moved}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT,
        DesiredWeightsAndCapacities=[{"VariantName": name, "DesiredWeight": each} for name, each in theirs.items()],
    )
    if moved == 0:  # as before each first step, so that it is no mistake to go on
        lab.reach(GreenShare(shares[step]))
        return
    with pytest.raises(RolloutGaveUp, match=f"somebody else moved traffic: green has {moved:g} %"):
        lab.reach(GreenShare(shares[step]))
    assert max(lab.shares) == max(*shares[:step], moved)
    lab.roll_back()
    assert lab.describe() == lab.before
