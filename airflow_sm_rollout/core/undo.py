"""The way back after a promotion: what is kept for it, whether it can be gone, and what it will do.

An undo is the promoted rollout, recorded once more and turned around. From then on it is a rollback like any other, which whoever finds its
record can bring to its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.orphans import describe_age
from airflow_sm_rollout.core.pointer import Split, is_ours, share_on_green
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.rules.pair import live
from airflow_sm_rollout.core.rules.shared import UPDATE_TAKES, WEIGHTS_TAKE

UNDO_WITHIN = timedelta(days=7)
_BY, _NOTED = "undone_by", "undo_note"  # what the record says of its owner beside the rollout's
_NAME, _NOTE = 64, 256  # characters
_INSTEAD = "Roll out the model that you want as a new rollout instead"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of the rollout that was promoted last.

    :param at: when it was promoted.
    """

    rollout: Rollout
    at: datetime

    @property
    def rollout_id(self) -> str:
        """Which one it was."""
        return self.rollout.rollout_id

    def describe(self) -> str:
        """Which one it was, and the way back."""
        back = f"sm-rollout undo {self.rollout.endpoint_name} takes it back"
        return f"{self.rollout.describe_owner()}, was promoted at {self.at:%Y-%m-%d %H:%M:%S UTC}; {back}"


@dataclass(frozen=True, slots=True)
class Undone:
    """That it was undone.

    :param note: why, in that person's words.
    """

    rollout_id: str
    by: str
    note: str
    at: datetime

    def describe(self) -> str:
        """Who did it, when and why."""
        why = f": {self.note}" if self.note else ""
        return f"rollout {self.rollout_id} was undone by {self.by} at {self.at:%Y-%m-%d %H:%M:%S UTC}{why}"


@dataclass(frozen=True, slots=True)
class Left:
    """What is left to undo of a promoted rollout.

    :param is_kept: whether it can be undone, as far as what was kept tells.
    :param is_undoing: whether that is in progress.
    :param undone: who has done it, when and why; empty: nobody has.
    """

    is_kept: bool = False
    is_undoing: bool = False
    undone: str = ""


def left_of(rollout: Rollout, record: Rollout | None, last: Kept | Undone | None, now: datetime) -> Left:
    """What is left to undo of a rollout.

    :param record: the one that holds the endpoint now.
    :param last: what there is of this rollout, if it was promoted.
    """
    if record is not None and record.rollout_id == rollout.rollout_id:
        return Left(is_undoing=record.undoes, is_kept=record.blue_until is not None)
    if isinstance(last, Undone):
        return Left(undone=last.describe())
    return Left(is_kept=record is None and last is not None and now - last.at <= UNDO_WITHIN)


def undone_to_json(rollout: Rollout) -> str:
    """The text that takes the place of what was kept, when an undo is over."""
    said = rollout.owner
    undone = {"rollout_id": rollout.rollout_id, "by": said.get(_BY, ""), "note": said.get(_NOTED, "")}
    return json.dumps({"undone": undone}, separators=(",", ":"))


def why_undone(record: Rollout) -> str:
    """Why an undo in progress was begun, in the words of who did."""
    said = record.owner
    return said.get(_NOTED) or f"{said.get(_BY) or 'somebody'} undoes it"


def previous_from_json(text: str, written_at: datetime) -> Kept | Undone:
    """Read what there is of an endpoint's last promoted rollout.

    :param written_at: when it was written.
    :raises RolloutError: if it is nothing that this version can read.
    """
    try:
        stored = json.loads(text)
        if "undone" in stored:
            return Undone(**stored["undone"], at=written_at)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RolloutError(f"nothing that can be undone was kept there: {text[:80]!r}") from None
    rollout = from_json(text)
    return Kept(rollout, rollout.promoted_at or written_at)


def undo_of(kept: Kept, *, by: str, note: str, now: datetime, on_drift: str | None) -> Rollout:
    """The record by which a promotion is undone.

    :param by: who wants it.
    :param on_drift: see :class:`~airflow_sm_rollout.core.rollout.Plan`; ``None``: as its plan says.
    """
    promoted = kept.rollout
    return replace(
        promoted,
        owner={**promoted.owner, _BY: by[:_NAME], _NOTED: note[:_NOTE]},
        started_at=now,
        plan=replace(promoted.plan, on_drift=on_drift or promoted.plan.on_drift),
        phase=Phase.ROLLING_BACK,
        instances_since={},
        shadow_since=None,
        endpoint_modified=None,
        undoes=True,
    )


