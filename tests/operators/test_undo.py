"""A DAG that takes back what another one has promoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import (
    DeployGreenOperator,
    PlanError,
    PromoteOperator,
    ShiftWeightOperator,
    UndoOperator,
)
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production

QUICK: dict[str, Any] = {"poke_interval": 0.2}


def promote(dag: DAG) -> None:
    with dag:
        deploy = DeployGreenOperator(
            task_id="deploy", endpoint_name="fraud", image=IMAGE, model_data_url=GOOD, default_alarms=None, **QUICK
        )
        rest = ShiftWeightOperator(task_id="rest", rollout=deploy.output, share=100, **QUICK)
        deploy >> rest >> PromoteOperator(task_id="promote", rollout=deploy.output, **QUICK)


def test_an_undo_restores_what_another_dag_has_replaced_and_can_be_run_again(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    promote(dag)
    assert run(dag).state == "success"
    assert production.describe("fraud") != before
    with DAG("undo", schedule=None) as undo:
        UndoOperator(task_id="undo", endpoint_name="fraud", note="{{ 'complaints' }}", **QUICK)
    for words in ("nothing of this rollout is left", "was undone by undo "):
        ended = run(undo)
        assert ended.state == "success"
        told = ended.xcoms["undo", "return_value"]
        assert told["outcome"] == "as_before"
        assert words in told["state"]
        assert production.describe("fraud") == before


def test_where_there_is_nothing_to_undo_it_fails_with_the_reason_and_changes_nothing(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        UndoOperator(task_id="undo", endpoint_name="fraud", retries=3, **QUICK)
    ended = run(dag)
    assert ended.state == "failed"
    assert "nothing was kept of a promotion of endpoint fraud" in ended.xcoms["undo", "reason"]
    assert production.describe("fraud") == before


@pytest.mark.parametrize(
    ("option", "value"),
    [("on_drift", "overwrite"), ("undo_within", "next week"), ("rollout", {"endpoint_name": "fraud"})],
)
def test_an_option_that_is_not_possible_is_refused_when_the_file_is_read(option: str, value: Any) -> None:
    with DAG("undo", schedule=None), pytest.raises(PlanError, match=option):
        UndoOperator(task_id="undo", **{"endpoint_name": "fraud", option: value})
