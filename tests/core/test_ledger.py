"""All looks of a watch, folded: the same verdict to the last bit, however the periods were cut into looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from airflow_sm_rollout.core.watch.readings import KpiPeriod, NewFigures, Readings
from airflow_sm_rollout.core.watch.sources import Sources
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
KPIS = tuple(
    Kpi(label, {"m": Metric("Shop", "Refused")}, at_most=1.3, relative_to_blue=is_relative)
    for label, is_relative in (("refusals", False), ("refusals beside blue", True))
)
BLUE = Blue("config", {}, "AllTraffic", 1.0, 1)
ROLLOUT = Rollout(
    "fraud",
    "0badcafe",
    {},
    NOON,
    BLUE,
    Green(model_name="fraud-v2"),
    Plan(evidence=Evidence(limits=Limits(max_error_rate=0.1, max_p99_ms=250, kpis=KPIS))),
    green_traffic_since=NOON,
    thresholds=Thresholds(100, 200, 300),
)
BASELINE = [Period(NOON - number * 60 * SECOND, 60, Sample(900, 5, 2, 450, 45, 9), None) for number in range(40, 0, -1)]
WATCH = Watch(
    NOON + 25 * SECOND,
    NOON + 695 * SECOND,
    NOON,
    20,
    rollout=ROLLOUT,
    judges_evidence=True,
    share=10.0,
    ends_early=True,
)
CALM = (Sample(90, 0, 0, 45, 4, 1), Sample(10, 0, 0, 5, 0, 0))
BAD = (CALM[0], Sample(10, 10, 0, 5, 0, 0))
Pair = tuple[Sample | None, Sample | None]


@dataclass(frozen=True)
class Late:
    """How long after a period's end its figures are to be seen.

    :param latencies: of both, where the calls are there.
    :param slow: the counts of green's calls above the limit.
    """

    blue: timedelta = timedelta()
    green: timedelta = timedelta()
    latencies: timedelta = timedelta()
    slow: timedelta = timedelta()


@dataclass(frozen=True)
class Published:
    """All the figures that CloudWatch has of a bake in the end.

    :param late: of each period; empty: all are in time.
    """

    course: Sequence[Pair]
    late: Sequence[Late] = ()
    seconds: int = 10

    @property
    def end(self) -> datetime:
        return NOON + len(self.course) * self.seconds * SECOND

    def read(self, kept: Ledger | None, now: datetime) -> NewFigures:
        """What is to be seen by now, and is not kept yet."""
        seen = [self._period(number, now) for number in range(len(self.course))]
        over = [each for each in seen if each.end <= now]
        since = kept.until if kept and kept.until else NOON
        kpis = [_kpi_periods(kpi, over, kept.kpis_until[number] if kept else None) for number, kpi in enumerate(KPIS)]
        slow = {start: green.over_p99 or 0 for start, green in self._counted(now) if green.requests}
        sources = Sources({"VariantName": "blue"}, {"VariantName": "green"}, ROLLOUT.thresholds, NOON, self.seconds)
        return NewFigures(sources, BASELINE, [each for each in over if each.start >= since], slow, kpis)

    def _counted(self, now: datetime) -> Iterator[tuple[datetime, Sample]]:
        """Where the counts of green's slow calls are to be seen."""
        for number, (_, green) in enumerate(self.course):
            period = self._period(number, now)
            if green is not None and period.green is not None and now >= period.end + self._late(number).slow:
                yield period.start, green

    def _late(self, number: int) -> Late:
        return self.late[number] if self.late else Late()

    def _period(self, number: int, now: datetime) -> Period:
        start = NOON + number * self.seconds * SECOND
        late = self._late(number)
        since_end = now - start - self.seconds * SECOND
        blue, green = (
            _untimed(sample) if sample and since_end < late.latencies else sample for sample in self.course[number]
        )
        return Period(
            start,
            self.seconds,
            blue if since_end >= late.blue else None,
            green if since_end >= late.green else None,
        )


def _untimed(sample: Sample) -> Sample:
    return replace(sample, over_p50=None, over_p95=None, over_p99=None) if sample.requests else sample


def _kpi_periods(kpi: Kpi, periods: Sequence[Period], before: KpiPeriod | None) -> list[KpiPeriod]:
    return [
        KpiPeriod(
            each.start,
            each.seconds,
            each.green and float(each.green.errors_4xx),
            each.blue and float(each.blue.errors_4xx) if kpi.relative_to_blue else None,
        )
        for each in periods
        if before is None or each.start > before.start
    ]


