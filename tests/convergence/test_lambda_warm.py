"""Provisioned concurrency of the function in front: green's version has what blue's has, and nothing of it stays behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.front.version import Provisioned
from airflow_sm_rollout.core.goals import GiveUp, GreenDeployed
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lambda_lab import LambdaLab, WarmLambdaLab
from convergence.live_lab import seen_by


def test_greens_version_is_as_warm_as_blues_before_it_is_called() -> None:
    lab = WarmLambdaLab()
    lab.run(until=1)
    assert lab.provisioned() == {"1": 3, "2": 3}
    [told] = [call for call in lab.calls if call == "lambda:PutProvisionedConcurrencyConfig"]
    assert told
    assert any("AWS provisions version 2" in line for line in lab.told)


def test_after_a_promotion_both_versions_are_warm() -> None:
    lab = WarmLambdaLab()
    lab.run()
    after = lab.describe()
    assert lab.is_promoted(after)
    assert after["provisioned"] == {"1": 3, "2": 3}


@pytest.mark.parametrize("tasks_done", [1, 3])
def test_a_rollback_leaves_nothing_provisioned(tasks_done: int) -> None:
    lab = WarmLambdaLab()
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert lab.provisioned() == {"1": 3}


def test_an_alias_that_is_warm_itself_is_refused_by_name() -> None:
    lab = LambdaLab()
    WarmLambdaLab.provision(lab, "live", 3)  # type: ignore[arg-type]
    lab.before = lab.describe()
    with pytest.raises(
        RolloutRefused, match=r"provisioned concurrency, .* Provision version 1 instead.*Nothing was changed"
    ):
        lab.plan()
    assert lab.describe() == lab.before


def test_who_may_not_ask_rolls_out_as_if_nothing_were_provisioned() -> None:
    lab = WarmLambdaLab()
    lab.sandbox.faults.add(Fault("denied", "GetProvisionedConcurrencyConfig", times=1_000_000))
    lab.run(until=1)
    lab.sandbox.faults.clear()
    assert lab.provisioned() == {"1": 3}


def test_a_version_that_aws_cannot_warm_ends_the_rollout_in_words() -> None:
    lab = WarmLambdaLab()
    lab.run(until=1)
    assert lab.planned is not None
    seen = seen_by(lab, GreenDeployed(lab.planned))
    assert seen.front is not None
    cold = replace(seen, front=replace(seen.front, provisioned=Provisioned(3, "FAILED", "no room")))
    decision = decide(GreenDeployed(lab.planned), lab.names.rollout_id, cold)
    assert isinstance(decision, GiveUp)
    assert "could not provision 3 concurrent calls for version 2" in decision.reason
    assert decision.reason.endswith("no room")
