"""AWS holds weights as 32-bit floats, so that a share comes back a little off. Each share of a plan is reached by one change all the same.

``tests/aws/test_shares.py`` walks all tenths of a percent; here are plans as people write them, from their first step to their last.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.core.goals import GreenDeployed, GreenShare
from airflow_sm_rollout.core.plan.strategy import Strategy, canary, linear
from aws.answers import change_answers
from aws.test_shares import rounded
from convergence import lab as labs
from convergence.direct import direct_clients
from convergence.lab import AheadLab

PLANS: dict[str, Strategy] = {
    **{str(shares): canary(shares, bake=60) for shares in ([10, 50, 100], [33.3, 66.6, 100], [0.1, 100], [33.4, 100], [44.4, 100])},
    **{f"linear {step}": linear(step, 60) for step in (33.33, 14.3)},
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS)
def test_each_step_of_a_plan_is_reached_in_one_change_of_the_weights(
    plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "clients_of", direct_clients)
    lab: Any = AheadLab()
    lab.strategy = PLANS[plan]
    change_answers(lab, "DescribeEndpoint", rounded)
    lab.reach(GreenDeployed(lab.plan()))
    changes = {}
    for step in lab.strategy.steps:
        lab.calls.clear()
        lab.reach(GreenShare(step.share), patience=timedelta(minutes=30))
        changes[step.share] = lab.calls.count("sagemaker:UpdateEndpointWeightsAndCapacities")
    assert changes == dict.fromkeys(changes, 1)
