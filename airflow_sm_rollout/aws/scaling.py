"""Application Auto Scaling: what scales a variant, and the calls that change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.whole import read, unknown_members
from airflow_sm_rollout.core.scaling import INSTANCES, NONE_SUSPENDED, PROVISIONED, Scaling, resource_id

_NAMESPACE = "sagemaker"
# What DescribeScalingPolicies tells of a policy besides what PutScalingPolicy takes.
_TOLD_ONLY = frozenset({"PolicyARN", "ServiceNamespace", "ResourceId", "ScalableDimension", "Alarms", "CreationTime"})


def read_scaling(autoscaling: Any, resources: Sequence[str]) -> dict[str, Scaling]:
    """How variants scale, by resource ID; one that is no scalable target is left out. Scheduled actions are not read."""
    if not resources:
        return {}
    targets = [each for each in _targets(autoscaling, resources) if _is_carried(each)]
    return {told(each, "ResourceId", "a scalable target"): _scaling(autoscaling, each) for each in targets}


def read_whole_scaling(autoscaling: Any, resource: str) -> tuple[Scaling | None, list[str]]:
    """How a variant scales, with its scheduled actions; and by what else than its instances or its provisioned concurrency."""
    targets = _targets(autoscaling, [resource])
    others = {target["ScalableDimension"] for target in targets if not _is_carried(target)}
    carried = [_scaling(autoscaling, target) for target in targets if _is_carried(target)]
    if not carried:
        return None, sorted(others)
    scheduled = _read_scheduled(autoscaling, resource, carried[0].dimension)
    return replace(carried[0], scheduled=scheduled), sorted(others)


def unknown_of_policies(autoscaling: Any, resource: str, dimension: str | None) -> list[str]:
    """What of a variant's scaling policies the installed botocore does not know."""
    asked: dict[str, Any] = _named(resource, dimension)
    unknown: list[str] = []
    while True:
        answer = read(autoscaling, "DescribeScalingPolicies", **asked)
        unknown += unknown_members(autoscaling, "DescribeScalingPolicies", answer)
        if not answer.get("NextToken"):
            return unknown
        asked["NextToken"] = answer["NextToken"]


def _named(resource: str, dimension: str | None) -> dict[str, str]:
    return {"ServiceNamespace": _NAMESPACE, "ResourceId": resource, "ScalableDimension": dimension or INSTANCES}


def _is_carried(target: Mapping[str, Any]) -> bool:
    return target.get("ScalableDimension", INSTANCES) in (INSTANCES, PROVISIONED)


def _targets(autoscaling: Any, resources: Sequence[str]) -> list[Mapping[str, Any]]:
    pages = autoscaling.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace=_NAMESPACE, ResourceIds=list(resources)
    )
    return [target for page in pages for target in page.get("ScalableTargets", ())]


def _read_scheduled(autoscaling: Any, resource: str, dimension: str | None) -> tuple[str, ...]:
    """Names of a variant's scheduled actions."""
    pages = autoscaling.get_paginator("describe_scheduled_actions").paginate(**_named(resource, dimension))
    actions = [action for page in pages for action in page.get("ScheduledActions", ())]
    return tuple(told(action, "ScheduledActionName", f"a scheduled action of {resource}") for action in actions)


def register(
    autoscaling: Any,
    place: tuple[str, str],
    bounds: tuple[int, int],
    suspended: Mapping[str, bool],
    *,
    dimension: str | None,
) -> None:
    """Make a variant a scalable target, or change it as one. Its role is the service's own for SageMaker."""
    minimum, maximum = bounds
    autoscaling.register_scalable_target(
        **_named(resource_id(*place), dimension),
        MinCapacity=minimum,
        MaxCapacity=maximum,
        SuspendedState=dict(suspended),
    )


def deregister(autoscaling: Any, place: tuple[str, str], dimension: str | None) -> None:
    """Make it none any more; its policies go with it."""
    autoscaling.deregister_scalable_target(**_named(resource_id(*place), dimension))


def put_policy(autoscaling: Any, place: tuple[str, str], policy: Mapping[str, Any], *, dimension: str | None) -> None:
    """Make a policy, or write it again."""
    autoscaling.put_scaling_policy(**_named(resource_id(*place), dimension), **policy)


def _scaling(autoscaling: Any, target: Mapping[str, Any]) -> Scaling:
    resource = told(target, "ResourceId", "a scalable target")
    dimension = target.get("ScalableDimension", INSTANCES)
    return Scaling(
        minimum=told(target, "MinCapacity", f"scalable target {resource}"),
        maximum=told(target, "MaxCapacity", f"scalable target {resource}"),
        suspended={**NONE_SUSPENDED, **target.get("SuspendedState", {})},
        policies=tuple(_policies(autoscaling, resource, dimension)),
        dimension=None if dimension == INSTANCES else dimension,
    )


def _policies(autoscaling: Any, resource: str, dimension: str) -> Iterator[dict[str, Any]]:
    pages = autoscaling.get_paginator("describe_scaling_policies").paginate(**_named(resource, dimension))
    for page in pages:
        for policy in page.get("ScalingPolicies", ()):
            told(policy, "PolicyName", f"a scaling policy of {resource}")
            yield {member: value for member, value in policy.items() if member not in _TOLD_ONLY}
