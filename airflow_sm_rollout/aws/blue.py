"""Reads what blue is, whole enough to make it again, and refuses an endpoint that can't be rolled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.scaling import read_scaling, read_scheduled
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.rollout import Blue
from airflow_sm_rollout.core.scaling import Scaling, resource_id


def read_blue(clients: Clients, endpoint: Endpoint, traffic: str) -> Blue:
    """Blue as it is now: config, weight, instances, scaling and tags.

    :param traffic: the way to split traffic.
    :raises RolloutRefused: if the endpoint is changing, or of a kind that its way to split traffic can't roll out.
    """
    if not endpoint.is_in_service:
        raise RolloutRefused(
            f"{endpoint.describe()}; a rollout starts from an endpoint that is InService. Nothing was changed; try again later"
        )
    config, config_arn = read_config(clients.sagemaker, endpoint.config_name)
    refuse_unsuitable(endpoint.name, config, traffic)
    variant = endpoint.variants[0]
    return Blue(
        config_name=endpoint.config_name,
        config=config,
        variant=variant.name,
        weight=variant.desired_weight,
        instance_count=variant.desired_count,
        config_tags=read_tags(clients.sagemaker, config_arn),
        scaling=_read_blues_scaling(clients.autoscaling, resource_id(endpoint.name, variant.name)),
    )


def _read_blues_scaling(autoscaling: Any, resource: str) -> Scaling | None:
    found = read_scaling(autoscaling, [resource]).get(resource)
    return replace(found, scheduled=read_scheduled(autoscaling, resource)) if found else None


def read_tags(sagemaker: Any, arn: str) -> dict[str, str]:
    """A resource's tags, but for those that AWS set itself, which nobody else can set."""
    tags = sagemaker.list_tags(ResourceArn=arn, MaxResults=50)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("aws:")}


def read_config(sagemaker: Any, name: str) -> tuple[dict[str, Any], str]:
    """A config as CreateEndpointConfig takes it, and its ARN.

    Which members those are is read from the service's own model, so that what AWS adds later is carried over too instead of being lost
    (docs/facts-aws.md#what-other-tools-lost-on-the-way: mlflow#7255 lost the data capture config).
    """
    described = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    members = sagemaker.meta.service_model.operation_model("CreateEndpointConfig").input_shape.members
    config = {
        member: described[member] for member in members if described.get(member) and member != "EndpointConfigName"
    }
    return config, str(described["EndpointConfigArn"])


def refuse_unsuitable(endpoint_name: str, config: Mapping[str, Any], traffic: str) -> None:
    """Refuse what a way to split traffic can't do (docs/facts-aws.md#limits and docs/facts-aws.md#shadows).

    :raises RolloutRefused: with the reason.
    """
    why = _why_unsuitable(config, traffic)
    if why:
        raise RolloutRefused(
            f"endpoint {endpoint_name} can't be rolled out with traffic={traffic!r}: {why}. Nothing was changed"
        )


def _why_unsuitable(config: Mapping[str, Any], traffic: str) -> str:
    variants = config["ProductionVariants"]
    if len(variants) != 1:
        names = ", ".join(variant["VariantName"] for variant in variants)
        return f"it has {len(variants)} production variants ({names}), and blue must be one"
    if config.get("ShadowProductionVariants"):
        return "it has a shadow variant, which AWS allows beside one production variant only"
    if config.get("AsyncInferenceConfig"):
        return "it is an asynchronous endpoint, which publishes no request counts to judge by"
    if "ServerlessConfig" in variants[0] and traffic != "endpoints":
        return "it is serverless, which AWS allows one variant only; traffic='endpoints' can"
    if "ModelName" not in variants[0]:
        return "it hosts inference components, which have no variant weights"
    return ""
