"""A bake at whose end green looks worse than blue goes on, and the share does not rise until that is proof, or is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.core.comparison.comparison import compare
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.comparison.routing import set_aside
from airflow_sm_rollout.core.comparison.suspicion import Suspicion
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.judge import judge
from airflow_sm_rollout.core.watch.ledger import Ledger, fold
from airflow_sm_rollout.core.watch.readings import NewFigures, Readings
from airflow_sm_rollout.core.watch.sources import Sources
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
EVERY = 10
AS_BLUE, SLOW, FAILING = (Sample(10, *rest, 0) for rest in ((0, 0, 5, 0, 0), (0, 0, 10, 4, 1), (1, 0, 5, 0, 0)))
BLUE = Sample(90, 0, 0, 45, 4, 1, 0)
BEFORE = [
    Period(NOON - number * 60 * SECOND, 60, Sample(600, 0, 0, 300, 30, 6, 0), None) for number in range(60, 0, -1)
]
ROLLOUT = Rollout(
    "fraud",
    "0badcafe",
    {},
    NOON - timedelta(minutes=10),
    Blue("config", {}, "AllTraffic", 1.0, 1),
    Green(model_name="fraud-v2"),
    Plan(canary([10, 100], 180)),
    green_traffic_since=NOON,
    thresholds=Thresholds(100, 200, 300),
)
SOURCES = Sources({"VariantName": "blue"}, {"VariantName": "green"}, ROLLOUT.thresholds, NOON, EVERY)
BAKE = Watch(NOON, NOON + 180 * SECOND, NOON, 20, rollout=ROLLOUT, judges_evidence=True, share=10.0)
HELD = timedelta(minutes=15)


def slow_until(second: float) -> Callable[[float], Sample]:
    return lambda now: SLOW if now < second else AS_BLUE


def now_and_then(now: float) -> Sample:
    return FAILING if now in (60, 120, 150, 450, 800) else AS_BLUE


def bake(green: Callable[[float], Sample], watch: Watch = BAKE, control: Control | None = None) -> list[Judgement]:
    """What each look says, every 30 s, until the bake is over."""
    said: list[Judgement] = []
    ledger: Ledger | None = None
    while not said or said[-1].verdict is Verdict.WATCHING:
        now = NOON + 30 * (len(said) + 1) * SECOND
        since = ledger.until if ledger and ledger.until else NOON
        periods = []
        while since + 2 * EVERY * SECOND <= now:
            periods.append(Period(since, EVERY, BLUE, green((since - NOON).total_seconds())))
            since += EVERY * SECOND
        ledger, known = fold(ledger, watch, NewFigures(SOURCES, BEFORE, periods), now)
        said.append(judge(watch, Readings(control=control, requests=0.0), known, now).judgement)
        assert len(said) < 100
    return said


def changed(**options: Any) -> Watch:
    """The bake of a plan with other options of the evidence."""
    return replace(BAKE, rollout=replace(ROLLOUT, plan=replace(ROLLOUT.plan, evidence=Evidence(**options))))


def test_a_slow_green_keeps_its_share_from_the_end_of_its_bake_until_its_slowness_is_proof() -> None:
    said = bake(slow_until(10_000))
    assert said[5].verdict is Verdict.WATCHING
    assert (
        "holding green at 10 %: green looks worse than blue of late, which is no proof yet (Green was slower"
        in said[5].reason
    )
    assert "The bake goes on, for at most 900 s" in said[5].reason
    assert said[-1].verdict is Verdict.HARMFUL
    assert timedelta(minutes=5) < 30 * len(said) * SECOND < timedelta(minutes=8)


def test_a_cold_green_that_recovers_goes_on_before_the_warm_up_is_over() -> None:
    said = bake(slow_until(170))
    assert said[5].verdict is Verdict.WATCHING
    assert said[-1].passes
    assert 180 < 30 * len(said) <= 300


@pytest.mark.parametrize("green", [slow_until(0), slow_until(60)])
def test_a_green_that_is_as_good_as_blue_at_the_end_is_not_held(green: Callable[[float], Sample]) -> None:
    said = bake(green)
    assert said[-1].passes
    assert len(said) == 6


def test_what_is_never_proven_is_held_no_longer_than_the_plan_allows_and_never_called_healthy() -> None:
    said = bake(now_and_then)
    assert 30 * len(said) * SECOND == timedelta(minutes=3) + HELD
    assert said[-1].verdict is Verdict.UNPROVEN
    assert "but green looks worse than blue of late, which is no proof yet (Green failed 5 of" in said[-1].reason


def test_a_person_is_asked_about_it_where_the_plan_asks_one() -> None:
    said = bake(now_and_then, replace(changed(when_inconclusive="ask"), when_inconclusive="ask", asked_in="ask"))
    assert said[-1].verdict is Verdict.INCONCLUSIVE
    assert said[-1].is_tolerated
    assert "green looks worse than blue" in said[-1].reason


def test_a_bake_that_may_end_early_does_not_while_green_looks_worse() -> None:
    def worse_at_the_end(now: float) -> Sample:
        return SLOW if now >= 800 else AS_BLUE

    early = replace(BAKE, ends_at=NOON + timedelta(hours=1), ends_early=True)
    assert bake(slow_until(0), early)[-1].verdict is Verdict.HEALTHY
    assert bake(worse_at_the_end, early)[-1].verdict is Verdict.HARMFUL


@pytest.mark.parametrize(
    "watch",
    [
        replace(BAKE, dry_run=True),
        replace(BAKE, judges_evidence=False),
        replace(BAKE, share=100.0),
        changed(tolerances=Tolerances(warm_up_minutes=0, min_bake_minutes=0)),
        changed(tolerances=None),
    ],
)
def test_nothing_is_held_where_nothing_is_compared_or_the_plan_wants_none(watch: Watch) -> None:
    assert len(bake(now_and_then, watch)) == 6


def test_a_person_who_promotes_is_not_waited_for() -> None:
    wish = Control("0badcafe", Wish.PROMOTE, NOON, "ann")
    assert bake(slow_until(10_000), control=wish)[0].verdict is Verdict.HEALTHY


def test_clients_who_do_not_follow_the_split_are_no_suspicion_of_green() -> None:
    periods = [Period(NOON + number * EVERY * SECOND, EVERY, BLUE, SLOW) for number in range(18)]
    compared = compare(BEFORE, periods, planned=timedelta(minutes=3))
    assert compared.suspect == "over_p50"
    assert "slower than half" in compared.sentence
    assert not set_aside(compared, "Clients don't follow the split").suspect


def test_good_minutes_are_no_credit_and_bad_ones_are_soon_forgotten() -> None:
    suspicion = Suspicion()
    for _ in range(100):
        suspicion.take((-1.0, -2.0))
    suspicion.take((2.4, 0.0))
    assert suspicion.strength > 1
    for _ in range(100):
        suspicion.take((1.0, 1.0))
    suspicion.take((-0.5, -0.5))
    assert suspicion.strength < 1
