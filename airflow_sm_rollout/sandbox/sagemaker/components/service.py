"""Inference components: their operations.

A component that is under change (Creating, Updating, Deleting) refuses every other change, as an endpoint does. Refused by
name: adapters, and specifications for several instance types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.components.component import Component, copies_of, describe, summarise
from airflow_sm_rollout.sandbox.sagemaker.components.policy import read_policy
from airflow_sm_rollout.sandbox.sagemaker.components.rolling import Rolling
from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint
from airflow_sm_rollout.sandbox.sagemaker.endpoints import Endpoints
from airflow_sm_rollout.sandbox.sagemaker.models import Models
from airflow_sm_rollout.sandbox.sagemaker.provisioning import Order, Provisioner
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.resources import Resources, page_of
from airflow_sm_rollout.sandbox.sagemaker.shifting import Alarms
from airflow_sm_rollout.sandbox.surface import not_played

IN_PROGRESS = frozenset({"Creating", "Updating", "Deleting"})


class Components:
    """CreateInferenceComponent, DescribeInferenceComponent, UpdateInferenceComponent, UpdateInferenceComponentRuntimeConfig,
    ListInferenceComponents, DeleteInferenceComponent.

    :param alarms: what tells whether a rollback alarm rings.
    """

    def __init__(
        self, region: Region, endpoints: Endpoints, models: Models, provisioner: Provisioner, alarms: Alarms
    ) -> None:
        self._region = region
        self._endpoints = endpoints
        self._models = models
        self._provisioner = provisioner
        self._alarms = alarms
        self._components: Resources[Component] = Resources(region, "inference-component", "inference component")

    def describe_inference_component(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return describe(self._components.named(params["InferenceComponentName"]))

    def list_inference_components(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = [
            component
            for component in self._components
            if params.get("EndpointNameEquals") in (None, component.endpoint_name)
            and params.get("VariantNameEquals") in (None, component.variant)
        ]
        return page_of(found, params, "InferenceComponents", summarise)

    def create_inference_component(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["InferenceComponentName"]
        self._components.refuse_existing(name)
        endpoint = self._hosting(params["EndpointName"])
        variant = _variant(endpoint, params)
        copies = copies_of(variant, self._specification(params))
        if "RuntimeConfig" not in params:
            raise _invalid("RuntimeConfig is required for an inference component that is no adapter.")
        count, now = int(params["RuntimeConfig"]["CopyCount"]), self._region.now()
        arn = self._components.arn(name)
        component = Component(name, arn, now, endpoint.name, endpoint.arn, variant, copies, count, modified=now)
        self._components.add(component, params.get("Tags", ()))
        endpoint.components[name] = component
        self._grow(component, "CreateInferenceComponent", failed_status="Failed")
        return {"InferenceComponentArn": arn}

    def update_inference_component(self, params: Mapping[str, Any]) -> dict[str, Any]:
        component = self._changeable(params["InferenceComponentName"])
        count = int(params.get("RuntimeConfig", {}).get("CopyCount", component.desired_count))
        if not {"Specification", "Specifications"} & params.keys():
            return self._resize(component, count, "UpdateInferenceComponent")
        incoming = copies_of(component.variant, self._specification(params))
        policy = read_policy(params.get("DeploymentConfig"), count)
        component.last_deployment = params.get("DeploymentConfig") or component.last_deployment
        Rolling(self._region, self._provisioner, self._alarms, component, policy).begin(incoming, count)
        return {"InferenceComponentArn": component.arn}

    def update_inference_component_runtime_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        component = self._changeable(params["InferenceComponentName"])
        count = int(params["DesiredRuntimeConfig"]["CopyCount"])
        return self._resize(component, count, "UpdateInferenceComponentRuntimeConfig")

    def delete_inference_component(self, params: Mapping[str, Any]) -> dict[str, Any]:
        component = self._components.named(params["InferenceComponentName"])
        _refuse_in_progress(component)
        component.enter("Deleting", self._region.now())
        component.copies.drop_containers(keep=0)
        if component.incoming is not None:
            component.incoming.drop_containers(keep=0)
        gone_at = self._region.now() + self._region.timings.delete_component
        self._region.schedule.at(gone_at, lambda when: self._forget(component))
        return {}

    def _forget(self, component: Component) -> None:
        self._components.remove(component)
        endpoint = self._endpoints.serving(component.endpoint_name)
        if endpoint is not None:
            endpoint.components.pop(component.name, None)

    def _resize(self, component: Component, count: int, operation: str) -> dict[str, Any]:
        component.desired_count = count
        component.enter("Updating", self._region.now())
        self._grow(component, operation, failed_status="InService")
        return {"InferenceComponentArn": component.arn}

    def _grow(self, component: Component, operation: str, *, failed_status: str) -> None:
        """Start the copies that are wanted and not there, or stop those that are there and not wanted."""

        def ready(when: float) -> None:
            component.copies.drop_containers(keep=component.desired_count)
            component.failure_reason = None
            component.enter("InService", when)

        def failed(when: float, reason: str) -> None:
            component.desired_count = len(component.copies.containers)
            component.failure_reason = reason
            component.enter(failed_status, when)

        more = max(component.desired_count - len(component.copies.containers), 0)
        additions = [(component.copies, more)] if more else []
        order = Order(operation, additions, self._region.timings.launch_copies, ready, failed)
        self._provisioner.fill(order)

    def _hosting(self, name: str) -> Endpoint:
        endpoint = self._endpoints.serving(name)
        if endpoint is None or endpoint.status != "InService":
            raise _invalid(f'Endpoint "{self._region.arn("endpoint", name)}" is not in service.')
        if not endpoint.config.hosts_components:
            raise _invalid(f'Endpoint "{endpoint.arn}" has a model of its own, and hosts no inference components.')
        return endpoint

    def _specification(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The one specification of a request.

        :raises AwsError: for none or two, and for a model that is not there.
        """
        if "Specifications" in params:
            raise not_played("Specifications of an inference component, one for each instance type")
        specification: Mapping[str, Any] = params.get("Specification", {})
        if "BaseInferenceComponentName" in specification:
            raise not_played("adapter inference components (BaseInferenceComponentName)")
        if not {"ModelName", "Container"} & specification.keys():
            raise _invalid("Specification needs a ModelName or a Container.")
        if "ComputeResourceRequirements" not in specification:
            raise _invalid("ComputeResourceRequirements is required for an inference component that is no adapter.")
        if "ModelName" in specification:
            self._models.named(specification["ModelName"])
        return specification

    def _changeable(self, name: str) -> Component:
        component = self._components.named(name)
        _refuse_in_progress(component)
        return component


def _variant(endpoint: Endpoint, params: Mapping[str, Any]) -> str:
    names = [variant.name for variant in endpoint.variants]
    name: str = params.get("VariantName", names[0])
    if name not in names:
        raise _invalid(f'Variant "{name}" is not a variant of endpoint "{endpoint.arn}".')
    return name


def _refuse_in_progress(component: Component) -> None:
    if component.status in IN_PROGRESS:
        raise _invalid(f'Cannot update in-progress inference component "{component.arn}".')


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)
