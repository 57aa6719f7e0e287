"""What Airflow's database knows of rollouts."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.outcome import Outcome, find_outcome
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.screen.log import Wished
from airflow_sm_rollout.core.traces import KEYS, NOTE, PLANNED, REFUSED, UNREADABLE, TaskTrace, plain_xcom
from airflow_sm_rollout.plugin.address import group_name

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

LISTED = 1000
WISH_EVENT = "sm_rollout_wish"
"""What Airflow's audit log calls a wish made on these pages."""

# A page must open also where one of its rollouts was planned by another version of this package.
_UNREADABLE = (RolloutError, *UNREADABLE)
_RUN_IS_OVER = ("success", "failed")


class Connection(NamedTuple):
    """How a rollout's tasks reach AWS: all of it that a page heeds, see :func:`~airflow_sm_rollout.plugin.live.clients_of`."""

    aws_conn_id: str | None
    region_name: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A rollout of a DAG run.

    :param group: its task group; see :func:`~airflow_sm_rollout.plugin.address.group_name`.
    :param is_over: whether the DAG run is.
    :param wishes: what people have asked of it on the pages.
    """

    group: str
    rollout: Rollout
    tasks: tuple[TaskTrace, ...]
    connection: Connection
    is_over: bool = False
    wishes: tuple[Wished, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """What a DAG run has planned, first one first.

    :param unread: in words, which rollouts can't be shown, and why.
    :param refused: in words, which did not begin, and why.
    """

    found: tuple[Found, ...] = ()
    unread: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A rollout in the list.

    :param share: green's last share in percent.
    :param rollout_id: empty: it did not begin, or an earlier version has left it.
    """

    dag_id: str
    run_id: str
    endpoint: str
    model: str
    strategy: str
    started_at: datetime
    outcome: Outcome
    share: float
    sentence: str
    rollout_id: str = ""
    connection: Connection = Connection(None, None)  # noqa: RUF009 - frozen


def read_rollouts(session: Session, dag_id: str, run_id: str) -> Planned:
    """The rollouts that a DAG run has planned."""
    xcom = XComModel
    of_run = select(xcom.task_id, xcom.map_index, xcom.value).where(xcom.dag_id == dag_id, xcom.run_id == run_id)
    planned = session.execute(of_run.where(xcom.key == PLANNED).order_by(xcom.timestamp, xcom.map_index)).all()
    state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    groups = {_group(row.task_id) for row in planned}
    found, unread = [], []
    for row in planned:
        traces = _read_traces(session, dag_id, run_id, _group(row.task_id), row.map_index)
        try:
            found.append(_found(row, _without_others(traces, _group(row.task_id), groups), state in _RUN_IS_OVER))
        except _UNREADABLE as error:
            log.warning("The rollout of %s can't be read: %r", row.task_id, error)
            unread.append(f"the rollout that task {row.task_id} has planned ({error})")
    left = session.execute(of_run.where(xcom.key == REFUSED).order_by(xcom.timestamp, xcom.map_index)).all()
    return Planned(_with_wishes(session, dag_id, run_id, found), tuple(unread), tuple(_refusals(left)))


def _with_wishes(session: Session, dag_id: str, run_id: str, found: Sequence[Found]) -> tuple[Found, ...]:
    """The rollouts with what Airflow's audit log has of them."""
    logged = session.execute(
        select(Log.dttm, Log.owner, Log.extra)
        .where(Log.dag_id == dag_id, Log.run_id == run_id, Log.event == WISH_EVENT)
        .order_by(Log.dttm)
    ).all()
    wishes: dict[str, list[Wished]] = {}
    for row in logged:
        try:
            asked = json.loads(row.extra or "")
            wished = Wished(row.dttm, str(row.owner), str(asked["wish"]), str(asked.get("note") or ""))
            wishes.setdefault(str(asked["rollout_id"]), []).append(wished)
        except UNREADABLE:
            continue  # Airflow's own log keeps it
    return tuple(replace(each, wishes=tuple(wishes.get(each.rollout.rollout_id, ()))) for each in found)


def _refusals(left: Sequence[Any]) -> Iterator[str]:
    for row in left:
        try:
            refused = _value(row)
            where = group_name(row.task_id, row.map_index) or row.task_id
            yield f"{where} was to roll out to {refused['endpoint']}. {refused['reason']}"
        except _UNREADABLE as error:
            log.warning("Why %s was refused can't be read: %r", row.task_id, error)


def _found(row: Any, tasks: tuple[TaskTrace, ...], is_over: bool) -> Found:
    name = row.task_id.rpartition(".")[2]
    frozen = next((task.returned.get("frozen") for task in tasks if task.name == name), None)
    if not isinstance(frozen, str):
        raise RolloutError("it has left no plan")
    return Found(
        group_name(row.task_id, row.map_index),
        from_json(frozen),
        tasks,
        _connection(_value(row)),
        is_over,
    )


