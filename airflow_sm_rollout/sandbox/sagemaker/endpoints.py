"""Endpoints: their operations and their states.

An endpoint that is under change (Creating, Updating, Deleting) refuses every other change. An update builds its whole
new fleet beside the old one and flips when all of it is healthy; if that never happens the endpoint ends InService on
its old configuration, as AWS's does, and only EndpointConfigName and FailureReason tell. An update with a DeploymentConfig
is :mod:`.shifting`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.deployment import Policy, is_excluded, read_policy, refuse_other_names
from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint, Incoming, describe, summarise
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import (
    EndpointConfig,
    EndpointConfigs,
    refuse_more_than_allowed,
)
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant, new_variant
from airflow_sm_rollout.sandbox.sagemaker.provisioning import Order, Provisioner
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.resources import Resources, page_of
from airflow_sm_rollout.sandbox.sagemaker.shifting import Alarms, Shift

IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


class ScalableTargets(Protocol):
    """What tells which variants are registered with Application Auto Scaling."""

    def variants_of(self, endpoint_name: str) -> set[str]:
        """Names of an endpoint's variants that are registered."""
        ...

    def forget(self, endpoint_name: str) -> None:
        """Deregister all variants of an endpoint that is deleted."""
        ...


class Endpoints:
    """CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DescribeEndpoint, ListEndpoints,
    DeleteEndpoint.

    :param alarms: what tells whether a rollback alarm rings.
    :param in_service: called with an endpoint and the time when it first goes into service.
    :param targets: what tells which variants scale by themselves.
    """

    def __init__(
        self,
        region: Region,
        configs: EndpointConfigs,
        provisioner: Provisioner,
        alarms: Alarms,
        in_service: Callable[[Endpoint, float], None],
        targets: ScalableTargets,
    ) -> None:
        self._region = region
        self._configs = configs
        self._provisioner = provisioner
        self._alarms = alarms
        self._in_service = in_service
        self._targets = targets
        self._endpoints: Resources[Endpoint] = Resources(region, "endpoint", "endpoint")

    def serving(self, name: str) -> Endpoint | None:
        """The endpoint of exactly this name that takes requests; ``None`` while it is created, deleted, or after a
        failed create.
        """
        endpoint = self._endpoints.find(name)
        return endpoint if endpoint is not None and endpoint.name == name and endpoint.is_serving else None

    def describe_endpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return describe(self._endpoints.named(params["EndpointName"]))

    def records(self) -> list[dict[str, Any]]:
        """What DescribeEndpoint answers for each endpoint."""
        return [describe(endpoint) for endpoint in self._endpoints]

    def list_endpoints(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return page_of(self._endpoints, params, "Endpoints", summarise)

    def create_endpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["EndpointName"]
        self._endpoints.refuse_existing(name)
        config = self._configs.named(params["EndpointConfigName"])
        now = self._region.now()
        endpoint = Endpoint(name, self._endpoints.arn(name), now, config, modified=now)
        variants, shadows = _fleet(config, {})
        additions = _all_of(variants + shadows)
        self._provisioner.refuse_over_quota("CreateEndpoint", additions, self._in_use())
        endpoint.last_deployment = params.get("DeploymentConfig")
        self._endpoints.add(endpoint, params.get("Tags", ()))

        def ready(when: float) -> None:
            endpoint.variants, endpoint.shadows = variants, shadows
            endpoint.enter("InService", when)
            self._in_service(endpoint, when)

        def failed(when: float, reason: str) -> None:
            endpoint.failure_reason = reason
            endpoint.enter("Failed", when)

        seconds = self._region.timings.create_endpoint
        self._provisioner.fill(Order("CreateEndpoint", additions, seconds, ready, failed))
        return {"EndpointArn": endpoint.arn}

    def update_endpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        # That an update leads out of a rollback that failed is inferred: AWS names a remedy, and none is recorded.
        endpoint = self._changeable(params["EndpointName"], "InService", "UpdateRollbackFailed")
        config = self._configs.named(params["EndpointConfigName"])
        # AWS reads the old configuration too: one that was deleted while in use fails the update (recorded).
        self._configs.named(endpoint.config.name)
        _refuse_to_take_from_scaling(endpoint, config, self._targets.variants_of(endpoint.name))
        variants, shadows = _fleet(config, _retained(endpoint, params))
        incoming = Incoming(config, variants, shadows, self._region.now() + self._region.timings.deployment_summary)
        deployment = _deployment(endpoint, params)
        policy = _policy(endpoint, incoming, deployment)
        self._provisioner.refuse_over_quota("UpdateEndpoint", _all_of(variants + shadows), self._in_use())
        endpoint.last_deployment = deployment or endpoint.last_deployment
        if policy is None:
            self._update_at_once(endpoint, incoming)
        else:
            Shift(self._region, self._provisioner, self._alarms, endpoint, policy).begin(incoming)
        return {"EndpointArn": endpoint.arn}

    def _update_at_once(self, endpoint: Endpoint, incoming: Incoming) -> None:
        """The plain update: all traffic moves when the new fleet is ready."""

        def failed(when: float, reason: str) -> None:
            before = endpoint.failure_reason
            endpoint.failure_reason = self._provisioner.told_reason("UpdateEndpoint", before, reason)
            endpoint.enter(self._provisioner.end_of_rollback("UpdateEndpoint"), when)

        endpoint.enter("Updating", self._region.now())
        additions, seconds = _all_of(incoming.variants + incoming.shadows), self._region.timings.update_endpoint
        ready = partial(endpoint.replace_fleet, incoming)
        self._provisioner.fill(Order("UpdateEndpoint", additions, seconds, ready, failed))

    def update_endpoint_weights_and_capacities(self, params: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = self._changeable(params["EndpointName"])
        wishes = _by_variant(params["DesiredWeightsAndCapacities"])
        _refuse_unknown_variants(endpoint, wishes)
        chosen = [variant for variant in endpoint.variants if variant.name in wishes]
        concurrencies = {v.name: _wished_concurrency(v, wishes[v.name]) for v in chosen}
        counts = {v.name: int(wishes[v.name].get("DesiredInstanceCount", v.desired_count)) for v in chosen}
        additions = [(v, counts[v.name] - len(v.containers)) for v in chosen if counts[v.name] > len(v.containers)]
        operation = "UpdateEndpointWeightsAndCapacities"
        self._provisioner.refuse_over_quota(operation, additions, self._in_use())
        resizes = any(
            (counts[v.name], concurrencies[v.name]) != (v.desired_count, v.desired_concurrency) for v in chosen
        )
        for variant in chosen:
            variant.desired_weight = float(wishes[variant.name].get("DesiredWeight", variant.desired_weight))
            variant.desired_count = counts[variant.name]
            variant.desired_concurrency = concurrencies[variant.name]
        self._reshape(endpoint, chosen, additions, resizes)
        return {"EndpointArn": endpoint.arn}

    def _reshape(
        self, endpoint: Endpoint, chosen: Sequence[Variant], additions: list[tuple[Variant, int]], resizes: bool
    ) -> None:
        timings, now = self._region.timings, self._region.now()
        seconds = timings.change_capacity if resizes else timings.change_weights

        def route(when: float) -> None:
            for variant in chosen:
                variant.routed_weight = variant.desired_weight

        def ready(when: float) -> None:
            for variant in chosen:
                variant.weight = variant.routed_weight = variant.desired_weight
                variant.concurrency = variant.desired_concurrency
                variant.drop_containers(keep=variant.desired_count)
            endpoint.enter("InService", when)

        def failed(when: float, reason: str) -> None:
            for variant in chosen:
                variant.desired_weight = variant.routed_weight = variant.weight
                variant.desired_count = len(variant.containers)
                variant.desired_concurrency = variant.concurrency
            endpoint.failure_reason = reason
            endpoint.enter("InService", when)

        endpoint.enter("Updating", now)
        self._region.schedule.at(now + timings.weights_move * seconds, route)
        order = Order("UpdateEndpointWeightsAndCapacities", additions, seconds, ready, failed)
        self._provisioner.fill(order)

    def delete_endpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoints.named(params["EndpointName"])
        _refuse_in_progress(endpoint)
        _refuse_to_leave_components(endpoint)
        endpoint.enter("Deleting", self._region.now())
        self._targets.forget(endpoint.name)
        for variant in endpoint.variants + endpoint.shadows:
            variant.drop_containers(keep=0)
        self._region.schedule.at(
            self._region.now() + self._region.timings.delete_endpoint, lambda when: self._endpoints.remove(endpoint)
        )
        return {}

    def _in_use(self) -> Counter[str]:
        """Instances of the account, or wished for, by type."""
        used: Counter[str] = Counter()
        for endpoint in self._endpoints:
            for variant in endpoint.variants + endpoint.shadows:
                used[variant.entry.get("InstanceType", "")] += variant.desired_count
        return used

    def _changeable(self, name: str, *statuses: str) -> Endpoint:
        endpoint = self._endpoints.named(name)
        _refuse_in_progress(endpoint)
        if endpoint.status not in (statuses or ("InService",)):
            raise AwsError(
                "ValidationException", f'Cannot update endpoint "{endpoint.arn}" with status "{endpoint.status}".'
            )
        return endpoint


def _refuse_in_progress(endpoint: Endpoint) -> None:
    if endpoint.status in IN_PROGRESS:
        raise AwsError("ValidationException", f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _refuse_to_leave_components(endpoint: Endpoint) -> None:
    """AWS's words for this are not recorded."""
    if endpoint.components:
        names = ", ".join(sorted(endpoint.components))
        raise AwsError("ValidationException", f'Endpoint "{endpoint.arn}" hosts inference components: {names}.')


def _refuse_to_take_from_scaling(endpoint: Endpoint, config: EndpointConfig, registered: set[str]) -> None:
    """Documented: an update fails that removes a registered variant, or changes its instance type."""
    types = {entry["VariantName"]: entry.get("InstanceType") for entry in config.production}
    kept = {v.name for v in endpoint.variants if types.get(v.name, "") == v.entry.get("InstanceType")}
    taken = sorted({v.name for v in endpoint.variants} & registered - kept)
    if taken:
        text = "must be deregistered as scalable target(s) with AutoScaling before they can be removed or have their instance type updated."
        raise AwsError("ValidationException", f'The variant(s) "[{", ".join(taken)}]" {text}')


def _by_variant(wishes: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    by_variant: dict[str, Mapping[str, Any]] = {}
    for wish in wishes:
        if wish["VariantName"] in by_variant:
            text = f'The variant name "{wish["VariantName"]}" was non-unique within the request.'
            raise AwsError("ValidationException", text)
        by_variant[wish["VariantName"]] = wish
    return by_variant


def _wished_concurrency(variant: Variant, wish: Mapping[str, Any]) -> Mapping[str, int] | None:
    """A serverless variant's ServerlessConfig as a wish leaves it; ``None``: it has instances.

    :raises AwsError: if the wish is for a variant of the other kind, or for more than is allowed.
    """
    strange = "ServerlessUpdateConfig" if variant.desired_concurrency is None else "DesiredInstanceCount"
    if strange in wish:
        kind = "not serverless" if variant.desired_concurrency is None else "serverless"
        raise AwsError("ValidationException", f'Variant "{variant.name}" is {kind} and has no {strange}.')
    if variant.desired_concurrency is None:
        return None
    wished = {**variant.desired_concurrency, **wish.get("ServerlessUpdateConfig", {})}
    refuse_more_than_allowed(variant.name, wished)
    return wished


def _refuse_unknown_variants(endpoint: Endpoint, wishes: Mapping[str, Any]) -> None:
    unknown = [f'"{name}"' for name in wishes if name not in {variant.name for variant in endpoint.variants}]
    if unknown:
        text = f"The variant name(s) {', '.join(unknown)} is/are not present within endpoint configuration"
        raise AwsError("ValidationException", f'{text} "{endpoint.config.name}".')


def _deployment(endpoint: Endpoint, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The DeploymentConfig that an update asks for: its own, or once more the last one."""
    retained = endpoint.last_deployment if params.get("RetainDeploymentConfig") else None
    return params.get("DeploymentConfig") or retained


def _policy(endpoint: Endpoint, incoming: Incoming, deployment: Mapping[str, Any] | None) -> Policy | None:
    """How traffic is to be shifted; ``None``: not at all, the plain update."""
    if not deployment:
        return None
    policy = read_policy(deployment, sum(variant.desired_count for variant in incoming.variants))
    refuse_other_names(endpoint.variants, incoming.variants)
    return None if is_excluded(endpoint.variants + incoming.variants) else policy


def _fleet(config: EndpointConfig, retained: Mapping[str, Mapping[str, float]]) -> tuple[list[Variant], list[Variant]]:
    """New production and shadow variants for a configuration, without instances yet."""
    return (
        [new_variant(entry, retained.get(entry["VariantName"], {})) for entry in config.production],
        [new_variant(entry, {}) for entry in config.shadows],
    )


def _all_of(variants: Sequence[Variant]) -> list[tuple[Variant, int]]:
    return [(variant, variant.desired_count) for variant in variants]


def _retained(endpoint: Endpoint, params: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By variant name, what RetainAllVariantProperties carries over to a variant of the same name."""
    if not params.get("RetainAllVariantProperties"):
        return {}
    excluded = {prop["VariantPropertyType"] for prop in params.get("ExcludeRetainedVariantProperties", ())}
    kept = {"weight": "DesiredWeight", "count": "DesiredInstanceCount"}.items()
    return {
        variant.name: {
            key: value
            for (key, prop), value in zip(kept, (variant.desired_weight, variant.desired_count), strict=True)
            if prop not in excluded
        }
        for variant in endpoint.variants
    }
