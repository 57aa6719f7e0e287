"""Labs whose blue is of another kind than one variant with instances, for each way that takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, BLUE_INSTANCES, ENDPOINT, Lab
from convergence.lambda_lab import LambdaLab
from convergence.live_lab import LiveLab, SharedLab

MAX_CONCURRENCY = 10


class OtherBlue(Lab):
    """Blue is on a config of another kind."""

    def _put(self, **config: Any) -> None:
        sagemaker = self.clients.sagemaker
        tags = [{"Key": "team", "Value": "risk"}]
        sagemaker.create_endpoint_config(EndpointConfigName=BLUE_CONFIG, Tags=tags, **config)
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=BLUE_CONFIG, Tags=tags)


class ServerlessBlue(OtherBlue):
    """Blue is serverless. Since its config was written it got more concurrency, and more of it is provisioned, which scales."""

    scales: ClassVar[dict[str, str]] = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency",
    }
    policies: ClassVar[dict[str, dict[str, Any]]] = {
        "use": {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"
            }
        }
    }

    def _make_blue(self) -> None:
        serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 1}
        self._put(ProductionVariants=[{**VARIANT, "ServerlessConfig": serverless}])

    def _scale_blue(self) -> None:
        concurrency = {"MaxConcurrency": MAX_CONCURRENCY, "ProvisionedConcurrency": BLUE_INSTANCES}
        change = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": concurrency}
        self.clients.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[change]
        )

    def capacity_of(self, variant: Variant) -> int:
        """Past the API."""
        assert variant.concurrency is not None
        return variant.concurrency["ProvisionedConcurrency"]


class AsyncBlue(OtherBlue):
    """Blue answers from a queue, and scales by how long that is."""

    policies: ClassVar[dict[str, dict[str, Any]]] = {
        "backlog": {
            "CustomizedMetricSpecification": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Dimensions": [{"Name": "EndpointName", "Value": ENDPOINT}],
                "Statistic": "Average",
            }
        }
    }

    def _make_blue(self) -> None:
        variant = {**VARIANT, "InitialInstanceCount": 1, "InstanceType": "ml.m5.xlarge"}
        self._put(ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": OUTPUT})


OUTPUT = {"S3OutputPath": "s3://out/answers", "S3FailurePath": "s3://out/failures"}
VARIANT = {"VariantName": "AllTraffic", "ModelName": "fraud-v1", "InitialVariantWeight": 0.7}


@dataclass
class ServerlessLiveLab(ServerlessBlue, SharedLab):
    """Behind a live pointer; blue is not kept."""


@dataclass
class ServerlessKeptLab(ServerlessBlue, LiveLab):
    """Behind a live pointer; blue is kept."""


@dataclass
class ServerlessLambdaLab(ServerlessBlue, LambdaLab):
    """Behind a Lambda function."""


@dataclass
class AsyncLiveLab(AsyncBlue, SharedLab):
    """Behind a live pointer; blue is not kept."""


@dataclass
class AsyncLambdaLab(AsyncBlue, LambdaLab):
    """Behind a Lambda function."""


@dataclass
class AsyncVariantsLab(AsyncBlue):
    """On one endpoint."""


@dataclass
class AsyncGuardrailsLab(AsyncBlue, GuardrailsLab):
    """On one endpoint, shifted by SageMaker."""


@dataclass
class ServerlessVariantsLab(ServerlessBlue):
    """On one endpoint."""


@dataclass
class ServerlessGuardrailsLab(ServerlessBlue, GuardrailsLab):
    """On one endpoint, shifted by SageMaker."""


TAKEN: dict[str, Callable[[], Lab]] = {
    "serverless, endpoints": ServerlessLiveLab,
    "serverless, endpoints, blue kept": ServerlessKeptLab,
    "serverless, lambda": ServerlessLambdaLab,
    "asynchronous, endpoints": AsyncLiveLab,
    "asynchronous, lambda": AsyncLambdaLab,
}
REFUSED: dict[str, tuple[Callable[[], Lab], str]] = {
    "serverless, variants": (ServerlessVariantsLab, "it is serverless, which AWS allows one variant only; "),
    "serverless, guardrails": (ServerlessGuardrailsLab, "it is serverless, which has no instances to shift by; "),
    "asynchronous, variants": (AsyncVariantsLab, "it is asynchronous, and its one queue has no weights; "),
    "asynchronous, guardrails": (
        AsyncGuardrailsLab,
        "it is asynchronous, whose metrics don't tell two fleets of one endpoint apart; ",
    ),
}
