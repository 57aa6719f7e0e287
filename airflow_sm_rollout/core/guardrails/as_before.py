"""As before: once SageMaker lets go of the endpoint, blue's config at once, then everything else."""

from __future__ import annotations

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.endpoints.shared import is_promoted_for_good
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, OnlyGreen
from airflow_sm_rollout.core.guardrails import only_green
from airflow_sm_rollout.core.guardrails.shared import wait_while_shifting
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.variants.as_before import blue_count_and_weight, if_endpoint, turn_around
from airflow_sm_rollout.core.variants.shared import endpoint_of, is_in_service, on_known_config, tidy
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """Blue's config, which somebody may have deleted, and what was made on the way."""
    if is_promoted_for_good(rollout):
        return only_green.needs(rollout)
    made = (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()
    return Needs((rollout.names.final_config, rollout.blue.config_name), made, rollout.own_alarms)


def _finish_promotion(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """With blue's config and model half deleted, green alone is the one sound end."""
    if not is_promoted_for_good(rollout):
        return None
    answers = (rule(OnlyGreen(), rollout, seen) for rule in only_green.RULES)
    return next(decision for decision in answers if decision is not None)


def _blue_config_exists(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    blue = rollout.blue
    if blue.config_name in seen.configs:
        return None
    return Act(actions.CreateConfig(blue.config_name, blue.config, blue.config_tags))


def _back_to_blue_config(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """All at once, with the count that the endpoint has now: blue's config may hold a smaller one."""
    if endpoint_of(seen).config_name == rollout.blue.config_name:
        return None
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, rollout.blue.config_name, keep_weights=True))


def _tidy_after_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    models = [rollout.green_model_name] if rollout.green.is_made_by_rollout else []
    return tidy(rollout, seen, [rollout.names.final_config], models)


def _rolled_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


RULES: tuple[Rule, ...] = (
    _finish_promotion,
    turn_around,
    if_endpoint(wait_while_shifting),
    if_endpoint(is_in_service),
    if_endpoint(on_known_config("blue", "final")),
    if_endpoint(_blue_config_exists),
    if_endpoint(_back_to_blue_config),
    if_endpoint(blue_count_and_weight),
    _tidy_after_rollback,
    _rolled_back,
)
