"""Reads what is watched beside the evidence: who holds the endpoint, what is wished, where clients are sent, how the endpoint stands.

A watch does without it: what can't be read is said, and what can be read goes on deciding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.control import control_of
from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe
from airflow_sm_rollout.aws.live import read_pointer_of
from airflow_sm_rollout.aws.parameters import pointer_of, read_parameters
from airflow_sm_rollout.aws.record import record_of
from airflow_sm_rollout.aws.serving import read_what_serves
from airflow_sm_rollout.aws.world import utc_now
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.pointer import Pointer, calls_blue_too
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.readings import Scene


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has seen of it.

    :param scene: ``None``: not all of it could be read.
    :param control: what was last wished, as far as anybody knows.
    :param unread: what could not be read, each with AWS's answer.
    """

    scene: Scene | None
    control: Control | None
    unread: tuple[str, ...] = ()


def read_scene(clients: Clients, rollout: Rollout, wished: Control | None, *, observes: bool) -> Seen:
    """Read it.

    :param wished: what was wished at the last look, which holds where nobody can tell.
    :param observes: whether the endpoints that serve are looked at, too.
    """
    unread: list[str] = []

    def optionally(what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except AWS_ERRORS as error:
            unread.append(f"{what} could not be read: {describe(error)}")
        except RolloutError as error:
            unread.append(f"{what} could not be read: {error}")
        return None

    noted = optionally("the rollout's record and what is wished of it", lambda: _read_parameters(clients.ssm, rollout))
    record, control, pointer = noted or (None, wished, None)
    if rollout.plan.function is not None:
        pointer = optionally(str(rollout.plan.function), lambda: read_pointer_of(clients, rollout, utc_now()))

    def read_one(what: str, name: str, *, is_asked: bool = True) -> Endpoint | None:
        is_asked = is_asked and observes
        return optionally(what, lambda: read_what_serves(clients.sagemaker, name, rollout)) if is_asked else None

    endpoint = read_one("the endpoint", rollout.green_endpoint_name)
    blue = read_one("blue's endpoint", rollout.blue_endpoint_name, is_asked=calls_blue_too(rollout, pointer))
    return Seen(None if unread else Scene(record, pointer, endpoint, blue), control, tuple(unread))


def _read_parameters(ssm: Any, rollout: Rollout) -> tuple[Rollout | None, Control | None, Pointer | None]:
    names = rollout.names
    pointers = (names.pointer,) if rollout.traffic.has_pointer and rollout.plan.function is None else ()
    found = read_parameters(ssm, [names.record, names.control, *pointers])
    return (
        record_of(found[names.record], names.record) if names.record in found else None,
        control_of(found[names.control], names.control, rollout.rollout_id) if names.control in found else None,
        pointer_of(found[names.pointer], names.pointer) if names.pointer in found else None,
    )
