"""Each operator takes the options that it heeds, and no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator

import airflow_sm_rollout
from airflow_sm_rollout import (
    AlarmSensor,
    ApproveOperator,
    AskOperator,
    BakeSensor,
    DeployGreenOperator,
    FindOrphansOperator,
    PlanError,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    ShadowGreenOperator,
    ShiftWeightOperator,
    SnapshotOperator,
    UndoOperator,
    ValidateGreenOperator,
    VerdictOperator,
    WatchPromotedOperator,
)
from airflow_sm_rollout.operators.handle import read_frozen, read_handle
from airflow_sm_rollout.operators.options import DEFERRABLE, options_of
from airflow_sm_rollout.operators.planning import PlanningOperator

HANDLE = {"endpoint_name": "wine", "rollout_id": "0badcafe"}
GREEN = {"endpoint_name": "wine", "model_name": "wine-v2"}
NEEDED: dict[Any, dict[str, Any]] = {
    AlarmSensor: {"alarms": ["a"], "duration": 60},
    ApproveOperator: {"endpoint_name": "wine", "step": 0},
    AskOperator: {"endpoint_name": "wine", "bake_task_id": "bake"},
    BakeSensor: {"endpoint_name": "wine", "duration": 60},
    DeployGreenOperator: GREEN,
    FindOrphansOperator: {},
    PromoteOperator: {"endpoint_name": "wine"},
    RollbackOperator: {"endpoint_name": "wine"},
    SettleOperator: {"endpoint_name": "wine", "snapshot_task_id": "snapshot"},
    ShadowGreenOperator: GREEN,
    ShiftWeightOperator: {"endpoint_name": "wine", "share": 10},
    SnapshotOperator: GREEN,
    UndoOperator: {"endpoint_name": "wine"},
    ValidateGreenOperator: {"endpoint_name": "wine", "samples": "1,2"},
    VerdictOperator: {"snapshot_task_id": "snapshot", "settle_task_id": "settle", "watched_task_ids": ["watch"]},
    WatchPromotedOperator: {"endpoint_name": "wine", "duration": "24h"},
}
DRIVING = {
    DeployGreenOperator,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    ShadowGreenOperator,
    ShiftWeightOperator,
    UndoOperator,
    WatchPromotedOperator,
}
LOOKING = {AlarmSensor, ApproveOperator, AskOperator, BakeSensor, *DRIVING}
AIRFLOWS = options_of(FindOrphansOperator) - {"endpoints", "unknown_after", "max_age"}
EVERY_OPTION = frozenset().union(*(options_of(operator) for operator in NEEDED)) | {
    "mode",
    "soft_fail",
    "never_fail",
    "silent_fail",
    "exponential_backoff",
    "max_wait",
    "tolerance",
    "wait_for_completion",
}
NOT_TAKEN = [(operator, option) for operator in NEEDED for option in sorted(EVERY_OPTION - options_of(operator))]


def make(operator: Any, **options: Any) -> Any:
    with DAG("made", schedule=None):
        return operator(task_id="task", **{**NEEDED[operator], **options})


def test_every_public_operator_is_tried_here() -> None:
    public = {getattr(airflow_sm_rollout, name) for name in airflow_sm_rollout.__all__}
    operators = {each for each in public if isinstance(each, type) and issubclass(each, BaseOperator)}
    assert operators == NEEDED.keys()


@pytest.mark.parametrize(
    ("operator", "option"), NOT_TAKEN, ids=[f"{operator.__name__}-{option}" for operator, option in NOT_TAKEN]
)
def test_an_option_that_an_operator_does_not_take_is_refused_when_the_dag_file_is_read(
    operator: Any, option: str
) -> None:
    with pytest.raises(PlanError, match=f"^{option}=") as refusal:
        make(operator, **{option: 7})
    assert refusal.value.option == option


def test_what_tells_a_wait_is_taken_by_those_that_wait() -> None:
    takes = {option: {each for each in NEEDED if option in options_of(each)} for option in ("timeout", "poke_interval")}
    assert takes == {"timeout": DRIVING, "poke_interval": LOOKING}
    assert {each for each in NEEDED if "deferrable" in options_of(each)} == LOOKING - {ApproveOperator, AskOperator}


def test_no_watch_takes_what_a_sensor_of_airflows_takes_beside_what_every_task_does() -> None:
    sensors = {name for name in BaseSensorOperator.__init__.__wrapped__.__kwdefaults__ if name != "poke_interval"}
    assert sensors >= {"mode", "soft_fail", "timeout"}
    assert options_of(AlarmSensor) & sensors == set()
    with pytest.raises(PlanError, match="must not end as skipped"):
        make(AlarmSensor, soft_fail=True)


@pytest.mark.parametrize("operator", [AlarmSensor, BakeSensor, ApproveOperator, AskOperator])
def test_what_is_never_retried_says_so_and_may_be_told_so(operator: Any) -> None:
    with pytest.raises(PlanError, match=r"^retries=3 is not possible: a retry would"):
        make(operator, retries=3)
    assert make(operator, retries=0).retries == 0


def test_a_misspelt_option_is_recognized() -> None:
    with pytest.raises(
        PlanError,
        match=r"^tolerance={} is not possible: DeployGreenOperator has no such option; did you mean tolerances\?$",
    ):
        make(DeployGreenOperator, tolerance={})


PLANS = sorted(options_of(PlanningOperator) - AIRFLOWS - {"rollout", "endpoint_name"})


@pytest.mark.parametrize("option", PLANS)
@pytest.mark.parametrize("operator", [DeployGreenOperator, ShadowGreenOperator])
def test_an_option_of_the_plan_beside_a_handle_is_refused(operator: Any, option: str) -> None:
    with DAG("beside", schedule=None), pytest.raises(PlanError, match=f"^{option}=") as refusal:
        operator(task_id="deploy", rollout=HANDLE, **{option: None})
    assert "SnapshotOperator" in refusal.value.allowed


def test_default_arguments_of_a_dag_are_for_the_tasks_that_take_them() -> None:
    with DAG(
        "defaults", schedule=None, default_args={"timeout": 60, "alarms": ["a"], "poke_interval": 9, "mode": "poke"}
    ):
        snapshot = SnapshotOperator(task_id="snapshot", **GREEN)
        deploy = DeployGreenOperator(task_id="deploy", rollout=HANDLE)
        watch = AlarmSensor(task_id="watch", rollout=HANDLE, duration=60)
    assert (snapshot.alarms, deploy.timeout.total_seconds(), deploy.poke_interval) == (["a"], 60, 9)
    assert not hasattr(snapshot, "poke_interval")
    assert (watch.alarms, watch.poke_interval) == (["a"], 9)


@pytest.mark.parametrize(("said", "defers"), [(None, True), ("false", False), ("True", True)])
def test_a_task_waits_in_the_triggerer_unless_airflows_environment_says_otherwise(
    said: str | None, defers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said is not None:
        monkeypatch.setenv(DEFERRABLE, said)
    assert [make(each).deferrable for each in (ShiftWeightOperator, AlarmSensor)] == [defers] * 2
    assert make(ShiftWeightOperator, deferrable=not defers).deferrable is not defers


@pytest.mark.parametrize(
    ("text", "meant"),
    [("False", False), ("true", True), ("None", None), ("", None), ("/etc/ca.pem", "/etc/ca.pem"), (False, False)],
)
def test_tls_verification_may_come_from_a_template(text: Any, meant: Any) -> None:
    task = make(PromoteOperator, verify=text)
    assert "verify" in task.template_fields
    assert task.connection.verify is meant or task.connection.verify == meant


@pytest.mark.parametrize(
    "given",
    [
        "{'endpoint_name': 'wine'}",
        {},
        {"endpoint_name": "wine"},
        {**HANDLE, "rollout_id": None},
        [HANDLE],
        7,
        HANDLE.items(),
    ],
)
def test_what_is_no_handle_is_refused(given: object) -> None:
    with pytest.raises(PlanError, match=r"^rollout="):
        read_handle(given)


def test_a_handle_of_an_earlier_version_says_which_rollout_is_meant_but_not_its_plan() -> None:
    earlier: Mapping[str, Any] = json.loads(json.dumps({"version": 1, **HANDLE}))
    assert read_handle(earlier) == earlier
    with pytest.raises(PlanError, match="has no plan"):
        read_frozen(earlier)
