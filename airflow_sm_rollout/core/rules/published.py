"""Rules about the Lambda function that clients call: green's version of it, published once and taken back without a trace."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.front.deeds import ProvisionVersion, ReleaseVersion
from airflow_sm_rollout.core.front.version import Front, FunctionVersion
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, Goal, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.pointer import Split, is_as_recorded, is_ours, share_on_green
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_blue_version
from airflow_sm_rollout.core.rules.pair import place_of, point_at

UPDATE_TAKES = timedelta(seconds=5)
PROVISION_TAKES = timedelta(minutes=1)  # not recorded


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
    ready = latest_left_green(goal, rollout, seen) or green_can_be_called(goal, rollout, seen)
    return ready or _as_much_is_provisioned(place, rollout, front)


def _as_much_is_provisioned(place: FunctionAlias, rollout: Rollout, front: Front) -> Decision | None:
    """Green's version starts as warm as blue's: before it has traffic."""
    wanted, now, green = rollout.blue.function_provisioned, front.provisioned, front.green
    if not wanted or green is None:
        return None
    if now is None or (now.count != wanted and now.status != "IN_PROGRESS"):
        return Act(ProvisionVersion(place, green.number, wanted))
    if now.status == "FAILED":
        return GiveUp(
            f"AWS could not provision {wanted} concurrent calls for version {green.number} of function {place.function}, as many as blue's "
            f"has: {now.failure or 'it gives no reason'}"
        )
    return (
        None
        if now.status == "READY"
        else Wait(f"AWS provisions version {green.number} of {place.function}", PROVISION_TAKES)
    )


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
    place, number = place_of(rollout), seen.front.green.number
    return Act(ReleaseVersion(place, number) if seen.front.provisioned else actions.DeleteVersion(place, number))


def alias_can_go_back(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue's version stands, and an alias that can call it: what somebody has deleted is made again. Nothing else on the way back comes
    before that, as all calls of the function go to green or to nobody until then.
    """
    if seen.is_pointer_all or not _has_to_go_back(rollout, seen):
        return None
    if seen.front is None:
        return GiveUp(_describe_no_function(rollout))
    if seen.front.blue is None:
        return _blue_is_published_again(goal, rollout, seen, seen.front)
    return Act(point_at(Split(rollout.blue_endpoint_name), rollout, seen)) if seen.pointer is None else None


def _has_to_go_back(rollout: Rollout, seen: Observation) -> bool:
    """Whether the alias is the rollout's to write; a version in the place of blue's is noted wherever it leads."""
    is_drift_restored = rollout.plan.on_drift == "restore"
    has_other = seen.front is not None and seen.front.in_place is not None
    return seen.pointer is None or share_on_green(rollout, seen.pointer) > 0 or is_drift_restored or has_other


def _blue_is_published_again(goal: Goal, rollout: Rollout, seen: Observation, front: Front) -> Decision:
    """``$LATEST`` is what blue's version was, if it is green's but for the endpoint."""
    place, number = place_of(rollout), rollout.blue.function_version
    if front.in_place is not None:
        noted = with_blue_version(rollout, front.in_place.number)
        told = f"version {front.in_place.number} of function {place.function} calls blue's endpoint in the place of version {number}"
        return Act(actions.UpdateRecord(noted, told))
    left, why = latest_left_green(goal, rollout, seen), _why_not_again(rollout, front)
    if why:
        return GiveUp(why)
    words = f"sm-rollout {rollout.rollout_id}: in the place of version {number}"
    return left or _unless_busy(front.latest, place, actions.PublishVersion(place, words, front.latest.revision))


def _why_not_again(rollout: Rollout, front: Front) -> str:
    """Why blue's version can't be published again, and what a person has to do; empty: it can."""
    place, blue, latest = place_of(rollout), rollout.blue_endpoint_name, front.latest
    differences = latest.differences(front.green, place.variable) if front.green else []
    if latest.variables.get(place.variable) not in (blue, rollout.green_endpoint_name):
        differences = sorted([*differences, f"Environment.{place.variable}"])
    why = f"$LATEST differs from green's version in {', '.join(differences)}" if differences else ""
    if front.green is None:
        why = "green's is gone too, so that nothing tells what it was"
    why = f"AWS does not show the environment variables: {latest.hidden}" if latest.hidden else why
    why = f"$LATEST has failed: {latest.failure}" if latest.failure else why
    return why and (
        f"version {rollout.blue.function_version} of function {place.function}, which calls blue's endpoint {blue}, does not exist "
        f"any more (deleted?), and it can't be published again: {why}. The alias was left as it is. Publish a version whose "
        f"{place.variable} is {blue}, let alias {place.alias} call it, and roll back again: everything else is taken back then"
    )


def _describe_no_function(rollout: Rollout) -> str:
    place, blue = place_of(rollout), rollout.blue_endpoint_name
    return (
        f"function {place.function} does not exist any more (deleted?): no call reaches blue or green through it, and no record holds its "
        f"code. Deploy it again: a version whose {place.variable} is {blue}, and alias {place.alias} on it. Then roll back again: "
        "everything else is taken back then"
    )


def alias_is_back_on_green(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """An alias that somebody has deleted behind a promotion is made again."""
    has_green = seen.front is not None and seen.front.green is not None
    if rollout.phase is not Phase.PROMOTED or seen.pointer is not None or not has_green:
        return None
    return Act(point_at(Split(rollout.green_endpoint_name), rollout, seen))


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
