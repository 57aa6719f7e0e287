"""A production endpoint on a sandbox whose clock stands still, and a rollout driven on it as the operators drive one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, ClassVar

import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import Passing, drive
from airflow_sm_rollout.core.errors import DeadlinePassed
from airflow_sm_rollout.core.goals import AsBefore, Done, Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names, derive_rollout_id
from airflow_sm_rollout.core.plan.strategy import Strategy, canary
from airflow_sm_rollout.core.rollout import AHEAD, WHEN_NEEDED, Green, Plan, Rollout
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect

ENDPOINT = "fraud"
BLUE_CONFIG = "fraud-2024"
USER_ALARM = "fraud-business"
ROLE = "arn:aws:iam::123456789012:role/serving"
BLUE_INSTANCES = 4
SCALES = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
BLUES_TARGET = f"endpoint/{ENDPOINT}/variant/AllTraffic"
LOOK_SECONDS = 35
CALL_SECONDS = (
    0.05  # what a call takes; without it everything on a standing clock happens at one moment, as it never does
)
POLICIES: dict[str, dict[str, Any]] = {
    "requests": {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 600,
    },
    "cpu": {
        "CustomizedMetricSpecification": {
            "Namespace": "/aws/sagemaker/Endpoints",
            "MetricName": "CPUUtilization",
            "Dimensions": [
                {"Name": "EndpointName", "Value": ENDPOINT},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            "Statistic": "Average",
        }
    },
}
STRATEGY = canary([10, 50, 100], bake=timedelta(minutes=1))


class Killed(BaseException):
    """The process died."""


def clients_of(sandbox: Sandbox, on_call: Callable[[str, str, Any], None] | None = None) -> Clients:
    """Clients of a sandbox; making them is slow, so all tests share them."""
    session = shared_session()
    session.point_at(sandbox, on_call)
    return Clients.of(session)


@cache
def shared_session() -> InProcessSession:
    return connect(Sandbox(clock=ManualClock()))


@dataclass
class Lab:
    """A sandbox with blue in production, scaled up since its config was written.

    :param on_drift: see the plan's option; so ``keep_blue``.
    """

    traffic: ClassVar[str] = "variants"
    strategy: ClassVar[Strategy] = STRATEGY
    capacity: ClassVar[str] = WHEN_NEEDED
    """Not as by default: it has all steps that a rollout with its instances ahead has, and more."""
    scales: ClassVar[dict[str, str]] = SCALES
    policies: ClassVar[dict[str, dict[str, Any]]] = POLICIES
    sandbox: Sandbox = field(default_factory=lambda: Sandbox(clock=ManualClock()))
    hook: Callable[[str, str, str], None] | None = None
    shares: list[float] = field(default_factory=list)
    under_capacity: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    is_test_looking: bool = False
    on_drift: str = "refuse"
    keep_blue: timedelta | None = None
    told: list[str] = field(default_factory=list)
    told_at: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clients = clients_of(self.sandbox, self._on_call)
        self._put_blue_into_production()
        self.before = self.describe()
        self.calls.clear()
        self.names = Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", "run"))

    def _on_call(self, service: str, operation: str, phase: str) -> None:
        if self.is_test_looking:
            return
        if phase == "before":
            self.sandbox.schedule.advance(CALL_SECONDS)
            self.calls.append(f"{service}:{operation}")
        if self.hook:
            self.hook(service, operation, phase)
        if phase == "after":
            self.watch()

    def watch(self) -> None:
        """Note what users meet at this moment: green's true share, and a variant with traffic on too few instances."""
        endpoint = self.sandbox.endpoints.serving(ENDPOINT)
        if endpoint is None or not hasattr(self, "names"):
            return
        green = 0.0
        for fleet in endpoint.fleets:
            share_of = {name: 100.0 * share for name, share in fleet.shares().items()}
            for variant in fleet.variants:
                if variant.name == self.names.variant or fleet.config.name == self.names.final_config:
                    green += share_of[variant.name]
                if variant.active_count < BLUE_INSTANCES * share_of[variant.name] / 100.0 - 1e-9:
                    self.under_capacity.append(
                        f"{fleet.config.name}, {variant.name}: {share_of[variant.name]:g} % on {variant.active_count}"
                    )
        self.shares.append(green)

    def _put_blue_into_production(self) -> None:
        self._make_blues_model()
        self._make_blue()
        self.pass_time(200)
        self._scale_blue()
        self.pass_time(200)
        self._let_blue_scale()
        self.put_alarm(USER_ALARM)
        self.pass_time(120)

    def _make_blues_model(self) -> None:
        container = {"Image": "blue:1", "ModelDataUrl": "s3://models/blue.tar.gz", "Environment": {"LEVEL": "info"}}
        self.clients.sagemaker.create_model(ModelName="fraud-v1", PrimaryContainer=container, ExecutionRoleArn=ROLE)

    def _make_blue(self) -> None:
        sagemaker = self.clients.sagemaker
        sagemaker.create_endpoint_config(
            EndpointConfigName=BLUE_CONFIG,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": "fraud-v1",
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.xlarge",
                    "InitialVariantWeight": 0.7,
                }
            ],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 20,
                "DestinationS3Uri": "s3://capture/fraud",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
            KmsKeyId="alias/serving",
            Tags=[{"Key": "team", "Value": "risk"}],
        )
        sagemaker.create_endpoint(
            EndpointName=ENDPOINT, EndpointConfigName=BLUE_CONFIG, Tags=[{"Key": "cost", "Value": "42"}]
        )

    def _scale_blue(self) -> None:
        """Since its config was written."""
        self.clients.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=ENDPOINT,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": BLUE_INSTANCES}],
        )

    def put_alarm(self, name: str) -> None:
        """An alarm of the user's, which is quiet as long as nobody publishes anything."""
        self.clients.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName="Refused",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )

    def _let_blue_scale(self) -> None:
        """Between 2 and 8 instances, and by a schedule not any more."""
        autoscaling, target = self.clients.autoscaling, {"ResourceId": BLUES_TARGET, **self.scales}
        suspended = {"ScheduledScalingSuspended": True}
        autoscaling.register_scalable_target(MinCapacity=2, MaxCapacity=8, SuspendedState=suspended, **target)
        for name, specification in self.policies.items():
            autoscaling.put_scaling_policy(
                PolicyName=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration={"TargetValue": 70.0, **specification},
                **target,
            )

    def pass_time(self, seconds: float) -> None:
        self.sandbox.schedule.advance(seconds)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sandbox.clock.now(), timezone.utc)

    def describe(self) -> dict[str, Any]:
        """All that a rollback must restore, field by field, and all that exists."""
        self.is_test_looking = True
        try:
            return json.loads(json.dumps(self.read_world(), default=str))
        finally:
            self.is_test_looking = False

    def read_world(self) -> dict[str, Any]:
        sagemaker, cloudwatch = self.clients.sagemaker, self.clients.cloudwatch
        endpoint = self.describe_endpoint(ENDPOINT)
        alarms = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return {
            "endpoint": endpoint,
            "endpoint_tags": sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"],
            "configs": sorted(
                c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]
            ),
            "models": sorted(m["ModelName"] for m in sagemaker.list_models(MaxResults=100)["Models"]),
            "alarms": sorted(a["AlarmName"] for a in alarms["MetricAlarms"] + alarms["CompositeAlarms"]),
            "scaling": self.describe_scaling(),
            "records": [
                p["Name"]
                for p in self.clients.ssm.get_parameters_by_path(Path="/sm-rollout", Recursive=True)["Parameters"]
            ],
        }

    def describe_scaling(self) -> dict[str, Any]:
        """What scales by itself, with its policies, by resource ID."""
        targets = self.clients.autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        for target in targets:
            del target["CreationTime"]
            whose = {name: target[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
            told = self.clients.autoscaling.describe_scaling_policies(**whose)
            target["policies"] = [{**policy, "CreationTime": None} for policy in told["ScalingPolicies"]]
        return {target["ResourceId"]: target for target in targets}

    def describe_endpoint(self, name: str) -> dict[str, Any]:
        """An endpoint, but for what no rollback can restore."""
        endpoint = self.clients.sagemaker.describe_endpoint(EndpointName=name)
        for moving in ("ResponseMetadata", "LastModifiedTime", "FailureReason", "LastDeploymentConfig"):
            endpoint.pop(moving, None)
        for variant in endpoint.get("ProductionVariants", []):
            for image in variant.get("DeployedImages", []):
                image.pop("ResolutionTime")  # when this fleet was launched
        # Where nothing is said there is none: blue's config is from before AWS made it the default.
        endpoint["MetricsConfig"] = {"EnableDetailedObservability": False, **endpoint.get("MetricsConfig", {})}
        return endpoint

    @property
    def planned_shares(self) -> set[float]:
        return {0.0, *(step.share for step in self.strategy.steps)}

    def is_promoted(self, after: dict[str, Any]) -> bool:
        """Whether the rollout ended with green; if so, that nothing else of it is left."""
        if after["endpoint"]["EndpointConfigName"] != self.names.final_config:
            return False
        assert after["configs"] == sorted([*self.before["configs"], self.names.final_config])
        assert after["alarms"] == self.before["alarms"]
        assert after["records"] == []
        self.assert_green_scales_as_blue_did(after)
        return True

    def assert_green_scales_as_blue_did(self, after: dict[str, Any]) -> None:
        """Green's target is blue's, with green's names in it; what else scales does so as before, blue if it is still there."""
        green = f"endpoint/{self.green_place[0]}/variant/{self.green_place[1]}"
        blue = f"endpoint/{self.blue_endpoint}/variant/AllTraffic"
        expected = dict(self.before["scaling"])
        if blue in expected:
            expected[green] = readdressed(expected[blue] if self.keeps_blue else expected.pop(blue), self.green_place)
        assert {each: essence(target) for each, target in after["scaling"].items()} == {
            each: essence(target) for each, target in expected.items()
        }

    @property
    def green_place(self) -> tuple[str, str]:
        """Green's endpoint and variant."""
        return ENDPOINT, self.names.variant

    @property
    def blue_endpoint(self) -> str:
        return ENDPOINT

    @property
    def keeps_blue(self) -> bool:
        """Whether blue's variant is still there after a promotion."""
        return False

    def plan(self) -> Rollout:
        green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
        plan = Plan(
            self.strategy,
            alarms=(USER_ALARM,),
            traffic=self.traffic,
            on_drift=self.on_drift,
            capacity=self.capacity,
            keep_blue=self.keep_blue,
        )
        while True:
            try:
                return plan_rollout(
                    self.clients, self.names, {"dag_id": "dag", "run_id": "run"}, green, plan, self.now()
                )
            except Passing:
                self.pass_time(5)

    def reach(self, goal: Goal, patience: timedelta = timedelta(hours=4)) -> Done:
        """Go on toward a goal as an operator does: advance, wait, look again."""
        world = AwsWorld(self.clients, ENDPOINT, self.names.rollout_id, self.now)
        deadline = self.now() + patience

        def wait(reason: str, at_least: timedelta) -> None:
            self.tell(reason)
            self.look_away()

        return drive(goal, self.names.rollout_id, world, deadline, tell=self.tell, wait=wait)

    def tell(self, line: str) -> None:
        """Take a line for a person."""
        self.told.append(line)
        self.told_at.append(self.now())

    def look_away(self) -> None:
        """What goes on between two looks."""
        self.pass_time(LOOK_SECONDS)
        self.watch()

    def run(self, until: int = 99) -> None:
        """The whole canary, task by task, up to task number ``until``."""
        for task in self.tasks()[:until]:
            task()

    def tasks(self) -> list[Callable[[], object]]:
        """The tasks of the group, in order; each can be run again."""
        shifts: list[Callable[[], object]] = []
        for step in self.strategy.steps:
            shifts += [lambda share=step.share: self.reach(GreenShare(share)), lambda: self.pass_time(60)]
        return [lambda: self.reach(GreenDeployed(self.plan())), *shifts, lambda: self.reach(OnlyGreen())]

    def roll_back(self) -> None:
        self.reach(AsBefore())

    def roll_back_denied(self, operation: str, patience: timedelta = timedelta(minutes=20)) -> str:
        """A rollback to whose deadline AWS denies these calls, and what it says then. From then on they are allowed."""
        self.sandbox.faults.add(Fault("denied", operation, times=1_000_000))
        with pytest.raises(DeadlinePassed, match="AccessDenied") as caught:
            self.reach(AsBefore(), patience)
        self.sandbox.faults.clear()
        return str(caught.value)


class AheadLab(Lab):
    """Green has all its instances before it has traffic, as by default."""

    capacity = AHEAD


def essence(target: dict[str, Any]) -> dict[str, Any]:
    """A scalable target without whose it is."""
    policies = [{**each, "ResourceId": None, "PolicyARN": None} for each in target["policies"]]
    return {**target, "ResourceId": None, "ScalableTargetARN": None, "policies": policies}


def readdressed(target: dict[str, Any], place: tuple[str, str]) -> dict[str, Any]:
    """The same target, with the dimensions of a custom metric about that endpoint and variant."""
    target = json.loads(json.dumps(target))
    for policy in target["policies"]:
        custom = policy["TargetTrackingScalingPolicyConfiguration"].get("CustomizedMetricSpecification", {})
        for dimension in custom.get("Dimensions", []):
            dimension["Value"] = place[dimension["Name"] == "VariantName"]
    return target
