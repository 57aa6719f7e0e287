"""Green shadowed: it gets copies of blue's requests, its answers are dropped, and no user meets it."""

from __future__ import annotations

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Done, GreenShadowed
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.rollout import Rollout, with_shadow
from airflow_sm_rollout.core.rules.autoscaling import suspend_blues_scaling, targets
from airflow_sm_rollout.core.rules.configs import create_shadow
from airflow_sm_rollout.core.rules.green_deployed import (
    blue_as_planned,
    given_alarms_are_quiet,
    given_model_exists,
    model_exists,
    record_first,
)
from airflow_sm_rollout.core.rules.shared import (
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
from airflow_sm_rollout.core.way import Needs, Rule


def needs(goal: GreenShadowed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The user's alarms, and what is made on the way."""
    names = (rollout.names.shadow_config,), (rollout.green_model_name,), rollout.plan.alarms
    return Needs(*names, targets=targets(rollout))


def _shadow_config_exists(goal: GreenShadowed, rollout: Rollout, seen: Observation) -> Decision | None:
    return None if rollout.names.shadow_config in seen.configs else Act(create_shadow(rollout, goal.percent))


def _note_shadow(goal: GreenShadowed, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.shadow_since is not None:
        return None
    return Act(actions.UpdateRecord(with_shadow(rollout, seen.at), "green is about to get copies of requests"))


def _update_to_shadow(goal: GreenShadowed, rollout: Rollout, seen: Observation) -> Decision | None:
    if endpoint_of(seen).config_name == rollout.names.shadow_config:
        return None
    return update_once(rollout, seen, rollout.names.shadow_config, keep_weights=True)


def _shadowed(goal: GreenShadowed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green gets copies of {goal.percent:g} % of the requests: {endpoint_of(seen).describe()}")


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
    on_known_config("blue", "shadow"),
    heed_wish,
    suspend_blues_scaling,
    model_exists,
    _shadow_config_exists,
    _note_shadow,
    _update_to_shadow,
    _shadowed,
)
