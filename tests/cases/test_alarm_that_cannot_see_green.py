"""The user's one alarm looks at blue's variant, as AWS's own sample does, and a green that fails every call is never promoted.

Green is a variant of another name, so the alarm hears nothing of it. Where it is all that watches, the rollout is refused; beside the
product's own watch it is warned of, and the watch takes green back. A good green before says nothing about the next one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names, derive_rollout_id
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.core.watch.sources import judged_alarms
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, Reply
from airflow_sm_rollout.sandbox.errors import AwsError
from convergence.lab import ENDPOINT, AheadLab
from convergence.meddling import green_share

ALARM = "fraud-5xx"
BAD = "s3://models/bad.tar.gz"
WATCHES: dict[str, dict[str, Any]] = {
    "the user's alarm alone": {"default_alarms": None, "evidence": Evidence(tolerances=None)},
    "the product's own beside it": {},
}


class World(AheadLab):
    """Models answer; the bad one with an error."""

    failed = 0

    def __init__(self) -> None:
        host = FunctionHost(lambda model, body: Reply(500 if model.model_data_url == BAD else 200, b"{}", seconds=0.01))
        super().__init__(sandbox=Sandbox(clock=ManualClock(), host=host))
        self.clients.cloudwatch.put_metric_alarm(
            AlarmName=ALARM,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            Dimensions=[{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "VariantName", "Value": "AllTraffic"}],
        )
        self.pass_time(200)

    def send(self) -> None:
        for _ in range(10):
            try:
                self.sandbox.invoke(ENDPOINT)
            except AwsError:
                self.failed += 1


def roll_out(world: World, model: str, watches: dict[str, Any], warned: list[str]) -> None:
    """A rollout as its group's tasks go.

    :raises RolloutError: if it is refused, or taken back.
    """
    run = f"run {world.now()}"
    world.names = Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", run))
    planned = plan_rollout(
        world.clients,
        world.names,
        {"dag_id": "dag", "run_id": run},
        Green(image="green:2", model_data_url=model),
        Plan(world.strategy, alarms=(ALARM,), **watches),
        world.now(),
        tell=warned.append,
    )
    try:
        world.reach(GreenDeployed(planned))
        for step in world.strategy.steps:
            world.reach(GreenShare(step.share))
            bake(world, step.share)
        world.reach(OnlyGreen())
    except RolloutError:
        world.reach(AsBefore(planned))
        raise


def bake(world: World, share: float) -> None:
    record: Rollout | None = read_record(world.clients.ssm, ENDPOINT)
    assert record is not None
    now, memory = world.now(), Memory()
    watch = Watch(
        now,
        now + timedelta(minutes=10),
        record.green_traffic_since,
        0,
        when_inconclusive="go_on",
        alarms=judged_alarms(record),
        rollout=record,
        judges_evidence=True,
        share=share,
        observes=True,
    )
    while (judged := look(world.clients, watch, world.now(), memory).judgement).verdict is Verdict.WATCHING:
        world.send()
        world.pass_time(30)
    if not judged.passes:
        raise RolloutGaveUp(judged.reason)


@pytest.mark.parametrize("watches", WATCHES)
@pytest.mark.parametrize("good_before", [0, 1])
def test_a_green_that_fails_every_call_is_not_promoted(watches: str, good_before: int) -> None:
    world, warned = World(), list[str]()
    for number in range(good_before):
        roll_out(world, f"s3://models/good{number}.tar.gz", {}, warned)
        assert green_share(world) == 100
    world.before, world.failed = world.describe(), 0
    warned.clear()
    with pytest.raises(RolloutError) as ended:
        roll_out(world, BAD, WATCHES[watches], warned)
    assert world.describe() == world.before
    if "alone" in watches:
        assert ALARM in str(ended.value)
        assert world.failed == 0
    else:
        assert ALARM in " ".join(warned)
        assert world.failed > 0
