"""Endpoint configurations: immutable descriptions of what an endpoint runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.models import Models
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.sagemaker.resources import Resources, page_of

DEFAULT_PERIOD = 60
MAX_VARIANTS = 10


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """A configuration as created; ``description`` is the request without its tags, and all of it is described back."""

    name: str
    arn: str
    created: float
    description: Mapping[str, Any]

    @property
    def production(self) -> list[Mapping[str, Any]]:
        return list(self.description["ProductionVariants"])

    @property
    def shadows(self) -> list[Mapping[str, Any]]:
        return list(self.description.get("ShadowProductionVariants", []))

    @property
    def is_asynchronous(self) -> bool:
        """Whether its endpoints take InvokeEndpointAsync and no InvokeEndpoint."""
        return "AsyncInferenceConfig" in self.description

    @property
    def hosts_components(self) -> bool:
        """Whether its endpoints have no model of their own, and host inference components."""
        return not any({"ModelName", "ServerlessConfig"} & variant.keys() for variant in self.production)

    @property
    def metric_period(self) -> int:
        """Seconds between two publications of the invocation metrics: 60, or what enhanced metrics were asked for."""
        metrics = self.description.get("MetricsConfig", {})
        return (
            int(metrics.get("MetricPublishFrequencyInSeconds", DEFAULT_PERIOD))
            if metrics.get("EnableEnhancedMetrics")
            else DEFAULT_PERIOD
        )


class EndpointConfigs:
    """CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig.

    AWS lets one be deleted that an endpoint still uses (recorded); it is the next UpdateEndpoint that fails then.
    """

    def __init__(self, region: Region, models: Models) -> None:
        self._region = region
        self._models = models
        self._configs: Resources[EndpointConfig] = Resources(region, "endpoint-config", "endpoint configuration")

    def named(self, name: str) -> EndpointConfig:
        """:raises AwsError: AWS's ``Could not find endpoint configuration ...``."""
        return self._configs.named(name)

    def create_endpoint_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["EndpointConfigName"]
        self._configs.refuse_existing(name)
        description = {key: value for key, value in params.items() if key != "Tags"}
        config = EndpointConfig(name, self._configs.arn(name), self._region.now(), description)
        _validate_variants(config)
        _validate_components(config)
        for variant in config.production + config.shadows:
            if "ModelName" in variant:
                self._models.named(variant["ModelName"])
        self._configs.add(config, params.get("Tags", ()))
        return {"EndpointConfigArn": config.arn}

    def describe_endpoint_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        config = self._configs.named(params["EndpointConfigName"])
        return {**config.description, **_summary(config)}

    def list_endpoint_configs(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return page_of(self._configs, params, "EndpointConfigs", _summary)

    def delete_endpoint_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._configs.remove(self._configs.named(params["EndpointConfigName"]))
        return {}


def _summary(config: EndpointConfig) -> dict[str, Any]:
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": timestamp(config.created),
    }


def _validate_variants(config: EndpointConfig) -> None:
    names = [variant["VariantName"] for variant in config.production + config.shadows]
    if len(set(names)) < len(names):
        raise AwsError(
            "ValidationException", f"Duplicate variant names: {', '.join(sorted(names))}. Variant names must be unique."
        )
    if config.shadows and (len(config.production), len(config.shadows)) != (1, 1):
        raise AwsError(
            "ValidationException", "A shadow variant needs exactly one production variant and one shadow variant."
        )
    for variant in config.production + config.shadows:
        _validate_capacity(variant)
    if any("ServerlessConfig" in variant for variant in config.production) and (
        len(config.production) > 1 or config.description.get("DataCaptureConfig", {}).get("EnableCapture")
    ):
        text = "A serverless variant is its endpoint's only one, and nothing of it is captured."
        raise AwsError("ValidationException", text)


def _validate_components(config: EndpointConfig) -> None:
    """Both were seen on AWS (docs/facts-aws.md#components); the second's words are not recorded."""
    if not config.hosts_components and any("ManagedInstanceScaling" in variant for variant in config.production):
        text = "ManagedInstanceScaling is only supported for inference component endpoints."
        raise AwsError("ValidationException", text)
    if config.hosts_components and "ExecutionRoleArn" not in config.description:
        text = "ExecutionRoleArn is required for endpoints that host inference components."
        raise AwsError("ValidationException", text)


def _validate_capacity(variant: Mapping[str, Any]) -> None:
    if "ServerlessConfig" not in variant:
        if "InitialInstanceCount" not in variant or not {"InstanceType", "InstancePools"} & variant.keys():
            text = (
                f"Variant {variant['VariantName']} needs an InitialInstanceCount and an InstanceType or InstancePools."
            )
            raise AwsError("ValidationException", text)
        return
    refuse_more_than_allowed(variant["VariantName"], variant["ServerlessConfig"])
    if variant["ServerlessConfig"]["MemorySizeInMB"] % 1024:
        text = f"MemorySizeInMB of variant {variant['VariantName']} must be a whole number of GB: 1024, 2048, ... 6144."
        raise AwsError("ValidationException", text)


def refuse_more_than_allowed(variant: str, serverless: Mapping[str, int]) -> None:
    """:raises AwsError: if more concurrency is provisioned than there may be in all."""
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        text = f"ProvisionedConcurrency of variant {variant} must be less than or equal to its MaxConcurrency."
        raise AwsError("ValidationException", text)
