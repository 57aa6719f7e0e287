"""Looks at a bake: reads what it is judged from, and judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import FlapsSeen, count_requests, read_alarms
from airflow_sm_rollout.aws.control import read_control
from airflow_sm_rollout.aws.evidence import read_baseline, read_periods
from airflow_sm_rollout.aws.limits import read_counts, read_executions, read_kpi
from airflow_sm_rollout.core.evidence.bake import Bake, Seen, judge_bake
from airflow_sm_rollout.core.evidence.comparison import Comparison, Finding, compare
from airflow_sm_rollout.core.evidence.limits import judge_limits
from airflow_sm_rollout.core.evidence.monitor import judge_schedule
from airflow_sm_rollout.core.evidence.periods import Period
from airflow_sm_rollout.core.evidence.sources import (
    Sources,
    judge_comparison,
    judged_dimensions,
    kept_seconds,
    planned_comparison,
    sources_of,
)
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.verdict import Judgement


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
    judgements, comparison = _judge_evidence(clients, bake, watched, now, is_over, memory)
    seen = Seen(
        alarms=states,
        requests=_count_requests(clients, bake, rollout, now) if is_over or bake.ends_early else None,
        control=control,
        judgements=judgements,
        is_proven=comparison is not None and comparison.verdict is Finding.HEALTHY,
    )
    return Look(judge_bake(bake, seen, now), comparison)


def _count_requests(clients: Clients, bake: Bake, rollout: Rollout, now: datetime) -> float:
    """Green's requests in this bake. Figures that are not final yet are counted too: they only grow."""
    dimensions, seconds = judged_dimensions(rollout), kept_seconds(rollout.metric_period_seconds, now - bake.started_at)
    # No data of a variant that had traffic is no requests; both are too few to tell.
    return count_requests(clients.cloudwatch, dimensions, seconds, bake.started_at, now) or 0.0


def _judge_evidence(
    clients: Clients, bake: Bake, watched: Watched, now: datetime, is_over: bool, memory: Memory
) -> tuple[list[Judgement], Comparison | None]:
    rollout = watched.rollout
    sources = sources_of(rollout, now) if watched.judges_evidence else None
    if sources is None:
        return [], None
    plan = rollout.plan.evidence
    periods = read_periods(clients.cloudwatch, sources, now)
    counts = read_counts(clients.cloudwatch, sources, periods, plan.limits.max_p99_ms, bake.started_at)
    series = [read_kpi(clients.cloudwatch, kpi, rollout, bake.started_at, now) for kpi in plan.limits.kpis]
    judgements = judge_limits(plan.limits, counts, series, is_over)
    for schedule in plan.monitoring_schedules:
        judgements.append(judge_schedule(schedule, read_executions(clients.sagemaker, schedule, sources.since)))
    comparison = _compare(clients, rollout, sources, periods, bake, memory)
    if comparison is not None:
        judgements.insert(0, judge_comparison(comparison, rollout, watched.share))
    return judgements, comparison


def _compare(
    clients: Clients, rollout: Rollout, sources: Sources, periods: list[Period], bake: Bake, memory: Memory
) -> Comparison | None:
    tolerances = rollout.plan.evidence.tolerances
    if tolerances is None:
        return None
    if memory.baseline is None:
        memory.baseline = read_baseline(clients.cloudwatch, sources, rollout.started_at)
    planned = planned_comparison(rollout)
    return compare(memory.baseline, periods, tolerances, planned=planned, since=bake.started_at)
