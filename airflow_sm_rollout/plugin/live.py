"""What AWS says of a rollout now. Read beside the request, never awaited for long: a page opens also where AWS can't be reached."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.report import Backdrop, Live
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.traces import WATCH, settled_at
from airflow_sm_rollout.core.undo import Undone
from airflow_sm_rollout.core.watch.watch import last_watch
from airflow_sm_rollout.hooks.aws import AwsConnection
from airflow_sm_rollout.plugin.reads import Connection, Found, Row

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.watch import Memory
    from airflow_sm_rollout.core.undo import Left

FRESH_SECONDS = 1.0
"""How long a look at where a rollout stands is fresh: the page asks every two seconds, so a fact is on the screen within three."""
BACKDROP_SECONDS = 10.0
"""How long the figures are: CloudWatch has news every ten seconds at most, and allows three looks at alarms' histories a second."""
UNDONE_SECONDS = 5.0
"""How long it is known which of an endpoint's promotions were undone."""
COMPARED_SECONDS = 30.0
"""How long a comparison of green with blue is fresh: it reads hours of figures, and has news once a minute at most."""
WAIT_SECONDS = 0.4
_KEPT = 50  # looks, about a tenth of a megabyte each
_PUBLISHED_WITHIN = timedelta(minutes=3)
_CLIENTS_SECONDS = 300.0  # then a changed connection is noticed
_IMPATIENT = {"connect_timeout": 3, "read_timeout": 10, "retries": {"total_max_attempts": 2}}
_Of = TypeVar("_Of")
_T = TypeVar("_T")


def _rollout_id(found: Any) -> str:
    return str(found.rollout.rollout_id)


class LiveReads(Generic[_Of, _T]):
    """The last look at each thing, such as a rollout, refreshed in the background while somebody asks.

    :param read: the look.
    :param fresh_seconds: how old one may be before the next one; by default :data:`FRESH_SECONDS`.
    :param key: what tells one thing from another.
    """

    def __init__(
        self,
        read: Callable[[_Of], _T],
        fresh_seconds: float | None = None,
        *,
        key: Callable[[_Of], str] = _rollout_id,
    ) -> None:
        self._read = read
        self._key = key
        self._fresh_seconds = fresh_seconds
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sm-rollout")
        self._looks: dict[str, tuple[float, Future[_T]]] = {}
        self._last: dict[str, _T] = {}
        self._lock = Lock()

    def begin(self, found: Sequence[_Of]) -> None:
        """Look, where the last look is no longer fresh, and don't wait for it."""
        with self._lock:
            for each in found:
                self._begun(each)

    def latest(self, found: Sequence[_Of], until: float | None = None) -> list[_T | None]:
        """For each the last look that succeeded; ``None``: none has yet. All of them together are waited for as long as one would be.

        :param until: till when (by :func:`time.monotonic`); by default :data:`WAIT_SECONDS` from now.
        """
        with self._lock:
            looks = [self._begun(each) for each in found]
        wait(looks, WAIT_SECONDS if until is None else max(0.0, until - time.monotonic()))
        with self._lock:
            return [self._seen(each, look) for each, look in zip(found, looks, strict=True)]

    def failure(self, found: _Of) -> str:
        """Why the last look failed; empty: it has not, or is under way."""
        with self._lock:
            _, look = self._looks.get(self._key(found), (0.0, None))
        error = look.exception() if look is not None and look.done() else None
        return f"{type(error).__name__}: {error}" if error else ""

    def forget(self, found: _Of) -> None:
        """Look anew at the next question."""
        with self._lock:
            self._looks.pop(self._key(found), None)

    def _begun(self, found: _Of) -> Future[_T]:
        """The look that is under way or still fresh, or a new one."""
        key = self._key(found)
        began, look = self._looks.get(key, (0.0, None))
        fresh_seconds = FRESH_SECONDS if self._fresh_seconds is None else self._fresh_seconds
        if look is None or (look.done() and time.monotonic() - began > fresh_seconds):
            began, look = time.monotonic(), self._pool.submit(self._read, found)
        _keep(self._looks, key, (began, look))
        return look

    def _seen(self, found: _Of, look: Future[_T]) -> _T | None:
        key = self._key(found)
        last = look.result() if look.done() and look.exception() is None else self._last.get(key)
        if last is not None:
            _keep(self._last, key, last)
        return last


