"""What there is on AWS around one endpoint, to compare before and after a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.aws.live import read_pointer
from airflow_sm_rollout.core.plan.function import FunctionAlias

_COMPARED = (
    "VariantName",
    "CurrentWeight",
    "DesiredWeight",
    "CurrentInstanceCount",
    "DesiredInstanceCount",
    "CurrentServerlessConfig",
    "DesiredServerlessConfig",
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """One look.

    :param endpoint: what a rollback has to restore: the endpoint that serves, its status, config, variants' weights and counts, tags, and
        the live pointer's text.
    :param names: everything a rollout could leave behind: endpoints, configs, models, alarms, parameters, each with its kind before it.
    """

    endpoint: Mapping[str, Any]
    names: frozenset[str]


def version_name(endpoint_name: str) -> str:
    """What an inventory calls a function's version, by the endpoint that it calls."""
    return f"version that calls {endpoint_name}"


def take_inventory(session: Any, endpoint_name: str, front: FunctionAlias | None = None) -> Inventory:
    """Look at an endpoint and around it.

    :param session: a boto3 session.
    :param endpoint_name: its name, or the logical one of a live pointer.
    :param front: the function in front of it, if there is one: its alias says then which endpoint serves.
    """
    sagemaker, cloudwatch, ssm = (session.client(name) for name in ("sagemaker", "cloudwatch", "ssm"))
    pointer = read_pointer(ssm, endpoint_name)
    of_front, versions = _look_at_front(session.client("lambda"), front) if front else ({}, {})
    live = versions.get(of_front.get("version", "")) or (pointer and pointer.endpoint_name) or endpoint_name
    described = sagemaker.describe_endpoint(EndpointName=live)
    tags = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    endpoint = {
        "name": live,
        "pointer": pointer and pointer.text,
        "status": described["EndpointStatus"],
        "config": described["EndpointConfigName"],
        "variants": [{key: variant.get(key) for key in _COMPARED} for variant in described["ProductionVariants"]],
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
        **({"front": of_front} if front else {}),
    }
    alarm_types = ["MetricAlarm", "CompositeAlarm"]
    names = (
        *_names(sagemaker, "list_endpoints", "endpoint", "Endpoints", "EndpointName"),
        *_names(sagemaker, "list_endpoint_configs", "endpoint config", "EndpointConfigs", "EndpointConfigName"),
        *_names(sagemaker, "list_models", "model", "Models", "ModelName"),
        *_names(cloudwatch, "describe_alarms", "alarm", "MetricAlarms", "AlarmName", AlarmTypes=alarm_types),
        *_names(cloudwatch, "describe_alarms", "alarm", "CompositeAlarms", "AlarmName", AlarmTypes=alarm_types),
        *(version_name(called) for number, called in versions.items() if number != "$LATEST"),
        *_names(ssm, "get_parameters_by_path", "parameter", "Parameters", "Name", Path="/", Recursive=True),
    )
    return Inventory(endpoint, frozenset(names))


def _look_at_front(functions: Any, front: FunctionAlias) -> tuple[dict[str, Any], dict[str, str]]:
    """What of a function a rollback has to restore, and which endpoints its versions call."""
    alias = functions.get_alias(FunctionName=front.function, Name=front.alias)
    listed = functions.list_versions_by_function(FunctionName=front.function)["Versions"]
    versions = {each["Version"]: each["Environment"]["Variables"][front.variable] for each in listed}
    told = {"version": alias["FunctionVersion"], "description": alias["Description"], "latest": versions["$LATEST"]}
    return {**told, "weights": alias.get("RoutingConfig")}, versions


def _names(client: Any, operation: str, kind: str, member: str, key: str, **options: Any) -> list[str]:
    pages = client.get_paginator(operation).paginate(**options)
    return [f"{kind} {found[key]}" for page in pages for found in page.get(member, [])]
