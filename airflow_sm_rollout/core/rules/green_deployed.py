"""Green deployed: whatever it needs to serve is there, and it has no traffic."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.deployment_config import why_unsuited
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, Goal, GreenDeployed
from airflow_sm_rollout.core.observation import Endpoint, Observation, Variant
from airflow_sm_rollout.core.rollout import Blue, Rollout
from airflow_sm_rollout.core.rules.autoscaling import suspend_blues_scaling, targets
from airflow_sm_rollout.core.rules.aws_shift import wait_while_shifting
from airflow_sm_rollout.core.rules.configs import create_final, create_mixed
from airflow_sm_rollout.core.rules.deployed import group_is_ready, not_shifting_yet, shifter_exists
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
from airflow_sm_rollout.core.rules.published import function_is_ready, green_is_published
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
from airflow_sm_rollout.core.way import Needs, Rule, before


def needs_of_variants(goal: GreenDeployed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is made on the way."""
    names = (rollout.names.mixed_config, rollout.blue.config_name), (rollout.green_model_name,), rollout.watched_alarms
    return Needs(*names, targets=targets(rollout))


def needs_of_endpoints(goal: GreenDeployed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is made on the way."""
    return Needs(
        (rollout.names.final_config,),
        (rollout.green_model_name,),
        rollout.watched_alarms,
        targets=targets(rollout),
    )


def needs_of_lambda(goal: GreenDeployed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As with two endpoints, and the function."""
    return replace(needs_of_endpoints(goal, rollout, endpoint), front=True)


def needs_of_codedeploy(goal: GreenDeployed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As behind a function, and what CodeDeploy tells."""
    return replace(needs_of_lambda(goal, rollout, endpoint), deployments=True)


def needs_of_guardrails(goal: GreenDeployed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is made on the way."""
    return Needs((rollout.names.final_config,), (rollout.green_model_name,), rollout.watched_alarms)


def blue_as_planned(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Between planning and starting, blue may have been changed: then the plan is about something else."""
    endpoint = endpoint_of(seen)
    if seen.record is not None:
        return None
    variant = endpoint.variant(rollout.blue.variant)
    if endpoint.config_name == rollout.blue.config_name and _is_as_blue(variant, rollout):
        return None
    return _plan_again(rollout, endpoint)


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


def _deployed_as_variant(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green is variant {rollout.names.variant}: {endpoint_of(seen).describe()}")


def _is_as_blue(variant: Variant | None, rollout: Rollout) -> bool:
    blue = rollout.blue
    return variant is not None and (variant.desired_weight, variant.desired_count) == (blue.weight, blue.instance_count)


def create_green_config(rollout: Rollout) -> actions.CreateConfig:
    """Blue's config as blue is now (not as it first was), with green's model."""
    blue = rollout.blue
    changed: dict[str, Any] = {"ModelName": rollout.green_model_name}
    if "InitialInstanceCount" in blue.variant_config:
        changed["InitialInstanceCount"] = blue.instance_count
    if blue.max_concurrency is not None:
        changed["ServerlessConfig"] = _as_serverless_as_now(blue)
    elif rollout.green.instance_type:
        changed["InstanceType"] = rollout.green.instance_type
    config = {**blue.config, "ProductionVariants": [{**blue.variant_config, **changed}]}
    return actions.CreateConfig(rollout.names.final_config, config, blue.config_tags)


def _as_serverless_as_now(blue: Blue) -> dict[str, Any]:
    now = {"MaxConcurrency": blue.max_concurrency, "ProvisionedConcurrency": blue.instance_count}
    return {**blue.variant_config["ServerlessConfig"], **{name: value for name, value in now.items() if value}}


def before_the_record(rule: Rule) -> Rule:
    """What must hold for a rollout to begin; once it has, it is not asked again."""

    @wraps(rule)
    def guarded(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if seen.record is None else None

    return guarded


def _blues_endpoint_as_planned(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    """As above. What weight a variant has that is alone matters to nobody."""
    endpoint, blue = endpoint_of(seen), rollout.blue
    variant = endpoint.variant(blue.variant)
    now = (variant.desired_count, variant.max_concurrency) if variant else None
    if endpoint.config_name == blue.config_name and now == (blue.instance_count, blue.max_concurrency):
        return None
    return _plan_again(rollout, endpoint)


def _plan_again(rollout: Rollout, endpoint: Endpoint) -> GiveUp:
    return GiveUp(
        f"the endpoint is not what was planned with: {endpoint.describe()}, planned with config {rollout.blue.config_name}, "
        f"{rollout.blue.capacity}. Nothing was changed; plan again",
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


def _deployed_as_endpoint(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green is an endpoint of its own: {green_endpoint_of(seen).describe()}")


def _sagemaker_can_shift(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    unsuited = why_unsuited(rollout) if seen.record is None else ""
    return GiveUp(f"traffic='guardrails': {unsuited}. Nothing was changed", refused=True) if unsuited else None


def _final_config_exists(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.names.final_config in seen.configs:
        return None
    return Act(create_final(rollout, rollout.blue.instance_count))


def _deployed_as_config(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green's config {rollout.names.final_config} is ready for SageMaker: {endpoint_of(seen).describe()}")


VARIANTS: tuple[Rule, ...] = (
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
    _deployed_as_variant,
)


ENDPOINTS: tuple[Rule, ...] = (
    goes_forward,
    promotion_not_noted,
    pointer_is_known,
    blue_stands,
    wait_for_green,
    before_the_record(wait_while_busy),
    before_the_record(is_in_service),
    before_the_record(_blues_endpoint_as_planned),
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
    _deployed_as_endpoint,
)


LAMBDA: tuple[Rule, ...] = before(
    own_alarms_exist, green_is_published, before(given_model_exists, function_is_ready, ENDPOINTS)
)


CODEDEPLOY: tuple[Rule, ...] = before(
    own_alarms_exist,
    shifter_exists,
    before(given_model_exists, group_is_ready, before(pointer_is_known, not_shifting_yet, LAMBDA)),
)


GUARDRAILS: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    not_promoted_yet,
    wait_while_shifting,
    is_in_service,
    blue_as_planned,
    given_model_exists,
    given_alarms_are_quiet,
    _sagemaker_can_shift,
    record_first,
    on_known_config("blue"),
    heed_wish,
    model_exists,
    _final_config_exists,
    own_alarms_exist,
    _deployed_as_config,
)
