"""Keeps until when a bake watches, as a tag of the rollout's record: so it goes with the record."""

from __future__ import annotations

import logging
from typing import Any

from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe
from airflow_sm_rollout.core.bake_note import BakeNote, note_from_text, note_of, note_to_text
from airflow_sm_rollout.core.names import record_name
from airflow_sm_rollout.core.watch.watch import Watch

_BAKES = "sm-rollout:bakes-until"
_log = logging.getLogger(__name__)


def leave_note(ssm: Any, watch: Watch) -> None:
    """Note a bake that begins. That it can't be noted must not keep it from watching."""
    note = note_of(watch)
    if note is None or watch.rollout is None:
        return
    name, tag = record_name(watch.rollout.endpoint_name), {"Key": _BAKES, "Value": note_to_text(note)}
    try:
        ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[tag])
    except AWS_ERRORS as error:
        _log.debug("Until when %s bakes could not be noted: %s", watch.rollout.endpoint_name, describe(error))


def read_note(ssm: Any, endpoint_name: str) -> BakeNote | None:
    """The bake that was noted last; ``None``: none was, or it can't be read."""
    try:
        answer = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=record_name(endpoint_name))
    except AWS_ERRORS as error:
        _log.debug("Until when %s bakes can't be read: %s", endpoint_name, describe(error))
        return None
    noted = [tag.get("Value", "") for tag in answer.get("TagList", ()) if tag.get("Key") == _BAKES]
    return note_from_text(noted[0]) if noted else None
