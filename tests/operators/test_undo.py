"""A DAG that takes back what another one has promoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_sm_rollout import (
    AlarmSensor,
    DeployGreenOperator,
    PlanError,
    PromoteOperator,
    ShiftWeightOperator,
    UndoOperator,
)
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production, alarm_of, meanwhile

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


@pytest.mark.parametrize("rings", [True, False])
def test_an_alarm_that_rings_after_the_promotion_undoes_and_fails_the_run(
    rings: bool, dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    """As docs/undo.md has it, with a watch of seconds."""
    promote(dag)
    with dag:
        watch = AlarmSensor(task_id="watch", alarms=[alarm_of("fraud")], duration=8, poke_interval=0.2)
        which = "{{ ti.xcom_pull('deploy')['rollout_id'] }}"
        undo = UndoOperator(task_id="undo", endpoint_name="fraud", rollout_id=which, trigger_rule="all_failed", **QUICK)
        dag.get_task("promote") >> [watch, EmptyOperator(task_id="tell_everybody")]
        watch >> [undo, EmptyOperator(task_id="stays")]

    def is_promoted() -> bool:
        return "/sm-rollout-previous/fraud" in str(production.writes("fraud"))

    harm = meanwhile(
        lambda: rings and is_promoted(), lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")
    )
    with harm:
        ended = run(dag)
    assert ended.states["tell_everybody"] == "success"
    assert ended.state == ("failed" if rings else "success")
    assert (ended.states["undo"], ended.states["stays"]) == (
        ("success", "upstream_failed") if rings else ("skipped", "success")
    )
    assert (production.describe("fraud") == before) is rings
    assert "7 of 9" in ended.reason("watch") or not rings


@pytest.mark.parametrize(
    ("option", "value"),
    [("on_drift", "overwrite"), ("undo_within", "next week"), ("rollout", {"endpoint_name": "fraud"})],
)
def test_an_option_that_is_not_possible_is_refused_when_the_file_is_read(option: str, value: Any) -> None:
    with DAG("undo", schedule=None), pytest.raises(PlanError, match=option):
        UndoOperator(task_id="undo", **{"endpoint_name": "fraud", option: value})
