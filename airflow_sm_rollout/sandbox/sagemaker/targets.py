"""Variants that are registered with Application Auto Scaling, with their bounds and policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

INSTANCES, PROVISIONED = "sagemaker:variant:DesiredInstanceCount", "sagemaker:variant:DesiredProvisionedConcurrency"
SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


@dataclass(slots=True)
class Target:
    """A scalable target.

    :param dimension: what of it scales: the instances, or a serverless variant's provisioned concurrency.
    :param suspended: by the names of :data:`SUSPENSIONS`.
    :param policies: PutScalingPolicy's parameters, by the policy's name.
    :param scheduled: PutScheduledAction's, by the action's name.
    """

    resource: str
    dimension: str
    minimum: int
    maximum: int
    created: float
    suspended: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(SUSPENSIONS, False))
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    scheduled: dict[str, dict[str, Any]] = field(default_factory=dict)


class Targets:
    """What is registered, by resource ID (``endpoint/<name>/variant/<name>``).

    ``on_removal`` is called with each target that is removed.
    """

    def __init__(self) -> None:
        self.on_removal: Callable[[Target], None] = lambda target: None
        self._by_resource: dict[str, Target] = {}

    def __iter__(self) -> Iterator[Target]:
        return iter(list(self._by_resource.values()))

    def find(self, resource: str) -> Target | None:
        return self._by_resource.get(resource)

    def add(self, target: Target) -> None:
        self._by_resource[target.resource] = target

    def remove(self, resource: str) -> None:
        removed = self._by_resource.pop(resource, None)
        if removed is not None:
            self.on_removal(removed)

    def variants_of(self, endpoint_name: str) -> set[str]:
        """Names of an endpoint's variants that are registered."""
        prefix = f"endpoint/{endpoint_name}/variant/"
        return {resource.removeprefix(prefix) for resource in self._by_resource if resource.startswith(prefix)}

    def forget(self, endpoint_name: str) -> None:
        """Deregister all variants of an endpoint that is deleted."""
        for variant in self.variants_of(endpoint_name):
            self.remove(resource_id(endpoint_name, variant))


def resource_id(endpoint_name: str, variant: str) -> str:
    """What Application Auto Scaling calls a variant."""
    return f"endpoint/{endpoint_name}/variant/{variant}"
