"""Clients call all the time, over HTTP, while a rollout switches them to green, back, and for good."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import boto3
import pytest
from botocore.config import Config

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.world import AwsWorld, utc_now
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.goals import AsBefore, Done, Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.live import live_endpoint
from production import GOOD, IMAGE, Production, wait_until

CLIENTS = 4
DRAIN = timedelta(seconds=1)


class Users:
    """Clients that resolve ``fraud`` and call what they get, each in a thread of its own and without a second try."""

    def __init__(self, production: Production, max_age: float = 0.2) -> None:
        once = Config(retries={"total_max_attempts": 1})
        self.runtime = boto3.client("sagemaker-runtime", endpoint_url=production.server.url, config=once)
        self.ssm, self.max_age = production.ssm, max_age
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self.ended = threading.Event()

    def call(self) -> None:
        while not self.ended.wait(0.005):
            endpoint = live_endpoint("fraud", client=self.ssm, max_age=self.max_age)
            try:
                self.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{}")
                self.answered[endpoint] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, a user met it
                self.failed.append(f"{endpoint}: {error}")

    @contextmanager
    def calling(self) -> Iterator[Users]:
        threads = [threading.Thread(target=self.call) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def wait_for(self, endpoint: str) -> None:
        """Wait until some calls more have been answered by that endpoint."""
        enough = self.answered[endpoint] + 20
        wait_until(lambda: self.answered[endpoint] >= enough)


def plan_for(clients: Clients, run: str, *, delete_blue: bool = False, drain: timedelta = DRAIN) -> Rollout:
    plan = Plan(default_alarms=None, traffic="endpoints", delete_blue=delete_blue, drain=drain)
    return plan_rollout(
        clients, Names("fraud", run), {"run_id": run}, Green(image=IMAGE, model_data_url=GOOD), plan, utc_now()
    )


def reach(clients: Clients, rollout: Rollout, goal: Goal) -> None:
    world = AwsWorld(clients, "fraud", rollout.rollout_id)
    deadline = utc_now() + timedelta(seconds=60)
    while not isinstance(advance(goal, rollout.rollout_id, world, deadline, lambda line: None), Done):
        time.sleep(0.05)


@pytest.fixture
def clients(production: Production) -> Clients:
    return Clients(production.sagemaker, production.cloudwatch, production.ssm, production.autoscaling)


def test_no_request_is_dropped_when_clients_are_switched_back_and_for_good(
    production: Production, clients: Clients
) -> None:
    with Users(production).calling() as users:
        users.wait_for("fraud")
        first = plan_for(clients, "aaaaaaaa")
        for goal, answers in (
            (GreenDeployed(first), "fraud"),
            (GreenShare(100), first.green_endpoint_name),
            (GreenShare(0), "fraud"),
            (GreenShare(100), first.green_endpoint_name),
            (AsBefore(), "fraud"),
        ):
            reach(clients, first, goal)
            users.wait_for(answers)
        second = plan_for(clients, "bbbbbbbb", delete_blue=True)
        for goal in (GreenDeployed(second), GreenShare(100), OnlyGreen()):
            reach(clients, second, goal)
        users.wait_for(second.green_endpoint_name)
    assert users.failed == []
    endpoints = [each["EndpointName"] for each in production.sagemaker.list_endpoints()["Endpoints"]]
    assert endpoints == [second.green_endpoint_name]


def test_clients_that_hold_a_name_for_longer_than_the_drain_meet_an_endpoint_that_is_gone(
    production: Production, clients: Clients
) -> None:
    """What the drain is for, and that a dropped request would be seen."""
    rollout = plan_for(clients, "aaaaaaaa", delete_blue=True, drain=timedelta())
    with Users(production, max_age=60).calling() as users:
        users.wait_for("fraud")
        for goal in (GreenDeployed(rollout), GreenShare(100), OnlyGreen()):
            reach(clients, rollout, goal)
        wait_until(lambda: users.failed)
    assert all(failure.startswith("fraud: ") for failure in users.failed)
