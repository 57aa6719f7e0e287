"""Rules that several goals share, and what rules are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, Goal, Hold, OnlyGreen, Wait
from airflow_sm_rollout.core.observation import Endpoint, Observation, Variant
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.rules.configs import (
    create_blue_alone,
    create_final,
    create_mixed,
    create_shadow,
    instances_of,
)
from airflow_sm_rollout.core.watch.ringing import harm_by_alarms
from airflow_sm_rollout.core.way import Rule

UPDATE_TAKES = timedelta(seconds=134)  # recorded: plain UpdateEndpoint, all at once
WEIGHTS_TAKE = timedelta(seconds=62)  # recorded: UpdateEndpointWeightsAndCapacities


def endpoint_exists(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where there is no endpoint."""
    if seen.endpoint is not None:
        return None
    return GiveUp(f"there is no endpoint {rollout.endpoint_name} (deleted?)", refused=seen.record is None)


def update_takes(action: actions.Action) -> timedelta | None:
    """How long AWS takes for an update of an endpoint, in which it refuses every other one; ``None``: it is no update."""
    if isinstance(action, actions.SetWeights):
        return WEIGHTS_TAKE
    is_update = isinstance(action, (actions.UpdateEndpoint, actions.SetCapacity, actions.CreateEndpoint))
    return UPDATE_TAKES if is_update else None


