"""AWS holds weights as 32-bit floats. Every share that a plan can name is reached by one change of the weights, and is then reached."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.core.goals import AsBefore, GreenShare, OnlyGreen
from airflow_sm_rollout.core.plan.strategy import canary, linear
from airflow_sm_rollout.core.rollout import Rollout
from aws.answers import change_answers
from convergence.lab import ENDPOINT, Lab

pytestmark = pytest.mark.usefixtures("direct")

TENTHS = range(1, 1001)


def as_held(weight: float) -> float:
    return float(struct.unpack("f", struct.pack("f", weight))[0])


def rounded(described: dict[str, Any]) -> dict[str, Any]:
    """Weights as the API's type has them."""
    variants = [
        {name: as_held(each) if name.endswith("Weight") else each for name, each in variant.items()}
        for variant in described["ProductionVariants"]
    ]
    return {**described, "ProductionVariants": variants}


class Unplanned(Lab):
    """A rollout of single operators, with shares of their own."""

    def plan(self) -> Rollout:
        planned = super().plan()
        return replace(planned, plan=replace(planned.plan, strategy=None))


def deployed(lab: Lab) -> Lab:
    change_answers(lab, "DescribeEndpoint", rounded)
    lab.run(until=1)
    return lab


def changes_to(lab: Lab, share: float) -> int:
    """How many weight changes it takes to reach a share."""
    lab.calls.clear()
    lab.reach(GreenShare(share), patience=timedelta(minutes=10))
    asked = [call for call in lab.sandbox.calls if call.operation == "UpdateEndpointWeightsAndCapacities"]
    lab.sandbox.calls.clear()
    return sum("DesiredWeight" in each for call in asked for each in call.params["DesiredWeightsAndCapacities"][:1])


@pytest.mark.parametrize("way", ["up", "down"])
def test_each_tenth_of_a_percent_is_reached_by_one_change(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    lab = deployed(Unplanned())
    tenths = [*TENTHS] if way == "up" else [*reversed(TENTHS)]
    lab.sandbox.calls.clear()
    changes = {tenth / 10: changes_to(lab, tenth / 10) for tenth in tenths}
    with capsys.disabled():
        print(f"\n{len(changes)} shares reached, {way}")
    assert {share: count for share, count in changes.items() if count != 1} == {}


@pytest.mark.parametrize(
    "strategy",
    [canary([33.3, 66.6, 100], 60), canary([0.1, 100], 60), linear(33.33, 60), linear(14.3, 60), linear(7.7, 60)],
    ids=str,
)
def test_a_whole_rollout_and_a_rollback_reach_their_ends(strategy: Any) -> None:
    for goal in (OnlyGreen(), AsBefore()):
        lab = Lab()
        lab.strategy = strategy  # type: ignore[misc]
        deployed(lab)
        for step in strategy.steps:
            assert changes_to(lab, step.share) == 1
        lab.reach(goal, patience=timedelta(hours=1))
        assert lab.sandbox.endpoints.serving(ENDPOINT) is not None


@pytest.mark.parametrize("share", [32.4, 33.3, 36.9, 66.6])
def test_a_share_that_green_has_without_the_instances_for_it_gets_them(share: float) -> None:
    lab = deployed(Unplanned())
    changes_to(lab, share)
    change = {"VariantName": lab.names.variant, "DesiredInstanceCount": 1}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[change]
    )
    lab.pass_time(200)
    lab.reach(GreenShare(share), patience=timedelta(minutes=10))
    endpoint = lab.describe_endpoint(ENDPOINT)
    [green] = [each for each in endpoint["ProductionVariants"] if each["VariantName"] == lab.names.variant]
    assert green["CurrentInstanceCount"] == math.ceil(4 * share / 100)