def with_enough_instances(rollout: Rollout, seen: Observation) -> Rollout:
    """Where the instances are autoscaling's, blue gets as many as green needs now, and not as few as it had some days ago."""
    scaling, greens = rollout.blue.scaling, _greens_instances(rollout, seen)
    if scaling is None or greens is None or greens <= rollout.blue.instance_count:
        return rollout
    count = max(rollout.blue.instance_count, min(greens, scaling.maximum))
    return replace(rollout, blue=replace(rollout.blue, instance_count=count))


def why_too_old(kept: Kept, now: datetime, within: timedelta) -> str:
    """Why it was promoted too long ago, as a sentence; empty if it was not."""
    age = now - kept.at
    if age <= within:
        return ""
    allowed = describe_age(within)
    return (
        f"rollout {kept.rollout.rollout_id} was promoted {describe_age(age)} ago, and an undo is for {allowed} after that. Allow more if "
        f"you are sure that nothing else has come to rest on green, or leave it. {_INSTEAD}"
    )


def why_not(rollout: Rollout, seen: Observation, *, has_model: bool) -> str:
    """Why a promotion can't be undone, as a sentence with the way that works; empty if it can.

    :param rollout: the record of the undo.
    :param seen: what going back needs to know; without a record.
    :param has_model: whether blue's model is there.
    """
    if not has_model:
        return _describe_lost_model(rollout)
    if rollout.traffic.has_pointer:
        return _why_not_blue(rollout, seen) or _unless_restoring(rollout, _pointer_drift(rollout, seen))
    if seen.endpoint is None:
        return (
            f"there is no endpoint {rollout.endpoint_name} (deleted?). Create it, on config {rollout.blue.config_name}"
        )
    if not seen.endpoint.is_in_service:
        return f"{seen.endpoint.describe()}. Undo is for an endpoint that serves: wait until it does, and try again"
    return _unless_restoring(rollout, _drift(rollout, seen))


def _describe_lost_model(rollout: Rollout) -> str:
    by_us = " (promotion deleted it: delete_blue=True)" if rollout.plan.delete_blue else " (deleted?)"
    model = rollout.blue.model_name
    return f"blue's model {model} is gone{by_us}. Create a model of that name and try again. Or: {_INSTEAD.lower()}"


def _why_not_blue(rollout: Rollout, seen: Observation) -> str:
    blue, name = seen.endpoint, rollout.blue_endpoint_name
    if blue is None:
        config = rollout.blue.config_name
        how = f"aws sagemaker create-endpoint --endpoint-name {name} --endpoint-config-name {config}"
        return f"blue's endpoint {name} is gone. Create it again, wait until it is in service, and try again: {how}"
    if not blue.is_in_service:
        return f"blue's {blue.describe()}. Wait until it serves, and try again"
    if blue.config_name != rollout.blue.config_name:
        drift = f"blue's {blue.describe()}, and was on config {rollout.blue.config_name}"
        return _unless_restoring(rollout, drift)
    if rollout.plan.function and (seen.front is None or seen.front.blue is None):
        version = rollout.blue.function_version
        return f"version {version} of {rollout.plan.function}, which called {name}, is gone (deleted?). {_INSTEAD}"
    return ""


def _pointer_drift(rollout: Rollout, seen: Observation) -> str:
    pointer, green = seen.pointer, seen.green_endpoint
    is_ours_still = pointer is not None and is_ours(rollout, pointer) and pointer.is_what_was_meant
    is_before = (pointer.text if pointer else None) == rollout.blue.pointer
    if live(rollout, seen) == Split(rollout.blue_endpoint_name) and (is_ours_still or is_before):
        return ""  # an undo had begun, and somebody has deleted its record; or has done by hand what it does
    known = is_ours_still or rollout.traffic.has_deployment  # CodeDeploy leaves no name behind
    if not known or share_on_green(rollout, pointer) < 100:
        where = pointer.split if pointer else f"endpoint {rollout.endpoint_name}"
        return f"{rollout.pointer_described} names {where}, and the rollout left it at {rollout.green_endpoint_name}"
    if green is not None and green.config_name != rollout.names.final_config:
        return f"green's {green.describe()}, and was on config {rollout.names.final_config}"
    return ""


