"""Green's share: capacity first, then weights."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, GreenShare
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout, with_green_traffic, with_instances
from airflow_sm_rollout.core.rules.shared import (
    capacity_for,
    endpoint_exists,
    endpoint_of,
    goes_forward,
    green_of,
    heed_wish,
    instances_for,
    is_in_service,
    no_harm,
    not_promoted_yet,
    on_known_config,
    wait_while_busy,
    weights,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms: a share is never raised past one that rings."""
    return Needs(alarms=rollout.watched_alarms)


def _share_reached(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    green = green_of(rollout, seen)
    endpoint = endpoint_of(seen)
    enough = green.current_count >= instances_for(goal.share, rollout, seen)
    if not endpoint.has_share(green.name, goal.share) or not enough:
        return None
    return Done(f"green has {goal.share:g} % of the traffic: {endpoint.describe()}")


def _share_as_planned(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """Where somebody has moved traffic between two bakes, no bake has seen it: green gets nothing more on top of that."""
    endpoint, green = endpoint_of(seen), rollout.names.variant
    planned = [step.share for step in rollout.plan.strategy.steps] if rollout.plan.strategy else []
    if goal.share not in planned or any(endpoint.has_share(green, share) for share in (0.0, *planned)):
        return None
    return GiveUp(
        f"somebody else moved traffic: green has {endpoint.share(green):g} %, and the plan's shares are "
        f"{', '.join(f'{share:g}' for share in planned)} %: {endpoint.describe()}"
    )


def _less_needs_no_capacity(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    endpoint, green = endpoint_of(seen), rollout.names.variant
    if goal.share > endpoint.share(green) or endpoint.has_share(green, goal.share):
        return None
    return Act(weights(goal.share, rollout))


def _capacity_first(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return capacity_for(goal.share, rollout, seen)


def _note_green_traffic(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """Since when, and from how many instances: new ones have to warm up."""
    count = green_of(rollout, seen).current_count
    noted = with_instances(rollout, count, seen.at)
    if rollout.green_traffic_since is None:
        paused = seen.control.paused(seen.at) if seen.control else timedelta()
        return Act(actions.UpdateRecord(with_green_traffic(noted, seen.at, paused), "green is about to get traffic"))
    if str(count) in rollout.instances_since:
        return None
    return Act(actions.UpdateRecord(noted, f"green is about to serve from {count} instances"))


def _shift(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(weights(goal.share, rollout))


RULES: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    not_promoted_yet,
    wait_while_busy,
    is_in_service,
    on_known_config("mixed"),
    _share_reached,
    _share_as_planned,
    _less_needs_no_capacity,
    no_harm,
    heed_wish,
    _capacity_first,
    _note_green_traffic,
    _shift,
)
