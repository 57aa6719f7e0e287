"""How a green is rolled out: by hand, by SageMaker's guardrails, by this project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from airflow_sm_rollout.aws.foresight import foresee
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Lookout, Memory, look
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import (
    Again,
    AsBefore,
    Decision,
    Done,
    Goal,
    GreenDeployed,
    GreenShare,
    Hold,
    OnlyGreen,
    Wait,
    seconds_expected,
)
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, canary
from airflow_sm_rollout.core.rhythm import next_look
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.core.watch.sources import judged_alarms, judged_since
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from benchmarks.side_by_side.world import (
    BACK,
    BETWEEN_TASKS,
    ENDPOINT,
    MEAN_MICROSECONDS,
    POLL,
    SHARES,
    VARIANT,
    World,
    variant,
)


def put_alarms(world: World, name: str, *, is_rate: bool) -> list[str]:
    """AWS's sample alarms of a variant, or the same on a rate of errors."""
    common = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "VariantName", "Value": name}],
        "Period": 60,
        "EvaluationPeriods": 2 if is_rate else 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    errors = {"Statistic": "Average", "Threshold": 0.01} if is_rate else {"Statistic": "Sum", "Threshold": 1.0}
    slow = {"Statistic": "Average", "Threshold": 1.5 * MEAN_MICROSECONDS}
    put = world.clients.cloudwatch.put_metric_alarm
    put(AlarmName="errors", MetricName="Invocation5XXErrors", **errors, **common)
    put(AlarmName="latency", MetricName="ModelLatency", **slow, **common)
    return ["errors", "latency"]


def is_ringing(world: World, alarms: Sequence[str]) -> bool:
    """Whether one of the alarms is in ALARM."""
    found = world.clients.cloudwatch.describe_alarms(AlarmNames=list(alarms))["MetricAlarms"]
    return any(alarm["StateValue"] == "ALARM" for alarm in found)


def wait_in_service(world: World) -> None:
    """Look every 30 s, as the stock sensor does."""
    while world.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] != "InService":
        world.serve(30)


def by_hand(world: World, bake: int, *, is_rate: bool = False) -> bool:
    """Two variants, weights, a wait at each share."""
    sagemaker = world.clients.sagemaker
    both = [variant("blue", 1.0), variant("green", 0.0, "green")]
    sagemaker.create_endpoint_config(EndpointConfigName="both", ProductionVariants=both)
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="both")
    wait_in_service(world)
    alarms = put_alarms(world, "green", is_rate=is_rate)
    for share in SHARES:
        shift(world, share)
        for _ in range(bake // 30):
            world.serve(30)
            if is_ringing(world, alarms):
                shift(world, 0.0)
                return False
    sagemaker.create_endpoint_config(EndpointConfigName="alone", ProductionVariants=[variant("green", 1.0, "green")])
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="alone")
    wait_in_service(world)
    return True


def by_hand_rates(world: World, bake: int) -> bool:
    """The same, with alarms on a rate of errors."""
    return by_hand(world, bake, is_rate=True)


def shift(world: World, share: float) -> None:
    """Give green a share, and wait for it."""
    weights = [{"VariantName": VARIANT, "DesiredWeight": 100 - share}, {"VariantName": "green", "DesiredWeight": share}]
    world.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=weights
    )
    wait_in_service(world)


def stock_guardrails(world: World, bake: int) -> bool:
    """SageMaker's own canary."""
    alarms = put_alarms(world, VARIANT, is_rate=False)
    world.clients.sagemaker.create_endpoint_config(
        EndpointConfigName="fraud-2", ProductionVariants=[variant("green", 1.0)]
    )
    canary_of_ten = {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "WaitIntervalInSeconds": bake,
    }
    policy = {"TrafficRoutingConfiguration": canary_of_ten, "TerminationWaitInSeconds": bake}
    deployment = {
        "BlueGreenUpdatePolicy": policy,
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
    }
    world.clients.sagemaker.update_endpoint(
        EndpointName=ENDPOINT, EndpointConfigName="fraud-2", DeploymentConfig=deployment
    )
    wait_in_service(world)
    described = world.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    return bool(described["EndpointConfigName"] == "fraud-2")


@dataclass
class Ours:
    """This project, its tasks driven as Airflow drives them."""

    traffic: str

    def __call__(self, world: World, bake: int) -> bool:
        """Roll green out; whether it was promoted."""
        self.names = Names(ENDPOINT, "0badcafe")
        planned = plan_rollout(
            world.clients,
            self.names,
            {"dag_id": "side_by_side"},
            Green(model_name="green"),
            Plan(self._strategy(bake), traffic=self.traffic),
            world.now(),
        )
        foresee(world.clients, planned)
        try:
            self._reach(world, GreenDeployed(planned))
            for step in planned.plan.strategy.steps if planned.plan.strategy else ():
                if planned.step(0) is not None:
                    self._reach(world, GreenShare(step.share))
                    self._bake(world, step.share, step.bake)
            self._reach(world, OnlyGreen(planned))
        except RolloutError:
            self._reach(world, AsBefore(planned))
            return False
        return True

    def _strategy(self, bake: int) -> Strategy:
        strategies = {"endpoints": lambda: blue_green(3 * bake), "guardrails": lambda: canary([10, 100], bake)}
        return strategies.get(self.traffic, lambda: canary(list(SHARES), bake))()

    def _reach(self, world: World, goal: Goal) -> Done:
        of_worker = replace(
            world.clients, flaps_seen={}
        )  # a process of its own, which knows nothing of the triggerer's
        aws, waiting = (
            AwsWorld(clients, ENDPOINT, self.names.rollout_id, world.now) for clients in (of_worker, world.clients)
        )
        lookout = Lookout(waiting)
        world.serve(BETWEEN_TASKS)
        deadline = world.now() + timedelta(hours=2)
        while True:
            step = advance(goal, self.names.rollout_id, aws, deadline, lambda line: None)
            if isinstance(step, Done):
                return step
            self._wait(world, lookout, goal, step)

    def _wait(self, world: World, lookout: Lookout, goal: Goal, step: Wait | Hold | Again) -> None:
        """Look, as the task's trigger does, until there is something to do."""
        decision: Decision = Wait("", timedelta())
        begun, every = world.clock, BACK if isinstance(goal, AsBefore) else POLL
        while isinstance(decision, Wait):
            world.serve(next_look(goal, world.clock - begun, seconds_expected(step), every))
            decision, harm = lookout.look_for(goal)
            if harm:
                raise RolloutGaveUp(harm)

    def _bake(self, world: World, share: float, lasts: timedelta) -> None:
        now, record, memory = world.now(), read_record(world.clients.ssm, ENDPOINT), Memory()
        if record is None:
            raise RolloutGaveUp("it was ended")
        watched = {"alarms": judged_alarms(record), "rollout": record, "judges_evidence": True, "observes": True}
        watch = Watch(now, now + lasts, judged_since(record), 20, share=share, **watched)
        while (judged := look(world.clients, watch, world.now(), memory).judgement).verdict is Verdict.WATCHING:
            world.serve(POLL)
        if not judged.passes:
            raise RolloutGaveUp(judged.reason)


ARMS: Mapping[str, Callable[[World, int], bool]] = {
    "by hand, sample alarms": by_hand,
    "by hand, rate alarms": by_hand_rates,
    "guardrails, stock": stock_guardrails,
    "variants": Ours("variants"),
    "guardrails": Ours("guardrails"),
    "endpoints": Ours("endpoints"),
}
