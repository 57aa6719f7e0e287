"""One endpoint, and how it is described."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.sagemaker.components.component import Component
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import EndpointConfig
from airflow_sm_rollout.sandbox.sagemaker.fleet import Fleet, Variant, portion_of
from airflow_sm_rollout.sandbox.sagemaker.region import timestamp


@dataclass(frozen=True, slots=True)
class Stage:
    """What a deployment is doing, as VariantStatus tells it.

    :param status: AWS's ``VariantStatus``, e.g. ``Baking``.
    :param message: its text, with ``{count}`` for the instances that it is about.
    :param since: seconds since the epoch.
    :param portion: the portion of the new fleet that is said to take requests, 0.0 to 1.0.
    """

    status: str
    message: str
    since: float
    portion: float

    @property
    def is_baking(self) -> bool:
        return self.status == "Baking"


@dataclass(eq=False, slots=True)
class Incoming:
    """The new fleet of a deployment in progress, beside the endpoint's own.

    :param started: seconds since the epoch.
    :param stage: ``None`` until AWS reports the deployment, some seconds after it began.
    :param share: the share of all requests that the new fleet really takes, 0.0 to 1.0.
    """

    config: EndpointConfig
    variants: list[Variant]
    shadows: list[Variant]
    started: float
    stage: Stage | None = None
    share: float = 0.0


@dataclass(eq=False, slots=True)
class Endpoint:
    """An endpoint's state.

    :param config: the configuration that it serves; an update replaces it only when it is done.
    :param failure_reason: of the last change that failed. It outlives the beginning of the next update (recorded), and
        goes with the end of the next one that succeeds.
    :param incoming: the new fleet, while a deployment shifts traffic to it.
    :param last_deployment: the DeploymentConfig of the last UpdateEndpoint that had one, also if that was rolled back.
    :param components: the inference components that it hosts, by their names.
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
    incoming: Incoming | None = None
    last_deployment: Mapping[str, Any] | None = None
    components: dict[str, Component] = field(default_factory=dict)

    @property
    def fleets(self) -> list[Fleet]:
        """What takes requests at this moment. Old and new fleet of a deployment may have variants of the same name."""
        incoming = self.incoming
        own = Fleet(self.config, self.variants, 1.0 - incoming.share if incoming else 1.0)
        return [own, Fleet(incoming.config, incoming.variants, incoming.share)] if incoming else [own]

    @property
    def is_serving(self) -> bool:
        return bool(self.variants) and self.status != "Deleting"

    def enter(self, status: str, at: float) -> None:
        """Take on a status; LastModifiedTime is when that was last done."""
        self.status, self.modified = status, at

    def replace_fleet(self, incoming: Incoming, at: float) -> None:
        """Serve from a new fleet alone, on its configuration: the end of an update that succeeds."""
        outgoing = self.variants + self.shadows
        self.config, self.variants, self.shadows = incoming.config, incoming.variants, incoming.shadows
        self.incoming = self.failure_reason = None
        self.enter("InService", at)
        for variant in outgoing:
            variant.drop_containers(keep=0)


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
    if endpoint.last_deployment is not None:
        answer["LastDeploymentConfig"] = endpoint.last_deployment
    if endpoint.incoming is not None and endpoint.incoming.stage is not None:
        answer["PendingDeploymentSummary"] = _pending(endpoint.incoming, endpoint.incoming.stage)
    return answer


def _pending(incoming: Incoming, stage: Stage) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "EndpointConfigName": incoming.config.name,
        "ProductionVariants": [_pending_variant(variant, stage) for variant in incoming.variants],
        "StartTime": timestamp(incoming.started),
    }
    if incoming.shadows:
        summary["ShadowProductionVariants"] = [_pending_variant(variant, stage) for variant in incoming.shadows]
    return summary


def _pending_variant(variant: Variant, stage: Stage) -> dict[str, Any]:
    active = portion_of(variant.desired_count, stage.portion)
    status = {"Status": stage.status, "StartTime": timestamp(stage.since)}
    # CurrentInstanceCount is the activated capacity, and the instance type lacks its prefix (both recorded).
    return {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight if active else 0.0,
        "DesiredWeight": variant.desired_weight,
        "CurrentInstanceCount": active,
        "DesiredInstanceCount": variant.desired_count,
        "InstanceType": str(variant.entry.get("InstanceType", "")).removeprefix("ml."),
        "VariantStatus": [status | {"StatusMessage": stage.message.format(count=active or variant.desired_count)}],
    }


def _variant(variant: Variant) -> dict[str, Any]:
    summary = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.desired_weight,
    }
    if variant.image:
        summary["DeployedImages"] = [_deployed_image(*variant.image)]
    if variant.concurrency is not None:
        concurrency = {"Current": variant.concurrency, "Desired": variant.desired_concurrency}
        return summary | {f"{when}ServerlessConfig": dict(each or {}) for when, each in concurrency.items()}
    passed_on = {key: variant.entry[key] for key in ("ManagedInstanceScaling", "RoutingConfig") if key in variant.entry}
    counts = {"CurrentInstanceCount": variant.active_count, "DesiredInstanceCount": variant.desired_count}
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
