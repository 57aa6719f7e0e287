"""What a bake can prove is what the judge would find in it; a bake that is too short for that is never called healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.judge import Signs, conclude, judge
from airflow_sm_rollout.core.watch.ledger import fold
from airflow_sm_rollout.core.watch.reach import Load, Setting, blind_to, load_of, reach_in, reach_of
from airflow_sm_rollout.core.watch.readings import NewFigures, Readings
from airflow_sm_rollout.core.watch.sources import Sources
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
BUSY = Load(6000.0, 0.002, 0.002)


def test_a_bake_within_the_warm_up_proves_errors_and_no_slowness() -> None:
    reach = reach_of(Setting(BUSY, DEFAULTS, 10.0, 3 * MINUTE, 10))
    assert reach.errors == 0.01
    assert reach.slow is None
    assert "too short" in reach.blind_to
    assert "about 1,800 calls of green, which prove errors from 1 % of them on; it is too short" in reach.describe()


def test_a_bake_beyond_it_proves_both() -> None:
    reach = reach_of(Setting(BUSY, DEFAULTS, 10.0, 10 * MINUTE, 10))
    assert (reach.errors, reach.slow, reach.blind_to) == (0.01, 0.6, "")
    assert reach.describe().endswith("and that it is slow where 60 % of them are slower than blue's median")


def test_without_a_warm_up_the_same_short_bake_proves_slowness() -> None:
    assert reach_of(Setting(BUSY, Tolerances(warm_up_minutes=0), 10.0, 3 * MINUTE, 10)).blind_to == ""


def test_on_hardly_any_traffic_nothing_can_be_proven_and_that_is_said() -> None:
    reach = reach_of(Setting(Load(6.0), DEFAULTS, 10.0, 10 * MINUTE, 10))
    assert reach.errors is None
    assert reach.describe() == (
        "about 6 calls of green: it is too short, on so little traffic, to prove even that every call fails"
    )


def test_where_blues_latencies_are_not_known_nobody_misses_them() -> None:
    reach = reach_of(Setting(replace(BUSY, is_timed=False), DEFAULTS, 10.0, 3 * MINUTE, 10))
    assert reach.blind_to == ""
    assert "latencies are not compared" in reach.describe()


@settings(max_examples=25, deadline=None)
@given(
    st.floats(10, 20_000),
    st.floats(0, 0.02),
    st.sampled_from([5.0, 10.0, 50.0, 90.0]),
    st.integers(1, 20),
    st.booleans(),
)
def test_a_longer_bake_never_proves_less(
    calls: float, rate: float, share: float, minutes: int, by_minute: bool
) -> None:
    load, seconds = Load(calls, rate, rate), 60 if by_minute else 10
    short, long = (
        reach_of(Setting(load, DEFAULTS, share, each * MINUTE, seconds)) for each in (minutes, 2 * minutes + 1)
    )
    for one, other in ((short.errors, long.errors), (short.slow, long.slow)):
        assert one is None or (other is not None and other <= one)


@pytest.mark.parametrize(("share", "wanted"), [(0.0, False), (10.0, True), (100.0, False)])
def test_only_a_bake_beside_blue_is_told_what_it_can_prove(share: float, wanted: bool) -> None:
    assert (reach_in(rollout(), BUSY, share, 10 * MINUTE, 10) is not None) is wanted
    uncompared = replace(
        rollout(), plan=replace(rollout().plan, evidence=replace(rollout().plan.evidence, tolerances=None))
    )
    assert reach_in(uncompared, BUSY, share, 10 * MINUTE, 10) is None


def test_blues_traffic_is_that_of_the_minutes_that_are_known() -> None:
    known = Period(NOW, 60, Sample(600, 6, 3, 300, 30, 6), None)
    assert load_of([known, replace(known, blue=None), known]) == Load(600.0, 0.01, 0.005, is_timed=True)
    assert load_of([replace(known, blue=None)]) is None
    assert load_of([replace(known, blue=Sample(0, 0, 0, 0, 0, 0))]) is None


def rollout() -> Rollout:
    blue = Blue("blue-config", {}, "AllTraffic", 1.0, 4)
    made = Rollout("fraud", "0badcafe", {}, NOW, blue, Green("v2"), Plan(canary([10, 50, 100])))
    return replace(made, green_traffic_since=NOW, thresholds=Thresholds(20_000, 40_000, 80_000))


def calm(begin: datetime, count: int, seconds: int, calls: int, *, is_alone: bool = False) -> Sequence[Period]:
    green = Sample(calls, 0, 0, calls // 2, calls // 20, calls // 100)
    blue = green if is_alone else Sample(9 * calls, 0, 0, 9 * calls // 2, 9 * calls // 20, 9 * calls // 100)
    starts = (begin + number * timedelta(seconds=seconds) for number in range(count))
    return [Period(start, seconds, blue, None if is_alone else green) for start in starts]


def ended(minutes: int, *alarms: Alarm) -> Judgement:
    """A calm bake of so many minutes, at its end."""
    end = NOW + minutes * MINUTE
    watch = Watch(NOW, end, NOW, 0, rollout=rollout(), judges_evidence=True, share=10.0)
    sources = Sources({}, {}, rollout().thresholds, NOW, 10)
    baseline = calm(NOW - 60 * MINUTE, 60, 60, 600, is_alone=True)
    figures = NewFigures(sources, baseline, calm(NOW, 6 * minutes, 10, 100))
    _, seen = fold(None, watch, figures, end)
    return judge(watch, Readings(alarms, requests=0, figures=figures), seen, end).judgement


@pytest.mark.parametrize(("minutes", "verdict"), [(3, Verdict.UNPROVEN), (20, Verdict.HEALTHY)])
def test_a_bake_that_is_too_short_passes_and_is_not_called_healthy(minutes: int, verdict: Verdict) -> None:
    said = ended(minutes)
    assert said.verdict is verdict
    assert said.passes
    assert ("too short" in said.reason) is (verdict is Verdict.UNPROVEN)


@pytest.mark.parametrize(("name", "minutes", "verdict"), [
    ("errors", 3, Verdict.INCONCLUSIVE),
    (rollout().names.error_alarm, 3, Verdict.UNPROVEN),
    (rollout().names.error_alarm, 20, Verdict.INCONCLUSIVE),
])  # fmt: skip
def test_only_its_own_alarms_may_be_too_late_for_a_short_bake(name: str, minutes: int, verdict: Verdict) -> None:
    said = ended(minutes, Alarm(name, "INSUFFICIENT_DATA", "no data yet"))
    assert said.verdict is verdict
    assert "too little data to tell" in said.reason


def test_its_own_alarms_are_all_there_is_where_nothing_is_compared() -> None:
    blind = [Alarm(rollout().names.error_alarm, "INSUFFICIENT_DATA", "no data yet")]
    watch = Watch(NOW, NOW + MINUTE, NOW, 0, rollout=rollout(), judges_evidence=False, share=10.0)
    assert conclude(watch, Signs(blind), NOW + MINUTE).verdict is Verdict.INCONCLUSIVE


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 20_000), st.booleans(), st.sampled_from([5.0, 50.0]), st.integers(1, 2000))
def test_what_a_bake_is_blind_to_is_what_it_can_not_reach(
    calls: float, is_timed: bool, share: float, minutes: int
) -> None:
    setting = Setting(Load(calls, 0.002, 0.002, is_timed), DEFAULTS, share, minutes * MINUTE, 10)
    assert blind_to(setting) == reach_of(setting).blind_to


def test_no_look_before_half_time_asks_what_the_bake_is_too_short_for_and_each_later_one_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[datetime] = []
    end = NOW + 3 * MINUTE
    watch = Watch(NOW, end, NOW, 0, rollout=rollout(), judges_evidence=True, share=10.0)
    figures = NewFigures(
        Sources({}, {}, rollout().thresholds, NOW, 10), calm(NOW - MINUTE, 1, 60, 600, is_alone=True), []
    )
    _, ledger = fold(None, watch, figures, end)
    half, told = NOW + 1.5 * MINUTE, []
    for now in (NOW, half - timedelta(seconds=1), half, end):
        monkeypatch.setattr(type(ledger), "blind_to", property(lambda _, now=now: asked.append(now) or "too short"))
        seen = judge(watch, Readings((), requests=0, figures=figures), ledger, now)
        told.append("too short" in seen.judgement.reason)
    assert asked == [half, end]
    assert told == [False, False, True, True]
