"""The endpoint configs that a rollout makes, from blue's."""

from __future__ import annotations

import math
from typing import Any

from airflow_sm_rollout.core.actions import CreateConfig
from airflow_sm_rollout.core.plan.evidence import with_enhanced_metrics
from airflow_sm_rollout.core.rollout import AHEAD, Plan, Rollout


def create_mixed(rollout: Rollout) -> CreateConfig:
    """Blue's config with blue as it is now (not as the config first had it), and green beside it without traffic."""
    [blue] = create_blue_alone(rollout).config["ProductionVariants"]
    count = instances_at_first(rollout.plan, rollout.blue.instance_count)
    variants = [blue, _green_variant(rollout, count, 0.0)]
    config = with_enhanced_metrics(rollout.blue.config, rollout.plan.evidence)
    return CreateConfig(
        rollout.names.mixed_config, {**config, "ProductionVariants": variants}, rollout.blue.config_tags
    )


def instances_at_first(plan: Plan, blues: int) -> int:
    """Green's instances when it is deployed. All that it will need, unless the plan says otherwise: a change of instances takes minutes in
    which AWS refuses every other one, so that one in a bake would hold up a rollback.

    :param blues: blue's instances.
    """
    if plan.capacity == AHEAD:
        return blues
    return instances_of(blues, plan.strategy.steps[0].share) if plan.strategy else 1


def instances_of(blues: int, share: float) -> int:
    """Enough for a share of blue's capacity, rounded up, and never none.

    :param share: in percent.
    """
    return max(1, math.ceil(blues * share / 100.0))


def create_blue_alone(rollout: Rollout) -> CreateConfig:
    """Blue's config with blue as it is now."""
    blue = {
        **rollout.blue.variant_config,
        "InitialInstanceCount": rollout.blue.instance_count,
        "InitialVariantWeight": rollout.blue.weight,
    }
    config = {**rollout.blue.config, "ProductionVariants": [blue]}
    return CreateConfig(rollout.names.spare_config, config, rollout.blue.config_tags)


def create_shadow(rollout: Rollout, percent: float) -> CreateConfig:
    """Blue's config with blue as it is now, and green as its shadow: it gets as many copies as its weight is of blue's."""
    [blue] = create_blue_alone(rollout).config["ProductionVariants"]
    count = max(1, math.ceil(rollout.blue.instance_count * percent / 100.0))
    green = {
        **_green_variant(rollout, count, rollout.blue.weight * percent / 100.0),
        "VariantName": rollout.names.shadow,
    }
    config = with_enhanced_metrics(rollout.blue.config, rollout.plan.evidence)
    variants = {"ProductionVariants": [blue], "ShadowProductionVariants": [green]}
    return CreateConfig(rollout.names.shadow_config, {**config, **variants}, rollout.blue.config_tags)


def create_final(rollout: Rollout, count: int) -> CreateConfig:
    """Blue's config with green in blue's place."""
    variants = [_green_variant(rollout, count, rollout.blue.weight)]
    return CreateConfig(
        rollout.names.final_config, {**rollout.blue.config, "ProductionVariants": variants}, rollout.blue.config_tags
    )


def _green_variant(rollout: Rollout, count: int, weight: float) -> dict[str, Any]:
    """Green's entry: blue's, but for what makes it green."""
    changed = {
        "VariantName": rollout.green_variant,
        "ModelName": rollout.green_model_name,
        "InitialInstanceCount": count,
        "InitialVariantWeight": weight,
    }
    if rollout.green.instance_type:
        changed["InstanceType"] = rollout.green.instance_type
    return {**rollout.blue.variant_config, **changed}
