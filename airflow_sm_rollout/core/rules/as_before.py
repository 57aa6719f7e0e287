"""As before: users back on blue first, then everything else."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, GiveUp, Goal, Wait
from airflow_sm_rollout.core.observation import Endpoint, Observation, Variant
from airflow_sm_rollout.core.pointer import Split, is_ours, share_on_green
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from airflow_sm_rollout.core.rules import only_green
from airflow_sm_rollout.core.rules.after_promotion import note_update_of_undo, once_blue_is_ready, undo_was_put_back
from airflow_sm_rollout.core.rules.autoscaling import (
    blue_scales_as_before,
    greens_scaling_ends,
    has_blues_count,
    targets,
)
from airflow_sm_rollout.core.rules.aws_shift import tell_sagemaker_to_turn, wait_while_shifting
from airflow_sm_rollout.core.rules.configs import create_blue_alone
from airflow_sm_rollout.core.rules.deployed import alias_goes_back, codedeploy_rests, shifter_is_gone, stop_deployment
from airflow_sm_rollout.core.rules.kept_warm import blue_has_enough
from airflow_sm_rollout.core.rules.pair import (
    CREATE_TAKES,
    DELETE_TAKES,
    blue_is_unchanged,
    describe_drift,
    green_is_unchanged,
    live,
    point_as_before,
    point_at,
    queues_of,
    wait_for_clients,
)
from airflow_sm_rollout.core.rules.promoted import is_finishing, once_promoted
from airflow_sm_rollout.core.rules.published import alias_can_go_back, alias_says_since_when, green_is_unpublished
from airflow_sm_rollout.core.rules.shared import (
    because,
    blue_config_exists,
    endpoint_of,
    is_in_service,
    on_known_config,
    own_config_exists,
    record_goes,
    tidy,
    unless_restoring,
    wait_while_busy,
    weights,
)
from airflow_sm_rollout.core.way import Needs, Rule, before

# Recorded: a bad container holds an endpoint in Creating that long, then it is Failed.
STUCK_TAKES = timedelta(minutes=24)


def needs_of_variants(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """A rollback that still has to take traffic from green needs nothing more: no throttled or denied read may come before that."""
    if is_finishing(rollout, endpoint):
        return only_green.needs_of_variants(goal, rollout, endpoint)
    if endpoint is not None and _has_green_traffic(rollout, endpoint) and not goal.refused:
        return Needs()
    names, blue = rollout.names, rollout.blue
    configs = (names.shadow_config, names.mixed_config, names.final_config, names.spare_config, blue.config_name)
    return Needs(configs, made_models(rollout), rollout.own_alarms, targets=targets(rollout))


def needs_of_endpoints(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """Blue's config, which somebody may have deleted; once green's endpoint is gone, what was made for it."""
    if is_finishing(rollout, endpoint):
        return only_green.needs_of_endpoints(goal, rollout, endpoint)
    if endpoint is not None:
        alarms, queues = rollout.own_alarms, queues_of(rollout, rollout.green_endpoint_name)
        return Needs((rollout.blue.config_name,), alarms=alarms, targets=targets(rollout), queues=queues)
    configs = (rollout.names.final_config, rollout.blue.config_name)
    return Needs(configs, made_models(rollout), rollout.own_alarms, targets=targets(rollout))


def needs_of_lambda(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As with two endpoints, and the function."""
    return replace(needs_of_endpoints(goal, rollout, endpoint), front=True)


