"""Rules about a pair of endpoints and the live pointer, which several goals share."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_sm_rollout.core.actions import DeletePointer, PutAlias, PutPointer, SetCapacity
from airflow_sm_rollout.core.front.alias import alias_for, noted_of
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, Goal, Wait
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.pointer import Pointer, Split, is_as_recorded, is_ours, render_pointer
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.rules.configs import instances_of
from airflow_sm_rollout.core.rules.shared import UPDATE_TAKES, because

CREATE_TAKES = timedelta(seconds=134)  # recorded: CreateEndpoint, three instances
DELETE_TAKES = timedelta(seconds=30)
_LONGEST_CALL = timedelta(minutes=1)  # AWS's limit for a call that is answered at once, which a drain includes
_QUEUE_TOLD_EVERY = timedelta(minutes=1)
_QUEUE_TAKES = timedelta(hours=1)  # AWS's limit for one asynchronous request
_QUEUE_UNTOLD = timedelta(minutes=10)


def promotion_not_noted(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where the rollout has ended well, and only tidies: a cleared step must not do anything then."""
    if rollout.phase is not Phase.PROMOTED:
        return None
    return GiveUp(f"green was promoted already: {live(rollout, seen)} serves. Start a new rollout with a new DAG run")


def pointer_is_known(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """The pointer is as it was recorded, or as this rollout wrote it; otherwise somebody else changed it, which is never overwritten."""
    pointer = seen.pointer
    if is_as_recorded(rollout, pointer) or (is_ours(rollout, pointer) and pointer and pointer.is_what_was_meant):
        return None
    return GiveUp(describe_drift(rollout, seen), refused=seen.record is None)


def blue_stands(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where blue's endpoint is gone or going: there would be nothing to go back to."""
    endpoint = seen.endpoint
    if endpoint is not None and endpoint.status != "Deleting":
        return None
    return GiveUp(
        f"blue's endpoint {rollout.blue_endpoint_name} is gone (deleted?), so there would be nothing to go back to",
        refused=seen.record is None,
    )


def blue_is_unchanged(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where somebody else has put blue's endpoint on another config."""
    endpoint = seen.endpoint
    if endpoint is None or endpoint.config_name == rollout.blue.config_name:
        return None
    return GiveUp(_describe_changed_endpoint("blue", rollout.blue.config_name, endpoint, rollout))


def green_stands(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where there is no green endpoint."""
    if seen.green_endpoint is not None:
        return None
    return GiveUp(f"there is no endpoint {rollout.green_endpoint_name} (deleted?)")


def green_is_unchanged(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where somebody else has put green's endpoint on another config."""
    endpoint = seen.green_endpoint
    if endpoint is None or endpoint.config_name == rollout.names.final_config:
        return None
    return GiveUp(_describe_changed_endpoint("green", rollout.names.final_config, endpoint, rollout))


def wait_for_green(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Wait while green's endpoint is changing."""
    endpoint = seen.green_endpoint
    if endpoint is None or not endpoint.is_busy:
        return None
    return Wait(f"{endpoint.describe()}; nothing can interrupt that", CREATE_TAKES)


def green_is_in_service(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where green's endpoint does not serve, with AWS's reason."""
    endpoint = green_endpoint_of(seen)
    return None if endpoint.is_in_service else GiveUp(f"{endpoint.describe()}{because(endpoint)}")


def capacity_of_pair(share: float, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue may have been scaled up since green was made; green needs as much for the same traffic."""
    blue = seen.endpoint.variant(rollout.blue.variant) if seen.endpoint else None
    green = green_endpoint_of(seen).variant(rollout.green_variant)
    if blue is None or not blue.desired_count or green is None:
        return None
    needed = instances_of(blue.desired_count, share)
    if green.current_count >= needed:
        return None
    if green.desired_count >= needed:
        unit = "instances" if green.max_concurrency is None else "provisioned concurrency"
        return Wait(f"green has {green.current_count} of {green.desired_count} {unit}", UPDATE_TAKES)
    return Act(SetCapacity(rollout.green_endpoint_name, green.name, needed, green.max_concurrency))


def live(rollout: Rollout, seen: Observation) -> Split | None:
    """Where clients go; ``None``: the pointer can't be read."""
    if seen.pointer is None and rollout.plan.function is None:
        return Split(rollout.endpoint_name)
    return seen.pointer.split if seen.pointer else None


def point_at(target: Split, rollout: Rollout, seen: Observation) -> PutPointer | PutAlias:
    """Send clients there."""
    place, replaces = rollout.plan.function, seen.pointer.version if seen.pointer else 0
    if place is None:
        text = render_pointer(target, rollout.rollout_id, seen.at, replaces + 1)
        return PutPointer(rollout.endpoint_name, target, text, replaces)
    before, _ = noted_of(seen.pointer.text if seen.pointer else rollout.blue.pointer)
    _, revision = noted_of(seen.pointer.text if seen.pointer else None)
    versions = _versions(rollout, seen)
    meant = alias_for(target, versions, rollout.rollout_id, seen.at, count=replaces + 1, before=before)
    return PutAlias(place, meant.version, meant.weights, meant.description, revision)


def point_as_before(rollout: Rollout, seen: Observation) -> PutPointer | PutAlias | DeletePointer:
    """Send clients to blue, with the very words of before the rollout."""
    place, before = rollout.plan.function, rollout.blue.pointer
    if place is not None:
        description, _ = noted_of(before)
        _, revision = noted_of(seen.pointer.text if seen.pointer else None)
        return PutAlias(place, rollout.blue.function_version or "", {}, description, revision)
    if before is None:
        return DeletePointer(rollout.endpoint_name)
    replaces = seen.pointer.version if seen.pointer else 0
    return PutPointer(rollout.endpoint_name, Split(rollout.blue_endpoint_name), before, replaces)


def place_of(rollout: Rollout) -> FunctionAlias:
    """The alias that clients call, of a rollout behind a function."""
    if rollout.plan.function is None:
        raise LookupError("the plan names no function")
    return rollout.plan.function


def _versions(rollout: Rollout, seen: Observation) -> dict[str, str]:
    """The number of the version that calls an endpoint, by its name."""
    green = seen.front.green if seen.front else None
    greens = {rollout.green_endpoint_name: green.number} if green else {}
    return {rollout.blue_endpoint_name: rollout.blue.function_version or "", **greens}


def wait_for_clients(left: str, rollout: Rollout, seen: Observation) -> Decision | None:
    """Wait until no client can hold the name of the endpoint that the pointer has left, and its queue is empty, if it has one: deleting
    it drops no request then.
    """
    pointer = seen.pointer
    if rollout.green_traffic_since is None or pointer is None or is_as_recorded(rollout, pointer):
        return None
    since = _left_at(rollout, pointer, seen)
    if seen.at >= since + rollout.drain:
        return _wait_for_queue(left, rollout, since, seen)
    return Wait(
        f"{rollout.pointer_described} has left endpoint {left}; clients may hold its name for {rollout.drain.total_seconds():g} s",
        since + rollout.drain - seen.at,
    )


def queues_of(rollout: Rollout, endpoint_name: str) -> tuple[str, ...]:
    """The queue to look at before an endpoint is deleted; empty: it has none."""
    return (endpoint_name,) if rollout.blue.is_asynchronous else ()


def _wait_for_queue(left: str, rollout: Rollout, since: datetime, seen: Observation) -> Decision | None:
    """Not for ever: a green that answers nothing keeps its queue, and what AWS does not tell is not waited for long."""
    if left not in seen.backlogs:
        return None
    backlog, waited_for = seen.backlogs[left], seen.at - since - rollout.drain
    entered_until = since + max(rollout.drain - _LONGEST_CALL, timedelta())
    is_told = backlog is not None and backlog.at >= entered_until
    if backlog is not None and is_told and not backlog.requests:
        return None
    if waited_for >= (_QUEUE_TAKES if is_told else _QUEUE_UNTOLD):
        return None
    told = (
        f"{backlog.requests} request(s) are in its queue"
        if backlog and is_told
        else "AWS has not told of its queue yet"
    )
    return Wait(f"{rollout.pointer_described} has left endpoint {left}, and {told}", _QUEUE_TOLD_EVERY)


def _left_at(rollout: Rollout, pointer: Pointer, seen: Observation) -> datetime:
    """When clients were sent elsewhere. CodeDeploy does not write that into an alias, but tells when it has ended."""
    own = seen.deployments.own if seen.deployments else None
    if own is None or own.ended_at is None or is_ours(rollout, pointer):
        return pointer.written_at
    return own.ended_at


def describe_drift(rollout: Rollout, seen: Observation) -> str:
    """What somebody else did to the pointer, and how to go on."""
    names = f"names {seen.pointer.split or 'none that is known'}" if seen.pointer else "does not exist any more"
    what, now, how_to_see = _describe_store(rollout, seen, names)
    serves, then = rollout.blue_endpoint_name, "roll back"
    if rollout.is_promoted_for_good:  # blue is being deleted
        serves, then = rollout.green_endpoint_name, "clear the task that failed"
    return (
        f"somebody else wrote {what} {now}; this rollout knows {rollout.blue_endpoint_name}{_describe_recorded(rollout)} "
        f"and {rollout.green_endpoint_name}. Nothing was overwritten; see {how_to_see}. "
        f"Point it at {serves} and {then}, or delete the SSM parameter {rollout.names.record} to give the rollout up"
        " (a plan with on_drift='restore' points it back over such a change)"
    )


def _describe_store(rollout: Rollout, seen: Observation, names: str) -> tuple[str, str, str]:
    """What holds the pointer, what it says now, and how a person sees who has written it."""
    place, name = rollout.plan.function, rollout.names.pointer
    if place is not None:
        return f"{place}: it", names, f"UpdateAlias of function {place.function} in AWS CloudTrail"
    now = f"{names} in version {seen.pointer.version}" if seen.pointer else names
    return f"the live pointer: SSM parameter {name}", now, f"aws ssm get-parameter-history --name {name}"


def _describe_recorded(rollout: Rollout) -> str:
    version = rollout.blue.function_version
    return f", which version {version} calls," if version else f" (version {rollout.blue.pointer_version} when planned)"


def green_endpoint_of(seen: Observation) -> Endpoint:
    """Green's endpoint, behind a rule that has made sure of it."""
    if seen.green_endpoint is None:
        raise LookupError("no green endpoint was observed")
    return seen.green_endpoint


def _describe_changed_endpoint(whose: str, config_name: str, endpoint: Endpoint, rollout: Rollout) -> str:
    return (
        f"somebody else changed {whose}'s endpoint {endpoint.name}: {endpoint.describe()}, "
        f"this rollout knows {config_name}. Nothing was overwritten and it was not deleted; put it back on that config, "
        f"or delete the SSM parameter {rollout.names.record} to give the rollout up "
        "(a plan with on_drift='restore' puts blue back over such a change)"
    )
