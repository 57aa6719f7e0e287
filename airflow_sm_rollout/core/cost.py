"""What a rollout costs beyond what blue costs anyway: green's instances, for as long as they stand beside blue's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from airflow_sm_rollout.core.rollout import AHEAD, WHEN_NEEDED, Plan
from airflow_sm_rollout.core.rules.configs import instances_at_first, instances_of
from airflow_sm_rollout.core.rules.shared import UPDATE_TAKES, WEIGHTS_TAKE
from airflow_sm_rollout.core.traffic import parse_traffic

_HOUR = timedelta(hours=1)


def instance_hours(plan: Plan, blues: int) -> float:
    """Green's instance-hours if nothing holds the plan up, with the times that AWS was recorded to take.

    :param plan: one with a strategy; single steps have no end that is known.
    :param blues: blue's instances.
    """
    return sum(count * (lasts / _HOUR) for count, lasts in _stands(plan, blues))


def _stands(plan: Plan, blues: int) -> Iterator[tuple[int, timedelta]]:
    """How many instances green has for how long, until blue's go."""
    if plan.strategy is None:
        return
    if not parse_traffic(plan.traffic).has_one_config:
        yield blues, plan.strategy.minimum_duration + UPDATE_TAKES
        return
    count, paced = instances_at_first(plan, blues), plan.strategy.paced_by_clock
    for step in plan.strategy.steps:
        needed = blues if plan.capacity == AHEAD else instances_of(blues, step.share)
        changes = WEIGHTS_TAKE + (UPDATE_TAKES if needed > count else timedelta())
        count = max(count, needed)
        yield count, step.bake if paced else step.bake + changes
    yield count, UPDATE_TAKES


def describe_cost(plan: Plan, blues: int) -> str:
    """The instance-hours in a sentence; where the plan makes them ahead, with what that costs more. Empty for single steps."""
    if plan.strategy is None:
        return ""
    hours = instance_hours(plan, blues)
    told = f"Green costs about {hours:.2g} instance-hours beside blue's {blues} instance(s)"
    sparing = instance_hours(replace(plan, capacity=WHEN_NEEDED), blues)
    if hours <= sparing:
        return told
    return f"{told}; capacity='when_needed' about {sparing:.2g}, with some minutes more for each step"
