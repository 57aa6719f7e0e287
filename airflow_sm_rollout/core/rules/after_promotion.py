"""Rules of an undo alone. It goes back from a green that serves well enough, so it never risks what serves.

A rollback takes users to a blue that stands and serves. An undo begins days later: blue may have to be made ready first, and where AWS does
not take blue any more, as its image is gone, green serves on as before the undo.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.pointer import Split
from airflow_sm_rollout.core.rollout import Rollout, with_endpoint_modified
from airflow_sm_rollout.core.rules.autoscaling import green_scales_as_blue_did
from airflow_sm_rollout.core.rules.pair import live
from airflow_sm_rollout.core.rules.shared import endpoint_of, tidy
from airflow_sm_rollout.core.way import Rule


def note_update_of_undo(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before AWS is asked to go back to blue, so that its putting green back can't be taken for not having been asked yet."""
    endpoint = endpoint_of(seen)
    if not _is_on_green(rollout, endpoint) or rollout.endpoint_modified == endpoint.last_modified:
        return None
    noted = with_endpoint_modified(rollout, endpoint.last_modified)
    return Act(actions.UpdateRecord(noted, "the endpoint is about to go back to blue's config"))


def undo_was_put_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """AWS could not start blue, and has put green back. Asked again it would say the same, so all is as before the undo again."""
    endpoint, noted = endpoint_of(seen), rollout.endpoint_modified
    if not _is_on_green(rollout, endpoint) or noted is None or noted == endpoint.last_modified:
        return None
    return (
        green_scales_as_blue_did(goal, rollout, seen)
        or tidy(rollout, seen, (rollout.names.spare_config,), ())
        or Act(actions.DeleteRecord(replace(rollout, undoes=False)))
    )


def once_blue_is_ready(rules: tuple[Rule, ...]) -> Rule:
    """Before an undo sends clients to blue's endpoint, which nobody may have called for days.

    :param rules: what makes it ready.
    """

    def blue_is_ready(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
        if not rollout.undoes or live(rollout, seen) == Split(rollout.blue_endpoint_name):
            return None
        answers = (rule(goal, rollout, seen) for rule in rules)
        return next((decision for decision in answers if decision is not None), None)

    return blue_is_ready


def _is_on_green(rollout: Rollout, endpoint: Endpoint) -> bool:
    return rollout.undoes and endpoint.config_name == rollout.names.final_config