def needs_of_codedeploy(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As behind a function, and what CodeDeploy tells: it may shift just now."""
    if is_finishing(rollout, endpoint):
        return only_green.needs_of_codedeploy(goal, rollout, endpoint)
    known = needs_of_lambda(goal, rollout, endpoint)
    return replace(known, alarms=rollout.made_alarms, deployments=True)


def needs_of_guardrails(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """Blue's config, which somebody may have deleted, and what was made on the way."""
    if is_finishing(rollout, endpoint):
        return only_green.needs_of_guardrails(goal, rollout, endpoint)
    if endpoint is not None and endpoint.is_busy:
        return Needs(alarms=rollout.verdict_alarms)
    configs = (rollout.names.final_config, rollout.names.spare_config, rollout.blue.config_name)
    return Needs(configs, made_models(rollout), rollout.made_alarms, targets=targets(rollout))


def _has_green_traffic(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether green has traffic that can be taken from it now."""
    movable = endpoint.is_in_service and endpoint.config_name == rollout.names.mixed_config
    return movable and endpoint.share(rollout.names.variant) > 0


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
    turn = actions.UpdateRecord(with_phase(rollout, Phase.ROLLING_BACK), "rolling back", turned_from=rollout.phase)
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


def tidy_after_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Of the configs only those are seen that the way to split traffic makes."""
    names = rollout.names
    configs = [names.shadow_config, names.mixed_config, names.final_config, names.spare_config]
    return tidy(rollout, seen, configs, made_models(rollout))


def made_models(rollout: Rollout) -> tuple[str, ...]:
    """Green's model, unless it was the user's already."""
    return (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()


def _blue_answers_first(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Clients are not sent to a blue that somebody has deleted while green answers them: it is made again before."""
    blue, green = seen.endpoint, seen.green_endpoint
    if seen.is_pointer_all or not share_on_green(rollout, seen.pointer):
        return None
    if (blue is not None and blue.answers) or green is None or not green.answers:
        return None
    making = blue_config_exists(goal, rollout, seen) or _blue_exists(goal, rollout, seen)
    return making or _wait_for_blue(endpoint_of(seen), green)


def _wait_for_blue(blue: Endpoint, green: Endpoint) -> Decision:
    told = f"{blue.describe()}{because(blue) if blue.failure_reason else ''}"
    if blue.is_busy:
        return Wait(f"{told}; until it answers, clients stay on {green.name}", CREATE_TAKES)
    return GiveUp(
        f"{told}; a person has to look. Clients stay on {green.name}, which answers. Delete endpoint {blue.name} and try again: "
        "it is made again then"
    )


def _pointer_back_first(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    if not share_on_green(rollout, seen.pointer):
        return None
    return Act(point_at(Split(rollout.blue_endpoint_name), rollout, seen))


def _pointer_names_blue(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Whoever has pointed it there: a person in a hurry may have done by hand what a rollback does."""
    if live(rollout, seen) == Split(rollout.blue_endpoint_name):
        return None
    if rollout.plan.on_drift == "restore":
        return Act(point_at(Split(rollout.blue_endpoint_name), rollout, seen))
    return GiveUp(describe_drift(rollout, seen))


def _blue_exists(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Clients call it, so it is made again if somebody has deleted it."""
    if seen.endpoint is not None:
        return None
    blue = rollout.blue
    return Act(actions.CreateEndpoint(rollout.blue_endpoint_name, blue.config_name, blue.endpoint_tags))


def _blue_config_is_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Only a plan that says so puts blue's endpoint back on its config over somebody else's change."""
    if rollout.plan.on_drift != "restore" or endpoint_of(seen).config_name == rollout.blue.config_name:
        return None
    return Act(actions.UpdateEndpoint(rollout.blue_endpoint_name, rollout.blue.config_name, keep_weights=True))


def _blue_count(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    endpoint, blue = endpoint_of(seen), rollout.blue
    variant = endpoint.variant(blue.variant)
    if endpoint.config_name != blue.config_name or variant is None or has_blues_count(variant, rollout, seen):
        return None
    set_back = actions.SetCapacity(rollout.blue_endpoint_name, blue.variant, blue.instance_count, blue.max_concurrency)
    return Act(set_back)


def _blue_scales_as_before(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Before green is waited for and deleted: that may take half an hour or be denied, and all clients call blue meanwhile. What somebody
    else has made of blue is not touched.
    """
    is_on_its_config = endpoint_of(seen).config_name == rollout.blue.config_name
    return blue_scales_as_before(goal, rollout, seen) if is_on_its_config else None


def _wait_while_green_is_changing(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    endpoint = seen.green_endpoint
    if endpoint is None or not endpoint.is_busy:
        return None
    if endpoint.status == "Creating":
        return Wait(
            f"{endpoint.describe()}; AWS refuses to delete it meanwhile, which may take up to {STUCK_TAKES.seconds // 60} minutes. "
            f"Clients call {rollout.blue_endpoint_name}",
            STUCK_TAKES,
        )
    return Wait(f"{endpoint.describe()}; nothing can interrupt that", DELETE_TAKES)


def _clients_left_green(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return wait_for_clients(rollout.green_endpoint_name, rollout, seen) if seen.green_endpoint else None


def _delete_green(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteEndpoint(rollout.green_endpoint_name)) if seen.green_endpoint else None


def _pointer_as_before(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """The explicit pointer at blue has served its turn; what was there before says the same to clients."""
    return Act(point_as_before(rollout, seen)) if is_ours(rollout, seen.pointer) else None


VARIANTS: tuple[Rule, ...] = (
    once_promoted(only_green.VARIANTS),
    blue_has_enough,
    _traffic_back_first,
    turn_around,
    if_endpoint(wait_while_busy),
    if_endpoint(unless_restoring(on_known_config("blue", "shadow", "mixed", "final", "spare"))),
    if_endpoint(leave_failed_rollback),
    if_endpoint(is_in_service),
    if_endpoint(undo_was_put_back),
    if_endpoint(blue_config_exists),
    if_endpoint(own_config_exists),
    if_endpoint(greens_scaling_ends),
    if_endpoint(note_update_of_undo),
    if_endpoint(back_to_blue_config),
    if_endpoint(blue_count_and_weight),
    if_endpoint(blue_scales_as_before),  # before the tidying, which a denied delete may hold up
    tidy_after_rollback,
    record_goes,
)


ENDPOINTS: tuple[Rule, ...] = (
    once_promoted(only_green.ENDPOINTS),
    once_blue_is_ready(
        (
            blue_config_exists,
            _blue_exists,
            wait_while_busy,
            is_in_service,
            _blue_config_is_back,
            blue_is_unchanged,
            _blue_count,
        )
    ),
    _blue_answers_first,
    _pointer_back_first,
    turn_around,
    _pointer_names_blue,
    blue_config_exists,
    _blue_exists,
    wait_while_busy,
    is_in_service,
    _blue_config_is_back,
    _blue_count,
    _blue_scales_as_before,
    unless_restoring(green_is_unchanged),
    _wait_while_green_is_changing,
    _clients_left_green,
    _delete_green,
    tidy_after_rollback,
    blue_is_unchanged,
    _pointer_as_before,
    record_goes,
)


LAMBDA: tuple[Rule, ...] = (
    once_promoted(only_green.LAMBDA),
    *before(
        _pointer_back_first,
        alias_can_go_back,
        before(_clients_left_green, alias_says_since_when, before(_delete_green, green_is_unpublished, ENDPOINTS[1:])),
    ),
)


CODEDEPLOY: tuple[Rule, ...] = (
    once_promoted(only_green.CODEDEPLOY),
    LAMBDA[1],
    stop_deployment,
    alias_can_go_back,
    alias_goes_back,
    turn_around,
    codedeploy_rests,
    *before(record_goes, shifter_is_gone, LAMBDA[LAMBDA.index(_pointer_names_blue) :]),
)


GUARDRAILS: tuple[Rule, ...] = (
    once_promoted(only_green.GUARDRAILS),
    turn_around,
    tell_sagemaker_to_turn,
    if_endpoint(wait_while_shifting),
    if_endpoint(unless_restoring(on_known_config("blue", "final", "spare"))),
    if_endpoint(leave_failed_rollback),
    if_endpoint(is_in_service),
    if_endpoint(undo_was_put_back),
    if_endpoint(blue_config_exists),
    if_endpoint(own_config_exists),
    if_endpoint(note_update_of_undo),
    if_endpoint(back_to_blue_config),
    if_endpoint(blue_count_and_weight),
    if_endpoint(blue_scales_as_before),  # before the tidying, which a denied delete may hold up
    tidy_after_rollback,
    record_goes,
)
