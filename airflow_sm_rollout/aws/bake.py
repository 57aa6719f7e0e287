"""Looks at a bake: reads what it is judged from, and judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import FlapsSeen, count_requests, read_alarms
from airflow_sm_rollout.aws.control import read_control
from airflow_sm_rollout.aws.evidence import read_baseline, read_periods
from airflow_sm_rollout.aws.limits import read_calls, read_counts, read_executions, read_kpi
from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding, compare
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.bake import Bake, Seen, judge_bake
from airflow_sm_rollout.core.watch.breaches import judge_limits
from airflow_sm_rollout.core.watch.coverage import describe_gaps, with_idle
from airflow_sm_rollout.core.watch.monitor import judge_schedule
from airflow_sm_rollout.core.watch.sources import (
    Sources,
    judge_comparison,
    judged_dimensions,
    judged_limits,
    kept_seconds,
    needs_blues_figures,
    needs_greens_figures,
    planned_comparison,
    sources_of,
    tolerances_in,
)
from airflow_sm_rollout.core.watch.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Watched:
    """A rollout whose bake it is: its wishes are heeded, its requests counted at the end.

    :param judges_evidence: whether the comparison and the limits of its plan are asked, too.
    :param share: green's share in this bake as planned, in percent; ``None``: not known.
    """

    rollout: Rollout
    judges_evidence: bool
    share: float | None = None


@dataclass(slots=True)
class Memory:
    """What need not be read again at every look; all of it could be.

    :param ends_at: when the bake is over, with the pauses up to the last look; what counts where nothing can be read.
    """

    flaps_seen: FlapsSeen = field(default_factory=dict)
    baseline: list[Period] | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a bake came to.

    :param comparison: of green with blue; ``None``: they were not compared.
    """

    judgement: Judgement
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was found beside alarms; see :class:`~airflow_sm_rollout.core.watch.bake.Seen`."""

    judgements: Sequence[Judgement] = ()
    comparison: Comparison | None = None
    gap: str = ""


def look_at_bake(
    clients: Clients, bake: Bake, alarms: Sequence[str], watched: Watched | None, now: datetime, memory: Memory
) -> Look:
    """Read the alarms, a person's wish and all the evidence that the plan asks for, and judge."""
    states = read_alarms(clients.cloudwatch, alarms, bake.green_traffic_since or bake.started_at, memory.flaps_seen)
    if watched is None:
        return Look(judge_bake(bake, Seen(states), now))
    rollout = watched.rollout
    control = read_control(clients.ssm, rollout.endpoint_name, rollout.rollout_id)
    memory.ends_at = bake.end(control, now)
    is_over = now >= memory.ends_at
    found = _judge_evidence(clients, bake, watched, now, is_over, memory) if watched.judges_evidence else _Evidence()
    seen = Seen(
        alarms=states,
        requests=_count_requests(clients, bake, rollout, now) if is_over or bake.ends_early else None,
        gap=found.gap,
        control=control,
        judgements=found.judgements,
        is_proven=_is_proven(bake, rollout, found.comparison, now),
    )
    return Look(judge_bake(bake, seen, now), found.comparison)


def _is_proven(bake: Bake, rollout: Rollout, comparison: Comparison | None, now: datetime) -> bool:
    """Whether green is proven healthy, and has baked for as long as the user wants, however short the bake is."""
    tolerances = rollout.plan.evidence.tolerances
    if tolerances is None or comparison is None:
        return False
    return comparison.verdict is Finding.HEALTHY and now >= bake.started_at + tolerances.min_bake


def _count_requests(clients: Clients, bake: Bake, rollout: Rollout, now: datetime) -> float:
    """Green's requests in this bake. Figures that are not final yet are counted too: they only grow."""
    dimensions, seconds = judged_dimensions(rollout), kept_seconds(rollout.metric_period_seconds, now - bake.started_at)
    # No data of a variant that had traffic is no requests; both are too few to tell.
    return count_requests(clients.cloudwatch, dimensions, seconds, bake.started_at, now) or 0.0


def _judge_evidence(
    clients: Clients, bake: Bake, watched: Watched, now: datetime, is_over: bool, memory: Memory
) -> _Evidence:
    rollout, plan = watched.rollout, watched.rollout.plan.evidence
    sources = sources_of(rollout, now)
    if sources is None:
        return _Evidence(gap="green has had no traffic yet" if plan.asks_for_figures else "")
    periods = _read_periods(clients, sources, now)
    baseline = _read_baseline(clients, rollout, sources, memory)
    limits = judged_limits(rollout, watched.share)
    counts = read_counts(clients.cloudwatch, sources, periods, limits.max_p99_ms, bake.started_at)
    series = [read_kpi(clients.cloudwatch, kpi, rollout, bake.started_at, now) for kpi in limits.kpis]
    judgements = judge_limits(limits, counts, series, baseline, is_over=is_over)
    for schedule in plan.monitoring_schedules:
        executions = read_executions(clients.sagemaker, schedule, sources.since)
        judgements.append(judge_schedule(schedule, executions, sources.since))
    comparison = None
    if plan.tolerances is not None:
        tolerances = tolerances_in(plan.tolerances, bake.ends_at - bake.started_at, sources.seconds)
        planned = planned_comparison(rollout)
        comparison = compare(baseline, periods, tolerances, planned=planned, since=bake.started_at)
        judgements.insert(0, judge_comparison(comparison, rollout, watched.share))
    return _Evidence(judgements, comparison, _describe_gaps(bake, watched, periods))


def _read_baseline(clients: Clients, rollout: Rollout, sources: Sources, memory: Memory) -> Sequence[Period]:
    """Blue's hours before the rollout, where anything is judged by them."""
    if memory.baseline is None and needs_greens_figures(rollout, 0):
        memory.baseline = read_baseline(clients.cloudwatch, sources, rollout.started_at)
    return memory.baseline or ()


def _read_periods(clients: Clients, sources: Sources, now: datetime) -> list[Period]:
    periods = read_periods(clients.cloudwatch, sources, now)
    if not periods or "EndpointConfigName" not in sources.green:
        return periods
    dimensions = {name: value for name, value in sources.green.items() if name != "EndpointConfigName"}
    return with_idle(periods, read_calls(clients.cloudwatch, dimensions, periods))


def _describe_gaps(bake: Bake, watched: Watched, periods: Sequence[Period]) -> str:
    if not needs_greens_figures(watched.rollout, bake.min_requests):
        return ""
    is_compared = needs_blues_figures(watched.rollout, watched.share)
    by_latency = watched.rollout.thresholds is not None
    return describe_gaps(periods, bake.started_at, is_compared=is_compared, by_latency=by_latency)
