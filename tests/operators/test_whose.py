"""Whose a rollout is, in DAG runs: a neighbour in the same DAG, a cleared run about another model, a run that is gone, another Airflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import product
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task_group

from airflow_sm_rollout import DeployGreenOperator, RollbackOperator, ShiftWeightOperator, canary_rollout
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.orphans import Run
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.operators.find_orphans import _LIVE_STATES, _OVER, _ask_airflow
from convergence.lab import Lab
from core.test_owner import OWNER
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production

GREEN: dict[str, Any] = {"image": IMAGE, "model_data_url": GOOD, "default_alarms": None}
FAST: dict[str, Any] = {"poke_interval": 0.2}


def group(name: str) -> TaskGroup:
    made: TaskGroup = canary_rollout(
        group_id=name,
        endpoint_name="fraud",
        steps=[25, 100],
        bake=0,
        tolerances=None,
        deferrable=False,
        **GREEN,
        **FAST,
    )
    return made


def test_a_neighbours_settle_leaves_a_rollout_of_the_same_endpoint_alone(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    """The first one takes the endpoint once the other one has made its plan."""
    with dag:
        with TaskGroup("first"):
            deploy = DeployGreenOperator(task_id="deploy", endpoint_name="fraud", **GREEN, **FAST)
            shift = ShiftWeightOperator(task_id="shift", rollout=deploy.output, share=25, **FAST)
            deploy >> shift
        group("second")
        dag.get_task("second.snapshot") >> deploy
        shift >> dag.get_task("second.deploy_green")
    ended = run(dag)
    assert ended.state == "failed"
    assert "is held by rollout" in ended.reason("second.deploy_green")
    assert "group first" in ended.reason("second.deploy_green")
    assert "left alone" in ended.xcoms["second.settle", "return_value"]["state"]
    assert production.shares("fraud").green == 25


def test_a_rollback_outside_of_all_groups_is_about_its_runs_rollout_of_the_endpoint(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        with TaskGroup("first"):
            deploy = DeployGreenOperator(task_id="deploy", endpoint_name="fraud", **GREEN, **FAST)
            shift = ShiftWeightOperator(task_id="shift", rollout=deploy.output, share=25, **FAST)
        deploy >> shift >> RollbackOperator(task_id="back", endpoint_name="fraud", **FAST)
    assert run(dag).state == "success"
    assert production.describe("fraud") == before


def test_of_mapped_groups_on_one_endpoint_one_rolls_out_and_the_others_are_refused(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    with dag:

        @task_group
        def each(model: str) -> None:
            deploy = DeployGreenOperator(
                task_id="deploy", endpoint_name="fraud", image=model, model_data_url=GOOD, default_alarms=None, **FAST
            )
            back = RollbackOperator(
                task_id="back", rollout=deploy.output, endpoint_name="fraud", trigger_rule="all_failed", **FAST
            )
            deploy >> back

        each.expand(model=[IMAGE, IMAGE])
    run(dag)
    record = read_record(production.ssm, "fraud")
    assert record is not None
    assert (record.owner["group_id"], record.owner["map_index"]) in (("each", "0"), ("each", "1"))
    assert set(production.shares("fraud").of) == {"AllTraffic", record.names.variant}


def changed(value: Any) -> Any:
    return {bool: not value, str: f"{value}-2"}.get(type(value), "other")


GREENS: list[dict[str, Any]] = [
    {each.name: changed(getattr(Green(image="green:2", model_data_url="s3://models/green.tar.gz"), each.name))}
    for each in fields(Green)
    if each.name not in ("model_name", "model_package_arn", "environment")
] + [{"environment": {"A": "b"}}]


@pytest.mark.parametrize("other", GREENS, ids=str)
def test_a_cleared_run_about_another_model_does_not_go_on_with_the_first_one(other: dict[str, Any]) -> None:
    lab = Lab()
    lab.run(until=3)
    record = read_record(lab.clients.ssm, "fraud")
    assert record is not None
    state = lab.describe()
    green = replace(record.green, **other)
    with pytest.raises(RolloutRefused) as caught:
        plan_rollout(lab.clients, lab.names, record.owner, green, record.plan, lab.now())
    assert f"with {next(iter(other))}=" in str(caught.value)
    assert "To end it: sm-rollout rollback fraud" in str(caught.value)
    assert plan_rollout(lab.clients, lab.names, record.owner, record.green, record.plan, lab.now()) == record
    assert lab.describe() == state


@pytest.mark.parametrize("option", ["strategy", "alarms", "delete_blue", "drain", "evidence"])
def test_a_cleared_run_with_another_plan_does_not_go_on_with_the_first_one(option: str) -> None:
    lab = Lab()
    lab.run(until=2)
    record = read_record(lab.clients.ssm, "fraud")
    assert record is not None
    plain = Plan(
        delete_blue=True, drain=record.plan.drain * 2, evidence=replace(record.plan.evidence, metric_seconds=30)
    )
    with pytest.raises(RolloutRefused, match=rf"with {option}="):
        plan_rollout(
            lab.clients,
            lab.names,
            record.owner,
            record.green,
            replace(record.plan, **{option: getattr(plain, option)}),
            lab.now(),
        )


def test_a_run_of_the_name_of_one_that_is_gone_does_not_go_on_with_its_rollout() -> None:
    lab = Lab()
    lab.run(until=2)
    record = read_record(lab.clients.ssm, "fraud")
    assert record is not None
    owned = replace(record, owner={**record.owner, **OWNER})
    lab.clients.ssm.put_parameter(
        Name=lab.names.record, Value=_text(owned), Overwrite=True, Type="String", Tier="Intelligent-Tiering"
    )

    def plan(**asks: str) -> Any:
        return plan_rollout(lab.clients, lab.names, {**owned.owner, **asks}, record.green, record.plan, lab.now())

    assert plan() == plan(task_instance="9", try_number="3") == owned
    with pytest.raises(RolloutRefused, match="a DAG run of the same name that was deleted"):
        plan(task_instance="9")


class Airflow:
    """What a task instance can ask Airflow."""

    def __init__(self, state: str | None, settle: dict[str, Any]) -> None:
        self.state, self.settle = state, settle

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        assert (dag_id, run_ids) == ("train", ["monday"])
        return int(self.state is not None and (states is None or self.state in states))

    def get_task_states(self, dag_id: str, run_ids: list[str], task_ids: list[str], map_index: int) -> dict[str, Any]:
        assert (task_ids, map_index) == (["a.settle"], -1)
        return {"monday": self.settle}


@pytest.mark.parametrize("elsewhere", [True, False])
def test_the_janitor_asks_what_it_can_know_and_is_patient_with_the_rest(
    elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.state import DagRunState, TaskInstanceState

    here = "https://staging.shop.example" if elsewhere else f"https://{OWNER['environment']}"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", here)
    lab = Lab()
    rollout = replace(lab.plan(), owner=OWNER)
    settles: list[Any] = [{}, {"a.settle": None}, *({"a.settle": each.value} for each in TaskInstanceState)]
    walked = 0
    for state, settle in product([None, *(each.value for each in DagRunState)], settles):
        found = _ask_airflow({"ti": Airflow(state, settle)}, rollout)  # type: ignore[typeddict-item]
        is_over = next(iter(settle.values()), None) in _OVER
        live = Run.LEFT if is_over else Run.ALIVE
        expected = Run.UNKNOWN if state is None else live if state in _LIVE_STATES else Run.OVER
        assert found is (Run.UNKNOWN if elsewhere else expected), (state, settle)
        walked += 1
    assert walked >= 60


def test_what_ends_a_task_is_what_airflow_says() -> None:
    from airflow.utils.state import State

    assert set(_OVER) == {str(getattr(state, "value", state)) for state in State.finished}


def _text(record: Any) -> str:
    from airflow_sm_rollout.core.record import to_json

    return to_json(record)
