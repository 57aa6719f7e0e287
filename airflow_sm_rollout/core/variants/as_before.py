"""As before: users back on blue first, then everything else."""

from __future__ import annotations

import math
from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, GiveUp, Goal
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from airflow_sm_rollout.core.variants.configs import create_mixed
from airflow_sm_rollout.core.variants.shared import (
    endpoint_of,
    is_in_service,
    on_known_config,
    tidy,
    wait_while_busy,
    weights,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """A rollback that still has to take traffic from green needs nothing more: no throttled or denied read may come before that."""
    if endpoint is not None and _has_green_traffic(rollout, endpoint):
        return Needs()
    names, blue = rollout.names, rollout.blue
    made = (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()
    return Needs((names.mixed_config, names.final_config, blue.config_name), made, rollout.own_alarms)


def _has_green_traffic(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether green has traffic that can be taken from it now."""
    movable = endpoint.is_in_service and endpoint.config_name == rollout.names.mixed_config
    return movable and endpoint.share(rollout.names.variant) > 0


def _traffic_back_first(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    if seen.endpoint is None or not _has_green_traffic(rollout, seen.endpoint):
        return None
    return Act(weights(0.0, rollout))


def turn_around(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """From here on no step of this rollout, cleared or delayed, gives green anything."""
    if rollout.phase is Phase.ROLLING_BACK:
        return None
    return Act(actions.UpdateRecord(with_phase(rollout, Phase.ROLLING_BACK), "rolling back"))


def if_endpoint(rule: Rule) -> Rule:
    """A deleted endpoint needs no restoring, only what was made for it goes."""

    @wraps(rule)
    def guarded(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if seen.endpoint is not None else None

    return guarded


def _back_to_blue_config(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    blue, endpoint = rollout.blue, endpoint_of(seen)
    if endpoint.config_name == blue.config_name:
        return None
    if blue.config_name not in seen.configs:
        return Act(actions.CreateConfig(blue.config_name, blue.config, blue.config_tags))
    if endpoint.config_name == rollout.names.mixed_config or _config_has_blues_count(rollout):
        return Act(actions.UpdateEndpoint(rollout.endpoint_name, blue.config_name, keep_weights=True))
    # Promoted, and blue had been scaled since its config was written: that config would bring back too few instances for all traffic.
    # The mixed config holds the right count, so blue comes back through it.
    if rollout.names.mixed_config not in seen.configs:
        return Act(create_mixed(rollout))
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, rollout.names.mixed_config, keep_weights=False))


def blue_count_and_weight(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue has the weight and the instances that it had."""
    blue = rollout.blue
    variant = endpoint_of(seen).variant(blue.variant)
    if variant is None:
        return GiveUp(
            f"blue's config {blue.config_name} no longer has variant {blue.variant}: {endpoint_of(seen).describe()}"
        )
    if not math.isclose(variant.desired_weight, blue.weight, rel_tol=1e-6):  # AWS keeps 32-bit floats
        return Act(actions.SetWeights(rollout.endpoint_name, {blue.variant: blue.weight}))
    if variant.desired_count != blue.instance_count:
        return Act(actions.SetCapacity(rollout.endpoint_name, blue.variant, blue.instance_count))
    return None


def _tidy_after_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    models = [rollout.green_model_name] if rollout.green.is_made_by_rollout else []
    return tidy(rollout, seen, [rollout.names.mixed_config, rollout.names.final_config], models)


def _rolled_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


def _config_has_blues_count(rollout: Rollout) -> bool:
    return rollout.blue.variant_config.get("InitialInstanceCount") == rollout.blue.instance_count


RULES: tuple[Rule, ...] = (
    _traffic_back_first,
    turn_around,
    if_endpoint(wait_while_busy),
    if_endpoint(is_in_service),
    if_endpoint(on_known_config("blue", "mixed", "final")),
    if_endpoint(_back_to_blue_config),
    if_endpoint(blue_count_and_weight),
    _tidy_after_rollback,
    _rolled_back,
)
