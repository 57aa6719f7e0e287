"""What shows when a DAG file is read: wrong plans, warnings, and what importing costs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Param

from airflow_sm_rollout import (
    AlarmDefaults,
    AlarmSensor,
    AskOperator,
    BakeSensor,
    DeployGreenOperator,
    PlanError,
    PromoteOperator,
    RollbackOperator,
    ShadowGreenOperator,
    ShiftWeightOperator,
    SnapshotOperator,
    blue_green_rollout,
    canary_rollout,
    linear_rollout,
)
from airflow_sm_rollout.airflow_versions import as_stored, read_dags

ROOT = Path(__file__).parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
GREEN: dict[str, Any] = {"endpoint_name": "fraud", "model_name": "fraud-v2"}


def group(**options: Any) -> Any:
    return canary_rollout(**{**GREEN, **options})


def asking(**options: Any) -> Any:
    return AskOperator(task_id="ask", endpoint_name="fraud", bake_task_id="bake", **options)


def deploying(**options: Any) -> DeployGreenOperator:
    return DeployGreenOperator(task_id="deploy", require_proof=True, **{**GREEN, **options})


@pytest.mark.parametrize(
    ("option", "build"),
    [
        ("steps", lambda: group(steps=[50, 10, 100])),
        ("steps", lambda: group(steps=[10, 10, 100])),
        ("steps", lambda: group(steps=[0, 100])),
        ("steps", lambda: group(steps=[10, 101])),
        ("steps", lambda: group(steps=[10, 50])),
        ("steps", lambda: group(steps=[])),
        ("steps", lambda: group(steps="10, many")),
        ("bake", lambda: group(bake=-1)),
        ("bake", lambda: group(bake=timedelta(seconds=-1))),
        ("bake", lambda: group(bake="soon")),
        ("bake", lambda: group(steps=[10, 100], bake=[1, 2, 3])),
        ("max_steps", lambda: group(steps="{{ params.steps }}")),
        ("max_steps", lambda: group(steps="{{ params.steps }}", max_steps=0)),
        ("endpoint_name", lambda: group(endpoint_name="fr_aud")),
        ("endpoint_name", lambda: group(endpoint_name="-fraud")),
        ("endpoint_name", lambda: group(endpoint_name="f" * 64)),
        ("endpoint_name", lambda: group(endpoint_name="")),
        ("strategy", lambda: DeployGreenOperator(task_id="deploy", strategy={"name": "yolo"}, **GREEN)),
        ("strategy", lambda: DeployGreenOperator(task_id="deploy", strategy="canary", **GREEN)),
        ("traffic", lambda: group(traffic="dice")),
        ("on_drift", lambda: group(on_drift="ignore")),
        ("drain", lambda: blue_green_rollout(traffic="endpoints", drain=-1, **GREEN)),
        ("drain", lambda: blue_green_rollout(traffic="{{ params.traffic }}", drain="soon", **GREEN)),
        ("step", lambda: linear_rollout(step=0, **GREEN)),
        ("step", lambda: linear_rollout(step=101, **GREEN)),
        ("interval", lambda: linear_rollout(interval=-1, **GREEN)),
        ("bake", lambda: blue_green_rollout(bake=-1, **GREEN)),
        ("model_name", lambda: group(model_name=None)),
        ("model_name and image", lambda: group(image="repo/green:2", model_data_url="s3://b/model.tar.gz")),
        ("model_data_url", lambda: group(model_name=None, image="repo/green:2")),
        ("poke_interval", lambda: group(poke_interval=0)),
        ("timeout", lambda: group(timeout=-5)),
        ("max_error_percent", lambda: group(default_alarms=AlarmDefaults(max_error_percent=0))),
        ("min_requests", lambda: group(default_alarms=AlarmDefaults(min_requests=0))),
        ("latency_factor", lambda: group(default_alarms=AlarmDefaults(latency_factor=1))),
        ("alarms", lambda: group(alarms=[7])),
        ("limits", lambda: group(limits={"max_eror_rate": 0.02})),
        ("max_error_rate", lambda: group(limits={"max_error_rate": 2})),
        ("false_rollback", lambda: group(tolerances={"false_rollback": 2})),
        ("warm_up", lambda: group(tolerances={"warm_up": 2})),
        ("when_inconclusive", lambda: group(when_inconclusive="hope")),
        ("when_inconclusive", lambda: group(traffic="guardrails", steps=[50, 100], when_inconclusive="ask")),
        ("limits", lambda: group(traffic="guardrails", steps=[50, 100], limits={"max_error_rate": 0.01})),
        ("require_proof", lambda: group(traffic="guardrails", steps=[50, 100], require_proof=True)),
        ("tolerances", lambda: group(traffic="components", steps=[50, 100])),
        ("steps", lambda: group(traffic="components", steps=[10, 100], tolerances=None)),
        ("strategy", lambda: blue_green_rollout(**GREEN, traffic="components", tolerances=None)),
        ("shadow", lambda: group(traffic="components", steps=[50, 100], tolerances=None, shadow={"bake": 60})),
        ("validate", lambda: group(traffic="components", steps=[50, 100], tolerances=None, validate={"samples": "1"})),
        ("require_proof", lambda: blue_green_rollout(require_proof=True, **GREEN)),
        ("require_proof", lambda: blue_green_rollout(require_proof=True, bake="{{ params.bake }}", **GREEN)),
        ("require_proof", lambda: blue_green_rollout(require_proof=True, traffic="{{ params.traffic }}", **GREEN)),
        ("require_proof", lambda: blue_green_rollout(require_proof=True, traffic="endpoints", **GREEN)),
        ("require_proof", lambda: group(steps=[100], require_proof=True)),
        ("require_proof", lambda: linear_rollout(step=100, require_proof=True, **GREEN)),
        ("require_proof", lambda: deploying(strategy={"name": "blue_green"})),
        ("require_proof", lambda: deploying(traffic="endpoints", strategy={"name": "blue_green"})),
        ("approval on_timeout", lambda: asking(gate={"on_timeout": "approve"})),
        ("extend_by", lambda: group(when_inconclusive="extend", extend_by=-1)),
        ("end_early", lambda: group(tolerances=None, end_early=True)),
        ("metric_seconds", lambda: group(metric_seconds=7)),
        ("samples", lambda: group(validate={"samples": "{no json"})),
        ("label_field", lambda: group(validate={"samples": "1", "agrees_with": "labels"})),
        ("validate", lambda: group(traffic="guardrails", steps=[50, 100], validate={"samples": "1"})),
        ("shadow", lambda: group(shadow={"percent": 50})),
        ("shadow", lambda: blue_green_rollout(traffic="endpoints", shadow={"bake": 60}, **GREEN)),
        ("percent", lambda: group(shadow={"bake": 60, "percent": 0})),
        ("rollout", lambda: BakeSensor(task_id="watch", duration=60)),
        ("share", lambda: ShiftWeightOperator(task_id="shift", endpoint_name="fraud", share=101)),
        ("share", lambda: ShiftWeightOperator(task_id="shift", endpoint_name="fraud", share=-1)),
        ("share", lambda: ShiftWeightOperator(task_id="shift", endpoint_name="fraud")),
        ("share", lambda: ShiftWeightOperator(task_id="shift", endpoint_name="fraud", share=5, step=1)),
        ("rollout", lambda: PromoteOperator(task_id="promote")),
        ("rollout", lambda: RollbackOperator(task_id="rollback")),
        ("alarms", lambda: AlarmSensor(task_id="watch", duration=60)),
        ("duration", lambda: AlarmSensor(task_id="watch", alarms=["a"])),
        ("duration", lambda: AlarmSensor(task_id="watch", alarms=["a"], duration=-60)),
    ],
)
def test_a_wrong_plan_fails_when_the_dag_file_is_read_naming_the_option(option: str, build: Callable[[], Any]) -> None:
    with DAG("wrong", schedule=None), pytest.raises(PlanError, match=f"^{option}=") as refusal:
        build()
    assert refusal.value.option == option


@pytest.mark.parametrize(
    "build",
    [
        lambda: blue_green_rollout(shadow={"bake": 600}, require_proof=True, **GREEN),
        lambda: group(steps=[50, 100], require_proof=True),
        lambda: group(steps="{{ params.steps }}", max_steps=2, require_proof=True),
        deploying,
        lambda: deploying(strategy={"name": "canary"}),
        lambda: SnapshotOperator(task_id="s", strategy={"name": "blue_green"}, require_proof=True, **GREEN),
        lambda: ShadowGreenOperator(task_id="s", strategy={"name": "blue_green"}, require_proof=True, **GREEN),
    ],
)
def test_proof_of_health_may_be_wanted_where_blue_serves_beside_green_or_nobody_knows(build: Callable[[], Any]) -> None:
    with DAG("proven", schedule=None):
        build()


def test_templates_are_left_for_the_first_task_to_check() -> None:
    with DAG("templated", schedule=None, params={"steps": Param("10, 100")}) as dag:
        group(endpoint_name="{{ params.endpoint }}", steps="{{ params.steps }}", bake="{{ params.bake }}", max_steps=3)
    assert {name for name in dag.task_ids if "shift" in name} == {f"canary.shift_{step}" for step in (1, 2, 3)}


def test_the_tasks_of_a_group_tell_the_story_by_their_names() -> None:
    with DAG("story", schedule=None) as dag:
        group(steps="2.5, 50, 100", group_id="fraud_rollout")
    told = [name.removeprefix("fraud_rollout.") for name in (task.task_id for task in dag.topological_sort())]
    steps = ["shift_2_5", "bake_2_5", "shift_50", "bake_50", "shift_100", "bake_100"]
    assert told == ["snapshot", "deploy_green", *steps, "promote", "settle", "verdict"]


def test_two_groups_in_one_dag_are_two_rollouts() -> None:
    with DAG("two", schedule=None) as dag:
        first = group(group_id="one")
        second = group(group_id="other", endpoint_name="other")
        first >> second
    assert "other.snapshot" in dag.get_task("one.promote").downstream_task_ids
    assert dag.get_task("one.verdict").downstream_task_ids == set()


def test_a_dagrun_timeout_which_skips_every_rollback_gets_a_warning() -> None:
    with (
        DAG("timed", schedule=None, dagrun_timeout=timedelta(hours=1)),
        pytest.warns(UserWarning, match="dagrun_timeout"),
    ):
        group()


def test_default_arguments_make_no_bake_again() -> None:
    with DAG("retried", schedule=None, default_args={"retries": 3}) as dag:
        group(steps=[10, 100], retries=5)
        AlarmSensor(task_id="watch", alarms=["a"], duration=60)
    assert {task.task_id: task.retries for task in dag.tasks if isinstance(task, AlarmSensor)} == {
        "canary.bake_10": 0,
        "canary.bake_100": 0,
        "watch": 0,
    }
    assert dag.get_task("canary.shift_10").retries == 5


def test_a_dag_file_that_uses_every_operator_imports_no_boto3() -> None:
    program = (
        "import json, sys\n"
        "import airflow.sdk\n"
        "before = set(sys.modules)\n"
        "import airflow_sm_rollout\n"
        "from airflow.sdk import DAG\n"
        "named = {name: getattr(airflow_sm_rollout, name) for name in airflow_sm_rollout.__all__}\n"
        "with DAG('cheap', schedule=None):\n"
        "    named['canary_rollout'](endpoint_name='fraud', model_name='fraud-v2')\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    imported = set(json.loads(told.strip().splitlines()[-1]))
    assert "airflow_sm_rollout" in imported
    assert imported & {"boto3", "botocore", "moto", "sklearn", "pandas"} == set()


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_every_sample_dag_parses_alone_and_can_be_stored(path: Path, tmp_path: Path) -> None:
    bag = read_dags(shutil.copy(path, tmp_path), "dags-folder")
    assert bag.import_errors == {}
    assert bag.dags
    for dag in bag.dags.values():
        assert as_stored(dag).task_ids == dag.task_ids
