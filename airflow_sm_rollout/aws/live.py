"""The live pointer: an SSM parameter that says which endpoint serves under a logical name.

``PutParameter`` is atomic, but compares nothing. Where there was no pointer, ``Overwrite=False`` keeps a second writer away; where there
was one, the version that is answered tells whether somebody else has written since.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.front import read_alias_pointer
from airflow_sm_rollout.aws.parameters import pointer_of, read_parameters
from airflow_sm_rollout.core.actions import PutPointer
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.names import pointer_name
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Rollout


def read_pointer(ssm: Any, name: str) -> Pointer | None:
    """The pointer of a logical name; ``None``: there is none, so the name is the endpoint's own."""
    found = read_parameters(ssm, [pointer_name(name)])
    return pointer_of(found[pointer_name(name)], pointer_name(name)) if found else None


def read_live_name(ssm: Any, name: str) -> str:
    """The endpoint that serves under a logical name, and that is blue's where two do; the name itself, where no pointer says otherwise."""
    return live_name(read_pointer(ssm, name), name)


def live_name(pointer: Pointer | None, name: str) -> str:
    """As :func:`read_live_name`, of a pointer that was read."""
    return (pointer.endpoint_name if pointer else None) or name


def read_pointer_of(clients: Clients, rollout: Rollout, now: datetime) -> Pointer | None:
    """What sends clients of a rollout to an endpoint: SSM holds it, or a function's alias.

    :param now: when somebody else's alias is taken to be written, as it does not tell that.
    :return: ``None``: there is none, or the way to split traffic has none.
    """
    if rollout.plan.function is not None:
        return read_alias_pointer(clients.functions, rollout, now)
    return read_pointer(clients.ssm, rollout.endpoint_name) if rollout.traffic.has_pointer else None


def write_pointer(ssm: Any, action: PutPointer) -> None:
    """Point clients at an endpoint.

    :raises Passing: if somebody else wrote in between; it is written all the same, and the next look decides what that means. What was
        deleted in between stays so: the rollout may be over.
    """
    answer = ssm.put_parameter(
        Name=pointer_name(action.name), Value=action.text, Type="String", Overwrite=action.replaces > 0
    )
    version = told(answer, "Version", f"SSM parameter {pointer_name(action.name)}")
    if version == 1 and action.replaces:
        delete_pointer(ssm, action.name)
        raise Passing(
            f"somebody else deleted the live pointer {pointer_name(action.name)} at the same moment: it stays deleted"
        )
    if version != action.replaces + 1:
        raise Passing(
            f"somebody else wrote the live pointer {pointer_name(action.name)} at the same moment: it is in version {version}, "
            f"{action.replaces + 1} was meant; it names {action.target} now"
        )


def delete_pointer(ssm: Any, name: str) -> None:
    """Delete the pointer; that it is gone already is no error to AWS."""
    ssm.delete_parameters(Names=[pointer_name(name)])
