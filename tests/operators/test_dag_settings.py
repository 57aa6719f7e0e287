"""Settings of the DAG that change how all its tasks run: a rollout ends as with none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG, task

from operators.dag_runs import Ended
from operators.test_group_run import BAD, build, states
from production import Production, alarm_of, highest, meanwhile

SETTINGS: dict[str, dict[str, Any]] = {
    "fail_fast": {"fail_fast": True},
    "no undefined names in templates, one task at a time": {
        "template_undefined": jinja2.StrictUndefined,
        "max_active_tasks": 1,
    },
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_bad_green_is_taken_back_and_the_verdict_tells_why(
    setting: str,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    dag = DAG(f"set_{list(SETTINGS).index(setting)}", schedule=None, **SETTINGS[setting])
    build(dag, artifact=BAD, bake=3)
    with (
        production.watched("fraud") as seen,
        meanwhile(has_traffic, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "5 > 1")),
    ):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert highest(seen["fraud"]) == 25
    assert ended.state == "failed"
    assert states(ended)["settle"] == "success"
    assert ended.reason("canary.verdict").startswith("Rolled back"), ended.reason("canary.verdict")
    assert f"alarm {alarm_of('fraud')} is in ALARM" in ended.reason("canary.verdict")


@task
def fail_beside() -> None:
    raise ValueError("something else")


def test_where_another_task_fails_fast_nothing_of_the_rollout_is_left(
    run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    dag = DAG("fails_beside", schedule=None, fail_fast=True)
    build(dag, bake=3)
    with dag:
        dag.get_task("canary.shift_25") >> fail_beside()
    ended = run(dag)
    assert ended.state == "failed"
    assert states(ended)["settle"] == "success"
    assert production.describe("fraud") == before
    assert ended.reason("canary.verdict").startswith("Rolled back"), ended.reason("canary.verdict")
