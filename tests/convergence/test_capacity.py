"""Green's instances: before it has traffic, or for each share; never fewer than a share needs, and never in the way of a rollback."""

from __future__ import annotations

import pytest

from airflow_sm_rollout.core.goals import GreenDeployed
from convergence.lab import ENDPOINT, AheadLab, Lab
from convergence.walk import Make, rollout_strikes, walk_rollout

pytestmark = pytest.mark.usefixtures("direct")

EVERY = 12  # of all strikes: most are those of a rollout that gets its instances when they are needed, which is walked whole


def changes_of(lab: Lab) -> list[str]:
    """The rollout's lines on what it did to the endpoint itself."""
    return [line for line in lab.told if line.startswith(("set ", "update endpoint"))]


def test_ahead_green_has_all_its_instances_before_it_has_traffic_and_steps_change_weights_alone() -> None:
    lab = AheadLab()
    lab.reach(GreenDeployed(lab.plan()))
    described = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    counts = {each["VariantName"]: each["CurrentInstanceCount"] for each in described["ProductionVariants"]}
    assert counts == {"AllTraffic": 4, lab.names.variant: 4}
    lab.run()
    changes = [line for line in changes_of(lab) if line.startswith("set ")]
    assert len(changes) == len(lab.strategy.steps)
    assert all(line.startswith("set weights") for line in changes)
    assert not lab.under_capacity


def test_ahead_a_rollout_takes_two_updates_less() -> None:
    lasted = {}
    for make in (Lab, AheadLab):
        lab = make()
        began = lab.now()
        lab.run()
        lasted[make] = (lab.now() - began).total_seconds()
    assert lasted[Lab] - lasted[AheadLab] >= 2 * 134


@pytest.mark.parametrize("tasks_done", range(1, 7))
def test_a_rollback_is_as_fast_whenever_green_got_its_instances(tasks_done: int) -> None:
    lasts = {}
    for make in (Lab, AheadLab):
        lab = make()
        lab.run(tasks_done)
        began = lab.now()
        lab.roll_back()
        lasts[make] = (lab.now() - began).total_seconds()
    assert lasts[AheadLab] <= lasts[Lab] + 1


@pytest.mark.parametrize("make", [AheadLab])
def test_ahead_a_rollout_struck_at_some_calls_ends_promoted_or_as_before(make: Make) -> None:
    assert walk_rollout(make, 0, EVERY) == len(rollout_strikes(make)[0::EVERY]) > 20
