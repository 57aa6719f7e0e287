"""An endpoint in production, on a sandbox that is served over real HTTP, and what a test asks of both."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.loaders
import botocore.session

from airflow_sm_rollout.sandbox.app import CallRecord, Sandbox
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.sagemaker.fleet import shares
from airflow_sm_rollout.sandbox.server import serve
from airflow_sm_rollout.sandbox.timings import Timings

BLUE = "AllTraffic"
BLUE_INSTANCES = 4
ROLE = "arn:aws:iam::123456789012:role/serving"
GOOD = "s3://models/good/model.tar.gz"
BAD = "s3://models/bad/model.tar.gz"
IMAGE = "registry/green:2"
READS = ("Describe", "List", "Get")
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def share_botocore_models() -> None:
    """Parse AWS's service models once in this process: each new client otherwise costs a third of a second."""
    create_loader = botocore.loaders.create_loader
    botocore.session.create_loader = functools.cache(lambda path=None: create_loader(path))


def predict(model: ModelSpec, body: bytes) -> Reply:
    """A model made of the :data:`BAD` artifact refuses every request."""
    return Reply(400 if model.model_data_url == BAD else 200, b"{}", seconds=0.01)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the traffic that an endpoint's variants really had at a moment, in percent, and when."""

    at: float
    of: dict[str, float]

    @property
    def green(self) -> float:
        return sum(share for variant, share in self.of.items() if variant != BLUE)


