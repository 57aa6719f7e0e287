"""Only green: promotion, and what is tidied after it."""

from __future__ import annotations

import math

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, OnlyGreen
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.autoscaling import blue_place, green_scales_as_blue_did, is_registered, targets
from airflow_sm_rollout.core.rules.configs import create_final
from airflow_sm_rollout.core.rules.shared import (
    capacity_for,
    endpoint_exists,
    endpoint_of,
    goes_forward,
    green_of,
    heed_wish,
    is_in_service,
    no_harm,
    old_of_blue,
    on_known_config,
    own_config_exists,
    tidy,
    update_once,
    wait_while_busy,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms, and what is made and tidied on the way."""
    names = rollout.names
    configs, models = old_of_blue(rollout)
    known = (names.shadow_config, names.mixed_config, names.final_config, *configs)
    return Needs(known, models, rollout.watched_alarms, targets=targets(rollout))


def _all_traffic_on_green(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    endpoint = endpoint_of(seen)
    share = endpoint.share(rollout.names.variant)
    if endpoint.config_name == rollout.names.final_config or math.isclose(share, 100.0):
        return None
    return GiveUp(f"green has {share:g} % of the traffic, promotion needs 100 %: shift it there and watch it first")


def _no_harm_before_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return None if endpoint_of(seen).config_name == rollout.names.final_config else no_harm(goal, rollout, seen)


def _heed_wish_before_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return None if endpoint_of(seen).config_name == rollout.names.final_config else heed_wish(goal, rollout, seen)


def _capacity_before_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return None if endpoint_of(seen).config_name == rollout.names.final_config else capacity_for(100.0, rollout, seen)


def _final_config_exists(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.names.final_config in seen.configs:
        return None
    return Act(create_final(rollout, green_of(rollout, seen).current_count))


def _blues_scaling_ends(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """AWS refuses an update that removes a variant which is a scalable target."""
    place = blue_place(rollout)
    if endpoint_of(seen).config_name == rollout.names.final_config or not is_registered(place, seen):
        return None
    return Act(actions.DeregisterTarget(*place))


def _update_to_final(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    if endpoint_of(seen).config_name != rollout.names.mixed_config:
        return None
    return update_once(rollout, seen, rollout.names.final_config, keep_weights=False)


def _tidy_after_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    configs, models = old_of_blue(rollout)
    names = rollout.names
    return tidy(rollout, seen, [names.shadow_config, names.mixed_config, *configs], models)


def _promoted(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


RULES: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    wait_while_busy,
    is_in_service,
    on_known_config("mixed", "final"),
    own_config_exists,
    _all_traffic_on_green,
    _no_harm_before_promotion,
    _heed_wish_before_promotion,
    _capacity_before_promotion,
    _final_config_exists,
    _blues_scaling_ends,
    _update_to_final,
    green_scales_as_blue_did,
    _tidy_after_promotion,
    _promoted,
)
