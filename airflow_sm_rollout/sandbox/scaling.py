"""Application Auto Scaling, for the instances of endpoint variants and the provisioned concurrency of serverless ones.

What matters to whoever changes an endpoint: a registered variant can neither be removed nor re-typed (see :mod:`.sagemaker.endpoints`), a
deleted endpoint takes its targets with it, and an activity makes the endpoint Updating, so that it refuses every other change. Policies
that track a target make alarms and scale by them (:mod:`.target_tracking`); of the others none acts by itself: :meth:`Scaling.scale` is an
activity, as one would start it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_sm_rollout.sandbox.arn import partition_of
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint
from airflow_sm_rollout.sandbox.sagemaker.endpoints import Endpoints
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.sagemaker.targets import INSTANCES, PROVISIONED, Target, Targets, resource_id
from airflow_sm_rollout.sandbox.surface import PassOn
from airflow_sm_rollout.sandbox.target_tracking import Alarms, TargetTracking

PAGE = 50
_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


class Scaling:
    """RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget, PutScalingPolicy, DescribeScalingPolicies,
    DeleteScalingPolicy, PutScheduledAction, DescribeScheduledActions, DeleteScheduledAction.
    """

    def __init__(
        self, region: Region, targets: Targets, endpoints: Endpoints, alarms: Alarms, *, policies_act: bool
    ) -> None:
        self._tracking = TargetTracking(region, alarms, self._count_of, self._act)
        self._policies_act = policies_act
        targets.on_removal = self._tracking.drop_all
        self._region = region
        self._targets = targets
        self._endpoints = endpoints

    def register_scalable_target(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        resource = params["ResourceId"]
        self._variant(resource, params)
        target = self._targets.find(resource)
        if target is None:
            target = self._new_target(resource, params)
            self._targets.add(target)
        target.minimum = params.get("MinCapacity", target.minimum)
        target.maximum = params.get("MaxCapacity", target.maximum)
        target.suspended |= params.get("SuspendedState", {})
        self._keep_within(target)
        return {"ScalableTargetARN": self._arn("scalable-target", resource)}

    def _new_target(self, resource: str, params: Mapping[str, Any]) -> Target:
        missing = [member for member in ("MinCapacity", "MaxCapacity") if member not in params]
        if missing:
            raise AwsError(
                "ValidationException", f"{' and '.join(missing)} must be specified for a new scalable target"
            )
        return Target(
            resource, params["ScalableDimension"], params["MinCapacity"], params["MaxCapacity"], self._region.now()
        )

    def describe_scalable_targets(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        wanted = params.get("ResourceIds")
        found = [target for target in self._targets if wanted is None or target.resource in wanted]
        return _page("ScalableTargets", [self._describe(target) for target in _of_dimension(found, params)], params)

    def deregister_scalable_target(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        self._targets.remove(self._registered(params).resource)
        return {}

    def put_scaling_policy(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        target = self._registered(params)
        name = params["PolicyName"]
        policy, arn = (
            {"PolicyType": "StepScaling", **target.policies.get(name, {}), **params},
            self._policy_arn(target, name),
        )
        if self._policies_act:
            self._tracking.track(target, policy, arn)
        target.policies[name] = policy
        return {"PolicyARN": arn, "Alarms": self._tracking.alarms_of(target, name)}

    def describe_scaling_policies(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        wanted, names = params.get("ResourceId"), params.get("PolicyNames")
        found = [target for target in self._targets if wanted in (None, target.resource)]
        policies = [
            {
                **policy,
                "PolicyARN": self._policy_arn(target, name),
                "CreationTime": timestamp(target.created),
                "Alarms": self._tracking.alarms_of(target, name),
            }
            for target in _of_dimension(found, params)
            for name, policy in target.policies.items()
            if not names or name in names
        ]
        return _page("ScalingPolicies", policies, params)

    def delete_scaling_policy(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        target = self._registered(params)
        if target.policies.pop(params["PolicyName"], None) is None:
            raise AwsError("ObjectNotFoundException", f"No scaling policy found for {_named(params)}")
        self._tracking.drop(target, params["PolicyName"])
        return {}

    def put_scheduled_action(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        scheduled = self._registered(params).scheduled
        name = params["ScheduledActionName"]
        scheduled[name] = {**scheduled.get(name, {}), **params}
        return {}

    def describe_scheduled_actions(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        wanted = params.get("ResourceId")
        found = [target for target in self._targets if wanted in (None, target.resource)]
        actions = [
            {
                **action,
                "ScheduledActionARN": self._arn("scheduledAction", name),
                "CreationTime": timestamp(target.created),
            }
            for target in _of_dimension(found, params)
            for name, action in target.scheduled.items()
        ]
        return _page("ScheduledActions", actions, params)

    def delete_scheduled_action(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params)
        if self._registered(params).scheduled.pop(params["ScheduledActionName"], None) is None:
            raise AwsError("ObjectNotFoundException", f"No scheduled action found for {_named(params)}")
        return {}

    def scale(self, endpoint_name: str, variant: str, count: int) -> bool:
        """A scaling activity: the endpoint is Updating until it is done.

        :param count: instances, or concurrency, wished for; kept within the target's bounds.
        :return: whether it began: not while the endpoint is under change, nor where that is suspended, nor over quota.
        """
        with self._region.schedule.lock:
            target = self._targets.find(resource_id(endpoint_name, variant))
            return target is not None and self._act(target, count)

    def _keep_within(self, target: Target) -> None:
        """Documented: where the capacity is out of a target's bounds, it is changed at once."""
        now = self._count_of(target)
        if now is not None and not target.minimum <= now <= target.maximum:
            self._act(target, now)

    def _act(self, target: Target, count: int) -> bool:
        endpoint, variant = self._found(target.resource)
        wished, now = min(max(count, target.minimum), target.maximum), self._count_of(target)
        if endpoint is None or variant is None or now is None or endpoint.status != "InService" or wished == now:
            return False
        direction = "DynamicScalingOutSuspended" if wished > now else "DynamicScalingInSuspended"
        if target.suspended[direction]:
            return False
        capacity = {"DesiredInstanceCount": wished}
        concurrency = {"ServerlessUpdateConfig": {"ProvisionedConcurrency": wished}}
        change = {"VariantName": variant.name, **(capacity if target.dimension == INSTANCES else concurrency)}
        try:
            self._endpoints.update_endpoint_weights_and_capacities(
                {"EndpointName": endpoint.name, "DesiredWeightsAndCapacities": [change]}
            )
        except AwsError:
            # Over quota, say: such an activity fails by itself, and the call that set it off has nothing to do with it.
            return False
        return True

    def _count_of(self, target: Target) -> int | None:
        _, variant = self._found(target.resource)
        return _capacity(variant, target.dimension) if variant is not None else None

    def _variant(self, resource: str, params: Mapping[str, Any]) -> Variant:
        _, variant = self._found(resource)
        if variant is None or _capacity(variant, params["ScalableDimension"]) is None:
            raise AwsError("ValidationException", f"The scalable target does not exist: {_named(params)}")
        return variant

    def _found(self, resource: str) -> tuple[Endpoint | None, Variant | None]:
        _, endpoint_name, _, variant_name = (resource.split("/") + [""] * 4)[:4]
        endpoint = self._endpoints.serving(endpoint_name)
        variants = endpoint.variants if endpoint else []
        return endpoint, next((variant for variant in variants if variant.name == variant_name), None)

    def _registered(self, params: Mapping[str, Any]) -> Target:
        target = self._targets.find(params["ResourceId"])
        if target is None or params["ScalableDimension"] != target.dimension:
            raise AwsError("ObjectNotFoundException", f"No scalable target found for {_named(params)}")
        return target

    def _describe(self, target: Target) -> dict[str, Any]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": target.resource,
            "ScalableDimension": target.dimension,
            "MinCapacity": target.minimum,
            "MaxCapacity": target.maximum,
            "RoleARN": f"arn:{partition_of(self._region.name)}:iam::{self._region.account}:{_ROLE}",
            "CreationTime": timestamp(target.created),
            "SuspendedState": dict(target.suspended),
            "ScalableTargetARN": self._arn("scalable-target", target.resource),
        }

    def _arn(self, kind: str, name: str) -> str:
        digest = hashlib.sha256(name.encode()).hexdigest()[:28]
        return self._region.arn_of("application-autoscaling", f"{kind}/0ec5{digest}")

    def _policy_arn(self, target: Target, name: str) -> str:
        number = uuid.uuid5(uuid.NAMESPACE_URL, f"{target.resource}/{name}")
        where = f"{number}:resource/sagemaker/{target.resource}:policyName/{name}"
        return self._region.arn_of("autoscaling", f"scalingPolicy:{where}")