class Production:
    """A sandbox, its address and AWS clients.

    :param speed: how many times faster than AWS.
    """

    def __init__(self, speed: float) -> None:
        self.sandbox = Sandbox(timings=Timings().hurried(speed), host=FunctionHost(predict))
        self.server = serve(self.sandbox)
        self.environment = {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": self.server.url}
        session = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
        self.sagemaker, self.cloudwatch, self.ssm, self.autoscaling, self.runtime = (
            session.client(service, endpoint_url=self.server.url)
            for service in ("sagemaker", "cloudwatch", "ssm", "application-autoscaling", "sagemaker-runtime")
        )

    def close(self) -> None:
        self.server.close()
        self.sandbox.close()

    def put_endpoint(self, name: str) -> None:
        """An endpoint in service, scaled up since its config was written, with what a rollout must carry over, and its alarm."""
        container = {"Image": "registry/blue:1", "ModelDataUrl": GOOD, "Environment": {"LEVEL": "info"}}
        self.sagemaker.create_model(ModelName=f"{name}-v1", PrimaryContainer=container, ExecutionRoleArn=ROLE)
        variant = {"VariantName": BLUE, "ModelName": f"{name}-v1", "InitialInstanceCount": 1}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=f"{name}-config",
            ProductionVariants=[{**variant, "InstanceType": "ml.m5.xlarge", "InitialVariantWeight": 0.7}],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 20,
                "DestinationS3Uri": "s3://capture/requests",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
            MetricsConfig={"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10},
            KmsKeyId="alias/serving",
            Tags=[{"Key": "team", "Value": "risk"}],
        )
        self.sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=f"{name}-config", Tags=[{"Key": "cost", "Value": "42"}]
        )
        self.wait_until_settled(name)
        change = {"VariantName": BLUE, "DesiredInstanceCount": BLUE_INSTANCES}
        self.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[change])
        self.wait_until_settled(name)
        self.put_alarm(alarm_of(name))

    def put_alarm(self, name: str) -> None:
        """A user's alarm, quiet; its metric has no data, and its next evaluation is most of an hour away."""
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName=name,
            Statistic="Sum",
            Period=3600,
            EvaluationPeriods=1,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        self.set_alarm(name, "OK")

    def set_alarm(self, name: str, state: str, reason: str = "quiet") -> None:
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)

    def wait_until_settled(self, name: str) -> None:
        wait_until(lambda: self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")

    def describe(self, name: str) -> dict[str, Any]:
        """All of an endpoint that a rollback must restore, field by field, and all that exists with its name."""
        endpoint = self.sagemaker.describe_endpoint(EndpointName=name)
        for moving in ("ResponseMetadata", "LastModifiedTime", "FailureReason"):
            endpoint.pop(moving, None)
        for variant in endpoint["ProductionVariants"]:
            for image in variant.get("DeployedImages", []):
                image.pop("ResolutionTime")  # when this fleet was launched
        world = {
            "endpoint": endpoint,
            "endpoint_tags": self.sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"],
            "config": self._describe_config(endpoint["EndpointConfigName"]),
            "shares": self.shares(name).of,
            **self.belongings(name),
        }
        return dict(json.loads(json.dumps(world, default=str)))

    def belongings(self, name: str) -> dict[str, list[str]]:
        """Names of the configs, models, alarms and records that have to do with an endpoint."""
        alarms = self.cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        found = {
            "configs": [c["EndpointConfigName"] for c in self._pages("list_endpoint_configs", "EndpointConfigs")],
            "models": [m["ModelName"] for m in self._pages("list_models", "Models")],
            "alarms": [a["AlarmName"] for a in alarms["MetricAlarms"] + alarms["CompositeAlarms"]],
            "records": [p["Name"] for p in self.ssm.get_parameters_by_path(Path="/sm-rollout")["Parameters"]],
        }
        return {kind: sorted(each for each in names if name in each) for kind, names in found.items()}

    def _describe_config(self, config_name: str) -> dict[str, Any]:
        config: dict[str, Any] = self.sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
        del config["ResponseMetadata"]
        return config | {"Tags": self.sagemaker.list_tags(ResourceArn=config["EndpointConfigArn"])["Tags"]}

    def _pages(self, operation: str, member: str) -> Iterator[dict[str, Any]]:
        for page in self.sagemaker.get_paginator(operation).paginate():
            yield from page[member]

    def shares(self, name: str) -> Shares:
        """What the endpoint's variants have at this moment, as its clients meet it."""
        self.sandbox.schedule.run_due()
        with self.sandbox.schedule.lock:
            endpoint = self.sandbox.endpoints.serving(name)
            found = shares(endpoint.variants) if endpoint else {}
            return Shares(time.time(), {variant: round(100 * share, 6) for variant, share in found.items()})

    def writes(self, name: str = "") -> list[CallRecord]:
        """Control-plane calls so far that were to change something, refused ones included; of one endpoint, or all."""
        calls = [call for call in list(self.sandbox.calls) if not call.operation.startswith(READS)]
        return [call for call in calls if not name or name in json.dumps(dict(call.params), default=str)]

    @contextmanager
    def watched(self, *names: str) -> Iterator[dict[str, list[Shares]]]:
        """Look at what endpoints' clients meet, ten times a second or more, for the length of the block."""
        seen: dict[str, list[Shares]] = {name: [] for name in names}

        def look() -> bool:
            for name, looks in seen.items():
                looks.append(self.shares(name))
            return False

        with meanwhile(look, lambda: None, pause=0.08):
            yield seen

    @contextmanager
    def traffic(self, name: str, requests_per_second: float) -> Iterator[None]:
        """Steady requests to an endpoint for the length of the block."""

        def invoke() -> bool:
            with contextlib.suppress(self.runtime.exceptions.ModelError):
                self.runtime.invoke_endpoint(EndpointName=name, Body=b"{}", ContentType="application/json")
            return False

        with meanwhile(invoke, lambda: None, pause=1 / requests_per_second):
            yield


def alarm_of(endpoint_name: str) -> str:
    """Name of the user's alarm that :meth:`Production.put_endpoint` makes."""
    return f"{endpoint_name}-refused"


@contextmanager
def meanwhile(happens: Callable[[], bool], act: Callable[[], object], pause: float = 0.05) -> Iterator[None]:
    """While the block runs, wait in a thread until something happens, and then do something, once.

    :raises BaseException: at the block's end, what was raised in the thread.
    """
    ended = threading.Event()
    errors: list[BaseException] = []

    def watch() -> None:
        try:
            while not happens():
                if ended.wait(pause):
                    return
            act()
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]


def wait_until(happens: Callable[[], Any], within_seconds: float = 30.0, pause: float = 0.05) -> Any:
    """Look until something is there, and return it.

    :raises AssertionError: if it is not there in time.
    """
    deadline = time.monotonic() + within_seconds
    while not (found := happens()):
        assert time.monotonic() < deadline, f"not within {within_seconds:g} s"
        time.sleep(pause)
    return found


def highest(seen: Sequence[Shares]) -> float:
    """Green's largest real share."""
    return max(looked.green for looked in seen)
