"""Begins an undo: looks whether a promotion can be undone, and takes the endpoint for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.errors import meaning_of
from airflow_sm_rollout.aws.models import read_model
from airflow_sm_rollout.aws.previous import read_previous
from airflow_sm_rollout.aws.record import SSM_HOLDS, read_record, update_record, write_record
from airflow_sm_rollout.aws.serving import read_what_serves
from airflow_sm_rollout.aws.world import AwsWorld, translated_errors, utc_now
from airflow_sm_rollout.core.errors import RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, Done
from airflow_sm_rollout.core.names import previous_name, validate_endpoint_name
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.rules.shared import because
from airflow_sm_rollout.core.undo import (
    UNDO_WITHIN,
    Kept,
    Undone,
    undo_of,
    why_not,
    why_too_old,
    with_enough_instances,
)

_GROWS_BY = 100  # bytes: one moment is noted on the way
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An undo as somebody asks for it.

    :param by: who.
    :param note: why, in that person's words.
    :param on_drift: ``restore``: go back over what somebody has changed since; ``refuse``: don't; ``None``: as the rollout's plan says.
    :param within: how long after the promotion it may be.
    :param rollout_id: of which rollout; ``None``: the one that was promoted last.
    """

    endpoint_name: str
    by: str
    note: str = ""
    on_drift: str | None = None
    within: timedelta = UNDO_WITHIN
    rollout_id: str | None = None


@dataclass(frozen=True, slots=True)
class Possible:
    """An undo that can be begun.

    :param rollout: the record by which it is done.
    :param seen: what it is about to change.
    """

    rollout: Rollout
    seen: Observation


def find_undo(clients: Clients, wanted: Wanted, now: Now = utc_now) -> Rollout | Possible | Undone:
    """Look whether an endpoint's last promotion can be undone. Changes nothing.

    :return: the record of an undo in progress, one that can be begun, or that it was undone already.
    :raises RolloutRefused: with the reason, and the way that works.
    """
    name = validate_endpoint_name(wanted.endpoint_name)
    with translated_errors("could not look"):
        record = read_record(clients.ssm, name)
        if record is not None and record.blue_until is None:
            return _own_or_refused(record, wanted)
        kept = Kept(record, record.promoted_at or now()) if record else read_previous(clients.ssm, name)
    if kept is not None:
        _refuse_another(wanted, kept)
    if isinstance(kept, Undone):
        return kept
    if kept is None:
        raise RolloutRefused(
            f"nothing was kept of a promotion of endpoint {name} (SSM parameter {previous_name(name)}): none has ended yet, or the role of "
            "its rollout may not write that. Roll out the model that you want as a new rollout instead"
        )
    return _look(clients, wanted, kept, now)


def begin_undo(clients: Clients, wanted: Wanted, now: Now = utc_now) -> Rollout | Undone:
    """Take the endpoint for an undo, unless that was done already.

    :return: the record of the undo, or that it is over.
    :raises RolloutRefused: see :func:`find_undo`.
    """
    found = find_undo(clients, wanted, now)
    if not isinstance(found, Possible):
        return found
    with translated_errors("could not record the undo"):
        if found.seen.record is not None:
            update_record(clients.ssm, found.rollout, turned_from=Phase.PROMOTED)
            return begin_undo(clients, wanted, now)  # unless blue has gone meanwhile, it is what is in progress now
        try:
            write_record(clients.ssm, found.rollout, overwrite=False)
        except ClientError as error:
            if meaning_of(error) is not Meaning.EXISTS:
                raise
            record = read_record(clients.ssm, wanted.endpoint_name)
            return _own_or_refused(record, wanted) if record is not None else begin_undo(clients, wanted, now)
    return found.rollout


def end_undo(clients: Clients, rollout: Rollout, done: Done) -> str:
    """What to say when the way back is at its end.

    :raises RolloutGaveUp: if green serves on, with AWS's reason.
    """
    if done.outcome is Outcome.ROLLED_BACK:
        return f"undone: {done.reason}"
    with translated_errors("could not look"):
        endpoint = read_what_serves(clients.sagemaker, rollout.endpoint_name, rollout)
    why = because(endpoint) if endpoint is not None else ""
    raise RolloutGaveUp(
        f"not undone: AWS did not take blue's {rollout.traffic.config_word} {rollout.blue.config_name}{why}; {done.reason}"
    )


def _refuse_another(wanted: Wanted, previous: Kept | Undone) -> None:
    last = previous.rollout_id
    if wanted.rollout_id not in (None, last):
        raise RolloutRefused(
            f"the rollout of endpoint {wanted.endpoint_name} that was promoted last is {last}, so {wanted.rollout_id} can't be undone (any "
            "more). Nothing was changed; to undo the last one, name the endpoint alone"
        )


def _own_or_refused(record: Rollout, wanted: Wanted) -> Rollout:
    if record.undoes and wanted.rollout_id in (None, record.rollout_id):
        return record
    held = f"endpoint {record.endpoint_name} is held by {record.describe_owner()}"
    raise RolloutRefused(f"{held}; nothing was changed. {record.how_to_end()}")


def _look(clients: Clients, wanted: Wanted, kept: Kept, now: Now) -> Possible:
    world = AwsWorld(clients, wanted.endpoint_name, kept.rollout.rollout_id, now)
    at = world.now()
    why = why_too_old(kept, at, wanted.within)
    if why:
        raise RolloutRefused(why)
    rollout = undo_of(kept, by=wanted.by, note=wanted.note, now=at, on_drift=wanted.on_drift)
    seen = world.observe(AsBefore(rollout))
    if seen.record is not None and not (seen.record.blue_until and seen.record.rollout_id == kept.rollout_id):
        raise RolloutRefused(f"endpoint {wanted.endpoint_name} has just been taken by {seen.record.describe_owner()}")
    with translated_errors("could not look"):
        has_model = read_model(clients.sagemaker, rollout.blue.model_name) is not None
    why = why_not(rollout, seen, has_model=has_model)
    if why:
        raise RolloutRefused(f"{why}. Nothing was changed")
    return Possible(_fitting(with_enough_instances(rollout, seen)), seen)


def _fitting(rollout: Rollout) -> Rollout:
    """Without its note where SSM could not hold the record with it."""
    if len(to_json(rollout)) <= SSM_HOLDS - _GROWS_BY:
        return rollout
    return replace(rollout, owner={**rollout.owner, "undo_note": ""})
