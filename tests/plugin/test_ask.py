"""A person who is asked where nobody can tell: as the DAG file is read, and in whole rollouts by ``dag.test()``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import (
    AskOperator,
    BakeSensor,
    DeployGreenOperator,
    PlanError,
    PromoteOperator,
    RollbackOperator,
    ShiftWeightOperator,
    canary_rollout,
)
from airflow_sm_rollout.core.approval import APPROVE, REJECT
from airflow_sm_rollout.triggers import approval
from operators.conftest import before, dag, run  # noqa: F401 - fixtures
from operators.dag_runs import Ended
from operators.test_group_run import GROUP, build
from production import Production, highest

KPI = {"label": "refused orders", "metrics": {"refused": {"namespace": "Shop", "name": "Refused"}}, "at_most": 5}
UNSURE: dict[str, Any] = {"limits": {"kpis": [KPI], "min_requests": 0}, "when_inconclusive": "ask"}


def canary(**options: Any) -> DAG:
    asked = {"when_inconclusive": "ask", "steps": [10, 100], **options}
    with DAG("asking", schedule=None, default_args={"retries": 3}) as dag:  # noqa: F811
        canary_rollout(**{"endpoint_name": "wine", "model_name": "wine-v2", **asked})
    return dag


def asking(dag: DAG) -> dict[str, AskOperator]:  # noqa: F811
    return {task.task_id.removeprefix("canary."): task for task in dag.tasks if isinstance(task, AskOperator)}


def told_of(dag: DAG) -> list[str]:  # noqa: F811
    return [task.task_id.removeprefix("canary.") for task in dag.topological_sort()]


def test_a_task_that_asks_is_all_that_follows_each_bake() -> None:
    dag = canary(shadow={"bake": 60})  # noqa: F811
    steps = ["shift_10", "bake_10", "ask_10", "shift_100", "bake_100", "ask_100"]
    ends = ["promote", "settle", "verdict"]
    assert told_of(dag) == ["snapshot", "shadow", "bake_shadow", "ask_shadow", "deploy_green", *steps, *ends]
    for name, ask in asking(dag).items():
        bake = name.replace("ask", "bake")
        assert dag.get_task(f"canary.{bake}").downstream_task_ids == {ask.task_id}
        assert (ask.bake_task_id, ask.evidence_task_ids[-1], ask.retries) == (f"canary.{bake}", f"canary.{bake}", 0)
    assert {name: ask.step for name, ask in asking(dag).items()} == {"ask_shadow": 0, "ask_10": 1, "ask_100": 2}


@pytest.mark.parametrize("when_inconclusive", ["fail", "extend", "go_on"])
def test_no_other_plan_has_such_tasks(when_inconclusive: str) -> None:
    assert asking(canary(when_inconclusive=when_inconclusive)) == {}


def test_the_same_people_are_asked_as_before_a_step_but_their_silence_never_approves() -> None:
    dag = canary(approval={"assigned_users": "alice", "timeout": 60, "on_timeout": "approve"})  # noqa: F811
    gates = {name: ask.gate for name, ask in asking(dag).items()}
    assert set(gates) == {"ask_10", "ask_100"}
    for gate in gates.values():
        assert (gate.assigned_users, gate.timeout.total_seconds(), gate.on_timeout) == (("alice",), 60, "roll_back")
    assert dag.get_task("canary.approve_100").upstream_task_ids == {"canary.snapshot", "canary.ask_10"}


def test_where_sagemaker_bakes_by_itself_asking_fails_the_dag_file() -> None:
    with pytest.raises(PlanError, match=r"^when_inconclusive='ask'.*guardrails"):
        canary(traffic="guardrails", steps=[50, 100])


def test_a_bake_leaves_nothing_to_a_person_whom_somebody_else_does_not_wait_for() -> None:
    with DAG("by_hand", schedule=None):
        watch = BakeSensor(task_id="bake", endpoint_name="fraud", duration=1)
        assert watch.asked_in() == ""
        ask = AskOperator(task_id="ask", endpoint_name="fraud", bake_task_id="bake")
        watch >> ask
        assert watch.asked_in() == "ask"
        watch >> ShiftWeightOperator(task_id="shift", endpoint_name="fraud", share=100)
        assert watch.asked_in() == ""
        other = BakeSensor(task_id="other", endpoint_name="fraud", duration=1)
        other >> ask
        assert other.asked_in() == ""


def test_a_teardown_behind_a_bake_waits_for_nobody_and_hides_nobody() -> None:
    with DAG("by_hand", schedule=None):
        watch = BakeSensor(task_id="bake", endpoint_name="fraud", duration=1)
        watch >> AskOperator(task_id="ask", endpoint_name="fraud", bake_task_id="bake")
        watch >> RollbackOperator(task_id="back", endpoint_name="fraud").as_teardown(setups=[])
        assert watch.asked_in() == "ask"


def test_where_nobody_can_tell_and_nobody_answers_everything_is_rolled_back(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    before: dict[str, Any],  # noqa: F811
) -> None:
    build(dag, approval={"timeout": 1}, **UNSURE)
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert highest(seen["fraud"]) == 25
    assert production.describe("fraud") == before
    assert ended.state == "failed"
    assert ended.states["canary.bake_25"] == "success"
    told = ended.xcoms["canary.bake_25", "return_value"]
    assert told["verdict"] == "inconclusive"
    assert "Task canary.ask_25 asks a person" in told["reason"]
    assert ended.states["canary.ask_25"] == "failed"
    assert ended.states["canary.approve_100"] == "upstream_failed"
    assert "in canary.ask_25: nobody answered until" in ended.reason("canary.verdict")


def test_after_a_healthy_bake_nobody_is_asked(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
) -> None:
    # Silence before a step is an approval here, behind a bake it would end the run.
    build(dag, tolerances=None, when_inconclusive="ask", approval={"timeout": 1, "on_timeout": "approve"})
    ended = run(dag)
    for step in (25, 100):
        assert ended.xcoms[f"canary.bake_{step}", "return_value"]["verdict"] == "healthy"
        assert ended.xcoms[f"canary.ask_{step}", "return_value"] == {
            "state": f"bake_{step} ended healthy, so nobody is asked"
        }
        assert (f"canary.ask_{step}", "approval") not in ended.xcoms
    assert ended.state == "success"


@pytest.mark.parametrize(("option", "state"), [(APPROVE, "success"), (REJECT, "failed")])
def test_a_person_decides_what_nobody_could_tell(
    option: str,
    state: str,
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    before: dict[str, Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = SimpleNamespace(
        response_received=True,
        chosen_options=[option],
        params_input={"note": "seen worse"},
        responded_at=datetime.now(timezone.utc),
        responded_by_user=SimpleNamespace(id="alice", name="alice"),
    )
    # dag.test() knows of no answers: this is what a triggerer is told.
    monkeypatch.setattr(approval, "get_hitl_detail_content_detail", lambda ti_id: answer)
    build(dag, **UNSURE)
    ended = run(dag)
    assert ended.state == state
    asked = ended.xcoms["canary.ask_25", "approval"]
    assert (asked["before"], asked["by"], asked["note"]) == (100, "alice", "seen worse")
    if state == "success":
        assert ended.xcoms["canary.ask_100", "return_value"]["state"].startswith("alice approved 100 % at ")
    else:
        assert production.describe("fraud") == before
        assert "in canary.ask_25: alice rejected 100 % at " in ended.reason("canary.verdict")
        assert {ended.states[f"canary.{name}"] for name in GROUP if "100" in name} == {"upstream_failed"}


def test_a_bake_behind_which_nobody_asks_fails_where_nobody_can_tell(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
) -> None:
    quick = {"poke_interval": 0.2}
    with dag:
        options = {"image": "registry/green:2", "model_data_url": "s3://models/green/model.tar.gz", **UNSURE}
        deploy = DeployGreenOperator(task_id="deploy", endpoint_name="fraud", default_alarms=None, **options, **quick)
        shift = ShiftWeightOperator(task_id="shift", rollout=deploy.output, share=10, **quick)
        watch = BakeSensor(task_id="watch", rollout=deploy.output, duration=0.3, **quick)
        deploy >> shift >> watch >> PromoteOperator(task_id="promote", rollout=deploy.output, **quick)
    ended = run(dag)
    assert ended.states["watch"] == "failed"
    assert ended.states["promote"] == "upstream_failed"
    assert "no AskOperator is all that follows this task" in ended.reason("watch")
