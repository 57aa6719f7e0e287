"""What says nothing about a task is waited out before it begins, too: as long as for its goal, where there is one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import botocore.exceptions
import pytest

from airflow_sm_rollout import RollbackOperator, ShiftWeightOperator
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp
from airflow_sm_rollout.operators.base import AwsTask
from airflow_sm_rollout.operators.patience import patiently
from airflow_sm_rollout.operators.settle import SettleOperator
from airflow_sm_rollout.operators.snapshot import SnapshotOperator


class Time:
    """A clock that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pauses = 1000.0, []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def passed(self) -> timedelta:
        return timedelta(seconds=sum(self.pauses))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def test_a_hiccup_is_waited_out_with_growing_pauses(clock: Time) -> None:
    told: list[str] = []

    def read() -> str:
        if clock.passed < timedelta(minutes=4):
            raise Passing("could not look just now: NoCredentialsError")
        return "read"

    assert patiently(read, timedelta(minutes=5), told.append) == "read"
    assert clock.pauses == [5, 10, 20, 40, 60, 60, 60]
    assert told == ["Waiting: could not look just now: NoCredentialsError"] * len(clock.pauses)


@pytest.mark.parametrize("patience", [timedelta(minutes=5), timedelta(hours=2)])
def test_what_does_not_pass_ends_in_a_sentence(patience: timedelta, clock: Time) -> None:
    def read() -> None:
        raise Passing("could not look just now: NoCredentialsError")

    with pytest.raises(DeadlinePassed, match=f"NoCredentialsError; it has not passed for {patience}"):
        patiently(read, patience, str)
    assert patience - timedelta(minutes=1) <= clock.passed <= patience


BEGUN: list[AwsTask] = [
    ShiftWeightOperator(task_id="shift", endpoint_name="wine", share=10, timeout=3600),
    RollbackOperator(task_id="back", endpoint_name="wine", timeout=3600),
    SettleOperator(task_id="settle", endpoint_name="wine", snapshot_task_id="snapshot", timeout=3600),
]


@pytest.mark.parametrize("task", BEGUN, ids=lambda task: task.task_id)
def test_a_task_that_drives_is_as_patient_as_for_its_goal(task: AwsTask) -> None:
    assert task.patience == timedelta(hours=1)


def test_a_plan_that_can_not_be_made_is_not_waited_for_half_a_day() -> None:
    assert SnapshotOperator(task_id="s", endpoint_name="wine", model_name="m").patience == timedelta(minutes=5)


class Connection:
    """One whose role can't be assumed for a while."""

    def __init__(self, clock: Time, error: Exception) -> None:
        self.clock, self.error = clock, error

    def clients(self) -> Any:
        if self.clock.passed < timedelta(minutes=3):
            raise self.error
        return "clients"


def task_of(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> AwsTask:
    monkeypatch.setattr(AwsTask, "connection", property(lambda self: connection))
    return BEGUN[0]


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.CredentialRetrievalError(provider="web identity", error_msg="timed out"),
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts.amazonaws.com"),
        botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_clients_that_can_not_be_made_just_now_are_waited_for(
    error: Exception, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert task_of(Connection(clock, error), monkeypatch).clients() == "clients"


def test_a_region_or_an_option_that_no_client_takes_ends_it_at_once(
    clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = botocore.exceptions.ParamValidationError(report="no such option")
    with pytest.raises(RolloutGaveUp, match="could not reach AWS: ParamValidationError"):
        task_of(Connection(clock, error), monkeypatch).clients()
    assert clock.pauses == []
