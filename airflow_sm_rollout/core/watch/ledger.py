"""What all looks of a watch have seen, folded period by period.

A look costs the same in minute 5 and in hour 20: it reads only what has become final since the last one, and what is kept of the past does
not grow. Who begins anew, after a restart, reads everything from the start and comes to the same, since every period is taken once, in the
order of time, whatever looks it came in.

A period that is final and lacks figures may still get them: CloudWatch is late at times. So it, and what comes after it, is judged but not
kept, and read again at the next look, until it is :data:`PATIENCE` old.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from airflow_sm_rollout.core.comparison.comparison import Course
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.comparison.routing import RoutingTest
from airflow_sm_rollout.core.plan.limits import Kpi
from airflow_sm_rollout.core.watch.breaches import KpiLimit, ShareLimit, limit_errors, limit_slow_calls
from airflow_sm_rollout.core.watch.coverage import Coverage, VariantCoverage
from airflow_sm_rollout.core.watch.how_long import short_of_health
from airflow_sm_rollout.core.watch.measured import MeasureJudge
from airflow_sm_rollout.core.watch.policy import (
    judged_limits,
    judged_measures,
    judged_tolerances,
    planned_comparison,
    tolerances_in,
)
from airflow_sm_rollout.core.watch.reach import Setting, blind_to, load_of, setting_in
from airflow_sm_rollout.core.watch.readings import KpiPeriod, NewFigures
from airflow_sm_rollout.core.watch.rows import Counted
from airflow_sm_rollout.core.watch.sources import Sources, is_shadow, needs_blues_figures
from airflow_sm_rollout.core.watch.watch import Watch

PATIENCE = timedelta(minutes=3)
_SHARE_SETTLES = timedelta(minutes=1)
"""After a share was changed: clients may hold on to the last one, and calls that are answered late are counted late."""
_T = TypeVar("_T")


class Ledger:
    """What is known of green so far in a watch.

    :ivar sources: where its figures come from; ``None``: there are none yet.
    :ivar course: the comparison with blue; ``None``: they are not compared.
    :ivar routing: whether green gets its share of the calls; ``None``: they are not compared, or nobody knows its share.
    :ivar green: whether green's figures cover the watch, and so ``blue``.
    :ivar requests: green's requests in the watch.
    :ivar measures: what the user counts, judged.
    :ivar reach: what the watch can prove; ``None``: nothing is compared in it, or nobody knows blue's traffic.
    """

    def __init__(self, watch: Watch, sources: Sources, baseline: Sequence[Period]) -> None:
        if watch.rollout is None:
            raise ValueError("a watch of alarms alone has no figures")
        self._watch, rollout = watch, watch.rollout
        self.sources = sources
        self.until: datetime | None = None
        self.requests = 0
        self.green, self.blue = (VariantCoverage(whose, sources.seconds) for whose in ("green", "blue"))
        self.slow_calls = Coverage("latencies of green", sources.seconds)
        limits = self._limits = judged_limits(rollout, watch.share)
        seconds = sources.seconds
        self.errors: ShareLimit | None = None
        if limits.max_error_rate is not None:
            self.errors = limit_errors(limits.max_error_rate, baseline, seconds)
        self.slow: ShareLimit | None = None
        if limits.max_p99_ms is not None:
            self.slow = limit_slow_calls(limits.max_p99_ms, baseline, seconds)
        self.kpis = [KpiLimit(kpi) for kpi in limits.kpis]
        self.kpis_until: list[KpiPeriod | None] = [None] * len(self.kpis)
        self.measures = [MeasureJudge(each, watch, rollout) for each in judged_measures(rollout)]
        self.course = self._begin_comparison(baseline)
        self.routing = self._begin_routing()
        self._setting = self._find_setting(baseline)

    def _begin_comparison(self, baseline: Sequence[Period]) -> Course | None:
        watch, rollout = self._watch, self._watch.rollout
        tolerances = judged_tolerances(rollout.plan.evidence) if rollout else None
        if rollout is None or tolerances is None:
            return None
        return Course(
            baseline,
            tolerances_in(tolerances, watch.ends_at - watch.started_at, self.sources.seconds),
            planned=planned_comparison(rollout),
            since=watch.started_at,
            renewed=tuple(rollout.instances_since.values()),
        )

    def _begin_routing(self) -> RoutingTest | None:
        watch, rollout = self._watch, self._watch.rollout
        if (
            rollout is None
            or watch.share is None
            or is_shadow(rollout)
            or not needs_blues_figures(rollout, watch.share)
        ):
            return None
        share, tolerance = watch.share / 100, rollout.traffic.split_tolerance
        if rollout.blue.is_asynchronous:
            return None  # a call is counted when it is answered, which the queue decides
        if tolerance is None or watch.share_since is None or not 0 < share < 1:
            return None
        return RoutingTest(share, tolerance, (watch.ends_at - watch.started_at) / timedelta(minutes=1))

    def _find_setting(self, baseline: Sequence[Period]) -> Setting | None:
        watch, rollout, load = self._watch, self._watch.rollout, load_of(baseline)
        if rollout is None or load is None or watch.share is None or not needs_blues_figures(rollout, watch.share):
            return None
        planned = watch.ends_at - watch.started_at
        return setting_in(rollout, load, watch.share, planned, self.sources.seconds)

    @property
    def blind_to(self) -> str:
        """What the bake is too short for, as half a sentence; empty: nothing. It costs a look's time, once."""
        return blind_to(self._setting) if self._setting else ""

    @property
    def short_of_proof(self) -> str:
        """That the bake is too short for the proof of health that the plan wants, as half a sentence; empty: it is not."""
        rollout = self._watch.rollout
        wants_proof = rollout is not None and rollout.plan.evidence.require_proof
        return short_of_health(self._setting) if self._setting and wants_proof else ""

    def take(self, figures: NewFigures) -> None:
        """Take what has become final since the last look, in the order of time."""
        for period in figures.periods:
            self._take_period(period, figures)
        for number, periods in enumerate(figures.kpis):
            for each in periods:
                self._take_kpi(number, each)
        for measure, answer in zip(self.measures, figures.measures, strict=False):
            for counted in answer.periods:
                measure.take(counted)

    def copy(self) -> Ledger:
        """One that may take what is not to be kept."""
        unchanging = (self._watch, self._watch.rollout, self._limits, self.sources, self._setting)
        return copy.deepcopy(self, {id(each): each for each in unchanging})

    def split(self, figures: NewFigures, now: datetime) -> tuple[NewFigures, NewFigures]:
        """What will not change any more, and, from the first period on of which that is not so, what may."""

        def is_settled(period: Period) -> bool:
            return now >= period.end + PATIENCE or self._is_known(period, figures)

        def is_kpi_settled(kpi: Kpi, period: KpiPeriod) -> bool:
            values = (period.green, period.blue) if kpi.relative_to_blue else (period.green,)
            return now >= period.end + PATIENCE or None not in values

        def is_count_settled(period: Counted) -> bool:
            return now >= period.end + PATIENCE or (period.green is not None and period.blue is not None)

        periods, rest = _cut(figures.periods, is_settled)
        each_kpi = zip(self._limits.kpis, figures.kpis, strict=True)
        kpis = [_cut(periods, partial(is_kpi_settled, kpi)) for kpi, periods in each_kpi]
        counts = [_cut(answer.periods, is_count_settled) for answer in figures.measures]

        def part(number: int, periods: Sequence[Period]) -> NewFigures:
            each = [replace(answer, periods=cut[number]) for answer, cut in zip(figures.measures, counts, strict=True)]
            return replace(figures, periods=periods, kpis=[cut[number] for cut in kpis], measures=each)

        return part(0, periods), part(1, rest)

    def _is_known(self, period: Period, figures: NewFigures) -> bool:
        """Whether all figures of a period are there."""
        by_latency = self.sources.thresholds is not None
        if not all(_is_complete(sample, by_latency=by_latency) for sample in (period.blue, period.green)):
            return False
        counts_slow = self.slow is not None and period.end > self._watch.started_at
        return not counts_slow or period.start in figures.slow or not (period.green and period.green.requests)

    def _take_period(self, period: Period, figures: NewFigures) -> None:
        self.until = period.end
        if self.course is not None:
            self.course.take(period)
        if period.start >= self._watch.started_at:
            self.green.take(period.start, period.green)
            self.blue.take(period.start, period.blue)
        if self.routing is not None and self._watch.share_since is not None:
            self._take_routed(self.routing, period, self._watch.share_since + _SHARE_SETTLES)
        if period.end > self._watch.started_at:
            self._count(period, figures)

    @staticmethod
    def _take_routed(routing: RoutingTest, period: Period, settled: datetime) -> None:
        if period.start >= settled and period.green is not None and period.blue is not None:
            routing.take(period.green.requests, period.blue.requests, period.seconds / 60)

    def _take_kpi(self, number: int, period: KpiPeriod) -> None:
        before, kpi = self.kpis_until[number], self._limits.kpis[number]
        if before is not None and period.seconds != before.seconds:  # longer ones are read from the start
            self.kpis[number] = KpiLimit(kpi)
        self.kpis[number].take(period.green, period.blue)
        self.kpis_until[number] = period

    def _count(self, period: Period, figures: NewFigures) -> None:
        """Take green's calls in this watch; the period in which it began is green's as well."""
        green, slow = period.green, figures.slow.get(period.start)
        if self.slow is not None:
            is_there = None if green is not None and not green.requests else green is not None and slow is not None
            self.slow_calls.take(period.start, is_there)
        if green is None:
            return
        self.requests += green.requests
        if self.errors is not None:
            self.errors.take(green.requests, green.errors_4xx + green.errors_5xx)
        if self.slow is not None and slow is not None:
            self.slow.take(green.requests, slow)


def fold(ledger: Ledger | None, watch: Watch, figures: NewFigures, now: datetime) -> tuple[Ledger, Ledger]:
    """Take what a look has read.

    :param ledger: what was kept of the looks before; ``None``: this is the first one.
    :return: what to keep, and what to judge by now.
    """
    if ledger is None or ledger.sources != figures.sources:
        ledger = Ledger(watch, figures.sources, figures.baseline)
    settled, rest = ledger.split(figures, now)
    ledger.take(settled)
    if not rest.periods and not any(rest.kpis) and not any(answer.periods for answer in rest.measures):
        return ledger, ledger
    judged = ledger.copy()
    judged.take(rest)
    return ledger, judged


def _cut(each: Sequence[_T], is_settled: Callable[[_T], bool]) -> tuple[Sequence[_T], Sequence[_T]]:
    """Those before the first one that is not settled, and the rest."""
    number = next((number for number, one in enumerate(each) if not is_settled(one)), len(each))
    return each[:number], each[number:]


def _is_complete(sample: Sample | None, *, by_latency: bool) -> bool:
    return sample is not None and (not by_latency or not sample.requests or sample.over_p50 is not None)
