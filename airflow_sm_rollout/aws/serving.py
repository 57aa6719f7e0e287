"""Reads what serves under a name: an endpoint, or an inference component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.components import read_component
from airflow_sm_rollout.aws.errors import if_found, meaning_of
from airflow_sm_rollout.core.observation import Endpoint, Pending, Variant
from airflow_sm_rollout.core.rollout import Rollout


def read_what_serves(sagemaker: Any, name: str, rollout: Rollout) -> Endpoint | None:
    """What serves under a name that a rollout knows, an endpoint or an inference component; ``None``: there is none."""
    is_component = rollout.traffic.has_component
    return read_component(sagemaker, name, rollout) if is_component else read_endpoint(sagemaker, name)


def read_named(sagemaker: Any, name: str) -> Endpoint | None:
    """What serves under a name of which no rollout is known: an endpoint, or else an inference component, for who may read one."""
    endpoint = read_endpoint(sagemaker, name)
    if endpoint is not None:
        return endpoint
    try:
        return read_component(sagemaker, name, None)
    except ClientError as error:
        if meaning_of(error) is not Meaning.DENIED:
            raise
        return None


def read_endpoint(sagemaker: Any, name: str) -> Endpoint | None:
    """The endpoint; ``None``: there is none."""
    described = if_found(lambda: sagemaker.describe_endpoint(EndpointName=name))
    if described is None:
        return None
    whose = f"endpoint {name}"
    status = told(described, "EndpointStatus", whose)
    if status == "InService":
        told(described, "ProductionVariants", whose)
    return Endpoint(
        name=described.get("EndpointName", name),
        arn=told(described, "EndpointArn", whose),
        status=status,
        config_name=described.get("EndpointConfigName", ""),
        variants=tuple(_variants(described.get("ProductionVariants", ()), status, whose)),
        last_modified=told(described, "LastModifiedTime", whose),
        failure_reason=described.get("FailureReason", ""),
        pending=_pending(described.get("PendingDeploymentSummary")),
    )


def _pending(summary: Mapping[str, Any] | None) -> Pending | None:
    if summary is None or "StartTime" not in summary:
        return None
    variants = summary.get("ProductionVariants", [])
    statuses = [status for variant in variants for status in variant.get("VariantStatus", [])]
    stages = [status.get("StatusMessage") or status.get("Status", "") for status in statuses]
    return Pending(summary.get("EndpointConfigName", ""), " ".join(stages), summary["StartTime"])


def _variants(described: Sequence[Mapping[str, Any]], status: str, whose: str) -> Iterator[Variant]:
    for each in described:
        name = told(each, "VariantName", f"a variant of {whose}")
        is_only = len(described) == 1
        if "CurrentWeight" not in each and status == "InService" and not is_only:
            raise ResponseParserError(f"AWS does not tell the weight of variant {name} of {whose}")
        weight = each.get("CurrentWeight", 1.0 if is_only else 0.0)
        current, desired, max_concurrency = _capacity(each)
        yield Variant(
            name=name,
            current_weight=weight,
            desired_weight=each.get("DesiredWeight", weight),
            current_count=current,
            desired_count=desired,
            max_concurrency=max_concurrency,
        )


def _capacity(described: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """Current and desired, and for a serverless variant its desired concurrency."""
    if "CurrentServerlessConfig" in described:
        now = described["CurrentServerlessConfig"]
        desired = described.get("DesiredServerlessConfig", now)
        provisioned = (each.get("ProvisionedConcurrency", 0) for each in (now, desired))
        return *provisioned, desired.get("MaxConcurrency")
    count = described.get("CurrentInstanceCount", 0)
    return count, described.get("DesiredInstanceCount", count), None
