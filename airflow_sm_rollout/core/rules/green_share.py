"""Green's share: capacity first, then traffic."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, GreenShare
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.pointer import is_share, share_on_green, split_between
from airflow_sm_rollout.core.rollout import Rollout, with_green_traffic, with_instances
from airflow_sm_rollout.core.rules.configs import instances_of
from airflow_sm_rollout.core.rules.pair import (
    blue_is_unchanged,
    blue_stands,
    capacity_of_pair,
    green_endpoint_of,
    green_is_in_service,
    green_is_unchanged,
    green_stands,
    point_at,
    pointer_is_known,
    promotion_not_noted,
    wait_for_green,
)
from airflow_sm_rollout.core.rules.published import green_can_be_called
from airflow_sm_rollout.core.rules.shared import (
    capacity_for,
    endpoint_exists,
    endpoint_of,
    goes_forward,
    green_of,
    heed_wish,
    is_in_service,
    no_harm,
    not_promoted_yet,
    on_known_config,
    wait_while_busy,
    weights,
)
from airflow_sm_rollout.core.way import Needs, Rule, before


def needs(goal: GreenShare, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms: a share is never raised past one that rings. To take all of it away none has to be asked."""
    return Needs(alarms=rollout.watched_alarms) if goal.share else Needs()


def needs_of_variants(goal: GreenShare, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, unless there is nothing left to do."""
    return Needs() if endpoint is not None and _is_reached(goal, rollout, endpoint) else needs(goal, rollout, endpoint)


def needs_of_lambda(goal: GreenShare, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and the function: its alias names versions."""
    return replace(needs(goal, rollout, endpoint), front=True)


def needs_of_aws(goal: GreenShare, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """Nothing: it is no question of what is."""
    return Needs()


def _is_reached(goal: GreenShare, rollout: Rollout, endpoint: Endpoint) -> bool:
    green, blue = endpoint.variant(rollout.names.variant), endpoint.variant(rollout.blue.variant)
    if green is None or not endpoint.has_share(green.name, goal.share):
        return False
    return green.current_count >= instances_of(blue.desired_count if blue else rollout.blue.instance_count, goal.share)


def _share_reached(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    endpoint = endpoint_of(seen)
    if not _is_reached(goal, rollout, endpoint):
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


def _shift_weights(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(weights(goal.share, rollout))


def _less_at_once(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """Whatever the two endpoints are doing: blue had all of it before, and has its instances still."""
    share = share_on_green(rollout, seen.pointer)
    if goal.share >= share or (goal.share and is_share(share, goal.share)):
        return None
    return _shift_pointer(goal, rollout, seen)


def _nothing_for_green(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if goal.share != 0:
        return None
    return Done(f"green has no traffic: clients call endpoint {rollout.blue_endpoint_name}")


def _pointer_gives_share(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if not is_share(share_on_green(rollout, seen.pointer), goal.share):
        return None
    return Done(f"green has {goal.share:g} % of the traffic: {green_endpoint_of(seen).describe()}")


def _green_endpoint_has_capacity(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return capacity_of_pair(goal.share, rollout, seen)


def _note_traffic_of_pair(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.green_traffic_since is not None:
        return None
    paused = seen.control.paused(seen.at) if seen.control else timedelta()
    return Act(actions.UpdateRecord(with_green_traffic(rollout, seen.at, paused), "green is about to get traffic"))


def _shift_pointer(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    split = split_between(rollout.blue_endpoint_name, rollout.green_endpoint_name, goal.share)
    return Act(point_at(split, rollout, seen))


def _sagemaker_shifts(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return GiveUp(
        f"share={goal.share:g} can't be set: with traffic='guardrails' SageMaker shifts by itself, from the promotion on. "
        "Nothing was changed; traffic='variants' can give any share at any time"
    )


def _codedeploy_shifts(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return GiveUp(
        f"share={goal.share:g} can't be set: with shift_by='codedeploy' CodeDeploy shifts by itself, from the promotion on. "
        "Nothing was changed; without shift_by the alias can have any share at any time"
    )


def _blue_is_left_alone(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    """The rollout never updates blue's endpoint. Before green has traffic, somebody else's update is waited for; then it is drift, whose
    end nobody knows yet.
    """
    if rollout.green_traffic_since is None:
        return wait_while_busy(goal, rollout, seen)
    endpoint = endpoint_of(seen)
    if endpoint.status != "Updating":
        return None
    return GiveUp(f"somebody else changes blue's endpoint {endpoint.name}: {endpoint.describe()}")


VARIANTS: tuple[Rule, ...] = (
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
    _shift_weights,
)


ENDPOINTS: tuple[Rule, ...] = (
    goes_forward,
    promotion_not_noted,
    pointer_is_known,
    _less_at_once,
    _nothing_for_green,
    green_stands,
    green_is_unchanged,
    wait_for_green,
    green_is_in_service,
    _pointer_gives_share,
    blue_stands,
    blue_is_unchanged,
    _blue_is_left_alone,
    no_harm,
    heed_wish,
    _green_endpoint_has_capacity,
    _note_traffic_of_pair,
    _shift_pointer,
)


LAMBDA: tuple[Rule, ...] = before(_note_traffic_of_pair, green_can_be_called, ENDPOINTS)


GUARDRAILS: tuple[Rule, ...] = (_sagemaker_shifts,)


CODEDEPLOY: tuple[Rule, ...] = (_codedeploy_shifts,)
