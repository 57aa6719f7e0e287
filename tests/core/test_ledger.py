"""All looks of a watch, folded: the same verdict to the last bit, however the periods were cut into looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.comparison import compare
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.judge import Look, judge
from airflow_sm_rollout.core.watch.ledger import PATIENCE, Ledger, fold
from airflow_sm_rollout.core.watch.policy import planned_comparison, tolerances_in
from airflow_sm_rollout.core.watch.readings import Figures, KpiPeriod, Readings
from airflow_sm_rollout.core.watch.sources import Sources
from airflow_sm_rollout.core.watch.watch import Watch

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SECONDS = 10
SECOND = timedelta(seconds=1)
KPI = Kpi("refusals", {"m": Metric("Shop", "Refused")}, at_most=5)
LIMITS = Limits(max_error_rate=0.1, max_p99_ms=250, kpis=(KPI,))
BLUE = Blue("config", {}, "AllTraffic", 1.0, 1)
ROLLOUT = Rollout(
    "fraud",
    "0badcafe",
    {},
    NOON,
    BLUE,
    Green(model_name="fraud-v2"),
    Plan(evidence=Evidence(limits=LIMITS)),
    green_traffic_since=NOON,
    thresholds=Thresholds(100, 200, 300),
)
SOURCES = Sources({"VariantName": "AllTraffic"}, {"VariantName": "green"}, ROLLOUT.thresholds, NOON, SECONDS)
BASELINE = [Period(NOON - number * 60 * SECOND, 60, Sample(900, 5, 2, 450, 45, 9), None) for number in range(40, 0, -1)]
WATCH = Watch(
    NOON + 95 * SECOND,
    NOON + 695 * SECOND,
    NOON,
    20,
    alarms=(),
    rollout=ROLLOUT,
    judges_evidence=True,
    share=10.0,
)

samples = st.builds(
    lambda calls, failed, refused, slow: Sample(calls, min(failed, calls), min(refused, calls), calls // 2, slow, slow),
    st.integers(0, 300),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 9),
)
courses = st.lists(st.tuples(st.none() | samples, st.none() | samples), min_size=1, max_size=60)


def as_periods(course: Sequence[tuple[Sample | None, Sample | None]]) -> list[Period]:
    return [
        Period(NOON + number * SECONDS * SECOND, SECONDS, blue, green) for number, (blue, green) in enumerate(course)
    ]


def figures(periods: Sequence[Period], kpi_after: KpiPeriod | None = None) -> Figures:
    """What a look reads that reads just these periods, and the KPI's behind one."""
    slow = {each.start: each.green.over_p99 or 0 for each in periods if each.green and each.green.requests % 7}
    kpis = [KpiPeriod(each.start, SECONDS, each.green and float(each.green.errors_4xx)) for each in periods]
    new = [each for each in kpis if kpi_after is None or each.start > kpi_after.start]
    return Figures(SOURCES, BASELINE, periods, slow, [new])


class Watcher:
    """Looks when it is told to, at what is final by then and was not kept before."""

    def __init__(self, periods: Sequence[Period]) -> None:
        self._periods = periods
        self._kept: Ledger | None = None
        self.periods_read = 0

    def look(self, now: datetime) -> Look:
        until = self._kept.until if self._kept else None
        new = [each for each in self._periods if each.end <= now and (until is None or each.start >= until)]
        self.periods_read += len(new)
        self._kept, judged = fold(
            self._kept, WATCH, figures(new, self._kept.kpis_until[0] if self._kept else None), now
        )
        return judge(WATCH, Readings(requests=0.0), judged, now)


@settings(max_examples=60, deadline=None)
@given(courses, st.data())
def test_whoever_looks_whenever_comes_to_the_same_as_who_begins_anew(
    course: list[tuple[Sample | None, Sample | None]], data: st.DataObject
) -> None:
    periods = as_periods(course)
    often = Watcher(periods)
    cuts = data.draw(st.lists(st.integers(0, SECONDS * len(periods)), max_size=20).map(sorted))
    for cut in [*cuts, SECONDS * len(periods), SECONDS * len(periods) + 700]:
        now = NOON + cut * SECOND
        assert often.look(now) == Watcher(periods).look(now)


@settings(max_examples=60, deadline=None)
@given(courses)
def test_the_comparison_is_the_one_of_all_periods_at_once(course: list[tuple[Sample | None, Sample | None]]) -> None:
    periods, watcher = as_periods(course), Watcher(as_periods(course))
    for number in range(len(periods)):
        seen = watcher.look(periods[number].end)
    tolerances = ROLLOUT.plan.evidence.tolerances
    assert tolerances is not None
    within = tolerances_in(tolerances, WATCH.ends_at - WATCH.started_at, SECONDS)
    planned = planned_comparison(ROLLOUT)
    assert seen.comparison == compare(BASELINE, periods, within, planned=planned, since=WATCH.started_at)


def test_a_look_reads_only_what_is_new() -> None:
    periods = as_periods([(Sample(90, 0, 0, 45, 4, 1), Sample(10, 0, 0, 5, 0, 0))] * 600)
    watcher = Watcher(periods)
    for period in periods:
        before = watcher.periods_read
        watcher.look(period.end)
        assert watcher.periods_read - before == 1


def test_figures_that_come_late_are_judged_as_if_they_had_been_there() -> None:
    calm = (Sample(90, 0, 0, 45, 4, 1), Sample(10, 0, 0, 5, 0, 0))
    bad = (Sample(90, 0, 0, 45, 4, 1), Sample(10, 10, 0, 5, 0, 0))
    in_time = as_periods([calm] * 3 + [bad] * 3)
    late = [replace(each, green=None) if each.start >= NOON + 40 * SECOND else each for each in in_time]
    watcher = Watcher(late)
    watcher.look(late[-1].end)
    watcher._periods = in_time
    now = late[-1].end + SECOND
    assert watcher.look(now) == Watcher(in_time).look(now)
    assert watcher.look(now).judgement.verdict.value == "harmful"


@pytest.mark.parametrize("after", [PATIENCE - SECOND, PATIENCE])
def test_what_stays_missing_is_not_read_for_ever(after: timedelta) -> None:
    periods = as_periods([(Sample(90, 0, 0, 45, 4, 1), None)] * 3)
    watcher = Watcher(periods)
    watcher.look(periods[-1].end + after)
    before = watcher.periods_read
    watcher.look(periods[-1].end + after)
    assert watcher.periods_read - before == (1 if after < PATIENCE else 0)


def test_longer_periods_are_taken_anew_from_the_start() -> None:
    """CloudWatch keeps nothing shorter than a minute for more than three hours."""
    fine = as_periods([(Sample(90, 0, 0, 45, 4, 1), Sample(10, 1, 0, 5, 0, 0))] * 12)
    coarse = [Period(NOON, 60, Sample(540, 0, 0, 270, 24, 6), Sample(60, 6, 0, 30, 0, 0))]
    by_minutes = replace(figures(coarse), sources=replace(SOURCES, seconds=60))
    kept, _ = fold(None, WATCH, figures(fine), fine[-1].end)
    _, after = fold(kept, WATCH, by_minutes, fine[-1].end)
    _, anew = fold(None, WATCH, by_minutes, fine[-1].end)
    now = fine[-1].end
    assert judge(WATCH, Readings(), after, now) == judge(WATCH, Readings(), anew, now)
