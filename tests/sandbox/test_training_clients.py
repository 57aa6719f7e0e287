"""Training and serving as clients see it that were not written here: boto3 over HTTP, and the amazon provider's operator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from airflow_sm_rollout.sandbox import RunningServer, Sandbox, Timings, serve
from airflow_sm_rollout.sandbox.process_host import ProcessHost
from airflow_sm_rollout.sandbox.traffic import Traffic, count

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/wine:1"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    host = ProcessHost(lambda url: sandbox.elsewhere.get_object(url))  # noqa: PLW0108 - there is no sandbox yet
    sandbox = Sandbox(timings=Timings().hurried(100), host=host)
    with serve(sandbox) as server:
        client(server, "s3").create_bucket(Bucket="models")
        yield server
    sandbox.close()


def client(server: RunningServer, service: str) -> Any:
    return boto3.client(
        service, REGION, endpoint_url=server.url, aws_access_key_id="test", aws_secret_access_key="test"
    )


def request(name: str, **hyperparameters: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": hyperparameters,
        "OutputDataConfig": {"S3OutputPath": "s3://models/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": [{"Key": "team", "Value": "wine"}],
    }


def train(server: RunningServer, name: str, **hyperparameters: str) -> str:
    sagemaker = client(server, "sagemaker")
    sagemaker.create_training_job(**request(name, **hyperparameters))
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    url: str = sagemaker.describe_training_job(TrainingJobName=name)["ModelArtifacts"]["S3ModelArtifacts"]
    return url


def test_boto3_trains_lists_and_reads_log_and_tags(server: RunningServer) -> None:
    sagemaker, logs = client(server, "sagemaker"), client(server, "logs")
    assert train(server, "boto-1", C="0.5") == "s3://models/out/boto-1/output/model.tar.gz"
    assert client(server, "s3").head_object(Bucket="models", Key="out/boto-1/output/model.tar.gz")["ContentLength"] > 0
    listed = sagemaker.list_training_jobs(NameContains="boto", StatusEquals="Completed")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in listed] == ["boto-1"]
    assert sagemaker.list_tags(ResourceArn=listed[0]["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "wine"}]

    group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    (stream,) = logs.describe_log_streams(**group, logStreamNamePrefix="boto-1/")["logStreams"]
    events = logs.get_log_events(**group, logStreamName=stream["logStreamName"])["events"]
    assert any("held_out_accuracy" in event["message"] for event in events)


def test_boto3_sees_the_errors_by_their_codes(server: RunningServer) -> None:
    sagemaker = client(server, "sagemaker")
    with pytest.raises(
        sagemaker.exceptions.ClientError, match=r"\(ValidationException\).*Requested resource not found\."
    ):
        sagemaker.describe_training_job(TrainingJobName="nobody")
    sagemaker.create_training_job(**request("twice"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="Training job names must be unique"):
        sagemaker.create_training_job(**request("twice"))
    with pytest.raises(sagemaker.exceptions.ClientError, match="trainingJobName"):
        sagemaker.create_training_job(**request("under_score"))


OPERATOR = """
import json, sys
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator

config = json.loads(sys.argv[1])
operator = SageMakerTrainingOperator(
    task_id="train", config=config, aws_conn_id=None, region_name="us-east-1", wait_for_completion=True, print_log=False, check_interval=1
)
print("RESULT", json.dumps(operator.execute({})["Training"], default=str))
"""


def run_operator(server: RunningServer, home: Path, config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    command = [sys.executable, "-c", OPERATOR, json.dumps(config)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_amazon_providers_operator_trains_and_returns_the_artifact(server: RunningServer, tmp_path: Path) -> None:
    outcome = run_operator(server, tmp_path, request("provider-1"))
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout.split("RESULT ")[1].splitlines()[0])
    assert result["ModelArtifacts"]["S3ModelArtifacts"] == "s3://models/out/provider-1/output/model.tar.gz"
    assert result["TrainingJobStatus"] == "Completed"


def test_the_amazon_providers_operator_fails_with_the_containers_reason(server: RunningServer, tmp_path: Path) -> None:
    outcome = run_operator(server, tmp_path, request("provider-2", drop_column="taste"))
    assert outcome.returncode != 0
    assert "drop_column='taste' is not one of" in outcome.stdout + outcome.stderr


def deploy(server: RunningServer, endpoint: str, variants: dict[str, str]) -> None:
    sagemaker = client(server, "sagemaker")
    for variant, url in variants.items():
        container = {"Image": IMAGE, "ModelDataUrl": url}
        sagemaker.create_model(ModelName=f"{endpoint}-{variant}", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    described = [
        {
            "VariantName": variant,
            "ModelName": f"{endpoint}-{variant}",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        for variant in variants
    ]
    sagemaker.create_endpoint_config(EndpointConfigName=endpoint, ProductionVariants=described)
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def test_a_model_that_lost_a_column_fails_40_percent_of_its_requests_and_nothing_is_dropped(
    server: RunningServer,
) -> None:
    good, bad = train(server, "good"), train(server, "bad", drop_column="proline")
    deploy(server, "wine", {"blue": good, "green": bad})
    with Traffic(server.url, "wine", 60) as traffic:
        while len(traffic.records) < 300:
            traffic._stopping.wait(0.05)
    total = count(traffic.records)
    assert total.dropped == 0
    assert 0.12 < total.failed / total.requests < 0.28, "40 % of green's half"
    answered = [record for record in traffic.records if record.outcome == "answered"]
    failed = [record for record in traffic.records if record.outcome == "failed"]
    assert {(record.variant, record.complete) for record in answered} == {
        ("blue", True),
        ("blue", False),
        ("green", False),
    }
    assert all(record.complete and "unseen at fit time: proline" in record.error for record in failed)
