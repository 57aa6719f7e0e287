"""Green's share: none or all of it, by one write of the live pointer."""

from __future__ import annotations

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.endpoints.shared import (
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
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, GreenShare, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.pointer import Split, is_on_green
from airflow_sm_rollout.core.rollout import Rollout, with_green_traffic
from airflow_sm_rollout.core.variants.shared import UPDATE_TAKES, endpoint_of, goes_forward, heed_wish, no_harm
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms and the wish: clients are not sent to green while one rings, nor while a person holds it."""
    return Needs(alarms=rollout.watched_alarms, control=True)


def _all_or_nothing(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if goal.share in (0, 100):
        return None
    return GiveUp(
        f"share={goal.share:g} is not possible: a live pointer sends all clients to one endpoint, so 0 or 100; "
        "traffic='variants' can split them"
    )


def _nothing_for_green(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """The way back, whatever the two endpoints are doing."""
    if goal.share != 0:
        return None
    if not is_on_green(rollout, seen.pointer):
        return Done(f"green has no traffic: clients call endpoint {rollout.blue_endpoint_name}")
    return Act(point_at(Split(rollout.blue_endpoint_name), seen.at, rollout, seen))


def _all_for_green(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if not is_on_green(rollout, seen.pointer):
        return None
    return Done(f"green has 100 % of the traffic: clients call it, {green_of(seen).describe()}")


def _capacity_first(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue may have been scaled up since green was made; green needs as much for the same traffic."""
    blue, green = endpoint_of(seen).variant(rollout.blue.variant), green_of(seen).variant(rollout.green_variant)
    if blue is None or green is None or green.current_count >= blue.desired_count:
        return None
    if green.desired_count >= blue.desired_count:
        return Wait(f"green has {green.current_count} of {green.desired_count} instances", UPDATE_TAKES)
    return Act(actions.SetCapacity(rollout.green_endpoint_name, green.name, blue.desired_count))


def _note_green_traffic(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.green_traffic_since is not None:
        return None
    return Act(actions.UpdateRecord(with_green_traffic(rollout, seen.at), "green is about to get traffic"))


def _switch(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(point_at(Split(rollout.green_endpoint_name), rollout.green_traffic_since or seen.at, rollout, seen))


RULES: tuple[Rule, ...] = (
    goes_forward,
    not_promoted_yet,
    _all_or_nothing,
    pointer_is_known,
    _nothing_for_green,
    green_stands,
    green_is_unchanged,
    wait_for_green,
    green_is_in_service,
    _all_for_green,
    blue_stands,
    blue_is_unchanged,
    no_harm,
    heed_wish,
    _capacity_first,
    _note_green_traffic,
    _switch,
)
