"""An endpoint's own past, replayed as if a slice of blue had been green."""

from __future__ import annotations

import argparse
import random
import sys
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.cli import main
from airflow_sm_rollout.cli_replay import add_options, harms_of, tell_replay, tolerances_of
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.errors import PlanError, RolloutError, RolloutRefused
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, canary
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.core.replay.replay import (
    Harm,
    Outcome,
    PastMinute,
    _draw,
    _split,
    replay,
    shares_by_minute,
    tolerances_by,
)
from convergence.lab import ENDPOINT, Lab
from evidence.published import publish

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
TOLERANCES = Tolerances(warm_up_minutes=1, min_bake_minutes=5)
PLAN = canary([10, 50, 100], bake=timedelta(minutes=10))


def past(minutes: int, requests: int = 600) -> list[PastMinute]:
    """A steady blue: a call in 200 fails; 50, 5 and 1 % are above its thresholds, and more of them if all were slower."""
    chance = random.Random(7)
    return [
        PastMinute(
            Period(
                START + timedelta(minutes=minute),
                60,
                Sample(
                    requests, chance.randrange(7), 2, requests // 2, requests // 20, requests // 100, requests // 5000
                ),
                None,
            ),
            {
                1.2: (requests * 2 // 3, requests // 12, requests // 60, requests // 2000),
                2.0: (requests, requests // 2, requests // 10, requests // 100),
            },
        )
        for minute in range(minutes)
    ]


def outcome(harm: Harm, *lengths: int) -> Outcome:
    pasts = [past(length) for length in lengths or (12 * 60,)]
    return replay(pasts, shares_by_minute(PLAN), TOLERANCES, harm, random.Random(1))


def test_a_plan_shares_traffic_for_as_many_minutes_as_its_steps_below_100_percent_take() -> None:
    assert shares_by_minute(PLAN) == [0.1] * 10 + [0.5] * 10
    with pytest.raises(PlanError, match="at least one step below 100 %"):
        shares_by_minute(blue_green())


def test_a_slice_of_blue_is_not_rolled_back_and_one_that_fails_every_call_always_is_and_soon() -> None:
    as_good, broken = outcome(Harm()), outcome(Harm(added_error_rate=1.0))
    assert as_good.rollouts == broken.rollouts == 27
    assert as_good.rolled_back == 0
    assert broken.rolled_back == 27
    assert broken.healthy == 0
    assert broken.median_until_harm is not None
    assert broken.median_until_harm <= timedelta(minutes=3)


def test_a_slower_green_is_rolled_back_the_sooner_the_slower_it_is() -> None:
    slower, twice = outcome(Harm(slowdown=1.2)), outcome(Harm(slowdown=2.0))
    assert slower.rolled_back == twice.rolled_back == 27
    assert slower.median_until_harm is not None
    assert twice.median_until_harm is not None
    assert timedelta(minutes=1) < twice.median_until_harm < slower.median_until_harm


def test_a_slowdown_whose_counts_are_not_known_proves_nothing() -> None:
    unknown = outcome(Harm(slowdown=3.0))
    assert (unknown.rolled_back, unknown.healthy) == (0, 0)


@pytest.mark.parametrize("bake", [3, 10])
def test_a_plan_that_compares_for_less_than_the_shortest_bake_can_prove_health_by_its_end(bake: int) -> None:
    shares = shares_by_minute(canary([10, 50, 100], bake=timedelta(minutes=bake)))
    tolerances = tolerances_by(DEFAULTS, shares)
    assert tolerances.min_bake_minutes == min(10, 2 * bake)
    found = replay([past(240, requests=60_000)], shares, tolerances, Harm(), random.Random(1))
    assert found.healthy == found.rollouts > 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_all_are_taken_without_drawing_each(share: float) -> None:
    assert _draw(60_000_000_000, share, random.Random(1)) == share * 60_000_000_000


def test_no_rollout_is_replayed_across_a_change_of_blue() -> None:
    assert outcome(Harm(), 40, 20, 15).rollouts == 1 + 0 + 0
    assert outcome(Harm(), 75).rollouts == 2


def test_the_slice_and_the_rest_are_the_past_again() -> None:
    for minute in past(50, requests=6000):
        split, whole = _split(minute, 0.1, Harm(), random.Random(3)), minute.period.blue
        assert whole is not None
        assert split.blue is not None
        assert split.green is not None
        for count in Sample.__dataclass_fields__:
            assert getattr(split.blue, count) + getattr(split.green, count) == getattr(whole, count)
        assert 400 < split.green.requests < 800
        assert split.green.requests >= (split.green.over_p50 or 0) >= (split.green.over_p95 or 0)


@given(
    st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0, 0, 0, 5, 4])), max_size=300),
    st.sampled_from([1.1, 1.5, 2.0, 3.0]),
    st.floats(0.01, 1.0),
    st.integers(0, 99),
)
def test_a_slow_slice_has_counts_that_some_of_blues_calls_would_have_had(
    calls: list[tuple[int, int]], slowdown: float, share: float, seed: int
) -> None:
    limits = (100, 200, 300, 600)

    def over(factor: float) -> tuple[int, int, int, int]:
        p50, p95, p99, far = (sum(latency * factor > limit for latency, _ in calls) for limit in limits)
        return p50, p95, p99, far

    errors = [sum(error == kind for _, error in calls) for kind in (5, 4)]
    whole = Sample(len(calls), *errors, *over(1.0))
    minute = PastMinute(Period(START, 60, whole, None), {slowdown: over(slowdown)})
    split = _split(minute, share, Harm(slowdown=slowdown), random.Random(seed))
    blue, green = split.blue, split.green
    assert blue is not None
    assert green is not None
    assert blue.requests + green.requests == len(calls)
    for sample in (blue, green):
        slow = [sample.over_p50, sample.over_p95, sample.over_p99, sample.over_twice_p99]
        assert sample.requests >= slow[0] >= slow[1] >= slow[2] >= slow[3] >= 0
        assert sample.requests >= sample.errors_5xx + sample.errors_4xx >= 0
    # What blue still has is what was not taken, as it was; what was taken is over a limit at least as often as it was.
    for left, had, slowed in zip(
        (blue.over_p50, blue.over_p95, blue.over_p99, blue.over_twice_p99),
        over(1.0),
        (green.over_p50, green.over_p95, green.over_p99, green.over_twice_p99),
        strict=True,
    ):
        assert had - left <= slowed <= green.requests
    if share == 1.0:
        assert (green.over_p50, green.over_p95, green.over_p99, green.over_twice_p99) == over(slowdown)


