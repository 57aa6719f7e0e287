"""A question that nobody answers, in a whole rollout by ``dag.test()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from operators.conftest import dag, run  # noqa: F401 - fixtures
from operators.dag_runs import Ended
from operators.test_group_run import build
from production import Production, alarm_of


@pytest.mark.parametrize(
    ("gate", "state", "told"),
    [
        ({"timeout": 1}, "failed", "nobody answered until "),
        ({"timeout": 1, "on_timeout": "approve"}, "success", "which counts as approved"),
    ],
    ids=["it rolls back", "or is an approval, if the DAG says so"],
)
def test_silence_means_what_the_gate_says(
    gate: dict[str, Any],
    state: str,
    told: str,
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
) -> None:
    build(dag, tolerances=None, approval=gate)
    ended = run(dag)
    assert ended.state == state
    answer = ended.xcoms["canary.approve_100", "return_value"] if state == "success" else None
    assert told in (answer["state"] if answer else ended.reason("canary.verdict"))


def test_what_does_harm_is_not_asked_about(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
) -> None:
    build(dag, tolerances=None, bake=0, approval={"timeout": 1})
    production.set_alarm(alarm_of("fraud"), "ALARM", "37.0 > 5.0")
    ended = run(dag)
    assert ended.state == "failed"
    assert ("canary.approve_100", "approval") not in ended.xcoms
