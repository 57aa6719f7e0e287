"""Runs DAGs by ``dag.test()``: one process, no scheduler, triggers in line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import DAG

from airflow_sm_rollout.airflow_versions import run_in_process, store_dag


@dataclass(frozen=True, slots=True)
class Ended:
    """A DAG run that is over.

    :param states: each task's state by its id.
    :param xcoms: what tasks have left, by task id and key.
    :param tries: how often each task was tried.
    """

    state: str
    states: dict[str, str]
    xcoms: dict[tuple[str, str], Any]
    tries: dict[str, int]

    def reason(self, task_id: str) -> str:
        """Why a task failed, as it says itself."""
        return str(self.xcoms.get((task_id, "reason"), ""))


def run_dag(dag: DAG, **conf: Any) -> Ended:
    """The whole DAG, to its end.

    :param conf: what a person has filled in in its form.
    """
    store_dag(dag, "dags-folder")
    ended = run_in_process(dag, conf)
    instances = ended.get_task_instances()
    return Ended(
        state=str(ended.state),
        states={instance.task_id: str(instance.state) for instance in instances},
        xcoms=_xcoms(ended.run_id),
        tries={instance.task_id: instance.try_number for instance in instances},
    )


def _xcoms(run_id: str) -> dict[tuple[str, str], Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(XComModel).where(XComModel.run_id == run_id))
        return {(each.task_id, each.key): XComModel.deserialize_value(each) for each in found}
