"""Green is promoted: that is noted, and where the plan says so blue is kept warm for a while, so that the way back is one change.

By variants blue's instances stay beside green with no traffic, so promotion has two steps then: clients are on green, and tasks behind the
rollout go on; and when the time is over, whoever looks next takes blue away. In between the record holds the endpoint.
"""

from __future__ import annotations

from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.cost import describe_warm
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, Done, Goal, OnlyGreen
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_promotion
from airflow_sm_rollout.core.rules.autoscaling import green_scales_as_blue_did
from airflow_sm_rollout.core.rules.shared import endpoint_of
from airflow_sm_rollout.core.way import Rule


def before_promotion(rule: Rule) -> Rule:
    """Once green is promoted, its own alarms are deleted and say nothing, and it is too late to wish anything."""

    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if rollout.phase is Phase.FORWARD else None

    return guarded


def before_final_config(rule: Rule) -> Rule:
    """Once the endpoint is on the final config, green is promoted and blue is gone."""

    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        return None if endpoint_of(seen).config_name == rollout.names.final_config else rule(goal, rollout, seen)

    return guarded


def where_blue_is_kept(rule: Rule) -> Rule:
    """Only where the plan says so."""

    @wraps(rule)
    def guarded(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if rollout.plan.keep_blue is not None else None

    return guarded


def note_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before anything of the rollout or of blue is deleted, so that a retry knows why something is not there."""
    if rollout.phase is Phase.PROMOTED:
        return None
    then = "is deleted" if rollout.plan.delete_blue else "is kept (delete_blue=False), delete it yourself"
    of_blue = f"; blue's endpoint {rollout.blue_endpoint_name} {then}" if rollout.traffic.has_pointer else ""
    return Act(actions.UpdateRecord(with_promotion(rollout, seen.at), f"green is promoted{of_blue}"))


@where_blue_is_kept
def green_scales_beside_blue(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """It has all the traffic by now, which may grow as long as blue is kept."""
    return green_scales_as_blue_did(goal, rollout, seen)


def blue_stays_warm(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Until the time is over that the plan keeps blue for."""
    until = rollout.blue_until
    if until is None or seen.at >= until:
        return None
    return Done(f"green was promoted: {seen.describe()}; {describe_warm(rollout)}", Outcome.PROMOTED)


def blue_has_enough(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """An undo gives a warm blue as many instances as green needs by now, before it gets the traffic."""
    endpoint = seen.endpoint
    if not rollout.undoes or endpoint is None or not endpoint.is_in_service:
        return None
    blue = endpoint.variant(rollout.blue.variant)
    if endpoint.config_name != rollout.names.mixed_config or blue is None:
        return None
    missing = rollout.blue.instance_count - blue.desired_count
    action = actions.SetCapacity(rollout.endpoint_name, blue.name, rollout.blue.instance_count)
    return Act(action) if missing > 0 and action not in goal.refused else None