def _drift(rollout: Rollout, seen: Observation) -> str:
    endpoint, greens = seen.endpoint, _greens_instances(rollout, seen)
    if endpoint is None:
        return ""
    if endpoint.config_name in (rollout.blue.config_name, rollout.names.spare_config):
        return ""  # an undo had begun, and somebody has deleted its record; or has done by hand what it does
    if _is_beside_blue(rollout, endpoint):
        return ""
    if endpoint.config_name != rollout.names.final_config:
        left = rollout.green_model_name if rollout.traffic.has_component else rollout.names.final_config
        return f"{endpoint.describe()}, and the rollout left it on {rollout.traffic.config_word} {left}"
    before = rollout.blue.instance_count
    if rollout.blue.scaling is None and greens != before and not rollout.traffic.has_component:
        return f"{endpoint.describe()}, and blue had {before} instance(s), which may be too few by now"
    return ""


def _unless_restoring(rollout: Rollout, drift: str) -> str:
    if not drift or rollout.plan.on_drift == "restore":
        return ""
    return f"somebody has changed something since: {drift}. Nothing was overwritten. To go back over it: on_drift='restore'"


def _is_beside_blue(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether green serves on an endpoint on which blue is kept warm."""
    return rollout.promoted_at is not None and endpoint.config_name == rollout.names.mixed_config


def _greens_instances(rollout: Rollout, seen: Observation) -> int | None:
    endpoint = seen.green_endpoint if rollout.traffic.has_pointer else seen.endpoint
    variant = endpoint.variant(rollout.green_variant) if endpoint else None
    return variant.desired_count if variant else None


def describe_steps(rollout: Rollout, seen: Observation) -> Iterator[str]:
    """What an undo will do and how long that takes, line by line."""
    yield from _steps_of_component(rollout) if rollout.traffic.has_component else _steps_of_endpoint(rollout, seen)


def _steps_of_component(rollout: Rollout) -> Iterator[str]:
    batches = "in batches as large as on the way here, without a wait"
    yield f"inference component {rollout.endpoint_name} goes back to {rollout.blue.model_name}, {batches}"
    yield from (f"what the rollout made is deleted: model {each}" for each in _made_models(rollout))


def _steps_of_endpoint(rollout: Rollout, seen: Observation) -> Iterator[str]:
    blue, endpoint = rollout.blue, seen.endpoint
    seconds = int(UPDATE_TAKES.total_seconds())
    if endpoint is not None and _is_beside_blue(rollout, endpoint):
        yield from _describe_warm_steps(rollout, endpoint)
        return
    config = "" if blue.config_name in seen.configs else f"endpoint config {blue.config_name} is made again; "
    count = blue.capacity
    if rollout.traffic.has_pointer:
        now = endpoint.variant(blue.variant) if endpoint else None
        if now is None or now.desired_count < blue.instance_count:
            yield f"{config}endpoint {rollout.blue_endpoint_name} gets {count}, about {seconds} s"
        pointer = rollout.plan.function or "the live pointer"
        yield f"{pointer} names {rollout.blue_endpoint_name}: one write; blue serves everything within seconds"
        drain = int(rollout.drain.total_seconds())
        yield f"{drain} s later, when no client holds its name, endpoint {rollout.green_endpoint_name} is deleted"
    else:
        in_two = (
            not rollout.traffic.is_shifted_by_aws
            and blue.variant_config.get("InitialInstanceCount") != blue.instance_count
        )
        updates, most = ("two updates", 2 * seconds) if in_two else ("one update", seconds)
        yield f"{config}endpoint {rollout.endpoint_name} goes back to config {blue.config_name} with {count}: {updates}, about {most} s"
        yield f"blue ({blue.model_name}) serves everything after the first, about {seconds} s; until then green does"
    made = [f"endpoint config {rollout.names.final_config}", *(f"model {each}" for each in _made_models(rollout))]
    yield f"weight and autoscaling are as before; what the rollout made is deleted: {', '.join(made)}"


def _made_models(rollout: Rollout) -> tuple[str, ...]:
    return (rollout.green_model_name,) if rollout.green.is_made_by_rollout else ()


def _describe_warm_steps(rollout: Rollout, endpoint: Endpoint) -> Iterator[str]:
    blue, now = rollout.blue, endpoint.variant(rollout.blue.variant)
    update, change = (int(each.total_seconds()) for each in (UPDATE_TAKES, WEIGHTS_TAKE))
    if now is not None and now.desired_count < blue.instance_count:
        yield f"blue gets {blue.instance_count} instance(s), as many as green has, about {update} s"
    yield f"blue ({blue.model_name}) is warm and serves everything by one change of weights, about {change} s"
    yield f"endpoint {rollout.endpoint_name} goes back to config {blue.config_name}: one update, about {update} s; blue serves meanwhile"
    yield "autoscaling is as before; what the rollout made is deleted"