class Watcher:
    """Looks when it is told to, at what was not kept before."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.kept: Ledger | None = None
        self.periods_read = 0

    def look(self, now: datetime) -> Look:
        figures = self.published.read(self.kept, now)
        self.periods_read += len(figures.periods)
        self.kept, judged = fold(self.kept, WATCH, figures, now)
        return judge(WATCH, Readings(requests=0.0), judged, now)


samples = st.builds(
    lambda calls, failed, refused, slow: Sample(
        calls, min(failed, calls), min(refused, calls), calls // 2, min(slow, calls), min(slow, calls)
    ),
    st.integers(0, 300),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 9),
)
pairs = st.tuples(st.none() | samples, st.none() | samples)
moments = st.sampled_from([0, 0, 0, 25, 100, 179]).map(lambda seconds: seconds * SECOND)
lates = st.builds(Late, moments, moments, moments, moments)
published = st.builds(
    lambda each, seconds: Published([pair for pair, _ in each], [late for _, late in each], seconds),
    st.lists(st.tuples(pairs, lates), min_size=1, max_size=60),
    st.sampled_from([10, 60]),
)


@settings(max_examples=60, deadline=None)
@given(published, st.data())
def test_whoever_looks_whenever_comes_to_the_same_as_who_begins_anew(published: Published, data: st.DataObject) -> None:
    often, length = Watcher(published), int((published.end - NOON).total_seconds())
    cuts = data.draw(st.lists(st.integers(0, length + 200), max_size=20).map(sorted))
    for cut in [*cuts, length + 700]:
        now = NOON + cut * SECOND
        assert often.look(now) == Watcher(published).look(now)


@settings(max_examples=60, deadline=None)
@given(st.lists(pairs, min_size=1, max_size=60))
def test_the_comparison_is_the_one_of_all_periods_at_once(course: list[Pair]) -> None:
    published = Published(course)
    watcher = Watcher(published)
    for number in range(len(course)):
        seen = watcher.look(NOON + (number + 1) * 10 * SECOND)
    tolerances = ROLLOUT.plan.evidence.tolerances
    assert tolerances is not None
    within = tolerances_in(tolerances, WATCH.ends_at - WATCH.started_at, 10)
    planned = planned_comparison(ROLLOUT)
    periods = published.read(None, published.end).periods
    assert seen.comparison == compare(BASELINE, periods, within, planned=planned, since=WATCH.started_at)


def test_a_look_reads_only_what_is_new() -> None:
    watcher = Watcher(Published([CALM] * 200))
    for number in range(200):
        before = watcher.periods_read
        watcher.look(NOON + (number + 1) * 10 * SECOND)
        assert watcher.periods_read - before == 1


LATE = 20 * SECOND


@pytest.mark.parametrize("late", [Late(blue=LATE), Late(green=LATE), Late(latencies=LATE), Late(slow=LATE)], ids=str)
def test_figures_that_come_late_are_judged_as_if_they_had_been_there(late: Late) -> None:
    in_time = Published([CALM] * 30 + [BAD] * 3)
    watcher = Watcher(replace(in_time, late=[late] * 33))
    watcher.look(in_time.end)
    now = in_time.end + LATE
    assert watcher.look(now) == Watcher(in_time).look(now)
    assert watcher.look(now).judgement.verdict is Verdict.HARMFUL


@pytest.mark.parametrize("after", [PATIENCE - SECOND, PATIENCE])
def test_what_stays_missing_is_not_read_for_ever(after: timedelta) -> None:
    published = Published([(CALM[0], None)] * 3)
    watcher = Watcher(published)
    watcher.look(published.end + after)
    before = watcher.periods_read
    watcher.look(published.end + after)
    assert watcher.periods_read - before == (1 if after < PATIENCE else 0)


def test_longer_periods_are_taken_anew_from_the_start() -> None:
    """CloudWatch keeps nothing shorter than a minute for more than three hours."""
    now = NOON + 120 * SECOND
    by_minutes = Published([(Sample(540, 0, 0, 270, 24, 6), Sample(60, 6, 0, 30, 0, 0))], seconds=60).read(None, now)
    kept, _ = fold(None, WATCH, Published([BAD] * 12).read(None, now), now)
    _, after = fold(kept, WATCH, by_minutes, now)
    _, anew = fold(None, WATCH, by_minutes, now)
    assert judge(WATCH, Readings(), after, now) == judge(WATCH, Readings(), anew, now)
