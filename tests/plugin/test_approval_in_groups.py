"""Where a task group asks a person, as the DAG file is read."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import ApproveOperator, PlanError, blue_green_rollout, canary_rollout, linear_rollout


def canary(**options: Any) -> DAG:
    with DAG("asking", schedule=None, default_args={"retries": 3}) as dag:
        canary_rollout(**{"endpoint_name": "wine", "model_name": "wine-v2", "steps": [10, 50, 100], **options})
    return dag


def asking(dag: DAG) -> dict[str, ApproveOperator]:
    return {task.task_id: task for task in dag.tasks if isinstance(task, ApproveOperator)}


def test_nobody_is_asked_unless_the_dag_says_so() -> None:
    assert asking(canary()) == {}


def test_a_person_is_asked_right_before_the_shift_and_shown_the_bakes_before_it() -> None:
    dag = canary(approval={"before": 50, "timeout": 60})
    [(name, task)] = asking(dag).items()
    assert name == "canary.approve_50"
    assert task.upstream_task_ids == {"canary.snapshot", "canary.bake_10"}
    assert task.downstream_task_ids == {"canary.shift_50"}
    assert task.evidence_task_ids == ["canary.bake_10"]


def test_an_answer_is_never_asked_for_again_whatever_the_dags_defaults_say() -> None:
    [task] = asking(canary(approval="before_full_traffic")).values()
    assert task.retries == 0


def test_where_the_shares_come_from_a_form_every_step_may_ask() -> None:
    dag = canary(steps="{{ params.steps }}", max_steps=3, approval="before_full_traffic")
    assert list(asking(dag)) == ["canary.approve_1", "canary.approve_2", "canary.approve_3"]


def test_every_strategy_can_ask() -> None:
    with DAG("all", schedule=None) as dag:
        linear_rollout(endpoint_name="a", model_name="m", step=50, approval={"before": 50})
        blue_green_rollout(endpoint_name="b", model_name="m", approval="before_full_traffic")
    assert set(asking(dag)) == {"linear.approve_50", "blue_green.approve_100"}


@pytest.mark.parametrize(
    ("approval", "traffic"),
    [({"before": 30}, "variants"), ("before_full_traffic", "guardrails"), ("sometimes", "variants")],
)
def test_a_question_that_can_not_be_asked_fails_the_dag_file(approval: Any, traffic: str) -> None:
    with pytest.raises(PlanError, match="approval"):
        canary(approval=approval, traffic=traffic)
