"""Judges green by what the user counts: limits on a rate, and its comparison with blue, by the same tests as calls that fail.

Whatever the source, the counts are of periods, and each is taken once, in the order of time, so it may be looked at as often as one likes.
Blue's counts before green had traffic tell how they scatter. The comparison goes on over all steps of a rollout, a limit is judged bake by
bake. Each compared measure has its part of the level (:func:`~.policy.level_of`): the sum of the parts is what the plan allows, so it
holds however the measures depend on each other (Boole's inequality).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_sm_rollout.core.comparison.bets import Count
from airflow_sm_rollout.core.comparison.comparison import Finding
from airflow_sm_rollout.core.comparison.dispersion import estimate_bunching
from airflow_sm_rollout.core.comparison.mean import Sums
from airflow_sm_rollout.core.comparison.wording import format_percent
from airflow_sm_rollout.core.plan.measures import Measure
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.beside import LEAST, Beside, begin_beside, counts_among
from airflow_sm_rollout.core.watch.breaches import ShareLimit
from airflow_sm_rollout.core.watch.coverage import Coverage
from airflow_sm_rollout.core.watch.policy import is_beside, judge_finding, level_of, planned_comparison
from airflow_sm_rollout.core.watch.rows import Counted
from airflow_sm_rollout.core.watch.sources import judged_since
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch


class MeasureJudge:
    """What is known by one measure.

    :ivar until: end of the last period that was taken; ``None``: there was none.
    """

    def __init__(self, measure: Measure, watch: Watch, rollout: Rollout) -> None:
        self._measure, self._watch, self._rollout = measure, watch, rollout
        self.until: datetime | None = None
        self._before: list[Count | Sums] = []
        self._beside: Beside | None = None
        self._limit: ShareLimit | None = None
        self._harmful = self._healthy = self._is_begun = False
        self._minutes = max(planned_comparison(rollout) / timedelta(minutes=1), 1.0)
        source = f"the source of {measure.label}"
        self._of_green, self._of_blue = (
            Coverage(f"rows of {whose}", measure.period_seconds, source=source) for whose in ("green", "blue")
        )

    def take(self, period: Counted) -> None:
        """Take one more period, in the order of time."""
        self.until = period.end
        if period.end <= (judged_since(self._rollout) or self._watch.started_at):
            if period.blue is not None:
                self._before.append(period.blue)
            return
        self._begin()
        if period.start >= self._watch.started_at:
            self._is_begun = True
            self._of_green.take(period.start, period.green is not None)
            self._of_blue.take(period.start, period.blue is not None)
            if self._limit is not None and period.green is not None and not isinstance(period.green, Sums):
                self._limit.take(*period.green)
        self._compare(period)

    def _begin(self) -> None:
        """With green's first period all is known that is assumed of the counts."""
        measure = self._measure
        if measure.at_most is not None and self._limit is None:
            least = replace(LEAST, own_noise=0.0)
            spread = replace(estimate_bunching(counts_among(self._before), least), own_noise=LEAST.own_noise)
            named = f"at_most allows {100 * measure.at_most:.4g} %"
            self._limit = ShareLimit(f"are {measure.label}", measure.at_most, named, spread, measure.period_seconds)
        if measure.compared and self._beside is None:
            tolerances = self._rollout.plan.evidence.tolerances or DEFAULTS
            self._beside = begin_beside(measure, self._before, tolerances, self._needed)

    def _compare(self, period: Counted) -> None:
        if self._beside is None or self._harmful:
            return
        self._beside.take(period, self._minutes)
        self._harmful = self._beside.harm >= self._needed
        is_healthy = self._beside.health >= self._health_needed and self._beside.harm < 1
        self._healthy = self._healthy or is_healthy

    @property
    def _needed(self) -> float:
        return 1 / level_of(self._rollout.plan.evidence)[1]

    @property
    def _health_needed(self) -> float:
        return 1 / (self._rollout.plan.evidence.tolerances or DEFAULTS).false_pass

    @property
    def finding(self) -> Finding:
        """What the comparison says."""
        if self._harmful:
            return Finding.HARM
        return Finding.HEALTHY if self._healthy else Finding.CANNOT_TELL

    @property
    def is_unproven(self) -> bool:
        """Whether green is to be compared by it, and is not proven to be as good as blue."""
        is_compared = self._measure.compared and is_beside(self._rollout, self._watch.share)
        return is_compared and self.finding is not Finding.HEALTHY

    @property
    def label(self) -> str:
        """What people call it."""
        return self._measure.label

    def judge(self, unknown: str) -> Iterator[Judgement]:
        """Judge green by it.

        :param unknown: why its counts are not known just now; empty: they are.
        """
        compares = self._measure.compared and is_beside(self._rollout, self._watch.share)
        gap = unknown or self._of_green.describe_gap() or (self._of_blue.describe_gap() if compares else "")
        if not gap and not self._is_begun:
            gap = f"no period of this bake is final, which takes {self._measure.final_after:g} s from its end on (final_after)"
        if self._limit is not None:
            yield self._limit.judge(gap)
        if self._beside is not None:
            judged = judge_finding(self.finding, self._describe(self._beside), self._rollout, self._watch.share)
            if judged.verdict is Verdict.HARMFUL or (compares and not gap):
                yield judged
                return
        if gap:
            yield Judgement(Verdict.INCONCLUSIVE, f"{self._measure.label}: {gap}")

    def _describe(self, beside: Beside) -> str:
        figures = beside.describe()
        if not figures:
            return f"{self._measure.label}: green and blue have none in the same periods yet"
        told = f"{self._measure.label}: {figures}"
        if self._harmful:
            chance = format_percent(1 / self._needed)
            return f"{told}. That is worse than tolerated, with less than {chance} chance to be a coincidence."
        if self._healthy:
            return f"{told}, which is as good"
        return f"{told}. Evidence of harm: {beside.harm:.3g}, where {self._needed:.3g} is proof"
