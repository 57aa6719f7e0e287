"""Getting instances: containers are started, pinged, and handed over once all of them are healthy, or AWS gives up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_sm_rollout.sandbox.containers import Bare, Container, ContainerHost, ModelSpec
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.faults import Faults
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant
from airflow_sm_rollout.sandbox.sagemaker.models import Models
from airflow_sm_rollout.sandbox.sagemaker.region import Region

NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
BAD_PING = (
    "The primary container for production variant {variant} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
OVER_QUOTA = (
    "The account-level service limit '{instance} for endpoint usage' is {quota} Instances, with current utilization of "
    "{used} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to request an increase for this "
    "quota."
)
INSTANCE_QUOTA = 100
"""Of each instance type, in an account. AWS's own differ by type and account, and are raised on request."""

_BARE = ModelSpec("", "")
"""Of an instance that inference components share."""

PINGS_PER_PROVISIONING = 10
SHORTEST_PING_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Order:
    """A wish for more instances.

    :param operation: the AWS operation that asks, for the faults that wait for it.
    :param additions: how many containers to add to which variant.
    :param seconds: how long AWS takes for it, at least.
    :param ready: called with the time once all are healthy and part of their variants.
    :param failed: called with the time and the FailureReason; no variant has changed then.
    """

    operation: str
    additions: Sequence[tuple[Variant, int]]
    seconds: float
    ready: Callable[[float], None]
    failed: Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class _Launched:
    variant: Variant
    spec: ModelSpec
    containers: list[Container] = field(default_factory=list)
    never_healthy: bool = False


class Provisioner:
    """Fills orders on the schedule. An order that cannot be filled fails after the time that AWS takes to give up."""

    def __init__(self, region: Region, host: ContainerHost, faults: Faults, models: Models) -> None:
        self._region = region
        self._host = host
        self._faults = faults
        self._models = models

    def refuse_over_quota(
        self, operation: str, additions: Sequence[tuple[Variant, int]], in_use: Mapping[str, int]
    ) -> None:
        """Hold the account's quota of instances.

        :param in_use: instances that the account has, by type.
        :raises AwsError: ``ResourceLimitExceeded`` for more than :data:`INSTANCE_QUOTA` of one type, or if a ``quota`` fault waits for
            this operation.
        """
        wanted: Counter[str] = Counter()
        for variant, count in additions:
            wanted[variant.entry.get("InstanceType", "ml.m5.large")] += count
        if +wanted and self._faults.take_provisioning_fault("quota", operation):
            instance = next(iter(wanted))
            raise _over_quota(instance, 0, 0, sum(wanted.values()))
        for instance, delta in wanted.items():
            if delta > 0 and in_use.get(instance, 0) + delta > INSTANCE_QUOTA:
                raise _over_quota(instance, INSTANCE_QUOTA, in_use.get(instance, 0), delta)

    def told_reason(self, operation: str, before: str | None, reason: str) -> str | None:
        """The FailureReason that a rolled back ``operation`` leaves: its own, or as a fault has it (both were seen on AWS) none, or the
        one from ``before``.
        """
        fault = self._faults.take_reason_fault(operation)
        if fault is None:
            return reason
        return before if fault.kind == "stale_reason" else None

    def end_of_rollback(self, operation: str) -> str:
        """The status that a rolled back ``operation`` leaves."""
        return "UpdateRollbackFailed" if self._faults.take_end_fault(operation) else "InService"

    def fill(self, order: Order) -> None:
        """Begin; exactly one of ``ready`` and ``failed`` is called later."""
        now = self._region.now()
        gives_up = now + max(self._region.timings.failed_update, order.seconds)
        reason = self._doom(order)
        if reason is not None:
            self._region.schedule.at(gives_up, lambda when: order.failed(when, reason))
            return
        launched = [self._launch(variant, count) for variant, count in order.additions]
        self._region.schedule.at(now + order.seconds, lambda when: self._check(order, launched, when, gives_up))

    def _doom(self, order: Order) -> str | None:
        """Why no container of this order can even start, if so."""
        if not order.additions:
            return None
        if self._faults.take_provisioning_fault("no_capacity", order.operation):
            return NO_CAPACITY
        try:
            for variant, _ in order.additions:
                self._spec(variant)
        except AwsError as error:
            # A model that was deleted after its configuration was written: accepted, and fails much later (recorded).
            return error.message
        return None

    def _spec(self, variant: Variant) -> ModelSpec:
        spec = self._models.named(variant.model_name).spec if variant.model_name else _BARE
        own: Mapping[str, Any] | None = variant.entry.get("Container")
        return spec if own is None else _overridden(spec, own)

    def _launch(self, variant: Variant, count: int) -> _Launched:
        spec = self._spec(variant)
        never_healthy = self._faults.take_bad_ping(spec.name) is not None
        start = self._host.start if spec is not _BARE else lambda spec: Bare()
        return _Launched(variant, spec, [start(spec) for _ in range(count)], never_healthy)

    def _check(self, order: Order, launched: Sequence[_Launched], when: float, gives_up: float) -> None:
        unhealthy = next((one for one in launched if not _is_healthy(one)), None)
        if unhealthy is None:
            _hand_over(launched, when)
            order.ready(when)
        elif when >= gives_up:
            for container in (container for one in launched for container in one.containers):
                container.stop()
            order.failed(when, BAD_PING.format(variant=unhealthy.variant.name))
        else:
            again = min(when + max(order.seconds / PINGS_PER_PROVISIONING, SHORTEST_PING_INTERVAL), gives_up)
            self._region.schedule.at(again, lambda later: self._check(order, launched, later, gives_up))


def _overridden(spec: ModelSpec, container: Mapping[str, Any]) -> ModelSpec:
    """The container of an inference component, which may name a model too."""
    return replace(
        spec,
        image=container.get("Image", spec.image),
        model_data_url=container.get("ArtifactUrl", spec.model_data_url),
        environment={**spec.environment, **container.get("Environment", {})},
    )


def _over_quota(instance: str, quota: int, used: int, delta: int) -> AwsError:
    text = OVER_QUOTA.format(instance=instance, quota=quota, used=used, delta=delta)
    return AwsError("ResourceLimitExceeded", text)


def _hand_over(launched: Sequence[_Launched], when: float) -> None:
    for one in launched:
        one.variant.image = (one.spec.image, when)
        one.variant.containers += one.containers


def _is_healthy(launched: _Launched) -> bool:
    return not launched.never_healthy and all(container.ping() for container in launched.containers)
