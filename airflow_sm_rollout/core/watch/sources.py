"""Which figures a rollout is judged by: whose, since when, in which periods, and which of them are final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.rollout import Plan, Rollout
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict

BASELINE = timedelta(hours=3)
THRESHOLDS_FROM = timedelta(hours=1)
_MINUTE = 60
# CloudWatch keeps points of less than a minute for 3 hours; what is older is there by the minute only.
_FINE_KEPT = timedelta(hours=2, minutes=45)
_UNPLANNED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to read what blue and green did.

    :param blue: CloudWatch dimensions of blue's metrics.
    :param green: of green's.
    :param thresholds: latencies to count calls above; ``None``: blue had no traffic to take them from.
    :param since: start of the first period.
    :param seconds: length of a period.
    """

    blue: Mapping[str, str]
    green: Mapping[str, str]
    thresholds: Thresholds | None
    since: datetime
    seconds: int


def sources_of(rollout: Rollout, now: datetime) -> Sources | None:
    """What is to be read about a rollout at a moment; ``None``: green has had no traffic yet."""
    since = judged_since(rollout)
    if since is None:
        return None
    seconds, green = _period_seconds(rollout, now - since), judged_dimensions(rollout)
    return Sources(rollout.blue_dimensions, green, rollout.thresholds, floor(since, seconds), seconds)


def is_shadow(rollout: Rollout) -> bool:
    """Whether all that green has had so far are copies of requests."""
    return rollout.shadow_since is not None and rollout.green_traffic_since is None


def judged_since(rollout: Rollout) -> datetime | None:
    """Since when green has had traffic, or copies of it; a green that was a shadow is a new one, as its instances are."""
    return rollout.green_traffic_since or rollout.shadow_since


def judged_dimensions(rollout: Rollout) -> Mapping[str, str]:
    """The CloudWatch dimensions of what green does now."""
    shadow = {"EndpointName": rollout.endpoint_name, "VariantName": rollout.names.shadow}
    return shadow if is_shadow(rollout) else rollout.green_dimensions


def judged_alarms(rollout: Rollout) -> tuple[str, ...]:
    """The alarms to watch: a shadow has none of the rollout's own."""
    return rollout.plan.alarms if is_shadow(rollout) else rollout.watched_alarms


def needs_greens_figures(rollout: Rollout, min_requests: int) -> bool:
    """Whether a bake is judged by what SageMaker publishes of green's calls; where alarms of the user's alone watch, it is not.

    :param min_requests: see :class:`~airflow_sm_rollout.core.watch.bake.Bake`.
    """
    plan = rollout.plan.evidence
    limits = (plan.limits.max_error_rate, plan.limits.max_p99_ms)
    return min_requests > 0 or plan.tolerances is not None or any(limit is not None for limit in limits)


def needs_blues_figures(rollout: Rollout, share: float | None) -> bool:
    """Whether green is compared in a bake with a blue that serves beside it.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    is_beside = rollout.plan.traffic != "endpoints" and (share is None or share < 100)
    return rollout.plan.evidence.tolerances is not None and (is_shadow(rollout) or is_beside)


def _period_seconds(rollout: Rollout, age: timedelta) -> int:
    """Both variants' figures must be there in each period. On one endpoint they come as the mixed config says; blue's own endpoint keeps
    its config.
    """
    seconds, wanted = rollout.metric_period_seconds, rollout.plan.evidence.metric_seconds
    if wanted is not None and rollout.plan.traffic == "variants":
        seconds = min(seconds, wanted)
    return kept_seconds(seconds, age)


def kept_seconds(seconds: int, age: timedelta) -> int:
    """The length of periods to ask for, of a figure that is published every so many seconds: of a time that begins longer ago
    CloudWatch returns nothing at all by less than a minute (GetMetricData, StartTime).

    :param age: how long ago the first of them began.
    """
    return seconds if age < _FINE_KEPT else max(seconds, _MINUTE)


def final_until(now: datetime, seconds: int) -> datetime:
    """Until when figures are final: a period's are as long after its end as it is long itself.

    Recorded on AWS for minutes: a period that ended 33 s ago still lacked a tenth to a third of its calls, at 60 s it was complete
    (docs/facts-aws.md#metrics). There is no record for shorter periods; that they follow in proportion is an assumption.
    """
    return floor(now - timedelta(seconds=seconds), seconds)


def floor(moment: datetime, seconds: int) -> datetime:
    """The start of the period that a moment is in; CloudWatch's periods are counted from the epoch."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, timezone.utc)


def validate_proof(plan: Plan, *, is_shadowed: bool | None) -> None:
    """Check that a plan that wants proof of health has a bake in which blue serves beside green: only that can give one.

    :param is_shadowed: whether green is a shadow of blue first; ``None``: not known.
    :raises PlanError: if there is none.
    """
    if not plan.evidence.require_proof:
        return
    if plan.traffic == "endpoints":
        allowed = "False with traffic='endpoints': blue and green never serve beside each other, so nothing can prove green healthy"
        raise PlanError("require_proof", True, allowed)
    if plan.strategy is not None and is_shadowed is False and not _has_steps_beside(plan):
        allowed = (
            "False, or a step below 100 %, or a shadow first (shadow=... of a task group, or a ShadowGreenOperator): by this plan "
            "blue never serves beside green, so nothing can prove green healthy"
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
    """What the comparison means for a bake: without proof either way nothing, unless the plan wants one.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    wants_proof = rollout.plan.evidence.require_proof and not _was_beside_before(rollout, share)
    verdict = {
        Finding.HARM: Verdict.HARMFUL,
        Finding.HEALTHY: Verdict.HEALTHY,
        Finding.CANNOT_TELL: Verdict.INCONCLUSIVE if wants_proof else Verdict.WATCHING,
    }[comparison.verdict]
    wanted = "require_proof=True wants green to be proven healthy. " if verdict is Verdict.INCONCLUSIVE else ""
    return Judgement(verdict, wanted + comparison.sentence)


def judged_limits(rollout: Rollout, share: float | None) -> Limits:
    """The limits that green is judged by in a bake: those of a KPI relative to blue only while there is a blue that it may be relative to.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    limits = rollout.plan.evidence.limits
    if not _was_beside_before(rollout, share):
        return limits
    return replace(limits, kpis=tuple(kpi for kpi in limits.kpis if not kpi.relative_to_blue))


def _was_beside_before(rollout: Rollout, share: float | None) -> bool:
    """Whether green has got all traffic, which leaves nothing to compare it with, after an earlier bake in which there was a blue."""
    was_beside = rollout.shadow_since is not None or _has_steps_beside(rollout.plan)
    return share is not None and share >= 100 and was_beside


def _has_steps_beside(plan: Plan) -> bool:
    return plan.strategy is not None and any(step.share < 100 for step in plan.strategy.steps)
