"""What the evidence means for this plan: when health can be proven, what proof is asked for, which limits hold at a share."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.measures import Measure
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.core.rollout import Plan, Rollout
from airflow_sm_rollout.core.traffic import parse_traffic
from airflow_sm_rollout.core.watch.sources import is_shadow
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict

_UNPLANNED = timedelta(hours=1)
OF_MEASURES = 0.3
"""The part of the level that is the measures', where there are any."""


def validate_proof(plan: Plan, *, is_shadowed: bool | None) -> None:
    """Check that a plan that wants proof of health has a bake in which blue serves beside green: only that can give one.

    :param is_shadowed: whether green is a shadow of blue first; ``None``: not known.
    :raises PlanError: if there is none.
    """
    if not plan.evidence.require_proof:
        return
    has_shadow = parse_traffic(plan.traffic).has_shadow and is_shadowed is not False
    if plan.strategy is not None and not has_shadow and not _has_steps_beside(plan):
        allowed = (
            "False, or a step below 100 %, or with traffic='variants' a shadow first (shadow=... of a task group, or a "
            "ShadowGreenOperator): by this plan blue never serves beside green, so nothing can prove green healthy"
        )
        raise PlanError("require_proof", True, allowed)


def planned_comparison(rollout: Rollout) -> timedelta:
    """How long blue and green are planned to serve beside each other."""
    steps = rollout.plan.strategy.steps if rollout.plan.strategy and not is_shadow(rollout) else ()
    beside = sum((step.bake for step in steps if step.share < 100), timedelta())
    return beside or _UNPLANNED


def why_unprovable(rollout: Rollout) -> str:
    """Why the comparison can't prove this green healthy, if the plan wants that; empty: it can."""
    if not rollout.plan.evidence.require_proof or rollout.thresholds is not None:
        return ""
    return (
        "require_proof=True wants green to be proven healthy, also in its latency, and blue has had no calls in the last hour to compare "
        "that with"
    )


def judged_tolerances(evidence: Evidence) -> Tolerances | None:
    """The tolerances by which calls are compared: with what :func:`level_of` leaves them; ``None``: they are not."""
    tolerances = evidence.tolerances
    return tolerances and replace(tolerances, false_rollback=level_of(evidence)[0])


def tolerances_in(tolerances: Tolerances, bake: timedelta, seconds: int) -> Tolerances:
    """The tolerances for the looks at a bake: the same at each, and such that health can be proven by its end, which it could not be in a
    bake that is no longer than ``min_bake_minutes``. Figures are final two periods late, and green's first call may come as late, for
    which a bake of less than four periods has no room.

    :param bake: its length as planned.
    :param seconds: length of a period.
    """
    late = timedelta(seconds=2 * seconds)
    longest = max(min(bake / 2, bake - late), bake - 2 * late, timedelta())
    return replace(tolerances, min_bake_minutes=min(tolerances.min_bake, longest) / timedelta(minutes=1))


def judge_comparison(comparison: Comparison, rollout: Rollout, share: float | None) -> Judgement:
    """What the comparison means for a bake, see :func:`judge_finding`."""
    return judge_finding(comparison.verdict, comparison.sentence, rollout, share)


def judge_finding(finding: Finding, sentence: str, rollout: Rollout, share: float | None) -> Judgement:
    """What a finding beside blue means for a bake: without proof either way nothing, unless the plan wants one.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    wants_proof = rollout.plan.evidence.require_proof and not _was_beside_before(rollout, share)
    verdict = {
        Finding.HARM: Verdict.HARMFUL,
        Finding.HEALTHY: Verdict.HEALTHY,
        Finding.CANNOT_TELL: Verdict.INCONCLUSIVE if wants_proof else Verdict.WATCHING,
    }[finding]
    wanted = "require_proof=True wants green to be proven healthy. " if verdict is Verdict.INCONCLUSIVE else ""
    return Judgement(verdict, wanted + sentence)


def level_of(evidence: Evidence) -> tuple[float, float]:
    """What the plan allows for a false rollback, split up: for the comparison of calls, and for each measure that is compared.

    However many there are, they all together take back a good green with that probability at most.
    """
    whole = (evidence.tolerances or DEFAULTS).false_rollback
    compared = sum(measure.compared for measure in evidence.measures)
    if not compared:
        return whole, 0.0
    of_calls = whole * (1 - OF_MEASURES) if evidence.tolerances else 0.0
    return of_calls, (whole - of_calls) / compared


def judged_limits(rollout: Rollout, share: float | None) -> Limits:
    """The limits that green is judged by in a bake: those of a KPI relative to blue only while there is a blue that it may be relative to.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    limits = rollout.plan.evidence.limits
    if not _was_beside_before(rollout, share):
        return limits
    return replace(limits, kpis=tuple(kpi for kpi in limits.kpis if not kpi.relative_to_blue))


def judged_measures(rollout: Rollout) -> tuple[Measure, ...]:
    """What is counted of green: of a shadow nothing, since nobody gets its answers."""
    return () if is_shadow(rollout) else rollout.plan.evidence.measures


def is_beside(rollout: Rollout, share: float | None) -> bool:
    """Whether blue serves beside green, as far as is known.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    return share is None or share < 100 or is_shadow(rollout)


def _was_beside_before(rollout: Rollout, share: float | None) -> bool:
    """Whether green has got all traffic, which leaves nothing to compare it with, after an earlier bake in which there was a blue."""
    was_beside = rollout.shadow_since is not None or _has_steps_beside(rollout.plan)
    return share is not None and share >= 100 and was_beside


def _has_steps_beside(plan: Plan) -> bool:
    return plan.strategy is not None and any(step.share < 100 for step in plan.strategy.steps)
