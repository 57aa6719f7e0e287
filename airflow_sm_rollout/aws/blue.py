"""Reads what blue is, whole enough to make it again, and refuses an endpoint that can't be rolled out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import botocore
from botocore.parsers import ResponseParserError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.scaling import read_whole_scaling, unknown_of_policies
from airflow_sm_rollout.aws.whole import read, unknown_members
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.kinds import ASYNCHRONOUS, kinds_of
from airflow_sm_rollout.core.observation import Endpoint, Variant
from airflow_sm_rollout.core.rollout import Blue, Green
from airflow_sm_rollout.core.scaling import Scaling, resource_id
from airflow_sm_rollout.core.traffic import Traffic

# Members that are carried to green though an older boto3 lacks them: those that AWS added after the oldest one that this package takes.
# How they work was looked at here; what is in neither list is refused, as nobody knows what green would be with it, or without.
LATER_MEMBERS = frozenset(
    {
        "CrossRegionTrafficConfig",
        "MetricsConfig.EnableDetailedObservability",
        "ProductionVariants[].AcceleratorPartitionLayouts",
        "ProductionVariants[].InstancePools",
        "ProductionVariants[].RoutingConfig.PrefixAwareRoutingConfig",
        "ProductionVariants[].VariantInstanceProvisionTimeoutInSeconds",
        "PrimaryContainer.ContainerMetricsConfig",
        "Containers[].ContainerMetricsConfig",
    }
)
# What AWS tells of a config besides what CreateEndpointConfig takes.
_TOLD_ONLY = frozenset({"EndpointConfigName", "EndpointConfigArn", "CreationTime"})


def read_blue(clients: Clients, endpoint: Endpoint, traffic: Traffic, green: Green) -> Blue:
    """Blue as it is now: config, weight, instances, scaling and tags.

    :param traffic: the way to split traffic.
    :raises RolloutRefused: if the endpoint is changing, or of a kind that its way to split traffic can't roll out.
    """
    if not endpoint.is_in_service:
        raise RolloutRefused(
            f"{endpoint.describe()}; a rollout starts from an endpoint that is InService. Nothing was changed; try again later"
        )
    config, config_arn = read_config(clients.sagemaker, endpoint.config_name)
    _refuse(endpoint.name, traffic, _why_unsuitable(config, traffic) or _why_not_carried(config, green))
    _refuse(endpoint.name, traffic, _why_nothing_serves(endpoint, config))
    variant = _served(endpoint, config)
    _refuse(endpoint.name, traffic, _why_no_room(clients.sagemaker, endpoint, config))
    return Blue(
        config_name=endpoint.config_name,
        config=config,
        variant=variant.name,
        weight=variant.desired_weight,
        instance_count=variant.desired_count,
        max_concurrency=variant.max_concurrency,
        config_tags=read_tags(clients.sagemaker, config_arn),
        scaling=_read_blues_scaling(clients.autoscaling, resource_id(endpoint.name, variant.name)),
    )


def _why_nothing_serves(endpoint: Endpoint, config: Mapping[str, Any]) -> str:
    """Why there is no blue to judge green by: an asynchronous endpoint may have scaled to nothing."""
    is_idle = endpoint.variants and not any(variant.desired_count for variant in endpoint.variants)
    if ASYNCHRONOUS not in kinds_of(config) or not is_idle:
        return ""
    return (
        "it is asynchronous and has scaled to no instance, and while a rollout runs it would not scale up: let it have one at least "
        "(MinCapacity of its scalable target)"
    )


def _served(endpoint: Endpoint, config: Mapping[str, Any]) -> Variant:
    """Blue's variant as it serves; its weight and its instances must be known, or it can't be put back as it was."""
    [planned] = config["ProductionVariants"]
    name = told(planned, "VariantName", f"a variant of endpoint config {endpoint.config_name}")
    variant = endpoint.variant(name)
    is_serverless = "ServerlessConfig" in planned
    is_told = variant is not None and (
        variant.max_concurrency if is_serverless else variant.desired_count or "InitialInstanceCount" not in planned
    )
    if variant is None or not is_told:
        what = "concurrency" if is_serverless else "instances"
        raise ResponseParserError(
            f"DescribeEndpoint does not tell the {what} of variant {name} of endpoint {endpoint.name}"
        )
    return variant


def _refuse(endpoint_name: str, traffic: Traffic, why: str) -> None:
    if why:
        raise RolloutRefused(
            f"endpoint {endpoint_name} can't be rolled out with traffic={traffic.name!r}: {why}. Nothing was changed"
        )


def _read_blues_scaling(autoscaling: Any, resource: str) -> Scaling | None:
    scaling, others = read_whole_scaling(autoscaling, resource)
    if others:
        raise RolloutRefused(
            f"{resource} scales by {', '.join(others)}, which can't be carried over to green: deregister that scalable target before the "
            "rollout, and register green's after it. Nothing was changed"
        )
    if scaling is not None:
        refuse_unknown(f"the scaling of {resource}", unknown_of_policies(autoscaling, resource, scaling.dimension))
    return scaling


def read_tags(sagemaker: Any, arn: str) -> dict[str, str]:
    """A resource's tags, but for those that AWS set itself, which nobody else can set."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    tags = [tag for page in pages for tag in page.get("Tags", ())]
    return {tag["Key"]: tag.get("Value", "") for tag in tags if not tag["Key"].startswith("aws:")}


