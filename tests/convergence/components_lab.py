"""The lab where SageMaker replaces the copies of an inference component, and users call it all the time."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.goals import GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import Strategy, linear
from airflow_sm_rollout.core.rollout import AHEAD, Green, Plan, Rollout
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.components.component import Component
from airflow_sm_rollout.sandbox.wire import Call
from convergence.guardrails_lab import JudgedLab
from convergence.lab import ENDPOINT, ROLE, USER_ALARM

HOST, COPIES = "shared", 4
FIRST_BAKE_AT, SECOND_BAKE_AT, PROMOTED_AT = (
    100,
    360,
    520,
)  # seconds after UpdateInferenceComponent, by the strategy below
SPECIFICATION = {
    "ModelName": "fraud-v1",
    "StartupParameters": {"ContainerStartupHealthCheckTimeoutInSeconds": 600},
    "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024, "NumberOfCpuCoresRequired": 1.0},
}


@dataclass
class ComponentsLab(JudgedLab):
    """Blue in production as one of the components of an endpoint, and users who call it.

    :param requests_per_look: how many requests they send between two looks.
    """

    traffic: ClassVar[str] = "components"
    capacity: ClassVar[str] = AHEAD
    strategy: ClassVar[Strategy] = linear(50, timedelta(minutes=3))
    requests_per_look: int = 8

    def _put_blue_into_production(self) -> None:
        sagemaker = self.clients.sagemaker
        container = {"Image": "blue:1", "ModelDataUrl": "s3://models/blue.tar.gz", "Environment": {"LEVEL": "info"}}
        sagemaker.create_model(ModelName="fraud-v1", PrimaryContainer=container, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "all", "InstanceType": "ml.g5.2xlarge", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=HOST, ExecutionRoleArn=ROLE, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=HOST, EndpointConfigName=HOST)
        self.pass_time(200)
        for name in (ENDPOINT, "another"):
            sagemaker.create_inference_component(
                InferenceComponentName=name,
                EndpointName=HOST,
                VariantName="all",
                Specification=SPECIFICATION,
                RuntimeConfig={"CopyCount": COPIES},
            )
        self.put_alarm(USER_ALARM)
        self.pass_time(120)

    def read_world(self) -> dict[str, Any]:
        sagemaker, cloudwatch = self.clients.sagemaker, self.clients.cloudwatch
        components = {name: self.describe_component(name) for name in (ENDPOINT, "another")}
        alarms = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return {
            "endpoint": components[ENDPOINT],
            "another": components["another"],
            "host": self.describe_endpoint(HOST),
            "configs": [c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
            "models": sorted(m["ModelName"] for m in sagemaker.list_models(MaxResults=100)["Models"]),
            "alarms": sorted(a["AlarmName"] for a in alarms["MetricAlarms"] + alarms["CompositeAlarms"]),
            "records": [
                p["Name"]
                for p in self.clients.ssm.get_parameters_by_path(Path="/sm-rollout", Recursive=True)["Parameters"]
            ],
        }

    def describe_component(self, name: str) -> dict[str, Any]:
        """A component, but for what no rollback can restore."""
        told = dict(self.clients.sagemaker.describe_inference_component(InferenceComponentName=name))
        for moving in ("ResponseMetadata", "LastModifiedTime", "FailureReason", "LastDeploymentConfig"):
            told.pop(moving, None)
        return told

    def component(self) -> Component | None:
        """What the sandbox itself has of it."""
        host = self.sandbox.endpoints.serving(HOST)
        return host.components.get(ENDPOINT) if host else None

    def watch(self) -> None:
        component = self.component()
        if component is None or not hasattr(self, "names"):
            return
        counts = Counter(each.model.name for each in component.containers)  # type: ignore[attr-defined]
        total = counts.total()
        if total < COPIES:
            self.under_capacity.append(f"{total} copies: {counts}")
        if total:
            self.shares.append(100.0 * (total - counts["fraud-v1"]) / total)

    @property
    def planned_shares(self) -> set[float]:
        """Those at which it bakes, and those of a way back by batches."""
        step = math.floor(COPIES * self.strategy.steps[0].share / 100)
        return {100.0 * count / COPIES for count in range(0, COPIES + 1, step)}

    def is_promoted(self, after: dict[str, Any]) -> bool:
        model = after["endpoint"]["Specification"]["ModelName"]
        if model == "fraud-v1":
            return False
        assert after["endpoint"] == {
            **self.before["endpoint"],
            "Specification": {**SPECIFICATION, "ModelName": self.names.model},
        }
        assert after["models"] == sorted([*self.before["models"], self.names.model])
        rest = ("another", "host", "configs", "alarms", "records")
        assert {name: after[name] for name in rest} == {name: self.before[name] for name in rest}
        return True

    def plan(self) -> Rollout:
        green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
        plan = Plan(
            self.strategy,
            alarms=(USER_ALARM,),
            traffic=self.traffic,
            on_drift=self.on_drift,
            evidence=Evidence(tolerances=None),
        )
        owner = {"dag_id": "dag", "run_id": "run"}
        while True:
            try:
                return plan_rollout(self.clients, self.names, owner, green, plan, self.now())
            except Passing:
                self.pass_time(5)

    def look_away(self) -> None:
        super().look_away()
        self.judge()
        self.call()

    def call(self) -> None:
        """Users call."""
        asked = {"EndpointName": HOST, "InferenceComponentName": ENDPOINT, "Body": b"{}"}
        for _ in range(self.requests_per_look):
            with contextlib.suppress(AwsError):
                self.sandbox.carry_out(Call("sagemaker-runtime", "InvokeEndpoint", "rest-json", asked))

    def tasks(self) -> list[Callable[[], object]]:
        """The group's tasks, and between them where SageMaker is by then."""
        return [
            lambda: self.reach(GreenDeployed(self.plan())),
            lambda: self.look(OnlyGreen()),
            lambda: self.let_pass(FIRST_BAKE_AT),
            lambda: self.let_pass(SECOND_BAKE_AT - FIRST_BAKE_AT),
            lambda: self.reach(OnlyGreen()),
        ]
