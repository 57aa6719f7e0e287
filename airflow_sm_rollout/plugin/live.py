"""What AWS says of a rollout now. Read beside the request, never awaited for long: a page opens also where AWS can't be reached."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from threading import Lock
from typing import Any, TypeVar

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.report import Live
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.traces import settled_at
from airflow_sm_rollout.hooks.rollout import AwsConnection
from airflow_sm_rollout.plugin.reads import Found

FRESH_SECONDS = 4.0
_WAIT_SECONDS = 0.4
_KEPT = 50  # looks, about a tenth of a megabyte each
_PUBLISHED_WITHIN = timedelta(minutes=3)
_CLIENTS_SECONDS = 300.0  # then a changed connection is noticed
_IMPATIENT = {"connect_timeout": 3, "read_timeout": 10, "retries": {"total_max_attempts": 2}}
_T = TypeVar("_T")


class LiveReads:
    """The last look at each rollout, refreshed in the background while somebody asks.

    :param read: the look.
    """

    def __init__(self, read: Callable[[Found], Live]) -> None:
        self._read = read
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sm-rollout")
        self._looks: dict[str, tuple[float, Future[Live]]] = {}
        self._last: dict[str, Live] = {}
        self._lock = Lock()

    def latest(self, found: Sequence[Found]) -> list[Live | None]:
        """For each the last look that succeeded; ``None``: none has yet. All of them together are waited for as long as one would be."""
        with self._lock:
            looks = [self._begun(each) for each in found]
        wait(looks, _WAIT_SECONDS)
        with self._lock:
            return [self._seen(each, look) for each, look in zip(found, looks, strict=True)]

    def forget(self, found: Found) -> None:
        """Look anew at the next question."""
        with self._lock:
            self._looks.pop(found.rollout.rollout_id, None)

    def _begun(self, found: Found) -> Future[Live]:
        """The look that is under way or still fresh, or a new one."""
        key = found.rollout.rollout_id
        began, look = self._looks.get(key, (0.0, None))
        if look is None or (look.done() and time.monotonic() - began > FRESH_SECONDS):
            began, look = time.monotonic(), self._pool.submit(self._read, found)
        _keep(self._looks, key, (began, look))
        return look

    def _seen(self, found: Found, look: Future[Live]) -> Live | None:
        key = found.rollout.rollout_id
        last = look.result() if look.done() and look.exception() is None else self._last.get(key)
        if last is not None:
            _keep(self._last, key, last)
        return last


def _keep(kept: dict[str, _T], key: str, value: _T) -> None:
    """Store a value; those that nobody has asked for longest go."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > _KEPT:
        kept.pop(next(iter(kept)))


def read_live(found: Found) -> Live:
    """One look at AWS through the rollout's own connection."""
    from airflow_sm_rollout.aws.cloudwatch import read_alarms
    from airflow_sm_rollout.aws.control import read_control
    from airflow_sm_rollout.aws.figures import read_figures, read_share
    from airflow_sm_rollout.aws.world import utc_now

    clients, rollout = clients_of(found.connection), found.rollout
    ended = settled_at(found.tasks)
    until = min(utc_now(), ended + _PUBLISHED_WITHIN) if ended else utc_now()
    control = read_control(clients.ssm, rollout.endpoint_name, rollout.rollout_id)
    alarms = read_alarms(clients.cloudwatch, rollout.watched_alarms, None)
    return Live(
        at=utc_now(),
        share=read_share(clients, rollout),
        alarms={alarm.name: alarm.state for alarm in alarms},
        control=control.describe() if control else "",
        figures=read_figures(clients, rollout, until),
    )


def wish(found: Found, wished: Wish, by: str, note: str, owner: Mapping[str, str]) -> Control:
    """Write a person's wish, as ``sm-rollout pause`` and the like do.

    :param owner: the DAG run that the person may edit: the record on AWS must name it, whatever XComs say.
    :raises RolloutError: where it can't follow what was wished before, the rollout is not in progress, or AWS refuses.
    :raises Passing: if AWS can't be reached just now.
    """
    from airflow_sm_rollout.aws.control import make_wish
    from airflow_sm_rollout.aws.record import read_record
    from airflow_sm_rollout.aws.world import translated_errors, utc_now
    from airflow_sm_rollout.core.errors import RolloutError

    rollout: Rollout = found.rollout
    ssm = clients_of(found.connection).ssm
    with translated_errors("could not write the wish"):
        record = read_record(ssm, rollout.endpoint_name)
        if record is None or record.rollout_id != rollout.rollout_id or dict(record.owner) != dict(owner):
            raise RolloutError("this rollout is not in progress")
        return make_wish(ssm, rollout.endpoint_name, Control(rollout.rollout_id, wished, utc_now(), by, note))


_clients: dict[str, tuple[float, Clients]] = {}


def clients_of(connection: Mapping[str, Any]) -> Clients:
    """Clients of a connection, kept for a while: making one takes a tenth of a second."""
    key = json.dumps(connection, sort_keys=True, default=str)
    made_at, clients = _clients.get(key, (0.0, None))
    if clients is None or time.monotonic() - made_at > _CLIENTS_SECONDS:
        config = {**(connection.get("botocore_config") or {}), **_IMPATIENT}
        clients = AwsConnection(**{**connection, "botocore_config": config}).clients()
        _clients[key] = (time.monotonic(), clients)
    return clients
