"""The janitor rolls back what no DAG run drives any more, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_sm_rollout import DeployGreenOperator, FindOrphansOperator, PlanError, ShiftWeightOperator
from airflow_sm_rollout.aws.record import read_record, write_record
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production

DAGS = Path(__file__).parent.parent.parent / "dags"
GREEN = {"image": IMAGE, "model_data_url": GOOD, "default_alarms": None}


@pytest.fixture
def janitor(monkeypatch: pytest.MonkeyPatch) -> DAG:
    """The sample DAG, as it is."""
    monkeypatch.setenv("SM_ROLLOUT_POKE_INTERVAL", "0.2")
    monkeypatch.syspath_prepend(str(DAGS))
    sys.modules.pop("janitor", None)
    import janitor

    found: DAG = janitor.dag
    return found


def begin(dag: DAG) -> None:
    """A rollout that its DAG run leaves in the middle."""
    with dag:
        deploy = DeployGreenOperator(task_id="deploy", endpoint_name="fraud", poke_interval=0.2, **GREEN)
        shift = ShiftWeightOperator(task_id="shift", rollout=deploy.output, share=25, poke_interval=0.2)
        deploy >> shift


def test_a_rollout_whose_run_is_over_is_rolled_back_and_the_janitor_comes_again_for_nothing(
    dag: DAG, janitor: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    begin(dag)
    assert run(dag).state == "success"
    assert production.shares("fraud").green == 25

    ended = run(janitor)
    assert (ended.state, ended.states["roll_back"]) == ("success", "success")
    assert production.describe("fraud") == before
    [orphan] = ended.xcoms["find_orphans", "return_value"]
    assert (orphan["endpoint_name"], orphan["why"]) == ("fraud", "its DAG run is over")

    again = run(janitor)
    assert (again.state, again.states["roll_back"]) == ("success", "skipped")


def test_a_rollout_whose_run_is_running_or_not_known_here_is_left_alone(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    """The run that looks is the one that rolls out; beside it there are one of another Airflow's, and a record that nobody can read."""

    @task
    def others() -> None:
        ours = read_record(production.ssm, "fraud")
        assert ours is not None
        write_record(
            production.ssm, replace(ours, endpoint_name="risk", owner={"dag_id": "x", "run_id": "y"}), overwrite=False
        )
        production.ssm.put_parameter(Name="/sm-rollout/odd", Value="{}", Type="String")

    begin(dag)
    with dag:
        looks = {
            "now": FindOrphansOperator(task_id="now"),
            "a_day_later": FindOrphansOperator(task_id="a_day_later", unknown_after="{{ 0 }}"),
            "for_others": FindOrphansOperator(task_id="for_others", unknown_after=0, endpoints="fraud*"),
            "past_all_patience": FindOrphansOperator(task_id="past_all_patience", max_age=0),
        }
        dag.get_task("shift") >> others() >> list(looks.values())
    ended = run(dag)
    assert ended.state == "success"
    found = {name: [each["endpoint_name"] for each in ended.xcoms.get((name, "return_value")) or []] for name in looks}
    assert found == {
        "now": [],
        "a_day_later": ["risk"],
        "for_others": [],
        "past_all_patience": ["fraud", "risk"],
    }
    assert production.shares("fraud").green == 25


def test_a_patience_that_is_none_is_refused_when_the_dag_file_is_read() -> None:
    with pytest.raises(PlanError, match="max_age='soon' is not possible"):
        FindOrphansOperator(task_id="find", max_age="soon")
