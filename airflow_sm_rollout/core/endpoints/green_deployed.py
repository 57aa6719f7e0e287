"""Green deployed: an endpoint of its own, with all the instances that blue has, and no client."""

from __future__ import annotations

from typing import Any

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, GreenDeployed
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.autoscaling import suspend_blues_scaling, targets
from airflow_sm_rollout.core.rules.pair import (
    blue_is_unchanged,
    blue_stands,
    green_endpoint_of,
    green_is_in_service,
    green_is_unchanged,
    pointer_is_known,
    promotion_not_noted,
    wait_for_green,
)
from airflow_sm_rollout.core.rules.shared import endpoint_of, goes_forward, heed_wish, is_in_service, wait_while_busy
from airflow_sm_rollout.core.variants.green_deployed import (
    given_alarms_are_quiet,
    given_model_exists,
    model_exists,
    own_alarms_exist,
    record_first,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms, and what is made on the way."""
    return Needs(
        (rollout.names.final_config,),
        (rollout.green_model_name,),
        rollout.watched_alarms,
        targets=targets(rollout),
    )


def create_green_config(rollout: Rollout) -> actions.CreateConfig:
    """Blue's config as blue is now (not as it first was), with green's model."""
    blue = rollout.blue
    changed: dict[str, Any] = {"ModelName": rollout.green_model_name}
    if "InitialInstanceCount" in blue.variant_config:
        changed["InitialInstanceCount"] = blue.instance_count
    if rollout.green.instance_type:
        changed["InstanceType"] = rollout.green.instance_type
    config = {**blue.config, "ProductionVariants": [{**blue.variant_config, **changed}]}
    return actions.CreateConfig(rollout.names.final_config, config, blue.config_tags)


def before_the_record(rule: Rule) -> Rule:
    """What must hold for a rollout to begin; once it has, it is not asked again."""

    def guarded(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if seen.record is None else None

    guarded.__name__ = rule.__name__
    return guarded


def _blue_as_planned(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    """Between planning and starting, blue may have been changed: then the plan is about something else."""
    endpoint, blue = endpoint_of(seen), rollout.blue
    variant = endpoint.variant(blue.variant)
    if endpoint.config_name == blue.config_name and variant and variant.desired_count == blue.instance_count:
        return None
    return GiveUp(
        f"the endpoint is not what was planned with: {endpoint.describe()}, planned with config {blue.config_name}, "
        f"{blue.instance_count} instance(s). Nothing was changed; plan again",
        refused=True,
    )


def _green_config_exists(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return None if rollout.names.final_config in seen.configs else Act(create_green_config(rollout))


def _green_endpoint_exists(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    if seen.green_endpoint is not None:
        return None
    return Act(
        actions.CreateEndpoint(rollout.green_endpoint_name, rollout.names.final_config, rollout.blue.endpoint_tags)
    )


def _deployed(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green is an endpoint of its own: {green_endpoint_of(seen).describe()}")


RULES: tuple[Rule, ...] = (
    goes_forward,
    promotion_not_noted,
    pointer_is_known,
    blue_stands,
    wait_for_green,
    before_the_record(wait_while_busy),
    before_the_record(is_in_service),
    before_the_record(_blue_as_planned),
    given_model_exists,
    given_alarms_are_quiet,
    record_first,
    blue_is_unchanged,
    heed_wish,
    suspend_blues_scaling,
    model_exists,
    _green_config_exists,
    _green_endpoint_exists,
    green_is_unchanged,
    green_is_in_service,
    own_alarms_exist,
    _deployed,
)
