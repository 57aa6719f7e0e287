"""Application Auto Scaling of a variant: its scalable target, and the policies on it.

A variant scales by its instances, and a serverless one by its provisioned concurrency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INSTANCES, PROVISIONED = "sagemaker:variant:DesiredInstanceCount", "sagemaker:variant:DesiredProvisionedConcurrency"
"""AWS's scalable dimensions that a rollout carries over to green."""

# SuspendedState's members (botocore's application-autoscaling model), all of them on.
ALL_SUSPENDED: Mapping[str, bool] = {
    "DynamicScalingInSuspended": True,
    "DynamicScalingOutSuspended": True,
    "ScheduledScalingSuspended": True,
}
NONE_SUSPENDED: Mapping[str, bool] = dict.fromkeys(ALL_SUSPENDED, False)
"""What AWS means where it tells no SuspendedState, or not all of it."""
_CARRIED = "TargetTrackingScaling"


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a variant scales.

    :param minimum: instances, at least; of a serverless variant provisioned concurrency, and so the next.
    :param maximum: instances, at most.
    :param suspended: AWS's SuspendedState, whole.
    :param policies: for each what PutScalingPolicy takes, but for whose it is.
    :param scheduled: names of the scheduled actions.
    :param dimension: AWS's name of what scales; ``None``: the instances.
    """

    minimum: int
    maximum: int
    suspended: Mapping[str, bool]
    policies: tuple[Mapping[str, Any], ...] = ()
    scheduled: tuple[str, ...] = ()
    dimension: str | None = None

    def has_target_of(self, other: Scaling) -> bool:
        """Whether the scalable targets are the same: bounds, and what of it is suspended."""
        mine, theirs = ({**NONE_SUSPENDED, **each.suspended} for each in (self, other))
        return (self.minimum, self.maximum, self.dimension, mine) == (
            other.minimum,
            other.maximum,
            other.dimension,
            theirs,
        )

    def policies_unlike(self, other: Scaling) -> tuple[Mapping[str, Any], ...]:
        """Those of the other's policies that this one lacks, or has with another content."""
        mine = {policy["PolicyName"]: policy for policy in self.policies}
        return tuple(policy for policy in other.policies if not _says(mine.get(policy["PolicyName"]), policy))


def _says(policy: Any, wanted: Any) -> bool:
    """Whether a policy has all that is wanted of it; what AWS adds by itself is no difference, which would be put right for ever."""
    if isinstance(wanted, Mapping):
        return isinstance(policy, Mapping) and all(_says(policy.get(member), each) for member, each in wanted.items())
    return bool(policy == wanted)


def resource_id(endpoint_name: str, variant: str) -> str:
    """What Application Auto Scaling calls a variant."""
    return f"endpoint/{endpoint_name}/variant/{variant}"


def scaling_from(stored: Mapping[str, Any] | None) -> Scaling | None:
    """Read it from a record's JSON."""
    if stored is None:
        return None
    return Scaling(
        stored["minimum"],
        stored["maximum"],
        stored["suspended"],
        tuple(stored["policies"]),
        tuple(stored["scheduled"]),
        stored.get("dimension"),
    )


def readdress(policy: Any, names: Mapping[str, str]) -> Any:
    """The same policy about another variant: where a custom metric's dimension has one of these names as its value, it gets the other."""
    if isinstance(policy, Mapping):
        if policy.get("Name") in ("EndpointName", "VariantName") and policy.get("Value") in names:
            return {**policy, "Value": names[policy["Value"]]}
        return {key: readdress(each, names) for key, each in policy.items()}
    return [readdress(each, names) for each in policy] if isinstance(policy, (list, tuple)) else policy


def why_not_carried(scaling: Scaling | None) -> str:
    """Why green can't be made to scale as blue does; empty if it can.

    A step scaling policy is started by an alarm of the user's, which watches blue's variant by its name.
    """
    if scaling is None:
        return ""
    others = [policy for policy in scaling.policies if policy.get("PolicyType") != _CARRIED]
    if others:
        return (
            f"its scaling policy {others[0]['PolicyName']} is of type {others[0].get('PolicyType')}, which can't be carried over to green, "
            "as what starts it watches blue: use a target tracking policy, or deregister the scalable target before the rollout"
        )
    if scaling.scheduled:
        return (
            f"it has scheduled scaling ({', '.join(scaling.scheduled)}), which can't be carried over to green: delete the scheduled "
            "actions before the rollout and put them on green after it"
        )
    return ""
