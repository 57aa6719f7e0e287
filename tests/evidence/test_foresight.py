"""What the bakes of a rollout can prove is told before it changes anything, on what blue has served in the last hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.foresight import foresee, foresee_bake
from airflow_sm_rollout.core.plan.strategy import blue_green, canary
from airflow_sm_rollout.core.rollout import Rollout
from convergence.lab import Lab
from evidence.published import publish

SHARES = [10.0, 50.0]


@pytest.fixture(scope="module")
def lab() -> Lab:
    lab = Lab()
    planned = lab.plan()
    for minute in range(20):
        at = lab.now() - timedelta(minutes=minute + 1)
        publish(lab.sandbox, planned.blue_dimensions, at, requests=60, e5=1)
    return lab


def planned(lab: Lab, minutes: float = 10.0) -> Rollout:
    rollout = lab.plan()
    steps = canary([10, 50, 100], bake=timedelta(minutes=minutes))
    return replace(rollout, plan=replace(rollout.plan, strategy=steps))


def test_each_bake_beside_blue_is_told_and_by_share_how_long_one_must_be(lab: Lab) -> None:
    told = foresee(lab.clients, planned(lab))
    sees = [f"The bake of 0:10:00 at {share:g} % sees about" for share in SHARES]
    needs = [f"On 60 calls a minute, {share:g} % of them green's, a bake needs about" for share in SHARES]
    assert [one.startswith(begins) for begins, one in zip(sees + needs, told, strict=True)] == [True] * 4


def test_how_long_a_bake_must_be_does_not_hang_on_how_long_it_is_planned(lab: Lab) -> None:
    short, long = (foresee(lab.clients, planned(lab, minutes)) for minutes in (3, 30))
    assert short[2:] == long[2:]
    assert short[:2] != long[:2]


def test_where_green_never_serves_beside_blue_nothing_is_foretold(lab: Lab) -> None:
    rollout = lab.plan()
    assert foresee(lab.clients, replace(rollout, plan=replace(rollout.plan, strategy=blue_green()))) == []


@pytest.mark.parametrize(("share", "lines"), [(10.0, 2), (100.0, 0), (None, 0)])
def test_a_bake_tells_what_it_can_prove_as_it_begins(lab: Lab, share: float | None, lines: int) -> None:
    told = foresee_bake(lab.clients, planned(lab), share, timedelta(minutes=10))
    assert len(told) == lines
    assert (
        told[:1]
        == [f"This bake of {line}" for line in _after("The bake of ", foresee(lab.clients, planned(lab)))][
            : bool(lines)
        ]
    )


def _after(begin: str, lines: list[str]) -> list[str]:
    return [line.removeprefix(begin) for line in lines if line.startswith(begin)]


def test_of_a_blue_without_calls_nobody_knows() -> None:
    without = Lab()
    assert foresee(without.clients, planned(without)) == [
        "Blue had no calls in the last hours: nobody knows what a bake can prove"
    ]
