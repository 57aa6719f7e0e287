"""What the sample DAGs share: the training task, and what their trigger forms ask for. A sample works wherever it is copied.

As it stands it runs against the sandbox; against AWS it needs the connection `aws_default`, and in the form an image that trains and
serves, and a role.
"""

from __future__ import annotations

import json
import os
from typing import Any

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.sdk import Param

# Seconds between two looks at AWS. The demo hurries: its sandbox is faster than AWS, and throttles nobody.
POKE_INTERVAL = float(os.environ.get("SM_ROLLOUT_POKE_INTERVAL", "15"))
# How much worse than the old model the new one may be, where that is not the default: the demo has minutes instead of hours.
TOLERANCES = json.loads(os.environ.get("SM_ROLLOUT_TOLERANCES", "{}"))

MAY_BE_EMPTY = ["null", "string"]
"""Type of a field that may be left out: Airflow's form takes an empty text for a missing one, and a field that was cleared gives null."""

PARAMS: dict[str, Any] = {
    "endpoint_name": Param("wine", title="Endpoint", description="Serves a model now.", type="string", minLength=1),
    "alarms": Param(
        "",
        title="Alarms",
        description="Names of CloudWatch alarms to watch beside the rollout's own (errors, latency), separated by commas.",
        type=MAY_BE_EMPTY,
    ),
    "C": Param(
        1.0, title="C", description="Inverse strength of the regularisation.", type="number", exclusiveMinimum=0
    ),
    "random_state": Param(0, title="Random state", description="Which rows are held out.", type="integer"),
    "drop_column": Param(
        "", title="Dropped column", description="A column to leave out of training.", type=MAY_BE_EMPTY
    ),
    "slow_milliseconds": Param(
        0.0, title="Slow", description="Time that each request takes more (of the sandbox's image).", type="number"
    ),
    "fail_percent": Param(
        0.0, title="Failing", description="Percent of requests that fail (of the sandbox's image).", type="number"
    ),
    "image": Param(
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/wine:1",
        title="Image",
        description="The container that trains and serves.",
        type="string",
    ),
    "execution_role_arn": Param(
        "arn:aws:iam::123456789012:role/wine",
        title="Role",
        description="What SageMaker trains as.",
        type="string",
        pattern="^arn:",
    ),
    "output_path": Param(
        "s3://wine-models/training",
        title="Output",
        description="Where SageMaker puts the trained model.",
        type="string",
        pattern="^s3://",
    ),
    "drain": Param(
        "65",
        title="Drain",
        description="With two endpoints: how many seconds one is kept after its clients were sent to the other, before it is deleted.",
        type="string",
        pattern=r"^\s*[\d.]+\s*$",
    ),
    "function": Param(
        "",
        title="Function",
        description="With lambda: the function that clients call by its alias live, and whose variable ENDPOINT_NAME names the endpoint.",
        type=MAY_BE_EMPTY,
    ),
    "codedeploy_role": Param(
        "",
        title="CodeDeploy's role",
        description="With codedeploy: the ARN of the role by which AWS CodeDeploy may write the function's alias.",
        type=MAY_BE_EMPTY,
    ),
}

_SPLITS = {
    "variants": "two production variants of the endpoint",
    "endpoints": "two endpoints: clients ask live_endpoint() for each request",
    "lambda": "two endpoints: clients call a Lambda function",
    "codedeploy": "the same, and AWS CodeDeploy shifts the function's alias: no pause, no person",
    "guardrails": "SageMaker shifts by itself: no pause, no person",
}


def traffic(*possible: str) -> Param:
    """The form's field for the way to split traffic.

    :param possible: those that the DAG's strategy can do; the first is the default.
    """
    return Param(
        possible[0],
        title="Traffic",
        description="How the requests are split between the old model and the new one.",
        type="string",
        enum=list(possible),
        values_display={way: f"{way}: {_SPLITS[way]}" for way in possible},
    )


# What a rollout takes from the form and from the training task.
ROLLOUT: dict[str, Any] = {
    "endpoint_name": "{{ params.endpoint_name }}",
    "image": "{{ params.image }}",
    "model_data_url": "{{ ti.xcom_pull('train')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}",
    "alarms": "{{ params.alarms or '' }}",
    "traffic": "{{ params.traffic }}",
    "drain": "{{ params.drain }}",
    "function": "{{ params.function or '' }}",
    "deployment": "{{ {'role_arn': params.codedeploy_role} | tojson if params.codedeploy_role else '' }}",
    "poke_interval": POKE_INTERVAL,
    "tolerances": TOLERANCES,
}

_HYPERPARAMETERS = ("C", "random_state", "drop_column", "slow_milliseconds", "fail_percent")
_JOB = {
    "TrainingJobName": "{{ params.endpoint_name }}-{{ dag_run.run_after.strftime('%Y%m%d-%H%M%S') }}",
    "AlgorithmSpecification": {"TrainingImage": "{{ params.image }}", "TrainingInputMode": "File"},
    "HyperParameters": {name: f"{{{{ '' if params.{name} is none else params.{name} }}}}" for name in _HYPERPARAMETERS},
    "RoleArn": "{{ params.execution_role_arn }}",
    "OutputDataConfig": {"S3OutputPath": "{{ params.output_path }}"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}


def train() -> SageMakerTrainingOperator:
    """The task that trains, with the form's hyperparameters."""
    return SageMakerTrainingOperator(
        task_id="train", config=_JOB, print_log=False, check_interval=max(1, round(POKE_INTERVAL))
    )
