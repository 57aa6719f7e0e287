"""Green's share, by one write of the live pointer: capacity first, then traffic."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Done, GreenShare, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.pointer import share_on_green, split_between
from airflow_sm_rollout.core.rollout import Rollout, with_green_traffic
from airflow_sm_rollout.core.rules.configs import instances_of
from airflow_sm_rollout.core.rules.pair import (
    blue_is_unchanged,
    blue_stands,
    green_is_in_service,
    green_is_unchanged,
    green_of,
    green_stands,
    not_promoted_yet,
    point_at,
    pointer_is_known,
    wait_for_green,
)
from airflow_sm_rollout.core.rules.shared import UPDATE_TAKES, endpoint_of, goes_forward, heed_wish, no_harm
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms: clients are not sent to green while one rings."""
    return Needs(alarms=rollout.watched_alarms)


def _less_at_once(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """Whatever the two endpoints are doing: blue had all of it before, and has its instances still."""
    if goal.share >= share_on_green(rollout, seen.pointer):
        return None
    return _shift(goal, rollout, seen)


def _nothing_for_green(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if goal.share != 0:
        return None
    return Done(f"green has no traffic: clients call endpoint {rollout.blue_endpoint_name}")


def _share_reached(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if goal.share != share_on_green(rollout, seen.pointer):
        return None
    return Done(f"green has {goal.share:g} % of the traffic: {green_of(seen).describe()}")


def _capacity_first(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue may have been scaled up since green was made; green needs as much for the same traffic. Serverless ones have no instances."""
    blue, green = endpoint_of(seen).variant(rollout.blue.variant), green_of(seen).variant(rollout.green_variant)
    if blue is None or not blue.desired_count or green is None:
        return None
    needed = instances_of(blue.desired_count, goal.share)
    if green.current_count >= needed:
        return None
    if green.desired_count >= needed:
        return Wait(f"green has {green.current_count} of {green.desired_count} instances", UPDATE_TAKES)
    return Act(actions.SetCapacity(rollout.green_endpoint_name, green.name, needed))


def _note_green_traffic(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.green_traffic_since is not None:
        return None
    paused = seen.control.paused(seen.at) if seen.control else timedelta()
    return Act(actions.UpdateRecord(with_green_traffic(rollout, seen.at, paused), "green is about to get traffic"))


def _shift(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    split = split_between(rollout.blue_endpoint_name, rollout.green_endpoint_name, goal.share)
    return Act(point_at(split, rollout, seen))


RULES: tuple[Rule, ...] = (
    goes_forward,
    not_promoted_yet,
    pointer_is_known,
    _less_at_once,
    _nothing_for_green,
    green_stands,
    green_is_unchanged,
    wait_for_green,
    green_is_in_service,
    _share_reached,
    blue_stands,
    blue_is_unchanged,
    no_harm,
    heed_wish,
    _capacity_first,
    _note_green_traffic,
    _shift,
)
