"""Green deployed: beside blue, with instances, without traffic."""

from __future__ import annotations

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, Goal, GreenDeployed
from airflow_sm_rollout.core.observation import Observation, Variant
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.autoscaling import suspend_blues_scaling, targets
from airflow_sm_rollout.core.rules.configs import create_mixed
from airflow_sm_rollout.core.rules.shared import (
    blue_config_exists,
    endpoint_exists,
    endpoint_of,
    goes_forward,
    heed_wish,
    is_in_service,
    not_promoted_yet,
    on_known_config,
    update_once,
    wait_while_busy,
)
from airflow_sm_rollout.core.watch.ringing import describe_harm
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms, and what is made on the way."""
    names = (rollout.names.mixed_config, rollout.blue.config_name), (rollout.green_model_name,), rollout.watched_alarms
    return Needs(*names, targets=targets(rollout))


def blue_as_planned(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Between planning and starting, blue may have been changed: then the plan is about something else."""
    endpoint = endpoint_of(seen)
    if seen.record is not None:
        return None
    variant = endpoint.variant(rollout.blue.variant)
    if endpoint.config_name == rollout.blue.config_name and _is_as_blue(variant, rollout):
        return None
    return GiveUp(
        f"the endpoint is not what was planned with: {endpoint.describe()}, planned with config {rollout.blue.config_name}, "
        f"{rollout.blue.instance_count} instance(s). Nothing was changed; plan again",
        refused=True,
    )


def given_model_exists(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """A SageMaker model given by name is there."""
    if rollout.green.is_made_by_rollout or rollout.green_model_name in seen.models:
        return None
    return GiveUp(
        f"model_name={rollout.green_model_name!r}: there is no such SageMaker model", refused=seen.record is None
    )


def given_alarms_are_quiet(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """An alarm that rings before the rollout can't tell anything about green, one that is not there even less."""
    if seen.record is not None:
        return None
    for alarm in seen.alarms:
        if alarm.name in rollout.plan.alarms and alarm.state in ("MISSING", "ALARM"):
            harm = describe_harm([alarm], None)
            return GiveUp(f"alarms={list(rollout.plan.alarms)!r}: {harm}. Nothing was changed", refused=True)
    return None


def record_first(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """The record comes before every effect."""
    return Act(actions.CreateRecord(rollout)) if seen.record is None else None


def model_exists(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Green's model is there, given or made."""
    return None if rollout.green_model_name in seen.models else Act(actions.CreateModel(rollout))


def _mixed_config_exists(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return None if rollout.names.mixed_config in seen.configs else Act(create_mixed(rollout))


def _update_to_mixed(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    if endpoint_of(seen).config_name == rollout.names.mixed_config:
        return None
    return update_once(rollout, seen, rollout.names.mixed_config, keep_weights=True)


def own_alarms_exist(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    """They are made before green has traffic, so that they have watched all of it."""
    missing = {alarm.name for alarm in seen.alarms if alarm.state == "MISSING"} & set(rollout.own_alarms)
    return Act(actions.PutAlarms(rollout)) if missing else None


def _deployed(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green is variant {rollout.names.variant}: {endpoint_of(seen).describe()}")


def _is_as_blue(variant: Variant | None, rollout: Rollout) -> bool:
    blue = rollout.blue
    return variant is not None and (variant.desired_weight, variant.desired_count) == (blue.weight, blue.instance_count)


RULES: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    not_promoted_yet,
    wait_while_busy,
    is_in_service,
    blue_as_planned,
    given_model_exists,
    given_alarms_are_quiet,
    record_first,
    on_known_config("blue", "shadow", "mixed"),
    heed_wish,
    suspend_blues_scaling,
    model_exists,
    _mixed_config_exists,
    blue_config_exists,
    _update_to_mixed,
    own_alarms_exist,
    _deployed,
)
