"""A rollout is taken for orphaned only where nobody can be driving it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_rollout.core.orphans import CHANGES_TAKE, Run, describe_age, why_orphaned, why_stale
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout

BEGUN = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RECORD = Rollout(
    endpoint_name="fraud",
    rollout_id="0badcafe",
    owner={"dag_id": "canary", "run_id": "monday"},
    started_at=BEGUN,
    blue=Blue("fraud-v1", {"ProductionVariants": [{"VariantName": "AllTraffic"}]}, "AllTraffic", 1.0, 4),
    green=Green(model_name="fraud-v2"),
    plan=Plan(canary([10, 100], bake=HOUR)),
)


def judge(run: Run, age: timedelta, max_age: timedelta | None = None) -> str:
    return why_orphaned(RECORD, run, BEGUN + age, unknown_after=DAY, max_age=max_age)


def test_a_rollout_whose_run_is_over_is_orphaned_at_any_age() -> None:
    assert judge(Run.OVER, timedelta()) == "its DAG run is over"


@pytest.mark.parametrize("age", [timedelta(), 10 * DAY])
def test_a_rollout_whose_run_is_alive_is_never_orphaned(age: timedelta) -> None:
    assert judge(Run.ALIVE, age) == ""


def test_unless_a_person_says_how_old_one_may_get() -> None:
    assert judge(Run.ALIVE, 3 * DAY - HOUR, max_age=3 * DAY) == ""
    assert judge(Run.ALIVE, 3 * DAY, max_age=3 * DAY) == "it was begun 3 d ago, and none may take longer than 3 d"


def test_a_rollout_of_an_unknown_run_may_be_another_airflows_and_is_left_alone_for_a_while() -> None:
    assert judge(Run.UNKNOWN, DAY + 1 * HOUR) == ""
    told = "this Airflow has no such DAG run; it was begun 1 d 2 h ago, and its plan takes 2 h"
    assert judge(Run.UNKNOWN, DAY + 2 * HOUR) == told


def test_a_rollout_is_stale_when_its_plan_its_pauses_and_the_changes_could_all_be_over() -> None:
    longest = 2 * HOUR + CHANGES_TAKE
    assert why_stale(RECORD, BEGUN + longest, timedelta()) == ""
    assert why_stale(RECORD, BEGUN + longest + HOUR, paused=HOUR) == ""
    told = why_stale(RECORD, BEGUN + longest + HOUR, timedelta())
    assert told == "it was begun 5 h ago, and its plan takes 2 h and what SageMaker takes for the changes"


def test_a_bake_that_may_be_extended_may_take_as_much_longer() -> None:
    extended = replace(RECORD, plan=replace(RECORD.plan, evidence=Evidence(when_inconclusive="extend", extend_by=HOUR)))
    longest = 4 * HOUR + CHANGES_TAKE
    assert why_stale(extended, BEGUN + longest, timedelta()) == ""
    assert why_stale(extended, BEGUN + longest + HOUR, timedelta())
    assert why_orphaned(extended, Run.UNKNOWN, BEGUN + DAY + 3 * HOUR, unknown_after=DAY) == ""


def test_a_rollout_by_single_operators_has_no_plan_and_is_stale_when_the_changes_could_be_over() -> None:
    by_hand = replace(RECORD, plan=Plan())
    assert why_stale(by_hand, BEGUN + CHANGES_TAKE, timedelta()) == ""
    assert "begun 3 h ago, and" in why_stale(by_hand, BEGUN + 3 * HOUR, timedelta())


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=-1), "0 s"),
        (timedelta(seconds=40.9), "40 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=1, seconds=5), "1 h"),
        (timedelta(days=2, hours=3, minutes=4), "2 d 3 h"),
    ],
)
def test_an_age_is_told_in_its_two_largest_units(age: timedelta, told: str) -> None:
    assert describe_age(age) == told
