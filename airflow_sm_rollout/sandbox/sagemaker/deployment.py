"""A DeploymentConfig, read and checked: which portion of the new fleet takes requests when, and what rolls it back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant

_ALL_AT_ONCE: Mapping[str, Any] = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
_SMALLEST_PERCENT = {"CANARY": 1, "LINEAR": 10}  # botocore's documentation of the two members
_LARGEST_PERCENT = 50
_EXCLUDED_INSTANCES = "ml.inf1."


@dataclass(frozen=True, slots=True)
class Policy:
    """How SageMaker shifts traffic from the old fleet to the new one.

    :param portions: the portion of the new fleet that takes requests after each shift, 0.0 to 1.0, rising, the last 1.0.
    :param wait: seconds from one shift to the next.
    :param termination_wait: seconds for which the old fleet is kept after the last one.
    :param timeout: seconds after which an unfinished deployment is rolled back; ``None``: never.
    :param alarms: names of the alarms that roll it back.
    """

    portions: tuple[float, ...]
    wait: float
    termination_wait: float
    timeout: float | None
    alarms: tuple[str, ...]


def read_policy(deployment: Mapping[str, Any], instances: int) -> Policy:
    """Read a DeploymentConfig whose members are within their own ranges already.

    :param instances: of the new fleet.
    :raises AwsError: ``ValidationException`` for what cannot be.
    """
    if "RollingUpdatePolicy" in deployment:
        raise _invalid("RollingUpdatePolicy is not supported by this sandbox; use BlueGreenUpdatePolicy.")
    policy = deployment.get("BlueGreenUpdatePolicy", _ALL_AT_ONCE)
    routing = policy["TrafficRoutingConfiguration"]
    rollback = deployment.get("AutoRollbackConfiguration", {})
    return Policy(
        portions=_portions(routing, instances),
        wait=float(routing["WaitIntervalInSeconds"]),
        termination_wait=float(policy.get("TerminationWaitInSeconds", 0)),
        timeout=policy.get("MaximumExecutionTimeoutInSeconds"),
        alarms=tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms", ()) if "AlarmName" in alarm),
    )


def refuse_other_names(old: Sequence[Variant], new: Sequence[Variant]) -> None:
    """:raises AwsError: unless both fleets' variants have the same names, which only a plain update may change."""
    if {variant.name for variant in old} != {variant.name for variant in new}:
        raise _invalid("New endpoint configuration must have the same variant name as the old endpoint configuration.")


def is_excluded(variants: Sequence[Variant]) -> bool:
    """Whether a fleet is of a kind for which AWS falls back to all at once, without a final bake: Inf1 instances."""
    return any(str(variant.entry.get("InstanceType", "")).startswith(_EXCLUDED_INSTANCES) for variant in variants)


def _portions(routing: Mapping[str, Any], instances: int) -> tuple[float, ...]:
    kind = routing["Type"]
    if kind == "ALL_AT_ONCE":
        return (1.0,)
    member = _SIZES[kind]
    if member not in routing:
        raise _invalid(f"{member} is required when the traffic routing type is {kind}.")
    step = _instances_of(routing[member], instances)
    _refuse_size(kind, member, routing[member], instances)
    shifts = [step] if kind == "CANARY" else list(range(step, instances, step))
    return (*(count / instances for count in shifts if count < instances), 1.0)


def _instances_of(size: Mapping[str, Any], instances: int) -> int:
    """Whole instances; how AWS rounds a percentage is not recorded, so this takes the larger and riskier one."""
    value = int(size["Value"])
    return value if size["Type"] == "INSTANCE_COUNT" else max(1, math.ceil(instances * value / 100))


def _refuse_size(kind: str, member: str, size: Mapping[str, Any], instances: int) -> None:
    percent = size["Value"] if size["Type"] == "CAPACITY_PERCENT" else 100 * size["Value"] / max(instances, 1)
    if not _SMALLEST_PERCENT[kind] <= percent <= _LARGEST_PERCENT:
        allowed = f"between {_SMALLEST_PERCENT[kind]} and {_LARGEST_PERCENT} percent"
        raise _invalid(
            f"{member} must be {allowed} of the fleet; {size['Value']} ({size['Type']}) of {instances} is {percent:g}."
        )


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)
