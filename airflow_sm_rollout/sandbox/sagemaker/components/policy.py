"""The DeploymentConfig of an inference component, read and checked: how many copies a batch has, and what rolls it back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError

_SMALLEST_PERCENT, _LARGEST_PERCENT = 5, 50  # botocore's documentation of MaximumBatchSize


@dataclass(frozen=True, slots=True)
class Policy:
    """How SageMaker replaces a component's copies.

    :param batch: copies that are replaced at a time.
    :param wait: seconds for which each batch bakes.
    :param timeout: seconds after which an unfinished update is rolled back; ``None``: never.
    :param rollback_batch: copies that are put back at a time.
    :param alarms: names of the alarms that roll it back.
    """

    batch: int
    wait: float = 0.0
    timeout: float | None = None
    rollback_batch: int | None = None
    alarms: tuple[str, ...] = ()


def read_policy(deployment: Mapping[str, Any] | None, copies: int) -> Policy:
    """Read a DeploymentConfig whose members are within their own ranges already; without one all copies are one batch.

    :param copies: that the component is to have.
    :raises AwsError: ``ValidationException`` for what cannot be.
    """
    if not deployment:
        return Policy(max(copies, 1))
    rolling = deployment["RollingUpdatePolicy"]
    _refuse_size(rolling["MaximumBatchSize"], copies)
    back = rolling.get("RollbackMaximumBatchSize")
    alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    return Policy(
        batch=_copies_of(rolling["MaximumBatchSize"], copies),
        wait=float(rolling["WaitIntervalInSeconds"]),
        timeout=rolling.get("MaximumExecutionTimeoutInSeconds"),
        rollback_batch=_copies_of(back, copies) if back else None,
        alarms=tuple(alarm["AlarmName"] for alarm in alarms if "AlarmName" in alarm),
    )


def _copies_of(size: Mapping[str, Any], copies: int) -> int:
    """Whole copies; how AWS rounds a percentage is not recorded, so this takes the larger and riskier one."""
    value = int(size["Value"])
    return value if size["Type"] == "COPY_COUNT" else max(1, math.ceil(copies * value / 100))


def _refuse_size(size: Mapping[str, Any], copies: int) -> None:
    """One copy can't be split: a batch of it is all of it, which AWS must take somehow (not recorded how)."""
    value = size["Value"]
    percent = value if size["Type"] == "CAPACITY_PERCENT" else 100 * value / max(copies, 1)
    if copies == 1 and size == {"Type": "COPY_COUNT", "Value": 1}:
        return
    if not _SMALLEST_PERCENT <= percent <= _LARGEST_PERCENT:
        allowed = f"between {_SMALLEST_PERCENT} and {_LARGEST_PERCENT} percent of the copies"
        text = f"MaximumBatchSize must be {allowed}; {value} ({size['Type']}) of {copies} is {percent:g}."
        raise AwsError("ValidationException", text)
