"""What can go wrong on AWS, on request.

A fault waits for the calls that it names. Request faults change what one call is answered; provisioning faults change
what becomes of the instances that a call asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from airflow_sm_rollout.sandbox.arn import partition_of
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.wire import Call

RequestKind = Literal["throttle", "denied", "expired_credentials", "lost_answer"]
ProvisioningKind = Literal["no_capacity", "quota", "bad_ping"]
ReasonKind = Literal["empty_reason", "stale_reason"]
EndKind = Literal["failed_rollback"]
Kind = Literal[RequestKind, ProvisioningKind, ReasonKind, EndKind]
REQUEST_KINDS: tuple[str, ...] = get_args(RequestKind)
KINDS: tuple[str, ...] = (*REQUEST_KINDS, *get_args(ProvisioningKind), *get_args(ReasonKind), *get_args(EndKind))

PRINCIPAL = "assumed-role/sandbox/session"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is to go wrong.

    :param kind: ``throttle`` (refused, no effect), ``denied``, ``expired_credentials``, ``lost_answer`` (takes effect,
        and the connection is closed without an answer), ``no_capacity`` (accepted, fails much later), ``quota``
        (refused at once with ResourceLimitExceeded), ``bad_ping`` (the container never becomes healthy), ``empty_reason`` (an update
        that is rolled back leaves no FailureReason), ``stale_reason`` (it leaves the one of the failure before, if there was one) or
        ``failed_rollback`` (it ends UpdateRollbackFailed, as a rolling one may).
    :param operation: the AWS operation it waits for, of the services that the sandbox plays itself; ``*`` for any. A
        ``bad_ping`` waits for a model instead.
    :param times: how many calls it hits; for a ``bad_ping`` how many provisionings of that model.
    :param skip: how many matching calls it lets pass first.
    :param model: the model that fails its ping (``bad_ping`` only), ``*`` for any.
    :raises ValueError: for an unknown kind, or counts that can never be reached.
    """

    kind: str
    operation: str = "*"
    times: int = 1
    skip: int = 0
    model: str = "*"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.times < 1 or self.skip < 0:
            raise ValueError(f"times must be at least 1 and skip at least 0, got {self.times} and {self.skip}")


class Faults:
    """The faults that still wait. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[Fault]:
        """Those not used up, with what is left of their counts."""
        with self._lock:
            return list(self._waiting)

    def take_request_fault(self, operation: str) -> Fault | None:
        """The request fault that hits this call of ``operation``; counts the call."""
        return self._take(lambda fault: fault.kind in REQUEST_KINDS and fault.operation in ("*", operation))

    def take_provisioning_fault(self, kind: ProvisioningKind, operation: str) -> Fault | None:
        """The ``no_capacity`` or ``quota`` fault that hits this call of ``operation``; counts the call."""
        return self._take(lambda fault: fault.kind == kind and fault.operation in ("*", operation))

    def take_reason_fault(self, operation: str) -> Fault | None:
        """The fault that hits the FailureReason of an ``operation`` which is rolled back just now."""
        return self._take(lambda fault: fault.kind in get_args(ReasonKind) and fault.operation in ("*", operation))

    def take_end_fault(self, operation: str) -> Fault | None:
        """The fault that keeps an ``operation`` from being rolled back to the end."""
        return self._take(lambda fault: fault.kind in get_args(EndKind) and fault.operation in ("*", operation))

    def take_bad_ping(self, model: str) -> Fault | None:
        """The fault that keeps the containers of one provisioning of ``model`` from becoming healthy."""
        return self._take(lambda fault: fault.kind == "bad_ping" and fault.model in ("*", model))

    def _take(self, hits: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            taken: Fault | None = None
            kept: list[Fault] = []
            for fault in self._waiting:
                left, struck = _count(fault) if taken is None and hits(fault) else (fault, None)
                taken = taken or struck
                kept += [left] if left else []
            self._waiting = kept
            return taken


def _count(fault: Fault) -> tuple[Fault | None, Fault | None]:
    """What is left of a fault after one more matching call, and the fault itself if it hit."""
    if fault.skip:
        return replace(fault, skip=fault.skip - 1), None
    return (replace(fault, times=fault.times - 1) if fault.times > 1 else None), fault


# CloudWatch is a query service by birth and has kept that protocol's common error codes and statuses.
_REFUSALS: dict[str, dict[str, tuple[str, int]]] = {
    "cloudwatch": {
        "throttle": ("Throttling", 400),
        "denied": ("AccessDenied", 403),
        "expired_credentials": ("ExpiredToken", 403),
    },
    "": {
        "throttle": ("ThrottlingException", 400),
        "denied": ("AccessDeniedException", 400),
        "expired_credentials": ("ExpiredTokenException", 400),
    },
}
_ACTION_PREFIX = {"sagemaker-runtime": "sagemaker"}


def refusal(fault: Fault, call: Call, region: Region) -> AwsError:
    """The error that AWS answers for a ``throttle``, ``denied`` or ``expired_credentials`` fault."""
    if fault.kind == "expired_credentials":
        return ended(call)
    code, status = _REFUSALS.get(call.service, _REFUSALS[""])[fault.kind]
    if fault.kind == "throttle":
        # A throttled invocation carries no text (recorded), a throttled control call does.
        return AwsError(code, "" if call.operation == "InvokeEndpoint" else "Rate exceeded", status)
    action = f"{_ACTION_PREFIX.get(call.service, call.service)}:{call.operation}"
    who = f"User: arn:{partition_of(region.name)}:sts::{region.account}:{PRINCIPAL} is not authorized to perform: {action}"
    why = f"because no identity-based policy allows the {action} action"
    return AwsError(code, f"{who} on resource: {_resource(call, region)} {why}", status)


def ended(call: Call | None) -> AwsError:
    """What AWS answers to credentials whose time is over.

    :param call: ``None``: of a service that the sandbox does not play itself.
    """
    code, status = _REFUSALS.get(call.service if call else "cloudwatch", _REFUSALS[""])["expired_credentials"]
    return AwsError(code, "The security token included in the request is expired", status)


def _resource(call: Call, region: Region) -> str:
    kinds = {"EndpointName": "endpoint", "EndpointConfigName": "endpoint-config", "ModelName": "model"}
    kinds = {"InferenceComponentName": "inference-component", **kinds}
    for member, kind in kinds.items():
        if member in call.params:
            return region.arn(kind, str(call.params[member]))
    if call.service == "ssm" and ("Name" in call.params or call.params.get("Names")):
        name = call.params.get("Name") or call.params["Names"][0]
        return region.arn_of("ssm", f"parameter/{str(name).lstrip('/')}")
    return "*"
