"""Application Auto Scaling: what scales a variant's instances, and the calls that change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.whole import read, unknown_members
from airflow_sm_rollout.core.scaling import NONE_SUSPENDED, Scaling, resource_id

_NAMESPACE = "sagemaker"
# What DescribeScalingPolicies tells of a policy besides what PutScalingPolicy takes.
_TOLD_ONLY = frozenset({"PolicyARN", "ServiceNamespace", "ResourceId", "ScalableDimension", "Alarms", "CreationTime"})
_WHAT_SCALES = {"ServiceNamespace": _NAMESPACE, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


def read_scaling(autoscaling: Any, resources: Sequence[str]) -> dict[str, Scaling]:
    """How variants scale, by resource ID; one that is no scalable target is left out. Scheduled actions are not read."""
    if not resources:
        return {}
    targets = [each for each in _targets(autoscaling, resources) if _is_by_instances(each)]
    return {told(each, "ResourceId", "a scalable target"): _scaling(autoscaling, each) for each in targets}


def read_whole_scaling(autoscaling: Any, resource: str) -> tuple[Scaling | None, list[str]]:
    """How a variant scales, with its scheduled actions; and by what else than its instances, such as a serverless one's concurrency."""
    targets = _targets(autoscaling, [resource])
    others = {target["ScalableDimension"] for target in targets if not _is_by_instances(target)}
    by_instances = [_scaling(autoscaling, target) for target in targets if _is_by_instances(target)]
    if not by_instances:
        return None, sorted(others)
    return replace(by_instances[0], scheduled=_read_scheduled(autoscaling, resource)), sorted(others)


def unknown_of_policies(autoscaling: Any, resource: str) -> list[str]:
    """What of a variant's scaling policies the installed botocore does not know."""
    asked: dict[str, Any] = {"ResourceId": resource, **_WHAT_SCALES}
    unknown: list[str] = []
    while True:
        answer = read(autoscaling, "DescribeScalingPolicies", **asked)
        unknown += unknown_members(autoscaling, "DescribeScalingPolicies", answer)
        if not answer.get("NextToken"):
            return unknown
        asked["NextToken"] = answer["NextToken"]


def _is_by_instances(target: Mapping[str, Any]) -> bool:
    ours = _WHAT_SCALES["ScalableDimension"]
    return bool(target.get("ScalableDimension", ours) == ours)


def _targets(autoscaling: Any, resources: Sequence[str]) -> list[Mapping[str, Any]]:
    pages = autoscaling.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace=_NAMESPACE, ResourceIds=list(resources)
    )
    return [target for page in pages for target in page.get("ScalableTargets", ())]


def _read_scheduled(autoscaling: Any, resource: str) -> tuple[str, ...]:
    """Names of a variant's scheduled actions."""
    pages = autoscaling.get_paginator("describe_scheduled_actions").paginate(ResourceId=resource, **_WHAT_SCALES)
    actions = [action for page in pages for action in page.get("ScheduledActions", ())]
    return tuple(told(action, "ScheduledActionName", f"a scheduled action of {resource}") for action in actions)


def register(
    autoscaling: Any, place: tuple[str, str], minimum: int, maximum: int, suspended: Mapping[str, bool]
) -> None:
    """Make a variant a scalable target, or change it as one. Its role is the service's own for SageMaker."""
    autoscaling.register_scalable_target(
        ResourceId=resource_id(*place),
        MinCapacity=minimum,
        MaxCapacity=maximum,
        SuspendedState=dict(suspended),
        **_WHAT_SCALES,
    )


def deregister(autoscaling: Any, place: tuple[str, str]) -> None:
    """Make it none any more; its policies go with it."""
    autoscaling.deregister_scalable_target(ResourceId=resource_id(*place), **_WHAT_SCALES)


def put_policy(autoscaling: Any, place: tuple[str, str], policy: Mapping[str, Any]) -> None:
    """Make a policy, or write it again."""
    autoscaling.put_scaling_policy(ResourceId=resource_id(*place), **_WHAT_SCALES, **policy)


def _scaling(autoscaling: Any, target: Mapping[str, Any]) -> Scaling:
    resource = told(target, "ResourceId", "a scalable target")
    return Scaling(
        minimum=told(target, "MinCapacity", f"scalable target {resource}"),
        maximum=told(target, "MaxCapacity", f"scalable target {resource}"),
        suspended={**NONE_SUSPENDED, **target.get("SuspendedState", {})},
        policies=tuple(_policies(autoscaling, resource)),
    )


def _policies(autoscaling: Any, resource: str) -> Iterator[dict[str, Any]]:
    pages = autoscaling.get_paginator("describe_scaling_policies").paginate(ResourceId=resource, **_WHAT_SCALES)
    for page in pages:
        for policy in page.get("ScalingPolicies", ()):
            told(policy, "PolicyName", f"a scaling policy of {resource}")
            yield {member: value for member, value in policy.items() if member not in _TOLD_ONLY}
