"""How often somebody looks who waits for AWS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.goals import (
    Again,
    AsBefore,
    Goal,
    GreenDeployed,
    GreenShare,
    Hold,
    OnlyGreen,
    Wait,
    seconds_expected,
)
from airflow_sm_rollout.core.rhythm import next_look
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout

PLANNED = Rollout(
    "fraud", "0badcafe", {}, datetime(2026, 11, 29, tzinfo=timezone.utc), Blue("blue", {}, "AllTraffic", 1.0, 4),
    Green(model_name="fraud-v2"), Plan(),
)  # fmt: skip
INTERVALS = st.floats(6, 600)
EXPECTED = st.floats(1, 900)


def looks(goal: Goal, expected: float, interval: float, until: float) -> Iterator[float]:
    """When it is looked, in seconds."""
    at = 0.0
    while at < until:
        at += next_look(goal, at, expected, interval)
        yield at


@given(expected=st.one_of(st.just(0.0), EXPECTED), interval=INTERVALS)
def test_where_green_may_do_harm_no_two_looks_are_further_apart_than_the_interval(
    expected: float, interval: float
) -> None:
    for goal in (GreenShare(10), OnlyGreen(), AsBefore()):
        moments = [0.0, *looks(goal, expected, interval, 2000)]
        assert all(0 < after - before <= interval + 1e-6 for before, after in pairwise(moments))


@given(expected=EXPECTED, interval=INTERVALS, late=st.floats(0, 55))
def test_what_is_ready_about_in_time_is_seen_within_ten_seconds(expected: float, interval: float, late: float) -> None:
    for goal in (GreenShare(10), GreenDeployed(PLANNED)):
        seen = next(at for at in looks(goal, expected, interval, 2000) if at >= expected + late)
        assert seen <= expected + late + min(interval, 10.0) + 1e-6


@given(expected=st.one_of(st.just(0.0), EXPECTED), interval=INTERVALS)
def test_what_takes_much_longer_than_usual_is_not_looked_at_all_the_more(expected: float, interval: float) -> None:
    late = [at for at in looks(GreenShare(10), expected, interval, 4000) if at > expected + 70]
    assert all(after - before >= interval - 1e-6 for before, after in pairwise(late))


@pytest.mark.parametrize(
    ("goal", "waits", "first"),
    [
        (GreenDeployed(PLANNED), Wait("", timedelta(seconds=134)), 60.0),
        (GreenDeployed(PLANNED), Wait("", timedelta(seconds=100)), 50.0),
        (GreenDeployed(PLANNED), Wait("", timedelta(seconds=20)), 15.0),
        (GreenDeployed(PLANNED), Hold(""), 15.0),
        (GreenDeployed(PLANNED), Again("", 1), 15.0),
        (GreenShare(10), Wait("", timedelta(seconds=62)), 15.0),
        (GreenShare(10), Wait("", timedelta(seconds=5)), 5.0),
        (AsBefore(), Wait("", timedelta(seconds=134)), 15.0),
        (OnlyGreen(), Wait("", timedelta(seconds=134)), 15.0),
    ],
)
def test_a_wait_is_left_alone_only_where_green_can_do_no_harm(
    goal: Goal, waits: Wait | Hold | Again, first: float
) -> None:
    assert next_look(goal, 0.0, seconds_expected(waits), 15.0) == first
