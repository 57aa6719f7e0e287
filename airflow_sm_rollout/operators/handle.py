"""What tasks hand to each other: which rollout, and its frozen plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from airflow_sm_rollout.core.errors import PlanError, RolloutError
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Rollout

VERSION = 2
_EXPECTED = "a rollout handle such as deploy.output"


class Handle(TypedDict):
    """The return value of the tasks that plan, begin or find a rollout, and the argument ``rollout`` of all others.

    All but ``frozen`` is for people, who see at a glance what the rollout is about, and for links. What becomes of the rollout is in its
    record on AWS.
    """

    version: int
    endpoint_name: str
    rollout_id: str
    green_variant: str
    green_model: str
    green_endpoint: str
    blue_config: str
    blue_endpoint: str
    alarms: list[str]
    frozen: str
    """The plan and what blue was: :func:`~airflow_sm_rollout.core.record.to_json`."""


def handle_of(rollout: Rollout) -> Handle:
    """The handle of a rollout."""
    return {
        "version": VERSION,
        "endpoint_name": rollout.endpoint_name,
        "rollout_id": rollout.rollout_id,
        "green_variant": rollout.green_variant,
        "green_model": rollout.green_model_name,
        "green_endpoint": rollout.green_endpoint_name,
        "blue_config": rollout.blue.config_name,
        "blue_endpoint": rollout.blue_endpoint_name,
        "alarms": list(rollout.watched_alarms),
        "frozen": to_json(rollout),
    }


def read_handle(given: object) -> Mapping[str, Any]:
    """A handle as it was given to a task, of whichever version: what says which rollout is meant is in all of them.

    :raises PlanError: if it is something else.
    """
    if not isinstance(given, Mapping):
        why = "; a template gives its text, unless the DAG has render_template_as_native_obj=True"
        raise PlanError("rollout", given, _EXPECTED + (why if isinstance(given, str) else ""))
    missing = [name for name in ("endpoint_name", "rollout_id") if not isinstance(given.get(name), str)]
    if missing:
        raise PlanError("rollout", given, f"{_EXPECTED}: this one lacks {', '.join(missing)}")
    return given


def read_frozen(given: object) -> Rollout:
    """The rollout as its plan was frozen, from a handle.

    :raises PlanError: if it is no handle, or one of a version that carried no plan everywhere.
    :raises RolloutError: if another version has written the plan, which this one can't read.
    """
    frozen = read_handle(given).get("frozen")
    if not isinstance(frozen, str):
        raise PlanError("rollout", given, f"{_EXPECTED}: this one has no plan, as those of earlier versions")
    return from_json(frozen)


def find_frozen(given: object) -> Rollout | None:
    """:func:`read_frozen` for a way back, which needs the plan only if the record was lost; ``None``: the plan is not to be had."""
    try:
        return read_frozen(given)
    except RolloutError:
        return None
