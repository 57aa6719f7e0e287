"""SageMaker models: an image and an artifact under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.containers import ModelSpec
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.packages import ModelPackages
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.sagemaker.resources import Resources, page_of


@dataclass(frozen=True, slots=True)
class Model:
    """A model as created.

    :param description: what DescribeModel gives back of the request.
    :param spec: what its container is started from, model packages resolved.
    """

    name: str
    arn: str
    created: float
    description: Mapping[str, Any]
    spec: ModelSpec


class Models:
    """CreateModel, DescribeModel, ListModels, DeleteModel. Deleting one does not touch an endpoint that runs it."""

    def __init__(self, region: Region, packages: ModelPackages) -> None:
        self._region = region
        self._packages = packages
        self._models: Resources[Model] = Resources(region, "model", "model")

    def named(self, name: str) -> Model:
        """:raises AwsError: AWS's ``Could not find model ...``."""
        return self._models.named(name)

    def create_model(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["ModelName"]
        self._models.refuse_existing(name)
        described = {"EnableNetworkIsolation": False} | {key: value for key, value in params.items() if key != "Tags"}
        model = Model(name, self._models.arn(name), self._region.now(), described, self._spec(params))
        self._models.add(model, params.get("Tags", ()))
        return {"ModelArn": model.arn}

    def _spec(self, params: Mapping[str, Any]) -> ModelSpec:
        if "PrimaryContainer" in params and params.get("Containers"):
            raise AwsError("ValidationException", "You must provide either PrimaryContainer or Containers, not both.")
        containers = [params["PrimaryContainer"]] if "PrimaryContainer" in params else params.get("Containers", [])
        if not containers:
            raise AwsError("ValidationException", "You must provide either PrimaryContainer or Containers.")
        # The first container of a pipeline answers for all of it: the sandbox runs one process per instance.
        first = containers[0]
        packaged: Mapping[str, Any] = {}
        if "ModelPackageName" in first:
            packaged = self._packages.containers(first["ModelPackageName"])[0]
        container = {**packaged, **first}
        if "Image" not in container:
            raise AwsError(
                "ValidationException", "You must provide either an Image or a ModelPackageName for the container."
            )
        environment = {**packaged.get("Environment", {}), **first.get("Environment", {})}
        return ModelSpec(params["ModelName"], container["Image"], _artifact(container), environment)

    def describe_model(self, params: Mapping[str, Any]) -> dict[str, Any]:
        model = self._models.named(params["ModelName"])
        return {**model.description, **_summary(model)}

    def list_models(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return page_of(self._models, params, "Models", _summary)

    def delete_model(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._models.remove(self._models.named(params["ModelName"]))
        return {}


def _summary(model: Model) -> dict[str, Any]:
    return {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": timestamp(model.created)}


def _artifact(container: Mapping[str, Any]) -> str | None:
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    url: str | None = container.get("ModelDataUrl", source.get("S3Uri"))
    return url