def _connection(identity: Mapping[str, Any]) -> Connection:
    return Connection(*(_name(identity["connection"][name]) for name in Connection._fields))


def _name(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"not a name: {value!r}")
    return value


def _read_traces(session: Session, dag_id: str, run_id: str, group: str, map_index: int) -> tuple[TaskTrace, ...]:
    """The tasks of a group; of a mapped one those with the index, and before they are expanded the one that stands for all."""
    ti, xcom = TaskInstance, XComModel

    def of_group(table: Any) -> tuple[Any, ...]:
        inside = table.task_id.startswith(_prefix(group), autoescape=True)
        return table.dag_id == dag_id, table.run_id == run_id, inside, table.map_index.in_((-1, map_index))

    # A task that others wait for has the higher weight: the order of the DAG, also of what has not run yet.
    order = ti.priority_weight.desc(), ti.start_date
    columns = ti.task_id, ti.state, ti.start_date, ti.end_date
    instances = session.execute(select(*columns).where(*of_group(ti)).order_by(*order)).all()
    left = session.execute(select(xcom.task_id, xcom.key, xcom.value).where(*of_group(xcom), xcom.key.in_(KEYS))).all()
    xcoms: dict[str, dict[str, Any]] = {}
    for row in left:
        xcoms.setdefault(row.task_id, {})[row.key] = _value(row)
    return tuple(
        TaskTrace(
            each.task_id.removeprefix(_prefix(group)),
            str(each.state or ""),
            each.start_date,
            each.end_date,
            xcoms.get(each.task_id, {}),
        )
        for each in instances
    )


def _without_others(tasks: Sequence[TaskTrace], group: str, groups: Collection[str]) -> tuple[TaskTrace, ...]:
    """A rollout's tasks, without those of the rollouts that have a group inside its own."""
    prefix = _prefix(group)
    inner = tuple(_prefix(other)[len(prefix) :] for other in groups if other != group and other.startswith(prefix))
    return tuple(task for task in tasks if not task.name.startswith(inner))


def list_rollouts(session: Session, dag_ids: Collection[str]) -> list[Row]:
    """The newest :data:`LISTED` rollouts of the DAGs, newest first."""
    xcom = XComModel
    planned = session.execute(
        select(
            xcom.dag_id, xcom.run_id, xcom.task_id, xcom.map_index, xcom.value, xcom.timestamp, DagRun.state, xcom.key
        )
        .join(DagRun, xcom.dag_run_id == DagRun.id)
        .where(xcom.key.in_((PLANNED, REFUSED)), xcom.dag_id.in_(dag_ids))
        .order_by(xcom.timestamp.desc())
        .limit(LISTED)
    ).all()
    if not planned:
        return []
    noted = session.execute(
        select(xcom.dag_id, xcom.run_id, xcom.task_id, xcom.map_index, xcom.value)
        .where(xcom.key == NOTE, xcom.dag_id.in_(dag_ids), xcom.timestamp >= planned[-1].timestamp)
        .order_by(xcom.timestamp)
    ).all()
    notes: dict[tuple[str, str, str, int], list[Mapping[str, Any]]] = {}
    for row in noted:
        notes.setdefault(_place(row), []).append(_value(row))
    return [row for each in planned for row in _rows(each, notes.get(_place(each), []))]


def _place(row: Any) -> tuple[str, str, str, int]:
    """Which group of which run, and which run of that, if it is mapped."""
    return row.dag_id, row.run_id, _group(row.task_id), row.map_index


def _rows(planned: Any, notes: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    try:
        yield _row(planned, _value(planned), {note.get("kind"): note for note in notes if isinstance(note, Mapping)})
    except _UNREADABLE as error:
        log.warning("A rollout of %s, run %s, can't be listed: %r", planned.dag_id, planned.run_id, error)


def _row(planned: Any, identity: Mapping[str, Any], latest: Mapping[Any, Mapping[str, Any]]) -> Row:
    refused = ({"kind": "refused"},) if planned.key == REFUSED else ()
    outcome = find_outcome((*refused, *latest.values()), is_over=planned.state in _RUN_IS_OVER)
    last_share = float(latest.get("share", {}).get("share", 0.0))
    return Row(
        planned.dag_id,
        planned.run_id,
        identity["endpoint"],
        identity["model"],
        identity["strategy"],
        datetime.fromisoformat(identity["started_at"]),
        outcome,
        {Outcome.PROMOTED: 100.0, Outcome.ROLLED_BACK: 0.0, Outcome.UNDONE: 0.0}.get(outcome, last_share),
        str(identity.get("reason") or latest.get("undone", latest.get("verdict", {})).get("sentence", "")),
        *((str(identity["rollout_id"]), _connection(identity)) if "rollout_id" in identity else ()),
    )


def _value(row: Any) -> Any:
    return plain_xcom(XComModel.deserialize_value(row))


def _group(task_id: str) -> str:
    return task_id.rpartition(".")[0]


def _prefix(group: str) -> str:
    return f"{group}." if group else ""