def read_config(sagemaker: Any, name: str) -> tuple[dict[str, Any], str]:
    """A config as CreateEndpointConfig takes it, and its ARN.

    It holds all that AWS tells of it, so that what AWS adds later is carried over too instead of being lost
    (docs/facts-aws.md#what-other-tools-lost-on-the-way: mlflow#7255 lost the data capture config).

    :raises RolloutRefused: if AWS tells something of it that nobody here knows.
    """
    described = read(sagemaker, "DescribeEndpointConfig", EndpointConfigName=name)
    refuse_unknown(f"blue's endpoint config {name}", unknown_members(sagemaker, "DescribeEndpointConfig", described))
    return config_of(described), str(told(described, "EndpointConfigArn", f"endpoint config {name}"))


def config_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """Of what AWS tells of a config, what CreateEndpointConfig takes."""
    config = {
        member: value for member, value in described.items() if member not in _TOLD_ONLY and value not in ([], {}, "")
    }
    # Where blue says nothing it has none, which a new config would have to pay for (docs/facts-aws.md#newer-members).
    config["MetricsConfig"] = {"EnableDetailedObservability": False, **config.get("MetricsConfig", {})}
    return config


def refuse_unknown(whose: str, members: Iterable[str]) -> None:
    """Refuse what neither this package nor the installed botocore knows: green would be without it.

    :param members: their paths, see :func:`~airflow_sm_rollout.aws.whole.unknown_members`.
    :raises RolloutRefused: if there are any.
    """
    unknown = [member for member in members if member not in LATER_MEMBERS]
    if unknown:
        raise RolloutRefused(
            f"{whose} has {', '.join(unknown)}, which botocore {botocore.__version__} does not know: green would lack it without a "
            "word. Install a newer boto3, which knows it, where Airflow's tasks run. Nothing was changed"
        )


def _why_unsuitable(config: Mapping[str, Any], traffic: Traffic) -> str:
    """What a way to split traffic can't do (docs/facts-aws.md#limits and docs/facts-aws.md#shadows)."""
    variants = config.get("ProductionVariants", [])
    if len(variants) != 1:
        names = ", ".join(variant.get("VariantName", "") for variant in variants)
        return f"it has {len(variants)} production variants ({names}), and green is one model: nobody can tell which of them it replaces"
    if config.get("ShadowProductionVariants"):
        return "it has a shadow variant, which AWS allows beside one production variant only"
    untaken = traffic.why_untaken(kinds_of(config))
    if untaken:
        return untaken
    if "ModelName" not in variants[0]:
        return "it hosts inference components, which have no variant weights; traffic='components' rolls out one of them, by its name"
    return ""


def _why_not_carried(config: Mapping[str, Any], green: Green) -> str:
    """What of blue's variant can't be green's, too."""
    [variant] = config["ProductionVariants"]
    pools = variant.get("InstancePools", [])
    named = [pool["ModelNameOverride"] for pool in pools if pool.get("ModelNameOverride")]
    if named:
        return (
            f"a pool in its InstancePools names a model of its own by ModelNameOverride ({', '.join(named)}), so green would serve "
            "blue's model from that pool: put the endpoint on a config whose pools name none"
        )
    if green.instance_type and pools:
        return (
            f"it has InstancePools, which instance_type={green.instance_type!r} can't replace: leave instance_type out"
        )
    is_reserved = bool(variant.get("CapacityReservationConfig"))
    if is_reserved and green.instance_type not in (None, variant.get("InstanceType")):
        return (
            f"its CapacityReservationConfig is of {variant.get('InstanceType')}, so instance_type={green.instance_type!r} finds no "
            "instances there: leave instance_type out"
        )
    return ""


def _why_no_room(sagemaker: Any, endpoint: Endpoint, config: Mapping[str, Any]) -> str:
    """Why green gets no instances, where blue's come from a capacity reservation only: green's would have to come from it, too."""
    [variant] = config["ProductionVariants"]
    if not variant.get("CapacityReservationConfig"):
        return ""
    wanted = endpoint.variants[0].desired_count
    described = read(sagemaker, "DescribeEndpoint", EndpointName=endpoint.name)
    [reserved] = [each.get("CapacityReservationConfig", {}) for each in described.get("ProductionVariants", [])] or [{}]
    free = reserved.get("AvailableInstanceCount")
    if free is not None and free >= wanted:
        return ""
    room = (
        "AWS does not say how many are free"
        if free is None
        else f"{free} of {reserved.get('TotalInstanceCount')} are free"
    )
    return (
        f"its CapacityReservationConfig takes instances from a reservation only, green needs {wanted} of them beside blue's, and {room}: "
        "enlarge the reservation, or put the endpoint on a config without it for the rollout"
    )
