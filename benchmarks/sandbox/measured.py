"""One sandbox to measure, of whatever tree is first on the path: ``python measured.py memory HOURS`` or ``serve [model]``.

It uses what the package has had for long, so that it can measure earlier commits as well.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_sm_rollout.sandbox import ManualClock, RunningServer, Sandbox, Timings, connect, serve
from airflow_sm_rollout.sandbox.app import process_sandbox

ROLE = "arn:aws:iam::123456789012:role/r"
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}
BODY = json.dumps({"instances": [{"alcohol": 13.2, "hue": 1.0}]}).encode()
CALLS_A_SECOND = 50


def memory(hours: float) -> dict[str, Any]:
    """Resident memory before and after hours of requests and control calls, on a clock that is hurried."""
    sandbox = Sandbox(clock=ManualClock(), timings=Timings())
    session = connect(sandbox)
    sagemaker, cloudwatch = session.client("sagemaker"), session.client("cloudwatch")
    _make_endpoint(sagemaker, None)
    sandbox.schedule.advance(1000)
    alarm = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors", "Statistic": "Sum", "Period": 60}
    cloudwatch.put_metric_alarm(
        AlarmName="errors", EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold", **alarm
    )
    before, started, calls = _resident(), time.process_time(), 0
    for second in range(int(hours * 3600)):
        for _ in range(CALLS_A_SECOND - 1):
            sandbox.invoke("load", BODY)
        # A rollout polls: one of fifty calls is a control call, by the wire.
        sagemaker.describe_endpoint(EndpointName="load") if second % 2 else cloudwatch.describe_alarms(
            AlarmNames=["errors"]
        )
        calls += CALLS_A_SECOND
        sandbox.schedule.advance(1)
    seconds = time.process_time() - started
    return {"hours": hours, "calls": calls, "before": before, "after": _resident(), "cpu": round(seconds, 1)}


def serve_until_told(*, model: bool) -> None:
    """Serve an endpoint named ``load``, print the port, and go on until standard input is closed."""
    with _served(model) as server:
        print(server.url.rpartition(":")[2], flush=True)
        sys.stdin.read()


@contextmanager
def _served(model: bool) -> Iterator[RunningServer]:
    timings = Timings().hurried(600)
    sandbox = process_sandbox(timings) if model else Sandbox(timings=timings)
    with serve(sandbox) as server:
        sagemaker = _client(server, "sagemaker")
        _make_endpoint(sagemaker, _trained(server, sagemaker) if model else None)
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName="load", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        yield server
    sandbox.close()


def _client(server: RunningServer, service: str) -> Any:
    import boto3

    return boto3.client(service, endpoint_url=server.url, **KEYS)


def _make_endpoint(sagemaker: Any, model_url: str | None) -> None:
    container = {"Image": "i:1"} | ({"ModelDataUrl": model_url} if model_url else {})
    sagemaker.create_model(ModelName="load", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": "load", "InitialInstanceCount": 2, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="load", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="load", EndpointConfigName="load")


def _trained(server: RunningServer, sagemaker: Any) -> str:
    _client(server, "s3").create_bucket(Bucket="bucket")
    sagemaker.create_training_job(
        TrainingJobName="load",
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": "i:1", "TrainingInputMode": "File"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="load", WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    return str(sagemaker.describe_training_job(TrainingJobName="load")["ModelArtifacts"]["S3ModelArtifacts"])


def _resident() -> int:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        print(json.dumps(memory(float(sys.argv[2]))))
    else:
        serve_until_told(model=sys.argv[2:] == ["model"])
