"""One inference component, and how it is described.

Not played: where copies find room. An endpoint has room for all of them, so that ``PlacementStatus`` is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.containers import Container
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant, new_variant
from airflow_sm_rollout.sandbox.sagemaker.region import timestamp


@dataclass(eq=False, slots=True)
class Component:
    """An inference component's state.

    :param endpoint_name: of the endpoint that hosts it.
    :param variant: of the endpoint's variant.
    :param copies: its containers, with its specification as their entry.
    :param desired_count: DesiredCopyCount.
    :param incoming: the copies of a new specification, while an update rolls to it.
    :param failure_reason: of the last change that failed; it goes with the end of the next one that succeeds.
    :param last_deployment: the DeploymentConfig of the last UpdateInferenceComponent that had one.
    """

    name: str
    arn: str
    created: float
    endpoint_name: str
    endpoint_arn: str
    variant: str
    copies: Variant
    desired_count: int
    modified: float
    status: str = "Creating"
    incoming: Variant | None = None
    failure_reason: str | None = None
    last_deployment: Mapping[str, Any] | None = None
    turn: int = 0

    @property
    def specification(self) -> Mapping[str, Any]:
        """What it runs. While an update rolls that is the old one: what AWS shows then is not recorded."""
        return self.copies.entry

    @property
    def containers(self) -> list[Container]:
        """The copies that take requests, old ones and new ones."""
        return [*self.copies.containers, *(self.incoming.containers if self.incoming else ())]

    def next_container(self) -> Container | None:
        """The copy whose turn it is; ``None`` if it has none."""
        containers = self.containers
        self.turn += 1
        return containers[self.turn % len(containers)] if containers else None

    def enter(self, status: str, at: float) -> None:
        """Take on a status; LastModifiedTime is when that was last done."""
        self.status, self.modified = status, at


def copies_of(variant: str, specification: Mapping[str, Any]) -> Variant:
    """The copies of a specification, none of them started yet."""
    return new_variant({**specification, "VariantName": variant, "InitialInstanceCount": 0}, {})


def summarise(component: Component) -> dict[str, Any]:
    """The entry of ListInferenceComponents."""
    return {
        "InferenceComponentName": component.name,
        "InferenceComponentArn": component.arn,
        "EndpointName": component.endpoint_name,
        "EndpointArn": component.endpoint_arn,
        "VariantName": component.variant,
        "CreationTime": timestamp(component.created),
        "LastModifiedTime": timestamp(component.modified),
        "InferenceComponentStatus": component.status,
    }


def describe(component: Component) -> dict[str, Any]:
    """The answer of DescribeInferenceComponent."""
    answer = {
        **summarise(component),
        "Specification": _specification(component),
        "RuntimeConfig": {
            "DesiredCopyCount": component.desired_count,
            "CurrentCopyCount": len(component.containers),
        },
    }
    if component.failure_reason is not None:
        answer["FailureReason"] = component.failure_reason
    if component.last_deployment is not None:
        answer["LastDeploymentConfig"] = component.last_deployment
    return answer


def _specification(component: Component) -> dict[str, Any]:
    summary = {
        member: value
        for member, value in component.specification.items()
        if member not in ("VariantName", "InitialInstanceCount")
    }
    if "Container" in summary:
        container = dict(summary["Container"])
        image = container.pop("Image", None)
        summary["Container"] = container | ({"DeployedImage": {"SpecifiedImage": image}} if image else {})
    return summary
