"""What there is on AWS around one endpoint, to compare before and after a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.aws.live import read_pointer

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

    :param endpoint: what a rollback has to restore: the endpoint that serves, its status, config, variants' weights and counts, tags, and
        the live pointer's text.
    :param names: everything a rollout could leave behind: endpoints, configs, models, alarms, parameters, each with its kind before it.
    """

    endpoint: Mapping[str, Any]
    names: frozenset[str]


def take_inventory(session: Any, endpoint_name: str) -> Inventory:
    """Look at an endpoint and around it.

    :param session: a boto3 session.
    :param endpoint_name: its name, or the logical one of a live pointer.
    """
    sagemaker, cloudwatch, ssm = (session.client(name) for name in ("sagemaker", "cloudwatch", "ssm"))
    pointer = read_pointer(ssm, endpoint_name)
    live = (pointer and pointer.endpoint_name) or endpoint_name
    described = sagemaker.describe_endpoint(EndpointName=live)
    tags = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    endpoint = {
        "name": live,
        "pointer": pointer and pointer.text,
        "status": described["EndpointStatus"],
        "config": described["EndpointConfigName"],
        "variants": [{key: variant.get(key) for key in _COMPARED} for variant in described["ProductionVariants"]],
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
    }
    alarm_types = ["MetricAlarm", "CompositeAlarm"]
    names = (
        *_names(sagemaker, "list_endpoints", "endpoint", "Endpoints", "EndpointName"),
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
