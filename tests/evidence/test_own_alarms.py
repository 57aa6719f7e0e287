"""The alarms that a rollout makes itself ring at gross harm that is green's alone, and at nothing that blue meets as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.aws.evidence import read_worst_errors
from airflow_sm_rollout.aws.own_alarms import put_own_alarms
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from evidence.published import Published, at_minute, publish

Kind = Literal["errors", "latency"]
Minute = tuple[int, int, int, int]
"""Calls of green, and how many of them were bad; then blue's."""
FAST, SLOW = 30.0, 400.0
THRESHOLDS = Thresholds(50_000, 80_000, 100_000)
KINDS: tuple[Kind, ...] = ("errors", "latency")


@pytest.fixture
def published() -> Iterator[Published]:
    with at_minute() as published:
        yield published


def rollout(published: Published, worst_errors: float = 0.0, traffic: str = "variants") -> Rollout:
    variant = {"VariantName": "AllTraffic", "ModelName": "fraud-v1"}
    blue = Blue("fraud-2024", {"ProductionVariants": [variant]}, "AllTraffic", 1.0, 1, endpoint_name="fraud")
    plan = Plan(traffic=traffic)
    green = Green(model_name="fraud-v2")
    return Rollout(
        "fraud",
        "0badcafe",
        {},
        published.now(),
        blue,
        green,
        plan,
        thresholds=THRESHOLDS,
        worst_errors=worst_errors,
    )


def serve(published: Published, rollout: Rollout, kind: Kind, minutes: Sequence[Minute]) -> str:
    """Each minute's calls, one after the other; the state of the kind's alarm after the last one."""
    put_own_alarms(published.cloudwatch, rollout)
    for green_calls, green_bad, blue_calls, blue_bad in minutes:
        for dimensions, calls, bad in (
            (rollout.green_dimensions, green_calls, green_bad),
            (rollout.blue_dimensions, blue_calls, blue_bad),
        ):
            if calls < 0:
                continue  # no figures at all, as of an endpoint that is gone
            slow = bad if kind == "latency" else 0
            milliseconds = [SLOW] * slow + [FAST] * (calls - slow)
            failed = bad if kind == "errors" else 0
            publish(
                published.sandbox,
                dimensions,
                published.now(),
                requests=calls,
                e5=failed // 2,
                e4=failed - failed // 2,
                milliseconds=milliseconds,
            )
        published.pass_time(minutes=1)
    published.pass_time(seconds=30)
    name = rollout.names.error_alarm if kind == "errors" else rollout.names.latency_alarm
    [alarm] = published.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("minutes", "state"),
    [
        pytest.param([(100, 90, 300, 1)] * 4, "ALARM", id="green alone is bad"),
        pytest.param([(100, 21, 300, 15)] * 4, "ALARM", id="just above three times blue's 5 % and 5 points"),
        pytest.param([(100, 20, 300, 15)] * 4, "OK", id="just as much as that"),
        pytest.param([(100, 90, 300, 270)] * 4, "OK", id="both are bad"),
        pytest.param([(100, 90, 300, 1)] * 2 + [(100, 0, 300, 1)] * 2, "OK", id="two minutes are no proof"),
        pytest.param([(19, 19, 300, 1)] * 4, "OK", id="too few bad calls"),
        pytest.param([(20, 20, 300, 1)] * 4, "ALARM", id="just enough bad calls"),
        pytest.param([(100, 0, 300, 0)] * 4, "OK", id="nobody is bad"),
        pytest.param([(100, 90, 0, 0)] * 4, "ALARM", id="blue is idle"),
        pytest.param([(100, 90, -1, 0)] * 4, "ALARM", id="blue is gone"),
        pytest.param([(100, 90, 19, 19)] * 4, "ALARM", id="blue has too few calls to tell"),
    ],
)
def test_an_alarm_rings_where_green_is_far_worse_than_blue_for_three_minutes(
    published: Published, kind: Kind, minutes: list[Minute], state: str
) -> None:
    assert serve(published, rollout(published), kind, minutes) == state


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(KINDS), st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
)
def test_an_alarm_rings_exactly_as_it_is_described(kind: Kind, drawn: Minute) -> None:
    green, green_bad, blue, blue_bad = drawn[0], min(drawn[:2]), drawn[2], min(drawn[2:])
    usual = blue_bad / blue if blue >= 20 else 0.0
    excess = 100 * (green_bad / max(green, 1) - 3 * usual)
    expected = "ALARM" if green_bad >= 20 and excess > 5 + 1e-6 else "OK"
    if abs(excess - 5) < 1e-6:
        return
    with at_minute() as published:
        assert serve(published, rollout(published), kind, [(green, green_bad, blue, blue_bad)] * 4) == expected


@pytest.mark.parametrize("traffic", ["variants", "endpoints", "guardrails"])
def test_where_blue_does_not_serve_its_worst_minute_before_is_what_green_may_be(
    published: Published, traffic: str
) -> None:
    gone = [(100, 40, -1, 0)] * 4
    assert serve(published, rollout(published, worst_errors=0.2, traffic=traffic), "errors", gone) == "OK"


def test_more_than_three_times_blues_worst_minute_and_five_points_rings(published: Published) -> None:
    assert serve(published, rollout(published, worst_errors=0.2), "errors", [(100, 66, -1, 0)] * 4) == "ALARM"


def test_blues_worst_minute_is_read_of_minutes_with_enough_calls(published: Published) -> None:
    of_blue = rollout(published).blue_dimensions
    assert read_worst_errors(published.cloudwatch, of_blue, published.now(), 20) == 0
    for requests, failed in ((100, 1), (19, 19), (50, 10), (100, 2)):
        publish(published.sandbox, of_blue, published.now(), requests=requests, e5=failed - 1, e4=1)
        published.pass_time(minutes=1)
    assert read_worst_errors(published.cloudwatch, of_blue, published.now(), 20) == pytest.approx(0.2)
    published.pass_time(hours=4)
    assert read_worst_errors(published.cloudwatch, of_blue, published.now(), 20) == 0


def test_a_model_as_fast_as_light_may_be_slower_by_what_a_shared_machine_makes(published: Published) -> None:
    fast = replace(rollout(published), thresholds=Thresholds(1_000, 2_000, 376_000))
    assert serve(published, fast, "latency", [(100, 90, 300, 0)] * 4) == "OK", "400 ms are not twice 376 ms"
