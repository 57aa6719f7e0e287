"""Reads an inference component as the loop knows what serves, reads what blue is of it, and updates it.

What it runs is told by a name, as an endpoint's config is: blue's, green's, or neither's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.aws import blue
from airflow_sm_rollout.aws.answers import moment_of, told
from airflow_sm_rollout.aws.blue import refuse_unknown
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.errors import if_found
from airflow_sm_rollout.aws.whole import read, send, unknown_members
from airflow_sm_rollout.core import rolling_update
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.observation import Component, Endpoint, Pending, Variant
from airflow_sm_rollout.core.rolling_update import UpdateComponent
from airflow_sm_rollout.core.rollout import Blue, Green, Rollout
from airflow_sm_rollout.core.traffic import Traffic

_NO_STAGE = "AWS does not tell how far it is."


def read_component(sagemaker: Any, name: str, rollout: Rollout | None) -> Component | None:
    """An inference component; ``None``: there is none.

    :param rollout: by which it is told what it runs; ``None``: by its model's name alone.
    """
    described = if_found(lambda: _describe(sagemaker, name))
    if described is None:
        return None
    whose = f"inference component {name}"
    status, modified = (
        told(described, "InferenceComponentStatus", whose),
        moment_of(described, "LastModifiedTime", whose),
    )
    specification: Mapping[str, Any] = described.get("Specification", {})
    is_ours = rollout is not None and rolling_update.is_of(rollout, described.get("LastDeploymentConfig", {}))
    final = rollout.names.final_config if rollout else ""
    return Component(
        name=described.get("InferenceComponentName", name),
        arn=told(described, "InferenceComponentArn", whose),
        status=status,
        config_name=_which(specification, rollout),
        variants=(_variant(described, whose),),
        last_modified=modified,
        failure_reason=described.get("FailureReason", ""),
        pending=Pending(final, _NO_STAGE, modified) if is_ours and status == "Updating" else None,
        model_name=specification.get("ModelName", ""),
    )


def read_blue(clients: Clients, endpoint: Endpoint, traffic: Traffic, green: Green) -> Blue:
    """Blue as it is now, an endpoint's or a component's.

    :raises RolloutRefused: see :func:`~airflow_sm_rollout.aws.blue.read_blue`.
    """
    is_component = isinstance(endpoint, Component)
    return _read_blue(clients, endpoint) if is_component else blue.read_blue(clients, endpoint, traffic, green)


def _read_blue(clients: Clients, component: Endpoint) -> Blue:
    """Blue as it is now: its specification, its copies, and how often its endpoint publishes metrics.

    :raises RolloutRefused: if it is changing, or of a kind that can't be rolled out.
    """
    if not component.is_in_service:
        raise RolloutRefused(
            f"{component.describe()}; a rollout starts from a component that is InService. Nothing was changed; try again later"
        )
    sagemaker, name = clients.sagemaker, component.name
    described = _describe(sagemaker, name)
    unknown = unknown_members(sagemaker, "DescribeInferenceComponent", described)
    refuse_unknown(f"inference component {name}", unknown)
    why = _why_unsuitable(described)
    if why:
        raise RolloutRefused(
            f"inference component {name} can't be rolled out with traffic='components': {why}. Nothing was changed"
        )
    [variant], host = component.variants, told(described, "EndpointName", f"inference component {name}")
    endpoint = sagemaker.describe_endpoint(EndpointName=host)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=told(endpoint, "EndpointConfigName", host))
    return Blue(
        config_name=component.config_name,
        config={
            "EndpointName": host,
            "ProductionVariants": [{**described["Specification"], "VariantName": variant.name}],
            "MetricsConfig": config.get("MetricsConfig", {}),
        },
        variant=variant.name,
        weight=variant.desired_weight,
        instance_count=variant.desired_count,
    )


def update(sagemaker: Any, action: UpdateComponent) -> None:
    """Have SageMaker replace the copies. Without a RuntimeConfig there are as many as before."""
    by = {"DeploymentConfig": action.deployment} if action.deployment else {}
    asked = {"InferenceComponentName": action.name, "Specification": action.specification, **by}
    send(sagemaker, "UpdateInferenceComponent", asked)


def _describe(sagemaker: Any, name: str) -> dict[str, Any]:
    return read(sagemaker, "DescribeInferenceComponent", InferenceComponentName=name)


def _which(specification: Mapping[str, Any], rollout: Rollout | None) -> str:
    """The name of what it runs. Where one member differs it is somebody else's."""
    if rollout is not None:
        known = {
            rollout.blue.config_name: rolling_update.blues_specification(rollout),
            rollout.names.final_config: rolling_update.specification(rollout),
        }
        found = [name for name, meant in known.items() if meant == specification]
        return found[0] if found else f"another specification of model {specification.get('ModelName', 'none')}"
    return str(specification.get("ModelName", ""))


def _variant(described: Mapping[str, Any], whose: str) -> Variant:
    counts = described.get("RuntimeConfig", {})
    wished = told(counts, "DesiredCopyCount", whose)
    there = counts.get("CurrentCopyCount", 0)
    return Variant(told(described, "VariantName", whose), 1.0, 1.0, there, wished)


def _why_unsuitable(described: Mapping[str, Any]) -> str:
    if "Specifications" in described:
        return "it has Specifications for several instance types, and one model for all of them is what can be replaced"
    specification = described.get("Specification", {})
    if "BaseInferenceComponentName" in specification:
        return "it is an adapter of another component, which has no copies of its own"
    if "Container" in specification:
        return "its specification has a Container of its own beside the model: put it on a model that has all of it"
    return "" if specification.get("ModelName") else "its specification names no model"
