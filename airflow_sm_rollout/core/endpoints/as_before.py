"""As before: clients back on blue first, then everything else."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, GiveUp, OnlyGreen, Wait
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.pointer import Split, is_ours, share_on_green
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules import only_green
from airflow_sm_rollout.core.rules.autoscaling import blue_scales_as_before, has_blues_count, targets
from airflow_sm_rollout.core.rules.pair import (
    DELETE_TAKES,
    blue_is_unchanged,
    describe_drift,
    green_is_unchanged,
    is_promoted_for_good,
    live,
    point_at,
    wait_for_clients,
)
from airflow_sm_rollout.core.rules.shared import (
    blue_config_exists,
    endpoint_of,
    is_in_service,
    tidy,
    unless_restoring,
    wait_while_busy,
)
from airflow_sm_rollout.core.variants.as_before import turn_around
from airflow_sm_rollout.core.way import Needs, Rule

# Recorded: a bad container holds an endpoint in Creating that long, then it is Failed.
STUCK_TAKES = timedelta(minutes=24)


def needs(rollout: Rollout, green_endpoint: Endpoint | None) -> Needs:
    """Blue's config, which somebody may have deleted; once green's endpoint is gone, what was made for it."""
    if is_promoted_for_good(rollout):
        return only_green.needs_of_endpoints(rollout)
    if green_endpoint is not None:
        return Needs((rollout.blue.config_name,), alarms=rollout.own_alarms, targets=targets(rollout))
    made = (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()
    configs = (rollout.names.final_config, rollout.blue.config_name)
    return Needs(configs, made, rollout.own_alarms, targets=targets(rollout))


def _finish_promotion(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """With blue half deleted, green alone is the one sound end."""
    if not is_promoted_for_good(rollout):
        return None
    answers = (rule(OnlyGreen(), rollout, seen) for rule in only_green.ENDPOINTS)
    return next(decision for decision in answers if decision is not None)


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
    return Act(actions.SetCapacity(rollout.blue_endpoint_name, blue.variant, blue.instance_count))


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


def _tidy_after_rollback(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    models = [rollout.green_model_name] if rollout.green.is_made_by_rollout else []
    return tidy(rollout, seen, [rollout.names.final_config], models)


def _pointer_as_before(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """The explicit pointer at blue has served its turn; what was there before says the same to clients."""
    if seen.pointer is None or not is_ours(rollout, seen.pointer):
        return None
    text = rollout.blue.pointer
    if text is None:
        return Act(actions.DeletePointer(rollout.endpoint_name))
    return Act(
        actions.PutPointer(
            rollout.endpoint_name, Split(rollout.blue_endpoint_name), text, replaces=seen.pointer.version
        )
    )


def _rolled_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


RULES: tuple[Rule, ...] = (
    _finish_promotion,
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
    _tidy_after_rollback,
    blue_is_unchanged,
    _pointer_as_before,
    _rolled_back,
)
