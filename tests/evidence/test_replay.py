"""An endpoint's own past, replayed as if a slice of blue had been green."""

from __future__ import annotations

import argparse
import random
from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_rollout.cli_replay import add_options, tell_replay
from airflow_sm_rollout.core.errors import PlanError, RolloutError, RolloutRefused
from airflow_sm_rollout.core.evidence.periods import Period, Sample
from airflow_sm_rollout.core.evidence.replay import Outcome, replay, shares_by_minute
from airflow_sm_rollout.core.evidence.tolerances import Tolerances
from airflow_sm_rollout.core.strategy import blue_green, canary
from convergence.lab import ENDPOINT, Lab
from evidence.published import publish

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
TOLERANCES = Tolerances(warm_up_minutes=1, min_bake_minutes=5)
PLAN = canary([10, 50, 100], bake=timedelta(minutes=10))


def past(minutes: int, requests: int = 600) -> list[Period]:
    """A steady blue: a call in 200 fails; 50, 5 and 1 % are above its thresholds."""
    chance = random.Random(7)
    return [
        Period(
            START + timedelta(minutes=minute),
            60,
            Sample(requests, chance.randrange(7), 2, requests // 2, requests // 20, requests // 100),
            None,
        )
        for minute in range(minutes)
    ]


def outcome(added_error_rate: float) -> Outcome:
    return replay(past(12 * 60), shares_by_minute(PLAN), TOLERANCES, added_error_rate, random.Random(1))


def test_a_plan_shares_traffic_for_as_many_minutes_as_its_steps_below_100_percent_take() -> None:
    assert shares_by_minute(PLAN) == [0.1] * 10 + [0.5] * 10
    with pytest.raises(PlanError, match="at least one step below 100 %"):
        shares_by_minute(blue_green())


def test_a_slice_of_blue_is_not_rolled_back_and_one_that_fails_every_call_always_is_and_soon() -> None:
    as_good, broken = outcome(0.0), outcome(1.0)
    assert as_good.rollouts == broken.rollouts == 27
    assert as_good.rolled_back == 0
    assert broken.rolled_back == 27
    assert broken.healthy == 0
    assert broken.median_until_harm is not None
    assert broken.median_until_harm <= timedelta(minutes=3)


def test_the_slice_and_the_rest_are_the_past_again() -> None:
    from airflow_sm_rollout.core.evidence.replay import _split

    for period in past(50, requests=6000):
        split = _split(period, 0.1, 0.0, random.Random(3))
        assert period.blue is not None
        assert split.blue is not None
        assert split.green is not None
        for count in Sample.__dataclass_fields__:
            assert getattr(split.blue, count) + getattr(split.green, count) == getattr(period.blue, count)
        assert 400 < split.green.requests < 800
        assert split.green.requests >= (split.green.over_p50 or 0) >= (split.green.over_p95 or 0)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


def test_replay_tells_for_each_harm_how_often_and_how_soon() -> None:
    lab = Lab()
    began = lab.now()
    variant = {"EndpointName": ENDPOINT, "VariantName": "AllTraffic"}
    for minute in range(100):
        publish(lab.sandbox, variant, began + timedelta(minutes=minute), requests=30, milliseconds=range(20, 50))
    lab.pass_time(100 * 60)
    plan = canary([50, 100], bake=timedelta(minutes=10))
    told = list(tell_replay(lab.clients, ENDPOINT, plan, options("--days", "1", "--warm-up-minutes", "0"), lab.now()))
    assert told[0].startswith("100 minutes of traffic in 1 days, 30 requests a minute in the median")
    assert [line.split()[:3] for line in told[2:]] == [
        ["is", "as", "good"],
        ["fails", "0.5", "%"],
        ["fails", "1", "%"],
        ["fails", "5", "%"],
        ["fails", "every", "call"],
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ([], RolloutRefused, "0 minutes of traffic in the last 14 days"),
        (["--false-rollback", "2"], PlanError, "false_rollback"),
    ],
)
def test_what_can_not_be_replayed_is_said(arguments: list[str], error: type[RolloutError], told: str) -> None:
    lab = Lab()
    with pytest.raises(error, match=told):
        list(tell_replay(lab.clients, ENDPOINT, PLAN, options(*arguments), lab.now()))
