"""A model in production, as the user of this package has one: trained, deployed, with tags, and with metrics every ten seconds.

As a program it puts one into production where ``AWS_ENDPOINT_URL`` leads, and sends it requests until it is ended::

    python -m airflow_sm_rollout.demo.production
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from airflow_sm_rollout.demo import DemoFailed

ENDPOINT = "wine"
MODEL = "wine-v1"
CONFIG = "wine-v1"
VARIANT = "AllTraffic"
INSTANCES = 2
REQUESTS_PER_SECOND = 40.0
BUCKET = "wine-models"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/wine:1"
ROLE = "arn:aws:iam::123456789012:role/wine"
TAGS = [{"Key": "team", "Value": "wine"}]

ROUND_SECONDS = 600.0

READY_WITHIN_SECONDS = 600.0
"""Both for the training and for the endpoint; seconds in a hurried sandbox."""


class NotInProduction(DemoFailed):
    """The first model could not be trained or deployed."""


def put_into_production(
    session: Any,
    instances: int = INSTANCES,
    *,
    hyperparameters: Mapping[str, str] | None = None,
    variant: Mapping[str, Any] = MappingProxyType({}),
    config: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train a first model and create its endpoint; returns once it serves. Again, it changes nothing.

    :param session: a boto3 session, or anything else with its ``client``.
    :param instances: that the endpoint gets.
    :param hyperparameters: of the training.
    :param variant: what its variant has in place of instances; empty: it has instances.
    :param config: what else its config has.
    :raises NotInProduction: with what SageMaker says.
    """
    sagemaker = session.client("sagemaker")
    with suppress(sagemaker.exceptions.ClientError):
        sagemaker.describe_endpoint(EndpointName=ENDPOINT)
        return
    session.client("s3").create_bucket(Bucket=BUCKET)
    model_data_url = _train(sagemaker, hyperparameters or {})
    sagemaker.create_model(
        ModelName=MODEL,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model_data_url},
        ExecutionRoleArn=ROLE,
        Tags=TAGS,
    )
    sagemaker.create_endpoint_config(**_config(variant or _instances(instances)), **config)
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=CONFIG, Tags=TAGS)
    _wait(lambda: sagemaker.describe_endpoint(EndpointName=ENDPOINT), "EndpointStatus", "InService")


def _train(sagemaker: Any, hyperparameters: Mapping[str, str]) -> str:
    sagemaker.create_training_job(
        TrainingJobName=MODEL,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters=dict(hyperparameters),
        RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/training"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )
    job = _wait(lambda: sagemaker.describe_training_job(TrainingJobName=MODEL), "TrainingJobStatus", "Completed")
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def _instances(count: int) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InitialInstanceCount": count}


def _config(capacity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EndpointConfigName": CONFIG,
        "ProductionVariants": [{"VariantName": VARIANT, "ModelName": MODEL, "InitialVariantWeight": 1.0, **capacity}],
        "MetricsConfig": {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10},
        "Tags": TAGS,
    }


def _wait(describe: Any, member: str, wanted: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        described: Mapping[str, Any] = describe()
        if described[member] == wanted:
            return described
        if described[member] in ("Failed", "Stopped") or time.monotonic() > deadline:
            raise NotInProduction(
                f"{member} is {described[member]}: {described.get('FailureReason', 'no reason given')}"
            )
        time.sleep(0.2)


def main() -> None:
    """Entry point of the program; it ends on Ctrl-C or SIGTERM."""
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    from airflow_sm_rollout.sandbox.traffic import Traffic

    session = Session()
    # A host that is no IP address would get each bucket as a host name of its own.
    session.set_default_client_config(Config(s3={"addressing_style": "path"}))
    put_into_production(boto3.Session(botocore_session=session))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    with suppress(KeyboardInterrupt):
        while not ended.is_set():
            # Each keeps a record of every request that it sends: none may run for days.
            with Traffic(os.environ["AWS_ENDPOINT_URL"], ENDPOINT, REQUESTS_PER_SECOND):
                ended.wait(ROUND_SECONDS)


if __name__ == "__main__":
    main()