def test_where_all_calls_fail_all_those_of_the_slice_do() -> None:
    minute = PastMinute(Period(START, 60, Sample(50, 30, 20), None))
    for seed in range(50):
        split = _split(minute, 0.3, Harm(), random.Random(seed))
        for sample in (split.blue, split.green):
            assert sample is not None
            assert sample.errors_5xx + sample.errors_4xx == sample.requests


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


def tell(lab: Lab, *arguments: str, plan: Strategy = PLAN) -> list[str]:
    return list(tell_replay(lab.clients, ENDPOINT, plan, options(*arguments), lab.now(), lambda _: None))


def test_replay_tells_for_each_harm_how_often_and_how_soon() -> None:
    lab = Lab()
    began = lab.now()
    variant = {"EndpointName": ENDPOINT, "VariantName": "AllTraffic"}
    for minute in range(100):
        publish(lab.sandbox, variant, began + timedelta(minutes=minute), requests=30, milliseconds=range(20, 50))
    lab.pass_time(102 * 60)
    plan = canary([50, 100], bake=timedelta(minutes=10))
    told = tell(lab, "--days", "1", "--warm-up-minutes", "0", plan=plan)
    assert told[0].startswith("100 minutes of traffic in 1 day, 30 requests a minute in the median")
    assert [line[:34].strip() for line in told[2:11]] == [
        "is as good as blue",
        "fails 0.5 % more of its calls",
        "fails 1 % more of its calls",
        "fails 5 % more of its calls",
        "fails every call",
        "is 10 % slower",
        "is 20 % slower",
        "is 50 % slower",
        "is twice as slow",
    ]
    assert told[11:] == [
        "",
        f"no past rollout in 1 day: no two variants of endpoint {ENDPOINT} had calls in the same minutes",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ([], RolloutRefused, "0 minutes of traffic in the last 14 days"),
        (["--false-rollback", "2"], PlanError, "false_rollback"),
        (["--more-errors", "5,101"], PlanError, "more_errors"),
        (["--tolerances", "{"], PlanError, "tolerances"),
        (["--tolerances", '{"over_p98": {}}'], PlanError, "over_p98"),
    ],
)
def test_what_can_not_be_replayed_is_said(arguments: list[str], error: type[RolloutError], told: str) -> None:
    with pytest.raises(error, match=told):
        tell(Lab(), *arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--days", "15"], "up to 14: CloudWatch has no older minutes"),
        (["--days", "0"], "not above 0"),
        (["--slower", "10,0"], "numbers above 0"),
        (["--slower", ",".join(["1"] * 21)], "up to 20 numbers"),
        (["--more-errors", "many"], "many is not up to 20 numbers above 0"),
        (["--days", "soon"], "soon is not above 0"),
    ],
)
def test_sizes_and_days_that_can_not_be_are_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options(*arguments)
    assert told in capsys.readouterr().err


def test_sizes_and_tolerances_are_those_that_are_asked_for() -> None:
    asked = options(
        "--more-errors",
        "2",
        "--slower",
        "5,200",
        "--tolerances",
        '{"over_p99": {"ratio": 1.4}, "false_rollback": 0.05}',
    )
    assert [str(harm) for harm in harms_of(asked)] == [
        "is as good as blue",
        "fails 2 % more of its calls",
        "is 5 % slower",
        "is 3 times as slow",
    ]
    tolerances = tolerances_of(asked)
    assert (tolerances.over_p99.ratio, tolerances.false_rollback) == (1.4, 0.05)
    assert tolerances_of(options()) == DEFAULTS
    assert [str(harm) for harm in harms_of(options("--more-errors", "", "--slower", ""))] == ["is as good as blue"]


def test_who_waits_at_a_terminal_is_told_what_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*, at_terminal: bool) -> str:
        lab = Lab()
        monkeypatch.setattr(sys.stderr, "isatty", lambda: at_terminal)
        with pytest.raises(RolloutRefused):
            list(tell_replay(lab.clients, ENDPOINT, PLAN, options(), lab.now()))
        return capsys.readouterr().err

    assert said(at_terminal=True) == f"reading calls of 1 variant of endpoint {ENDPOINT}\n"
    assert said(at_terminal=False) == ""


def test_figures_that_could_not_be_given_just_now_are_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab()

    def refuse(*_: object) -> None:
        raise Passing("CloudWatch could not give the figures of Invocations just now")

    monkeypatch.setattr("airflow_sm_rollout.cli.make_clients", lambda *_: lab.clients)
    monkeypatch.setattr("airflow_sm_rollout.aws.history.read_values", refuse)
    assert main(["replay", ENDPOINT]) == 1
    told = "sm-rollout replay: CloudWatch could not give the figures of Invocations just now\n"
    assert capsys.readouterr().err == told
