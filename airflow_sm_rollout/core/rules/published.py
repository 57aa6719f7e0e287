"""Rules about the Lambda function that clients call: green's version of it, published once and taken back without a trace."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.front.version import Front, FunctionVersion
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, Goal, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.pointer import Split, is_as_recorded, is_ours
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.pair import place_of, point_at

UPDATE_TAKES = timedelta(seconds=5)


def why_unready(place: FunctionAlias, front: Front | None, endpoints: tuple[str, ...]) -> str:
    """Why no version can be published that is blue's but for the endpoint, as half a sentence; empty: it can.

    :param endpoints: those that ``$LATEST`` may name: blue's, and while green's version is published green's.
    """
    name, variable = place.function, place.variable
    if front is None or front.blue is None:
        return f"there is no {'such version' if front else 'function'} of {place} (deleted?)"
    latest, blue = front.latest, front.blue
    hidden = latest.hidden or blue.hidden
    if hidden:
        return f"AWS does not show the environment variables of function {name}, which green's version is to have: {hidden}"
    differences = latest.differences(blue, variable)
    if latest.variables.get(variable) not in endpoints:
        differences = sorted([*differences, f"Environment.{variable}"])
    if differences:
        return (
            f"$LATEST of function {name} differs from version {blue.number}, which alias {place.alias} calls, in {', '.join(differences)}: "
            "a rollout of the model would roll that out too. Publish $LATEST and move the alias first, or put $LATEST back"
        )
    return f"$LATEST of function {name} has failed: {latest.failure}" if latest.failure else ""


def function_is_ready(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Refuse where green's version could not be published."""
    if seen.record is not None:
        return None
    why = why_unready(place_of(rollout), seen.front, (rollout.blue_endpoint_name,))
    return GiveUp(f"{why}. Nothing was changed", refused=True) if why else None


def green_is_published(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """A version calls green's endpoint and is blue's otherwise, and ``$LATEST`` is as it was."""
    place, front, green = place_of(rollout), seen.front, rollout.green_endpoint_name
    if front is None or front.green is None:
        why = why_unready(place, front, (rollout.blue_endpoint_name, green))
        if why or front is None:
            return GiveUp(why)
        if _names(front, place, green):
            published = actions.PublishVersion(place, f"sm-rollout {rollout.rollout_id}", front.latest.revision)
            return _unless_busy(front.latest, place, published)
        return _let_latest_name(green, place, front)
    return latest_left_green(goal, rollout, seen) or green_can_be_called(goal, rollout, seen)


def green_can_be_called(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where green's version is gone or has failed, wait until AWS has made it ready."""
    place, version = place_of(rollout), seen.front.green if seen.front else None
    if version is None:
        return GiveUp(
            f"function {place.function} has no version that calls endpoint {rollout.green_endpoint_name} (deleted?)"
        )
    if version.failure:
        return GiveUp(f"version {version.number} of function {place.function} has failed: {version.failure}")
    return _wait(place) if version.is_busy else None


def latest_left_green(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """``$LATEST`` belongs to whoever deploys the function. Of what it is only the variable is put back, and only if it names green."""
    place, front = place_of(rollout), seen.front
    if front is None or not _names(front, place, rollout.green_endpoint_name):
        return None
    return _let_latest_name(rollout.blue_endpoint_name, place, front)


def latest_names_green(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """After a promotion the next version that somebody publishes is to call green, unless it calls something else by now."""
    place, front = place_of(rollout), seen.front
    if front is None or not _names(front, place, rollout.blue_endpoint_name):
        return None
    return _let_latest_name(rollout.green_endpoint_name, place, front)


def green_is_unpublished(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Nothing of green's is left of the function. The alias must have left it."""
    left = latest_left_green(goal, rollout, seen)
    if left is not None or seen.front is None or seen.front.green is None:
        return left
    return Act(actions.DeleteVersion(place_of(rollout), seen.front.green.number))


def alias_says_since_when(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """An alias that somebody else has sent back to blue does not tell since when, and calls of green's version may still go on."""
    has_green = seen.green_endpoint is not None or (seen.front is not None and seen.front.green is not None)
    if rollout.green_traffic_since is None or not has_green:
        return None
    if is_ours(rollout, seen.pointer) or is_as_recorded(rollout, seen.pointer):
        return None
    return Act(point_at(Split(rollout.blue_endpoint_name), rollout, seen))


def _names(front: Front, place: FunctionAlias, endpoint: str) -> bool:
    return front.latest.variables.get(place.variable) == endpoint


def _let_latest_name(endpoint: str, place: FunctionAlias, front: Front) -> Decision:
    latest = front.latest
    named = actions.NameEndpoint(place, endpoint, {**latest.variables, place.variable: endpoint}, latest.revision)
    return _unless_busy(latest, place, named)


def _unless_busy(latest: FunctionVersion, place: FunctionAlias, action: actions.Action) -> Decision:
    return _wait(place) if latest.is_busy else Act(action)


def _wait(place: FunctionAlias) -> Wait:
    return Wait(f"AWS is taking a change of function {place.function}", UPDATE_TAKES)