def _keep(kept: dict[str, _T], key: str, value: _T) -> None:
    """Store a value; those that nobody has asked for longest go."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > _KEPT:
        kept.pop(next(iter(kept)), None)


def read_live(found: Found) -> Live:
    """Where a rollout stands, by one look at AWS through its own connection."""
    from airflow_sm_rollout.aws.cloudwatch import read_alarms
    from airflow_sm_rollout.aws.control import read_control
    from airflow_sm_rollout.aws.status import read_serving
    from airflow_sm_rollout.aws.world import utc_now
    from airflow_sm_rollout.core.outcome import find_aftermath

    clients, rollout = clients_of(found.connection), found.rollout
    seen = read_serving(clients, rollout, utc_now())
    control = read_control(clients.ssm, rollout.endpoint_name, rollout.rollout_id)
    alarms = read_alarms(clients.cloudwatch, rollout.watched_alarms, None)
    return Live(
        at=seen.at,
        share=rollout.traffic.share(rollout, seen) if seen.endpoint else None,
        alarms={alarm.name: alarm.state for alarm in alarms},
        control=control,
        figures=None,
        aftermath=find_aftermath(rollout, seen),
        serving=seen.describe(),
        phase=seen.record.phase if seen.record and seen.record.rollout_id == rollout.rollout_id else None,
        alarm_reasons={alarm.name: alarm.reason for alarm in alarms},
        alarm_limits={alarm.name: alarm.limit for alarm in alarms if alarm.limit is not None},
        left=_read_left(clients, found, seen.at) if settled_at(found.tasks) else None,
    )


def _read_left(clients: Clients, found: Found, now: datetime) -> Left:
    from airflow_sm_rollout.aws.after import read_last
    from airflow_sm_rollout.aws.previous import read_promoted
    from airflow_sm_rollout.core.undo import left_of

    rollout, ssm = found.rollout, clients.ssm
    record, last = read_last(ssm, rollout.endpoint_name)
    if last is not None and last.rollout_id != rollout.rollout_id:  # another was promoted since
        last = read_promoted(ssm, rollout.endpoint_name).get(rollout.rollout_id)
        last = last if isinstance(last, Undone) else None
    return left_of(rollout, record, last, now)


def read_undone(row: Row) -> Mapping[str, Undone]:
    """The rollouts of a row's endpoint that were promoted and are undone, by their ids."""
    from airflow_sm_rollout.aws.previous import read_promoted

    promoted = read_promoted(clients_of(row.connection).ssm, row.endpoint)
    return {rollout_id: last for rollout_id, last in promoted.items() if isinstance(last, Undone)}


def read_backdrop(found: Found) -> Backdrop:
    """What changes slowly, by a look through the rollout's own connection."""
    from airflow_sm_rollout.aws.alarm_values import read_limits
    from airflow_sm_rollout.aws.figures import read_figures
    from airflow_sm_rollout.aws.guardian import guardian_of
    from airflow_sm_rollout.aws.world import utc_now

    clients, rollout, now = clients_of(found.connection), found.rollout, utc_now()
    ended = settled_at(found.tasks)
    until = min(now, ended + _PUBLISHED_WITHIN) if ended else now
    has_shadow = any(task.note.get("kind") == "shadow" for task in found.tasks)
    return Backdrop(
        figures=read_figures(clients, rollout, until, is_shadow_read=has_shadow),
        alarm_limits=read_limits(clients.cloudwatch, rollout.watched_alarms, until),
        guardian=None if ended else guardian_of(clients.ssm, rollout.endpoint_name),
    )


_memories: dict[str, Memory] = {}


def read_compared(found: Found) -> Mapping[str, Any] | None:
    """Green against blue by now, as the bake that is under way, or was last, judges it; as JSON. ``None``: there is nothing to compare."""
    from airflow_sm_rollout.aws.record import read_record
    from airflow_sm_rollout.aws.watch import Memory, look_at
    from airflow_sm_rollout.aws.world import utc_now

    clients, now = clients_of(found.connection), utc_now()
    record = read_record(clients.ssm, found.rollout.endpoint_name)
    if record is None or record.rollout_id != found.rollout.rollout_id or record.plan.evidence.tolerances is None:
        return None
    watch = last_watch([task.xcoms[WATCH] for task in found.tasks if task.xcoms.get(WATCH)], record, now)
    key = f"{record.rollout_id} {watch.started_at}"
    memory = _memories.get(key) or Memory()
    _keep(_memories, key, memory)
    comparison = look_at(clients, watch, now, memory).comparison
    return comparison.as_dict() if comparison and comparison.judged_until else None


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
    from airflow_sm_rollout.core.owner import is_of_run

    rollout: Rollout = found.rollout
    ssm = clients_of(found.connection).ssm
    with translated_errors("could not write the wish"):
        record = read_record(ssm, rollout.endpoint_name)
        if record is None or record.rollout_id != rollout.rollout_id or not is_of_run(record.owner, owner):
            raise RolloutError("this rollout is not in progress")
        return make_wish(ssm, rollout.endpoint_name, Control(rollout.rollout_id, wished, utc_now(), by, note))


_clients: dict[str, tuple[float, Clients]] = {}


def clients_of(connection: Connection) -> Clients:
    """Clients of a connection, kept for a while: making one takes a tenth of a second.

    What else a task says about how to reach AWS (``verify``, ``botocore_config``) is the worker's: XComs may be written by people who may
    not change DAGs, and must not make the API server send its requests elsewhere. What the Airflow connection itself says holds here, too.
    """
    key = json.dumps(connection)
    made_at, clients = _clients.get(key, (0.0, None))
    if clients is None or time.monotonic() - made_at > _CLIENTS_SECONDS:
        config = {**AwsConnection(*connection).own_config(), **_IMPATIENT}
        clients = AwsConnection(*connection, botocore_config=config).clients()
        _clients[key] = (time.monotonic(), clients)
    return clients
