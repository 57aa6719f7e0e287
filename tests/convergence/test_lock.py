"""Two rollouts begin on one endpoint at the same moment, from two processes, by way of a served sandbox: one proceeds."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

import boto3
import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.world import AwsWorld, utc_now
from airflow_sm_rollout.core.actions import Action, CreateRecord
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.converge import WAYS
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.goals import GreenDeployed
from airflow_sm_rollout.core.names import Names, record_name
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.core.traffic import TRAFFIC
from production import GOOD, IMAGE, Production

TIMES = 100
PATIENCE_SECONDS = 60
STRATEGIES = {"guardrails": canary([25, 100], bake=timedelta(minutes=1))}
# The record is the lock, and it is written alike behind a function and with two endpoints, and for a component as for an endpoint.
LOCKING = [name for name in WAYS if not (TRAFFIC[name].has_function or TRAFFIC[name].has_component)]
PROCESSES = multiprocessing.get_context("spawn")


class Proceeds(Exception):
    """The rollout holds the endpoint and is about to change something."""


class Starter(AwsWorld):
    """A rollout that stops in front of what comes after the record."""

    def perform(self, action: Action) -> None:
        if not isinstance(action, CreateRecord):
            raise Proceeds
        super().perform(action)


def start(clients: Clients, traffic: str, rollout_id: str, together: Callable[[], object]) -> str:
    """Plan, wait for the other one to have planned, begin; what came of it."""
    names = Names("fraud", rollout_id)
    plan = Plan(STRATEGIES.get(traffic), traffic=traffic)
    green = Green(image=IMAGE, model_data_url=GOOD)
    rollout = plan_rollout(clients, names, {"run_id": f"run-{rollout_id}"}, green, plan, utc_now())
    together()
    world, deadline = Starter(clients, "fraud", rollout_id), utc_now() + timedelta(seconds=PATIENCE_SECONDS)
    try:
        while True:
            advance(GreenDeployed(rollout), rollout_id, world, deadline, lambda line: None)
            time.sleep(0.01)
    except Proceeds:
        return "proceeds"
    except RolloutRefused as refusal:
        return str(refusal)


def keep_starting(url: str, traffic: str, rollout_id: str, barrier: Any, outcomes: Any) -> None:
    """A starter's process."""
    session = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
    services = ("sagemaker", "cloudwatch", "ssm", "application-autoscaling")
    clients = Clients(*(session.client(name, endpoint_url=url) for name in services))
    for _ in range(TIMES):
        barrier.wait(PATIENCE_SECONDS)
        outcomes.put((rollout_id, start(clients, traffic, rollout_id, lambda: barrier.wait(PATIENCE_SECONDS))))
        barrier.wait(PATIENCE_SECONDS)


@pytest.fixture
def started(production: Production) -> Iterator[Callable[[str], tuple[Any, Any]]]:
    """Starts two starters; gives the barrier that they meet at, with the test as the third, and the queue of outcomes."""
    processes: list[BaseProcess] = []

    def begin(traffic: str) -> tuple[Any, Any]:
        barrier, outcomes = PROCESSES.Barrier(3), PROCESSES.Queue()
        for rollout_id in ("aaaaaaaa", "bbbbbbbb"):
            arguments = (production.server.url, traffic, rollout_id, barrier, outcomes)
            processes.append(PROCESSES.Process(target=keep_starting, args=arguments, daemon=True))
            processes[-1].start()
        return barrier, outcomes

    yield begin
    for process in processes:
        process.join(10)
        process.kill()


@pytest.mark.parametrize("traffic", LOCKING)
def test_of_two_rollouts_that_begin_at_once_exactly_one_proceeds_and_the_other_names_it(
    production: Production, started: Callable[[str], tuple[Any, Any]], traffic: str
) -> None:
    barrier, outcomes = started(traffic)
    winners = []
    for _ in range(TIMES):
        barrier.wait(PATIENCE_SECONDS)  # both begin to plan
        barrier.wait(PATIENCE_SECONDS)  # both have planned
        ended = dict(outcomes.get(timeout=PATIENCE_SECONDS) for _ in range(2))
        record = from_json(production.ssm.get_parameter(Name=record_name("fraud"))["Parameter"]["Value"])
        [loser] = {"aaaaaaaa", "bbbbbbbb"} - {record.rollout_id}
        assert ended[record.rollout_id] == "proceeds"
        assert f"held by rollout {record.rollout_id} (run_id run-{record.rollout_id})" in ended[loser]
        winners.append(record.rollout_id)
        production.ssm.delete_parameter(Name=record_name("fraud"))
        barrier.wait(PATIENCE_SECONDS)  # the next round
    assert len(winners) == TIMES
    creations = [call for call in production.writes() if call.operation == "PutParameter" and call.error_code is None]
    assert len(creations) == TIMES
