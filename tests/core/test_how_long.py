"""How long a bake must be is what the judge needs: one that is as long proves it, and a shorter one does not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.watch.how_long import describe_needs, needs_of, short_of_health
from airflow_sm_rollout.core.watch.reach import Load, reach_in, setting_in
from core.test_reach import BUSY, rollout

ALL_FAIL, ONE_POINT, TWICE, SLOW, HEALTHY = range(5)


def minutes_of(load: Load, share: float = 10.0, seconds: int = 10) -> list[float | None]:
    return [need.minutes for need in needs_of(rollout(), load, share, seconds)]


@settings(max_examples=10, deadline=None)
@given(st.floats(1, 20_000), st.floats(0.001, 0.02), st.sampled_from([5.0, 50.0]))
def test_more_traffic_and_greater_harm_never_need_a_longer_bake(calls: float, rate: float, share: float) -> None:
    load = Load(calls, rate, rate)
    little, much = minutes_of(load, share), minutes_of(replace(load, calls=10 * calls), share)
    for few, many in zip(little, much, strict=True):
        assert few is None or (many is not None and many <= few)
    assert little[ONE_POINT] is None or (little[ALL_FAIL] or 1e9) <= little[ONE_POINT]


@pytest.mark.parametrize("calls", [60.0, 600.0, 6000.0])
def test_a_bake_that_is_long_enough_proves_it_and_one_of_half_the_length_does_not(calls: float) -> None:
    load = replace(BUSY, calls=calls)
    needed = minutes_of(load)[SLOW]
    assert needed is not None
    enough = reach_in(rollout(), load, 10.0, timedelta(minutes=needed), 10)
    short = reach_in(rollout(), load, 10.0, timedelta(minutes=needed / 2), 10)
    assert enough is not None
    assert enough.slow is not None
    assert enough.slow <= 0.6
    assert short is not None
    assert short.slow is None or short.slow > 0.6


def test_what_not_even_a_day_proves_is_said() -> None:
    load = Load(0.1, 0.002)
    told = describe_needs(needs_of(rollout(), load, 10.0, 10), load, 10.0)
    assert "not even a day proves" in told
    assert "that twice as many calls fail" in told.split("not even a day")[1]


def test_where_nothing_is_compared_no_bake_is_long_enough_and_none_is_named() -> None:
    assert needs_of(rollout(), BUSY, 100.0, 10) == []


def test_on_busy_traffic_health_is_proven_within_the_hour() -> None:
    needed = minutes_of(BUSY)[HEALTHY]
    assert needed is not None
    assert needed <= 60


@pytest.mark.parametrize("calls", [60.0, 600.0, 6000.0])
def test_a_bake_that_is_too_short_to_prove_health_says_how_long_one_must_be(calls: float) -> None:
    setting = setting_in(rollout(), replace(BUSY, calls=calls), 10.0, timedelta(minutes=3), 10)
    assert setting is not None
    told = re.search(r"about (\d+) minutes are enough for that", short_of_health(setting))
    assert told is not None
    assert short_of_health(replace(setting, bake=timedelta(minutes=int(told[1])))) == ""


def test_where_not_even_a_day_proves_health_that_is_said() -> None:
    setting = setting_in(rollout(), Load(0.01, 0.002), 10.0, timedelta(minutes=3), 10)
    assert setting is not None
    assert "not even a day is enough" in short_of_health(setting)
