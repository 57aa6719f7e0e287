"""Two endpoints behind a live pointer: what is refused with nothing changed, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import PlanError, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GiveUp, GreenDeployed, Wait
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.rollout import Green, Plan
from convergence.lab import ENDPOINT, USER_ALARM
from convergence.live_lab import (
    LiveLab,
    delete_alarm,
    delete_endpoint,
    scale,
    seen_by,
    serverless,
    update_by_hand,
)
from convergence.test_exits import ring


def test_a_way_that_nobody_knows_is_refused() -> None:
    lab = LiveLab()
    with pytest.raises(PlanError, match="traffic='mirror'"):
        plan_rollout(lab.clients, lab.names, {}, Green(model_name="fraud-v1"), Plan(traffic="mirror"), lab.now())


@pytest.mark.parametrize("spoil", [lambda lab: ring(lab, USER_ALARM), delete_alarm], ids=["ringing", "missing"])
def test_an_unfit_alarm_refuses_the_rollout_before_anything_is_done(spoil: Callable[[LiveLab], None]) -> None:
    lab = LiveLab()
    rollout = lab.plan()
    spoil(lab)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match="alarms="):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == before


def test_a_model_that_does_not_exist_is_refused_when_starting() -> None:
    lab = LiveLab()
    rollout = replace(lab.plan(), green=Green(model_name="nowhere"))
    with pytest.raises(RolloutRefused, match="model_name='nowhere'"):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == lab.before


def test_a_second_rollout_is_refused_with_the_firsts_name_and_leaves_it_alone() -> None:
    lab = LiveLab()
    second = lab.plan()
    lab.run(until=3)
    mine, lab.names = lab.names, Names(ENDPOINT, "ffffffff")
    with pytest.raises(RolloutRefused, match=mine.rollout_id):
        lab.reach(GreenDeployed(replace(second, rollout_id="ffffffff")))
    state = lab.describe()
    assert "left alone" in lab.reach(AsBefore()).reason
    assert lab.describe() == state
    lab.names = mine
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("change", [scale, lambda lab, endpoint, _: update_by_hand(lab, endpoint)])
def test_a_blue_changed_between_plan_and_start_is_refused(change: Callable[[LiveLab, str, int], None]) -> None:
    lab = LiveLab()
    rollout = lab.plan()
    change(lab, ENDPOINT, 2)
    lab.pass_time(200)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match="not what was planned with"):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == before


def test_a_blue_that_is_changing_is_waited_for_before_the_rollout_begins() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    seen = seen_by(lab, GreenDeployed(rollout))
    for status, words in (("Updating", "nothing can interrupt"), ("OutOfService", "a person has to look")):
        assert seen.endpoint is not None
        decision = decide(
            GreenDeployed(rollout), rollout.rollout_id, replace(seen, endpoint=replace(seen.endpoint, status=status))
        )
        assert isinstance(decision, (Wait, GiveUp))
        assert words in decision.reason


def test_a_blue_that_is_gone_before_the_start_is_refused() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    delete_endpoint(lab, ENDPOINT)
    with pytest.raises(RolloutRefused, match="blue's endpoint fraud is gone"):
        lab.reach(GreenDeployed(rollout))


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ({"endpoint_name": "gone"}, "endpoint_name='gone': there is no such endpoint"),
        ({"endpoint": ENDPOINT}, "is not readable"),
        (
            {"endpoint_name": ENDPOINT, "green": {"endpoint_name": "theirs", "share": 5}},
            "names endpoint fraud and, for 5 % of the requests, endpoint theirs, and no rollout",
        ),
    ],
)
def test_a_pointer_that_leads_nowhere_is_refused(pointer: dict[str, Any], words: str) -> None:
    lab = LiveLab()
    lab.put_pointer(**pointer)
    with pytest.raises(RolloutRefused, match=words):
        lab.plan()


def test_the_name_of_a_live_pointer_is_no_endpoint_to_the_other_ways() -> None:
    lab = LiveLab()
    lab.run()
    names = Names(ENDPOINT, "ffffffff")
    with pytest.raises(RolloutRefused, match=r"logical name.*traffic='endpoints'"):
        plan_rollout(lab.clients, names, {}, Green(model_name="fraud-v1"), Plan(), lab.now())


def test_a_serverless_endpoint_is_refused_by_the_other_ways_which_name_this_one() -> None:
    lab = serverless()
    names = Names("fraud-serverless", "ffffffff")
    with pytest.raises(
        RolloutRefused, match=r"traffic='variants': it is serverless.*traffic='endpoints' and 'lambda' can"
    ):
        plan_rollout(lab.clients, names, {}, Green(model_name="fraud-v1"), Plan(), lab.now())
