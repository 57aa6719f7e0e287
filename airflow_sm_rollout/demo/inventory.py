"""What there is on AWS around one endpoint, to compare before and after a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COMPARED = (
    "VariantName",
    "CurrentWeight",
    "DesiredWeight",
    "CurrentInstanceCount",
    "DesiredInstanceCount",
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """One look.

    :param endpoint: what a rollback has to restore: status, config, the variants' weights and counts, tags.
    :param names: everything a rollout could leave behind: configs, models, alarms, parameters, each with its kind before it.
    """

    endpoint: Mapping[str, Any]
    names: frozenset[str]


def take_inventory(session: Any, endpoint_name: str) -> Inventory:
    """Look at an endpoint and around it.

    :param session: a boto3 session.
    """
    sagemaker, cloudwatch, ssm = (session.client(name) for name in ("sagemaker", "cloudwatch", "ssm"))
    described = sagemaker.describe_endpoint(EndpointName=endpoint_name)
    tags = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    endpoint = {
        "status": described["EndpointStatus"],
        "config": described["EndpointConfigName"],
        "variants": [{key: variant.get(key) for key in _COMPARED} for variant in described["ProductionVariants"]],
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
    }
    alarm_types = ["MetricAlarm", "CompositeAlarm"]
    names = (
        *_names(sagemaker, "list_endpoint_configs", "endpoint config", "EndpointConfigs", "EndpointConfigName"),
        *_names(sagemaker, "list_models", "model", "Models", "ModelName"),
        *_names(cloudwatch, "describe_alarms", "alarm", "MetricAlarms", "AlarmName", AlarmTypes=alarm_types),
        *_names(cloudwatch, "describe_alarms", "alarm", "CompositeAlarms", "AlarmName", AlarmTypes=alarm_types),
        *_names(ssm, "get_parameters_by_path", "parameter", "Parameters", "Name", Path="/", Recursive=True),
    )
    return Inventory(endpoint, frozenset(names))


def _names(client: Any, operation: str, kind: str, member: str, key: str, **options: Any) -> list[str]:
    pages = client.get_paginator(operation).paginate(**options)
    return [f"{kind} {found[key]}" for page in pages for found in page.get(member, [])]
