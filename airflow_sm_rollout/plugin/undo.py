"""Undoes a promotion for somebody who has asked for it on the pages.

It is driven by a thread of the API server: the run's tasks are over. Where the server ends meanwhile, a guardian goes on, or whoever runs
``sm-rollout undo`` or ``rollback``: the record of the undo is on AWS.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.undo import Kept, Undone
from airflow_sm_rollout.plugin.live import clients_of
from airflow_sm_rollout.plugin.reads import Found

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.core.rollout import Rollout

_TIMEOUT = timedelta(hours=2)
_LOOKS_EVERY = 5.0  # seconds
_log = logging.getLogger(__name__)
_driven: set[str] = set()
_lock = threading.Lock()


def undo(found: Found, by: str, note: str, owner: Mapping[str, str]) -> str:
    """Begin it, and drive it on beside the request.

    :param owner: the DAG run that the person may edit: what was kept on AWS must name it, whatever XComs say.
    :return: what there is to say.
    :raises RolloutError: where it can't be undone, with the reason and the way that works.
    :raises Passing: if AWS can't be reached just now.
    """
    from airflow_sm_rollout.aws.after import read_last
    from airflow_sm_rollout.aws.undo import Wanted, begin_undo
    from airflow_sm_rollout.aws.world import translated_errors
    from airflow_sm_rollout.core.owner import is_of_run

    clients, rollout = clients_of(found.connection), found.rollout
    with translated_errors("could not look"):
        record, previous = read_last(clients.ssm, rollout.endpoint_name)
    kept = record or (previous.rollout if isinstance(previous, Kept) else None)
    if kept is not None and not is_of_run(kept.owner, owner):
        raise RolloutError("this rollout is not the one that was promoted last, so it can't be undone (any more)")
    wanted = Wanted(rollout.endpoint_name, by, note, rollout_id=rollout.rollout_id)
    begun = begin_undo(clients, wanted)
    if isinstance(begun, Undone):
        return begun.describe()
    _drive_beside(clients, begun)
    return f"undo begun by {by}"


def _drive_beside(clients: Clients, begun: Rollout) -> None:
    with _lock:
        if begun.rollout_id in _driven:
            return
        _driven.add(begun.rollout_id)
    threading.Thread(target=_drive, args=(clients, begun), name="sm-rollout-undo", daemon=True).start()


def _drive(clients: Clients, begun: Rollout) -> None:
    from airflow_sm_rollout.aws.guardian import SIGNS
    from airflow_sm_rollout.aws.undo import end_undo
    from airflow_sm_rollout.aws.world import AwsWorld
    from airflow_sm_rollout.core.advance import drive
    from airflow_sm_rollout.core.goals import AsBefore

    world = AwsWorld(clients, begun.endpoint_name, begun.rollout_id)

    def wait(reason: str, at_least: timedelta) -> None:
        SIGNS.leave(clients, begun.endpoint_name)
        time.sleep(max(_LOOKS_EVERY, at_least.total_seconds()))

    try:
        done = drive(AsBefore(begun), begun.rollout_id, world, world.now() + _TIMEOUT, tell=_log.info, wait=wait)
        _log.info("%s", end_undo(clients, begun, done))
    except RolloutError as error:
        _log.error("Endpoint %s: %s", begun.endpoint_name, error)
    finally:
        with _lock:
            _driven.discard(begun.rollout_id)
