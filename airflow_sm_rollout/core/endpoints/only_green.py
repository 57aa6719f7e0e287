"""Only green: promotion, and what becomes of blue."""

from __future__ import annotations

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, OnlyGreen
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.pointer import share_on_green
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from airflow_sm_rollout.core.rules.autoscaling import blue_scales_as_before, green_scales_as_blue_did, targets
from airflow_sm_rollout.core.rules.pair import (
    blue_is_unchanged,
    green_is_in_service,
    green_is_unchanged,
    green_stands,
    pointer_is_known,
    wait_for_clients,
    wait_for_green,
)
from airflow_sm_rollout.core.rules.shared import goes_forward, heed_wish, no_harm, old_of_blue, tidy, wait_while_busy
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms, and what is tidied on the way."""
    configs, models = old_of_blue(rollout)
    return Needs(configs, models, rollout.watched_alarms, targets=targets(rollout))


def _pointer_on_green(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    share = share_on_green(rollout, seen.pointer)
    if share == 100:
        return None
    return GiveUp(f"green has {share:g} % of the traffic, promotion needs 100 %: shift it there and watch it first")


def _before_promotion(rule: Rule) -> Rule:
    """Once green is promoted, its own alarms are deleted and say nothing."""

    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if rollout.phase is Phase.FORWARD else None

    guarded.__name__ = rule.__name__
    return guarded


def _note_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before anything of the rollout or of blue is deleted, so that a retry knows why something is not there."""
    if rollout.phase is Phase.PROMOTED:
        return None
    then = "is deleted" if rollout.plan.delete_blue else "is kept (delete_blue=False), delete it yourself"
    why = f"green is promoted; blue's endpoint {rollout.blue_endpoint_name} {then}"
    return Act(actions.UpdateRecord(with_phase(rollout, Phase.PROMOTED), why))


def _of_a_blue_to_delete(rule: Rule) -> Rule:
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if rollout.plan.delete_blue and seen.endpoint is not None else None

    guarded.__name__ = rule.__name__
    return guarded


def _kept_blue_scales_as_before(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    blue = seen.endpoint
    if rollout.plan.delete_blue or blue is None or blue.variant(rollout.blue.variant) is None:
        return None
    return blue_scales_as_before(goal, rollout, seen)


def _clients_left_blue(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return wait_for_clients(rollout.blue_endpoint_name, rollout, seen)


def _delete_blue_endpoint(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteEndpoint(rollout.blue_endpoint_name))


def _tidy_after_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return tidy(rollout, seen, *old_of_blue(rollout))


def _promoted(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


RULES: tuple[Rule, ...] = (
    goes_forward,
    pointer_is_known,
    _pointer_on_green,
    green_stands,
    green_is_unchanged,
    wait_for_green,
    green_is_in_service,
    _before_promotion(no_harm),
    _before_promotion(heed_wish),
    _note_promotion,
    green_scales_as_blue_did,
    _of_a_blue_to_delete(blue_is_unchanged),
    _of_a_blue_to_delete(wait_while_busy),
    _of_a_blue_to_delete(_clients_left_blue),
    _of_a_blue_to_delete(_delete_blue_endpoint),
    _kept_blue_scales_as_before,  # before the tidying, which a denied delete may hold up
    _tidy_after_promotion,
    _promoted,
)
