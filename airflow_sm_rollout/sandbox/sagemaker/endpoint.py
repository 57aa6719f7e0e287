"""One endpoint, and how it is described."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import EndpointConfig
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant
from airflow_sm_rollout.sandbox.sagemaker.region import timestamp


@dataclass(eq=False, slots=True)
class Endpoint:
    """An endpoint's state.

    :param config: the configuration that it serves; an update replaces it only when it is done.
    :param failure_reason: of the last change that failed. It outlives the beginning of the next update (recorded), and
        goes with the end of the next one that succeeds.
    """

    name: str
    arn: str
    created: float
    config: EndpointConfig
    modified: float
    status: str = "Creating"
    variants: list[Variant] = field(default_factory=list)
    shadows: list[Variant] = field(default_factory=list)
    failure_reason: str | None = None

    @property
    def is_serving(self) -> bool:
        return bool(self.variants) and self.status != "Deleting"

    def enter(self, status: str, at: float) -> None:
        """Take on a status; LastModifiedTime is when that was last done."""
        self.status, self.modified = status, at


def summarise(endpoint: Endpoint) -> dict[str, Any]:
    """The entry of ListEndpoints."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "CreationTime": timestamp(endpoint.created),
        "LastModifiedTime": timestamp(endpoint.modified),
        "EndpointStatus": endpoint.status,
    }


def describe(endpoint: Endpoint) -> dict[str, Any]:
    """The answer of DescribeEndpoint. Variants appear once there is a fleet, so not while Creating."""
    configured = endpoint.config.description
    passed_on = ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig", "CrossRegionTrafficConfig")
    answer = {
        **summarise(endpoint),
        "EndpointConfigName": endpoint.config.name,
        **{member: configured[member] for member in passed_on if member in configured},
    }
    if endpoint.variants:
        answer["ProductionVariants"] = [_variant(variant) for variant in endpoint.variants]
    if endpoint.shadows:
        answer["ShadowProductionVariants"] = [_variant(variant) for variant in endpoint.shadows]
    if "DataCaptureConfig" in configured:
        answer["DataCaptureConfig"] = _capture(configured["DataCaptureConfig"])
    if endpoint.failure_reason is not None:
        answer["FailureReason"] = endpoint.failure_reason
    return answer


def _variant(variant: Variant) -> dict[str, Any]:
    summary = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.desired_weight,
    }
    if variant.image:
        summary["DeployedImages"] = [_deployed_image(*variant.image)]
    serverless = variant.entry.get("ServerlessConfig")
    if serverless is not None:
        return summary | {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    passed_on = {key: variant.entry[key] for key in ("ManagedInstanceScaling", "RoutingConfig") if key in variant.entry}
    counts = {"CurrentInstanceCount": len(variant.containers), "DesiredInstanceCount": variant.desired_count}
    return summary | counts | passed_on


def _deployed_image(image: str, resolved_at: float) -> dict[str, Any]:
    repository = image.partition("@")[0]
    untagged = repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository
    digest = hashlib.sha256(image.encode()).hexdigest()
    return {
        "SpecifiedImage": image,
        "ResolvedImage": image if "@" in image else f"{untagged}@sha256:{digest}",
        "ResolutionTime": timestamp(resolved_at),
    }


def _capture(config: Mapping[str, Any]) -> dict[str, Any]:
    enabled = config.get("EnableCapture", False)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
