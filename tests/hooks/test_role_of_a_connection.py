"""A connection with a role, whose sessions last a quarter of an hour, drives a rollout of a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.credentials
import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.hooks.aws import AwsConnection, SharedClients
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.server import serve
from convergence import lab as labs
from convergence.lab import USER_ALARM, Lab
from hooks.stored import Airflow

ROLE = "arn:aws:iam::123456789012:role/airflow"
LIFETIME = 900
LOOK_EACH = 600
BAKES = (10, 50)
BAKE_HOURS = 12


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(clock=ManualClock())
    yield sandbox
    sandbox.close()


@pytest.fixture
def clients(sandbox: Sandbox, airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """As a task has them over the stored connection; boto3 takes the sandbox's time for the machine's."""

    class Held(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime.fromtimestamp(sandbox.clock.now(), tz)

    monkeypatch.setattr(botocore.credentials, "datetime", SimpleNamespace(**{**vars(dt), "datetime": Held}))
    with serve(sandbox) as server:
        airflow.extra.update(
            endpoint_url=server.url,
            service_config={"sts": {"endpoint_url": server.url}},  # the provider heeds no other for this
            role_arn=ROLE,
            assume_role_kwargs={"DurationSeconds": LIFETIME},
        )
        yield SharedClients(sandbox.clock.now).get(AwsConnection("stored", "us-east-1"))


@pytest.fixture
def lab(sandbox: Sandbox, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(labs, "clients_of", lambda *_: clients)
    monkeypatch.setattr(Lab, "strategy", canary([*BAKES, 100], bake=dt.timedelta(hours=BAKE_HOURS)))
    lab = Lab(sandbox)
    sandbox.calls.clear()
    return lab


def bake(lab: Lab) -> None:
    for _ in range(0, BAKE_HOURS * 3600, LOOK_EACH):
        lab.pass_time(LOOK_EACH)
        [alarm] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[USER_ALARM])["MetricAlarms"]
        assert alarm["StateValue"] == "OK"


def roles_assumed(sandbox: Sandbox) -> int:
    assert [call for call in sandbox.calls if "Expired" in (call.error_code or "")] == []
    return sum(call.operation == "AssumeRole" for call in sandbox.calls)


def test_it_is_promoted_and_its_role_assumed_anew_before_each_session_ends(lab: Lab) -> None:
    begun = lab.now()
    deploy, *shifts, promote = (lab.tasks()[number] for number in (0, 1, 3, 5, 7))
    deploy()
    for shift in shifts:
        shift()
        bake(lab)
    promote()
    assert lab.is_promoted(lab.describe())
    lasted = (lab.now() - begun).total_seconds()
    assert lasted > 24 * 3600
    assert lasted / LIFETIME <= roles_assumed(lab.sandbox) < 3 * lasted / LIFETIME


def test_it_is_taken_back_after_hours_in_which_nothing_was_asked(lab: Lab) -> None:
    lab.run(until=2)
    lab.pass_time(6 * 3600)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert roles_assumed(lab.sandbox) >= 1
