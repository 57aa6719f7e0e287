"""Whose word counts: AWS's. No mark by hand and no deleted record leaves green with traffic that nobody watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.guardian.guardian import Guardian
from airflow_sm_rollout.guardian.run import look_on
from airflow_sm_rollout.sandbox.faults import Fault
from operators.dag_runs import Ended
from operators.test_group_run import build
from production import Production, alarm_of, meanwhile


def mark_a_success(dag: DAG, what: str) -> None:
    """What the UI does when a person marks the whole run, or one task of the group, a success."""
    from airflow.api.common.mark_tasks import set_dag_run_state_to_success
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag.dag_id).order_by(DagRun.id.desc())).first()
        assert run is not None
        if what == "run":
            stored: Any = SerializedDagModel.get_dag(dag.dag_id, session=session)
            set_dag_run_state_to_success(dag=stored, run_id=run.run_id, commit=True, session=session)
        else:
            [task] = [each for each in run.get_task_instances(session=session) if each.task_id == f"canary.{what}"]
            task.set_state("success", session=session)


@pytest.mark.parametrize("rings", [False, True], ids=["quiet", "then an alarm rings"])
@pytest.mark.parametrize("what", ["run", "promote"])
def test_what_a_person_marks_a_success_at_25_percent_is_rolled_back_all_the_same(
    what: str,
    rings: bool,
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    def meddle() -> None:
        mark_a_success(dag, what)
        if rings:
            production.set_alarm(alarm_of("fraud"), "ALARM", "37 refused")

    build(dag, bake=4)
    with meanwhile(has_traffic, meddle):
        ended = run(dag)
    assert production.shares("fraud").green == 0
    assert production.describe("fraud") == before
    assert ended.states["canary.settle"] == "success"
    assert ended.reason("canary.verdict").startswith("Rolled back")


def test_what_a_guardian_takes_back_fails_with_its_sentence(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    def guard() -> None:
        guardian = Guardian(Clients.of(boto3.Session()), name="lighthouse")
        production.set_alarm(alarm_of("fraud"), "ALARM", "37 refused")
        for _ in look_on(guardian, 0.2, lambda seconds: time.sleep(min(seconds, 0.2))):
            if production.describe("fraud") == before:
                return

    build(dag, bake=4)
    with meanwhile(has_traffic, guard):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert ended.state == "failed"
    assert "because guardian lighthouse took it back" in ended.reason("canary.verdict")


def test_a_record_that_somebody_deletes_is_made_again_and_the_rollout_rolled_back(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    build(dag, bake=3)
    with meanwhile(has_traffic, lambda: production.ssm.delete_parameter(Name="/sm-rollout/fraud")):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert ended.state == "failed"
    reason = ended.reason("canary.verdict")
    assert reason.startswith("Rolled back"), reason
    assert "record" in reason


def test_settle_waits_out_what_it_may_not_read_for_a_while(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    """The role loses its rights while green bakes, so that the bake ends; and gets them again."""
    build(dag, bake=60)
    with meanwhile(has_traffic, lambda: production.sandbox.faults.add(Fault("denied", "*", times=4))):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert ended.states["canary.settle"] == "success"
    assert any("AccessDenied" in each["what"] for each in ended.xcoms["canary.settle", "did"])
