"""What a rollout costs beside blue, as its plan foretells it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.cost import describe_cost, describe_spent, instance_hours, spent_hours
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.strategy import blue_green, canary, linear
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout

BLUES = st.integers(1, 100)
SHARES = st.lists(st.integers(1, 99), unique=True, max_size=5).map(lambda shares: [*sorted(shares), 100])


def test_a_canary_ahead_has_all_of_greens_instances_through_bakes_shifts_and_promotion() -> None:
    seconds = 3 * (600 + 62) + 134
    assert instance_hours(Plan(canary()), 4) == pytest.approx(4 * seconds / 3600)


def test_a_canary_when_needed_has_those_of_its_share_and_takes_two_updates_more() -> None:
    seconds = 1 * 662 + 2 * (662 + 134) + 4 * (662 + 134) + 4 * 134
    assert instance_hours(Plan(canary(), capacity="when_needed"), 4) == pytest.approx(seconds / 3600)


def test_by_the_clock_the_changes_are_within_the_intervals() -> None:
    assert instance_hours(Plan(linear(50, 600)), 2) == pytest.approx(2 * (1200 + 134) / 3600)


def test_two_endpoints_stand_side_by_side_through_the_bake() -> None:
    assert instance_hours(Plan(blue_green(600), traffic="endpoints"), 3) == pytest.approx(3 * (600 + 134) / 3600)


@given(BLUES, SHARES, st.integers(0, 3600))
def test_the_sentence_names_the_sparing_way_just_where_it_spares(blues: int, shares: list[int], bake: int) -> None:
    plan = Plan(canary(shares, bake))
    spares = instance_hours(replace(plan, capacity="when_needed"), blues) < instance_hours(plan, blues)
    assert ("when_needed" in describe_cost(plan, blues)) == spares


def test_single_steps_have_no_end_that_is_known() -> None:
    assert describe_cost(Plan(), 4) == ""


def test_a_time_for_capacity_that_nobody_knows_is_refused() -> None:
    with pytest.raises(PlanError, match="capacity='later' is not possible: one of ahead, when_needed"):
        validate_plan(Plan(canary(), capacity="later"))


@pytest.mark.parametrize(
    "plan", [Plan(blue_green(), traffic="endpoints"), Plan(canary([10, 100]), traffic="guardrails")]
)
def test_it_can_be_put_off_only_where_green_is_a_variant_beside_blue(plan: Plan) -> None:
    validate_plan(plan)
    with pytest.raises(PlanError, match="capacity='when_needed' is not possible"):
        validate_plan(replace(plan, capacity="when_needed"))


NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def rollout_of(blues: int, **plan: object) -> Rollout:
    blue = Blue("config", {}, "AllTraffic", 1.0, blues)
    return Rollout("fraud", "0badcafe", {}, NOON, blue, Green(model_name="v2"), Plan(canary(), **plan))  # type: ignore[arg-type]


def test_ahead_green_has_blues_instances_from_the_start() -> None:
    assert spent_hours(rollout_of(4), [(NOON + timedelta(minutes=5), 10.0)], NOON + timedelta(minutes=30)) == 2.0


def test_when_needed_green_has_those_of_its_largest_share_so_far() -> None:
    shares = [(NOON + timedelta(minutes=30), 50.0), (NOON + timedelta(minutes=60), 10.0)]
    hours = spent_hours(rollout_of(4, capacity="when_needed"), shares, NOON + timedelta(minutes=90))
    assert hours == pytest.approx(0.5 * 1 + 0.5 * 2 + 0.5 * 2)


@given(BLUES, SHARES, st.integers(1, 3600))
def test_sparing_never_costs_more(blues: int, shares: list[int], each: int) -> None:
    given_at = [(NOON + timedelta(seconds=each * number), float(share)) for number, share in enumerate(shares, 1)]
    until = NOON + timedelta(seconds=each * (len(shares) + 1))
    sparing = spent_hours(rollout_of(blues, capacity="when_needed"), given_at, until)
    assert sparing <= spent_hours(rollout_of(blues), given_at, until) + 1e-9


def test_the_sentence_counts_instances_and_alarms() -> None:
    told = describe_spent(rollout_of(4), [], NOON + timedelta(hours=1))
    assert told == "at most 4 instance-hours of green beside blue's 4 instance(s); 1 alarm(s) of its own"
