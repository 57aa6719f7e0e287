"""What Airflow's database knows of rollouts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.rollout import Rollout, from_json
from airflow_sm_rollout.core.traces import KEYS, NOTE, PLANNED, TaskTrace, plain_xcom

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

LISTED = 1000

# A page must open also where one of its rollouts was planned by another version of this package.
_UNREADABLE = (RolloutError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Found:
    """A rollout of a DAG run.

    :param group: its task group; empty for none.
    :param connection: how its tasks reach AWS, see :class:`~airflow_sm_rollout.hooks.rollout.AwsConnection`.
    """

    group: str
    rollout: Rollout
    tasks: tuple[TaskTrace, ...]
    connection: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A rollout in the list.

    :param outcome: ``running``, ``promoted``, ``rolled_back`` or ``not_settled``.
    :param share: green's last share in percent.
    """

    dag_id: str
    run_id: str
    endpoint: str
    model: str
    strategy: str
    started_at: datetime
    outcome: str
    share: float
    sentence: str


def read_rollouts(session: Session, dag_id: str, run_id: str) -> list[Found]:
    """The rollouts that a DAG run has planned, first one first."""
    of_run = select(XComModel.task_id, XComModel.value).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id)
    planned = session.execute(of_run.where(XComModel.key == PLANNED).order_by(XComModel.timestamp)).all()
    traced = {_group(row.task_id): _read_traces(session, dag_id, run_id, _group(row.task_id)) for row in planned}
    return [found for row in planned for found in _found(_value(row), row.task_id, traced[_group(row.task_id)])]


def _found(identity: Mapping[str, Any], task_id: str, tasks: tuple[TaskTrace, ...]) -> Iterator[Found]:
    group = _group(task_id)
    frozen = next((task.returned.get("frozen") for task in tasks if f"{_prefix(group)}{task.name}" == task_id), None)
    if frozen:
        try:
            yield Found(group, from_json(frozen), tasks, identity["connection"])
        except _UNREADABLE as error:
            log.warning("The rollout of %s can't be read: %r", task_id, error)


def _read_traces(session: Session, dag_id: str, run_id: str, group: str) -> tuple[TaskTrace, ...]:
    ti, xcom = TaskInstance, XComModel
    # A task that others wait for has the higher weight: the order of the DAG, also of what has not run yet.
    instances = session.execute(
        select(ti.task_id, ti.state, ti.start_date, ti.end_date)
        .where(ti.dag_id == dag_id, ti.run_id == run_id, ti.task_id.startswith(_prefix(group), autoescape=True))
        .order_by(ti.priority_weight.desc(), ti.start_date)
    ).all()
    left = session.execute(
        select(xcom.task_id, xcom.key, xcom.value).where(
            xcom.dag_id == dag_id,
            xcom.run_id == run_id,
            xcom.key.in_(KEYS),
            xcom.task_id.startswith(_prefix(group), autoescape=True),
        )
    ).all()
    xcoms: dict[str, dict[str, Any]] = {}
    for row in left:
        xcoms.setdefault(row.task_id, {})[row.key] = _value(row)
    return tuple(
        TaskTrace(
            instance.task_id.removeprefix(_prefix(group)),
            str(instance.state or ""),
            instance.start_date,
            instance.end_date,
            xcoms.get(instance.task_id, {}),
        )
        for instance in instances
    )


def list_rollouts(session: Session, dag_ids: Collection[str]) -> list[Row]:
    """The newest :data:`LISTED` rollouts of the DAGs, newest first."""
    xcom = XComModel
    planned = session.execute(
        select(xcom.dag_id, xcom.run_id, xcom.task_id, xcom.value, xcom.timestamp, DagRun.state)
        .join(DagRun, xcom.dag_run_id == DagRun.id)
        .where(xcom.key == PLANNED, xcom.dag_id.in_(dag_ids))
        .order_by(xcom.timestamp.desc())
        .limit(LISTED)
    ).all()
    if not planned:
        return []
    noted = session.execute(
        select(xcom.dag_id, xcom.run_id, xcom.task_id, xcom.value)
        .where(xcom.key == NOTE, xcom.dag_id.in_(dag_ids), xcom.timestamp >= planned[-1].timestamp)
        .order_by(xcom.timestamp)
    ).all()
    notes: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in noted:
        notes.setdefault((row.dag_id, row.run_id, _group(row.task_id)), []).append(_value(row))
    return [
        row for each in planned for row in _rows(each, notes.get((each.dag_id, each.run_id, _group(each.task_id)), []))
    ]


def _rows(planned: Any, notes: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    try:
        yield _row(planned, _value(planned), {note.get("kind"): note for note in notes})
    except _UNREADABLE as error:
        log.warning("A rollout of %s, run %s, can't be listed: %r", planned.dag_id, planned.run_id, error)


def _row(planned: Any, identity: Mapping[str, Any], latest: Mapping[Any, Mapping[str, Any]]) -> Row:
    settled = latest.get("settled")
    if settled:
        outcome = "promoted" if settled.get("outcome") == "promoted" else "rolled_back"
    else:
        outcome = "not_settled" if planned.state in ("success", "failed") else "running"
    last_share = float(latest.get("share", {}).get("share", 0.0))
    return Row(
        planned.dag_id,
        planned.run_id,
        identity["endpoint"],
        identity["model"],
        identity["strategy"],
        datetime.fromisoformat(identity["started_at"]),
        outcome,
        {"promoted": 100.0, "rolled_back": 0.0}.get(outcome, last_share),
        str(latest.get("verdict", {}).get("sentence", "")),
    )


def _value(row: Any) -> Any:
    return plain_xcom(XComModel.deserialize_value(row))


def _group(task_id: str) -> str:
    return task_id.rpartition(".")[0]


def _prefix(group: str) -> str:
    return f"{group}." if group else ""
