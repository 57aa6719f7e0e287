"""As before: users back on blue first, then everything else."""

from __future__ import annotations

import math
from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, GiveUp, Goal, OnlyGreen
from airflow_sm_rollout.core.observation import Endpoint, Observation, Variant
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from airflow_sm_rollout.core.rules import only_green
from airflow_sm_rollout.core.rules.autoscaling import (
    blue_scales_as_before,
    greens_scaling_ends,
    has_blues_count,
    targets,
)
from airflow_sm_rollout.core.rules.configs import create_blue_alone
from airflow_sm_rollout.core.rules.shared import (
    blue_config_exists,
    endpoint_of,
    is_in_service,
    on_known_config,
    own_config_exists,
    tidy,
    unless_restoring,
    wait_while_busy,
    weights,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """A rollback that still has to take traffic from green needs nothing more: no throttled or denied read may come before that."""
    if rollout.phase is Phase.PROMOTED:
        return only_green.needs_of_variants(rollout)
    if endpoint is not None and _has_green_traffic(rollout, endpoint) and not goal.refused:
        return Needs()
    names, blue = rollout.names, rollout.blue
    made = (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()
    configs = (names.shadow_config, names.mixed_config, names.final_config, names.spare_config, blue.config_name)
    return Needs(configs, made, rollout.own_alarms, targets=targets(rollout))


def _has_green_traffic(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether green has traffic that can be taken from it now."""
    movable = endpoint.is_in_service and endpoint.config_name == rollout.names.mixed_config
    return movable and endpoint.share(rollout.names.variant) > 0


def _finish_promotion(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Its record was lost behind the promotion and made again: what is left is to tidy."""
    if rollout.phase is not Phase.PROMOTED:
        return None
    answers = (rule(OnlyGreen(), rollout, seen) for rule in only_green.VARIANTS)
    return next(decision for decision in answers if decision is not None)


def _traffic_back_first(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Where AWS refuses that, an update to blue's config takes green's traffic too, only later."""
    if seen.endpoint is None or not _has_green_traffic(rollout, seen.endpoint):
        return None
    back = weights(0.0, rollout)
    return None if back in goal.refused else Act(back)


def turn_around(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """From here on no step of this rollout, cleared or delayed, gives green anything. Where AWS refuses that, green loses its traffic
    all the same.
    """
    if rollout.phase is Phase.ROLLING_BACK:
        return None
    turn = actions.UpdateRecord(with_phase(rollout, Phase.ROLLING_BACK), "rolling back")
    is_urgent = seen.endpoint is not None and _has_green_traffic(rollout, seen.endpoint)
    return None if is_urgent and turn in goal.refused else Act(turn)


def if_endpoint(rule: Rule) -> Rule:
    """A deleted endpoint needs no restoring, only what was made for it goes."""

    @wraps(rule)
    def guarded(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if seen.endpoint is not None else None

    return guarded


def leave_failed_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Instances of two configs serve side by side, since AWS could not roll its own update back. An update to another config than the
    endpoint's leads out (inferred, AWS's remedy is not recorded); where AWS refuses it, its answer says why.
    """
    endpoint = endpoint_of(seen)
    if endpoint.status != "UpdateRollbackFailed":
        return None
    return _by_spare_config(rollout, seen) or blue_config_exists(goal, rollout, seen) or _to_blue_config(rollout, seen)


def back_to_blue_config(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """The endpoint is on blue's config."""
    blue, endpoint = rollout.blue, endpoint_of(seen)
    if endpoint.config_name == blue.config_name:
        return None
    # Promoted, and blue had been scaled since its config was written: that config would bring back too few instances for all traffic.
    is_too_small = blue.variant_config.get("InitialInstanceCount") != blue.instance_count
    by_spare = is_too_small and endpoint.variant(blue.variant) is None
    return (_by_spare_config(rollout, seen) if by_spare else None) or _to_blue_config(rollout, seen)


def _by_spare_config(rollout: Rollout, seen: Observation) -> Decision | None:
    spare = create_blue_alone(rollout)
    if endpoint_of(seen).config_name == spare.name:
        return None
    if spare.name not in seen.configs:
        return Act(spare)
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, spare.name, keep_weights=False))


def _to_blue_config(rollout: Rollout, seen: Observation) -> Decision:
    """The config gives blue its weight again where it could not be set before."""
    blue = endpoint_of(seen).variant(rollout.blue.variant)
    keep_weights = blue is None or _has_blues_weight(blue, rollout)
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, rollout.blue.config_name, keep_weights))


def _has_blues_weight(variant: Variant, rollout: Rollout) -> bool:
    return math.isclose(variant.desired_weight, rollout.blue.weight, rel_tol=1e-6)  # AWS keeps 32-bit floats


def blue_count_and_weight(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue has the weight and the instances that it had; where autoscaling is at work again, it may have more."""
    blue = rollout.blue
    variant = endpoint_of(seen).variant(blue.variant)
    if variant is None:
        return GiveUp(
            f"blue's config {blue.config_name} no longer has variant {blue.variant}: {endpoint_of(seen).describe()}"
        )
    if not _has_blues_weight(variant, rollout):
        return Act(actions.SetWeights(rollout.endpoint_name, {blue.variant: blue.weight}))
    if not has_blues_count(variant, rollout, seen):
        return Act(actions.SetCapacity(rollout.endpoint_name, blue.variant, blue.instance_count))
    return None


def _tidy_after_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    models = [rollout.green_model_name] if rollout.green.is_made_by_rollout else []
    names = rollout.names
    return tidy(
        rollout, seen, [names.shadow_config, names.mixed_config, names.final_config, names.spare_config], models
    )


def _rolled_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


RULES: tuple[Rule, ...] = (
    _finish_promotion,
    _traffic_back_first,
    turn_around,
    if_endpoint(wait_while_busy),
    if_endpoint(unless_restoring(on_known_config("blue", "shadow", "mixed", "final", "spare"))),
    if_endpoint(leave_failed_rollback),
    if_endpoint(is_in_service),
    if_endpoint(blue_config_exists),
    if_endpoint(own_config_exists),
    if_endpoint(greens_scaling_ends),
    if_endpoint(back_to_blue_config),
    if_endpoint(blue_count_and_weight),
    if_endpoint(blue_scales_as_before),  # before the tidying, which a denied delete may hold up
    _tidy_after_rollback,
    _rolled_back,
)
