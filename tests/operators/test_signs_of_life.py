"""A task that ends well says so, whatever it was and wherever it waited: a guardian lets the next one take its time to begin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task
from airflow.triggers.base import TaskSuccessEvent

from airflow_sm_rollout import ApproveOperator, BakeSensor, DeployGreenOperator, ShiftWeightOperator
from airflow_sm_rollout.aws.guardian import leave_sign, read_sign
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.guardian import Sign
from airflow_sm_rollout.core.rollout import Rollout
from operators.dag_runs import Ended
from operators.test_single_operators import GREEN, QUICK
from operators.test_triggers import first_event, watch
from production import Production, alarm_of

ENDPOINT: dict[str, Any] = {"endpoint_name": "fraud", **QUICK}
GATE = {"timeout": 600}


class Approved(ApproveOperator):
    """A person has approved: its task goes on from there. No question is open in ``dag.test()``."""

    def execute(self, context: Any) -> Any:
        by = {"id": "alice", "name": "alice"}
        answer = {"chosen_options": ["Approve"], "params_input": {}, "responded_at": "2026-11-24T10:00:00+00:00"}
        return self.answered(context, {**answer, "responded_by_user": by})


def shift() -> BaseOperator:
    return ShiftWeightOperator(task_id="ends", share=20, **ENDPOINT)


def bake() -> BaseOperator:
    return BakeSensor(task_id="ends", duration=0.2, min_requests=0, deferrable=False, **ENDPOINT)


def approve() -> BaseOperator:
    return Approved(task_id="ends", gate=GATE, step=0, **ENDPOINT)


def put_old_sign(production: Production) -> None:
    leave_sign(production.ssm, "fraud", Sign(datetime(2026, 11, 24, tzinfo=timezone.utc)))


def has_ended(production: Production) -> bool:
    sign = read_sign(production.ssm, "fraud")
    return sign is not None and sign.has_ended


@pytest.mark.parametrize("make", [shift, bake, approve])
def test_a_task_that_ends_well_leaves_a_last_sign(
    make: Callable[[], BaseOperator], dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    with dag:
        evidence: dict[str, Any] = {"tolerances": None}
        deploy = DeployGreenOperator(task_id="deploy", **GREEN, **evidence)

        @task
        def forget() -> None:
            put_old_sign(production)

        deploy >> forget() >> make()
    ended = run(dag)
    assert ended.states["ends"] == "success", ended.reason("ends")
    assert has_ended(production)


@pytest.mark.parametrize("rings", [False, True])
def test_a_bake_in_the_triggerer_leaves_a_last_sign_if_it_passes(
    rings: bool, dag: DAG, run: Callable[[DAG], Ended], production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_sm_rollout.triggers.base.SHORTEST_DEFERRAL", timedelta())
    with dag:
        DeployGreenOperator(task_id="deploy", **GREEN, tolerances=None)
    run(dag)
    put_old_sign(production)
    if rings:
        production.set_alarm(alarm_of("fraud"), "ALARM", "37 of 5")
    event = first_event(watch(seconds=0.0, rollout=recorded(production)))
    assert isinstance(event, TaskSuccessEvent) is not rings
    assert has_ended(production) is not rings


def recorded(production: Production) -> Rollout:
    rollout = read_record(production.ssm, "fraud")
    assert rollout is not None
    return rollout
