"""An inference component worked by hand: the AWS CLI and boto3 over HTTP, with a rolling update that an alarm takes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import FunctionHost, Reply, RunningServer, Sandbox, Timings, serve
from tests.sandbox.test_clients import CONTAINER, ROLE, aws, client, wait_in_service

NEEDS = {"MinMemoryRequiredInMb": 1024}
DEPLOYMENT = {
    "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1}, "WaitIntervalInSeconds": 1},
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    host = FunctionHost(lambda model, body: Reply(200, json.dumps(model.name).encode()))
    sandbox = Sandbox(timings=Timings().hurried(600), host=host)
    with serve(sandbox) as server:
        yield server
    sandbox.close()


def settled(server: RunningServer) -> dict[str, Any]:
    """What the AWS CLI tells of the component once nothing changes it any more."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told: dict[str, Any] = aws(
            server, "sagemaker", "describe-inference-component", "--inference-component-name", "orders"
        )
        if told["InferenceComponentStatus"] not in ("Creating", "Updating"):
            return told
    raise TimeoutError


def specification(model: str) -> str:
    return json.dumps({"ModelName": model, "ComputeResourceRequirements": NEEDS})


def update(server: RunningServer, model: str) -> dict[str, Any]:
    aws(
        server, "sagemaker", "update-inference-component", "--inference-component-name", "orders",
        "--specification", specification(model), "--deployment-config", json.dumps(DEPLOYMENT),
    )  # fmt: skip
    return settled(server)


def test_a_person_creates_invokes_rolls_and_is_rolled_back_by_the_cli(server: RunningServer, tmp_path: Path) -> None:
    sagemaker = client(server, "sagemaker")
    for model in ("v1", "v2", "v3"):
        sagemaker.create_model(ModelName=model, PrimaryContainer=CONTAINER, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "all", "InstanceType": "ml.g5.2xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="shared", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="shared", EndpointConfigName="shared")
    wait_in_service(server, "shared")
    aws(
        server, "sagemaker", "create-inference-component", "--inference-component-name", "orders",
        "--endpoint-name", "shared", "--variant-name", "all", "--specification", specification("v1"),
        "--runtime-config", "CopyCount=2",
    )  # fmt: skip
    assert settled(server)["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    output = tmp_path / "answer"
    aws(
        server, "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "shared",
        "--inference-component-name", "orders", "--body", "e30=", str(output),
    )  # fmt: skip
    assert json.loads(output.read_text()) == "v1"
    assert update(server, "v2")["Specification"]["ModelName"] == "v2"
    client(server, "cloudwatch").put_metric_alarm(
        AlarmName="errors", Namespace="Shop", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    client(server, "cloudwatch").set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="ill")
    told = update(server, "v3")
    assert (told["InferenceComponentStatus"], told["Specification"]["ModelName"]) == ("InService", "v2")
    assert "errors" in told["FailureReason"]
    listed = aws(server, "sagemaker", "list-inference-components", "--endpoint-name-equals", "shared")
    assert [each["InferenceComponentName"] for each in listed["InferenceComponents"]] == ["orders"]
    aws(server, "sagemaker", "delete-inference-component", "--inference-component-name", "orders")
