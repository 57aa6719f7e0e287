"""What a rollout costs beyond what blue costs anyway: green's instances, for as long as they stand beside blue's, and alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from airflow_sm_rollout.core.rollout import AHEAD, WHEN_NEEDED, Plan, Rollout
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
    if parse_traffic(plan.traffic).has_component:
        return f"Green's copies take the place of blue's {blues}: a batch at a time needs room beside them"
    hours = instance_hours(plan, blues)
    told = f"Green costs about {hours:.2g} instance-hours beside blue's {blues} instance(s){describe_kept(plan, blues)}"
    sparing = instance_hours(replace(plan, capacity=WHEN_NEEDED), blues)
    if hours <= sparing:
        return told
    return f"{told}; capacity='when_needed' about {sparing:.2g}, with some minutes more for each step"


def describe_kept(plan: Plan, blues: int) -> str:
    """What a blue costs that is kept warm, in a half sentence."""
    if plan.keep_blue is None:
        return ""
    return f", and blue {blues * (plan.keep_blue / _HOUR):.2g} more while it is kept warm for {plan.keep_blue}"


def describe_warm(rollout: Rollout) -> str:
    """For how long blue is kept warm now, at which cost, and the way back; empty: it is not."""
    until, kept, blue = rollout.blue_until, rollout.plan.keep_blue, rollout.blue
    if until is None or kept is None:
        return ""
    hours = f"{blue.instance_count * (kept / _HOUR):.2g} instance-hours on {blue.capacity}"
    back = f"until then sm-rollout undo {rollout.endpoint_name} is one change"
    return f"blue is kept warm until {until:%Y-%m-%d %H:%M UTC}, {hours}; {back}"


def spent_hours(rollout: Rollout, shares: Sequence[tuple[datetime, float]], until: datetime) -> float:
    """Green's instance-hours so far, at most: counted from the rollout's start, though its instances come some minutes later.

    :param shares: green's shares in percent, each since its moment.
    :param until: when blue's or green's went, or now.
    """
    blues, plan = rollout.blue.instance_count, rollout.plan
    if plan.capacity == AHEAD:
        return blues * ((until - rollout.started_at) / _HOUR)
    moments = [(rollout.started_at, 0.0), *shares, (until, 0.0)]
    counted, hours = 0, 0.0
    for (since, share), (to, _) in pairwise(moments):
        counted = max(counted, instances_of(blues, share) if share else instances_at_first(plan, blues))
        hours += counted * (max(to - since, timedelta()) / _HOUR)
    return hours


def describe_spent(rollout: Rollout, shares: Sequence[tuple[datetime, float]], until: datetime) -> str:
    """That in a sentence, with the alarms that it makes for its time."""
    hours, blue = spent_hours(rollout, shares, until), rollout.blue
    what = "instance-hours" if blue.max_concurrency is None else "hours of provisioned concurrency"
    told = f"at most {hours:.2g} {what} of green beside blue's {blue.capacity}"
    if rollout.traffic.has_component:
        told = "room for a batch of copies at a time"
    made = len(rollout.made_alarms)
    return f"{told}; {made} alarm(s) of its own" if made else told
