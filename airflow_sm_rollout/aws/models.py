"""Green's SageMaker model: its own image and artifact, and around them what blue's model has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.blue import refuse_unknown
from airflow_sm_rollout.aws.errors import if_found
from airflow_sm_rollout.aws.whole import read, unknown_members
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.rollout import Green

# What of a container is the model itself: green has its own.
_OWN = frozenset(
    {"Image", "ModelDataUrl", "ModelDataSource", "ModelPackageName", "InferenceSpecificationName", "Environment"}
)
# What of a model is about how it runs, and green's has, too.
_AROUND = ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")


def read_model(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """A model as AWS tells it; ``None``: there is none."""
    return if_found(lambda: read(sagemaker, "DescribeModel", ModelName=name))


def refuse_unapproved(sagemaker: Any, package: str) -> None:
    """Refuse a model package that nobody has approved.

    :param package: its ARN.
    :raises RolloutRefused: with its approval status; a package outside of all groups has none.
    """
    status = read(sagemaker, "DescribeModelPackage", ModelPackageName=package).get(
        "ModelApprovalStatus", "without approval"
    )
    if status != "Approved":
        raise RolloutRefused(
            f"model package {package} is {status}, and require_approved=True asks for Approved. Nothing was changed; approve it in the "
            "model registry, then clear this task"
        )


def refuse_unlike(sagemaker: Any, blue: Mapping[str, Any], green: Green) -> None:
    """Refuse to make a model like blue's where that can't be done.

    :param blue: blue's model, see :func:`read_model`.
    :raises RolloutRefused: with what of it can't be green's.
    """
    name = told(blue, "ModelName", "blue's model")
    refuse_unknown(f"blue's model {name}", unknown_members(sagemaker, "DescribeModel", blue))
    why = "" if green.model_package_arn else _why_not_made(blue)
    if why:
        raise RolloutRefused(
            f"image={green.image!r}: blue's model {name} {why}. Create green's SageMaker model yourself and give model_name=. "
            "Nothing was changed"
        )


def _why_not_made(blue: Mapping[str, Any]) -> str:
    containers = _containers(blue)
    if len(containers) != 1:
        return f"has {len(containers)} containers, and an image is one"
    [container] = containers
    if container.get("Mode", "SingleModel") != "SingleModel" or container.get("MultiModelConfig"):
        return "hosts many models (Mode, MultiModelConfig), and model_data_url is one"
    if container.get("AdditionalModelDataSources"):
        return "has AdditionalModelDataSources, which model_data_url can't name"
    return ""


def model_request(green: Green, name: str, blue: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """CreateModel's members for green.

    Of blue's container a model package takes nothing: it brings its own code, and blue's variables would name blue's.

    :param name: what it is to be called.
    :param blue: blue's model, see :func:`read_model`.
    :param tags: its tags, which green's gets, too.
    """
    request = {member: blue[member] for member in _AROUND if member in blue}
    if green.execution_role_arn:
        request["ExecutionRoleArn"] = green.execution_role_arn
    if green.model_package_arn:
        own = {"ModelPackageName": green.model_package_arn}
        request["PrimaryContainer"] = own | _environment(green.environment or {})
    else:
        request |= _like_blues(green, blue)
    return {"ModelName": name, **request, **({"Tags": tag_list(tags)} if tags else {})}


def _like_blues(green: Green, blue: Mapping[str, Any]) -> dict[str, Any]:
    [container] = _containers(blue)
    kept = {member: value for member, value in container.items() if member not in _OWN}
    environment = container.get("Environment", {}) if green.environment is None else green.environment
    made = {**kept, "Image": green.image, "ModelDataUrl": green.model_data_url, **_environment(environment)}
    if "Containers" not in blue:
        return {"PrimaryContainer": made}
    how = {"InferenceExecutionConfig": blue["InferenceExecutionConfig"]} if "InferenceExecutionConfig" in blue else {}
    return {"Containers": [made], **how}


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"Environment": dict(environment)} if environment else {}


def _containers(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    containers: list[Mapping[str, Any]] = model.get("Containers") or [model.get("PrimaryContainer", {})]
    return containers


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as SageMaker takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