def goes_forward(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where the rollout has turned around: a cleared or delayed step must not give green anything then."""
    if rollout.phase is not Phase.ROLLING_BACK:
        return None
    return GiveUp(f"rollout {rollout.rollout_id} is being rolled back, so nothing more goes to green")


def not_promoted_yet(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where this very rollout has promoted green: a cleared task of a run that ended well."""
    if endpoint_of(seen).config_name != rollout.names.final_config and rollout.phase is not Phase.PROMOTED:
        return None
    return GiveUp(
        f"green was promoted already: {endpoint_of(seen).describe()}. Start a new rollout with a new DAG run",
        refused=seen.record is None,
    )


def wait_while_busy(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Wait while AWS would refuse every change."""
    endpoint = endpoint_of(seen)
    if not endpoint.is_busy:
        return None
    moving = any(v.current_weight != v.desired_weight for v in endpoint.variants)
    told = because(endpoint) if endpoint.failure_reason else ""
    return Wait(f"{endpoint.describe()}{told}; nothing can interrupt that", WEIGHTS_TAKE if moving else UPDATE_TAKES)


def is_in_service(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up in the states that AWS does not leave by itself."""
    endpoint = endpoint_of(seen)
    if endpoint.is_in_service:
        return None
    return GiveUp(f"{endpoint.describe()}{because(endpoint)}; a person has to look", refused=seen.record is None)


def on_known_config(*configs: str) -> Rule:
    """The endpoint is on one of these configs of the rollout; otherwise somebody else has changed it, which is never overwritten."""

    def rule(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
        endpoint = endpoint_of(seen)
        names = {
            "blue": rollout.blue.config_name,
            "shadow": rollout.names.shadow_config,
            "mixed": rollout.names.mixed_config,
            "final": rollout.names.final_config,
            "spare": rollout.names.spare_config,
        }
        if endpoint.config_name in {names[config] for config in configs}:
            return None
        if endpoint.config_name == names["blue"]:
            return GiveUp(f"the endpoint is back on blue's config: {endpoint.describe()}{because(endpoint)}")
        return GiveUp(
            f"somebody else changed the endpoint: {endpoint.describe()}; "
            f"this rollout knows {', '.join(names[config] for config in configs)}, and blue had "
            f"{rollout.blue.capacity}. Nothing was overwritten; put it on one of these, or delete the SSM parameter "
            f"{rollout.names.record} to give the rollout up (a plan with on_drift='restore' puts blue back over such a change)",
            refused=seen.record is None,
        )

    return rule


def unless_restoring(rule: Rule) -> Rule:
    """Somebody else's change stops a rollback, unless the plan says to put blue back over it."""

    @wraps(rule)
    def guarded(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
        return None if rollout.plan.on_drift == "restore" else rule(goal, rollout, seen)

    return guarded


def blue_config_exists(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Made again if somebody has deleted it: it is the way back, and AWS refuses an update of an endpoint whose config is gone."""
    blue = rollout.blue
    if blue.config_name in seen.configs:
        return None
    return Act(actions.CreateConfig(blue.config_name, blue.config, blue.config_tags))


def own_config_exists(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Made again if somebody has deleted it: AWS refuses an update of an endpoint whose config is gone."""
    name = endpoint_of(seen).config_name
    if name in seen.configs:
        return None
    made = (create_mixed(rollout), create_shadow(rollout, 100.0), create_blue_alone(rollout))
    final = create_final(rollout, rollout.blue.instance_count)
    return next((Act(config) for config in (*made, final) if config.name == name), None)


def no_harm(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where a watched alarm rings, or has rung since green had traffic."""
    harm = harm_by_alarms(rollout, seen.alarms)
    return GiveUp(harm) if harm else None


def heed_wish(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Hold where a person has paused the rollout, give up where one has aborted it."""
    if seen.control is None:
        return None
    if seen.control.wish is Wish.ABORT:
        return GiveUp(f"the rollout was {seen.control.describe()}")
    return Hold(f"the rollout was {seen.control.describe()}") if seen.control.is_paused else None


def capacity_for(share: float, rollout: Rollout, seen: Observation) -> Decision | None:
    """What is to be done until green has the instances for a share; ``None``: it has them."""
    green = green_of(rollout, seen)
    needed = instances_for(share, rollout, seen)
    if green.current_count >= needed:
        return None
    if green.desired_count >= needed:
        return Wait(f"green has {green.current_count} of {green.desired_count} instances", UPDATE_TAKES)
    return Act(actions.SetCapacity(rollout.endpoint_name, green.name, needed))


def record_goes(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """The last effect of a rollout, however it ended: another one may begin. A promotion can be undone afterwards."""
    return Act(actions.DeleteRecord(rollout, keeps=isinstance(goal, OnlyGreen)))


def endpoint_of(seen: Observation) -> Endpoint:
    """The endpoint, behind a rule that has made sure of it."""
    if seen.endpoint is None:
        raise LookupError("no endpoint was observed")
    return seen.endpoint


def green_of(rollout: Rollout, seen: Observation) -> Variant:
    """Green's variant, behind a rule that has made sure of the mixed or final config."""
    green = endpoint_of(seen).variant(rollout.names.variant)
    if green is None:
        raise LookupError(f"config {endpoint_of(seen).config_name} has no variant {rollout.names.variant}")
    return green


def instances_for(share: float, rollout: Rollout, seen: Observation) -> int:
    """Enough for that share of blue's capacity, rounded up, and never none."""
    blue = endpoint_of(seen).variant(rollout.blue.variant)
    capacity = blue.desired_count if blue else rollout.blue.instance_count
    return instances_of(capacity, share)


def weights(share: float, rollout: Rollout) -> actions.SetWeights:
    """Weights that give green ``share`` percent. Blue alone keeps the weight it had, which saves a change at the end of a rollback."""
    blue, green = rollout.blue.variant, rollout.names.variant
    if share == 0:
        return actions.SetWeights(rollout.endpoint_name, {blue: rollout.blue.weight, green: 0.0})
    return actions.SetWeights(rollout.endpoint_name, {blue: 100.0 - share, green: share})


def update_once(rollout: Rollout, seen: Observation, config_name: str, keep_weights: bool) -> Decision:
    """Put the endpoint on a config, unless that was tried and AWS has put it back: trying again would fail for the same reason, and a
    bad container may hold the endpoint for 24 minutes each time.
    """
    endpoint = endpoint_of(seen)
    if endpoint.last_modified > seen.configs[config_name]:
        return GiveUp(f"AWS did not keep the update to config {config_name}: {endpoint.describe()}{because(endpoint)}")
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, config_name, keep_weights))


def old_of_blue(rollout: Rollout) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Blue's config and model, as names to delete after promotion: if the user wants that, and green does not use them."""
    if not rollout.plan.delete_blue:
        return (), ()
    model = rollout.blue.model_name
    return (rollout.blue.config_name,), () if model == rollout.green_model_name else (model,)


def tidy(rollout: Rollout, seen: Observation, configs: Sequence[str], models: Sequence[str]) -> Decision | None:
    """Delete the next of what is no longer needed; ``None``: nothing of it is left."""
    alarms = tuple(
        alarm.name for alarm in seen.alarms if alarm.name in rollout.made_alarms and alarm.state != "MISSING"
    )
    if alarms:
        return Act(actions.DeleteAlarms(alarms))
    for name in configs:
        if name in seen.configs:
            return Act(actions.DeleteConfig(name))
    for name in models:
        if name in seen.models:
            return Act(actions.DeleteModel(name))
    return None


def because(endpoint: Endpoint) -> str:
    """AWS's reason; it may be of an earlier try, or empty (docs/facts-aws.md#updates), so it explains and never decides."""
    return f" (AWS says: {endpoint.failure_reason})" if endpoint.failure_reason else " (AWS gives no reason)"