def _leave_foreign(params: Mapping[str, Any]) -> None:
    """Scaling of other services shares nothing with the sandbox's endpoints."""
    if params["ServiceNamespace"] != "sagemaker":
        raise PassOn


def _page(member: str, found: list[dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    token = params.get("NextToken", "0")
    if not token.isdecimal():
        raise AwsError("InvalidNextTokenException", "The next token is not valid.")
    end = int(token) + int(params.get("MaxResults", PAGE))
    return {member: found[int(token) : end]} | ({"NextToken": str(end)} if end < len(found) else {})


def _of_dimension(targets: Iterable[Target], params: Mapping[str, Any]) -> Iterator[Target]:
    yield from (target for target in targets if params.get("ScalableDimension", target.dimension) == target.dimension)


def _capacity(variant: Variant, dimension: str) -> int | None:
    """What a variant has of that; ``None``: it can't scale by it. One without provisioned concurrency does not scale (documented)."""
    if dimension == INSTANCES and variant.desired_concurrency is None:
        return variant.desired_count
    if dimension == PROVISIONED and variant.desired_concurrency is not None:
        return variant.desired_concurrency.get("ProvisionedConcurrency")
    return None


def _named(params: Mapping[str, Any]) -> str:
    return (
        f"service namespace: {params['ServiceNamespace']}, resource ID: {params['ResourceId']}, "
        f"scalable dimension: {params['ScalableDimension']}"
    )
