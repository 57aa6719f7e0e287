"""As before: once SageMaker lets go of the endpoint, blue's config at once, then everything else."""

from __future__ import annotations

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, OnlyGreen
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules import only_green
from airflow_sm_rollout.core.rules.autoscaling import blue_scales_as_before, targets
from airflow_sm_rollout.core.rules.aws_shift import wait_while_shifting
from airflow_sm_rollout.core.rules.pair import is_promoted_for_good
from airflow_sm_rollout.core.rules.shared import (
    blue_config_exists,
    is_in_service,
    on_known_config,
    own_config_exists,
    tidy,
    unless_restoring,
)
from airflow_sm_rollout.core.variants.as_before import (
    back_to_blue_config,
    blue_count_and_weight,
    if_endpoint,
    leave_failed_rollback,
    turn_around,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """Blue's config, which somebody may have deleted, and what was made on the way."""
    if is_promoted_for_good(rollout):
        return only_green.needs_of_guardrails(rollout)
    made = (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()
    configs = (rollout.names.final_config, rollout.names.spare_config, rollout.blue.config_name)
    return Needs(configs, made, rollout.own_alarms, targets=targets(rollout))


def _finish_promotion(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """With blue's config and model half deleted, green alone is the one sound end."""
    if not is_promoted_for_good(rollout):
        return None
    answers = (rule(OnlyGreen(), rollout, seen) for rule in only_green.GUARDRAILS)
    return next(decision for decision in answers if decision is not None)


def _tidy_after_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    models = [rollout.green_model_name] if rollout.green.is_made_by_rollout else []
    return tidy(rollout, seen, [rollout.names.final_config, rollout.names.spare_config], models)


def _rolled_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


RULES: tuple[Rule, ...] = (
    _finish_promotion,
    turn_around,
    if_endpoint(wait_while_shifting),
    if_endpoint(unless_restoring(on_known_config("blue", "final", "spare"))),
    if_endpoint(leave_failed_rollback),
    if_endpoint(is_in_service),
    if_endpoint(blue_config_exists),
    if_endpoint(own_config_exists),
    if_endpoint(back_to_blue_config),
    if_endpoint(blue_count_and_weight),
    _tidy_after_rollback,
    if_endpoint(blue_scales_as_before),
    _rolled_back,
)
