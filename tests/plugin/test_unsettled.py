"""A rollout that its run could not settle, and somebody else has since."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout.cli import main
from airflow_sm_rollout.plugin import live
from airflow_sm_rollout.plugin.live import LiveReads, read_backdrop, read_live
from airflow_sm_rollout.sandbox.faults import Fault
from operators.conftest import before, dag, run  # noqa: F401 - fixtures
from operators.dag_runs import Ended
from operators.test_group_run import build
from plugin.test_pages import path_of
from production import BAD, Production, alarm_of, meanwhile, wait_until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


@pytest.fixture(autouse=True)
def fresh_looks(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_sm_rollout.plugin import app

    monkeypatch.setattr(live, "_clients", {})
    monkeypatch.setattr(live, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(app, "_live", LiveReads(read_live))
    monkeypatch.setattr(app, "_backdrop", LiveReads(read_backdrop))


def test_the_tab_and_the_list_say_what_became_of_it(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    before: dict[str, Any],  # noqa: F811
    pages: Callable[[str], str],
) -> None:
    build(dag, artifact=BAD, bake=60, tolerances=None)
    dag.get_task("canary.settle").timeout = timedelta(seconds=5)  # what it may take in all, instead of hours
    production.sandbox.faults.add(Fault("denied", "DeleteEndpointConfig", times=100))
    ring = meanwhile(
        lambda: production.shares("fraud").green > 0, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "37 > 5")
    )
    with ring:
        ended = run(dag)
    assert ended.states["canary.settle"] == "failed"
    path = path_of(dag)

    def told() -> dict[str, Any]:
        [report] = json.loads(pages(f"{path}/report.json"))
        return dict(report)

    report = wait_until(
        lambda: (found := told())["sentence"].startswith("NOT SETTLED: endpoint fraud is InSer") and found
    )
    assert "Run sm-rollout rollback fraud." in report["sentence"]
    assert "NOT SETTLED" in pages("/?endpoint=fraud")

    production.sandbox.faults.clear()
    assert main(["rollback", "fraud"]) == 0
    assert production.describe("fraud") == before
    report = wait_until(lambda: (found := told())["outcome"] == "rolled_back" and found)
    assert report["sentence"].startswith("As before: fraud-v1 serves all requests of fraud, as AWS shows it")
    assert "37 > 5" in report["sentence"]
    assert dict(report["facts"])["What serves now"] == "blue, fraud-v1 on config fraud-config, as before"
    listed = wait_until(lambda: path in (page := pages("/?outcome=rolled_back&endpoint=fraud")) and page)
    assert "As before: fraud-v1" in listed
    assert path not in pages("/?outcome=not_settled&endpoint=fraud")
