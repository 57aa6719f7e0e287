"""A record that somebody has spoilt, or a tool has cut short: it is refused as a whole, before anybody acts on a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_sm_rollout.core.names import validate_endpoint_name
from airflow_sm_rollout.core.shape import misfits

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Rollout

_T = TypeVar("_T")


def well_typed(read: _T) -> _T:
    """The same, if each of its members has the type that it should have.

    :raises ValueError: with the first that has not.
    """
    for wrong in misfits(read, type(read)):
        raise ValueError(wrong)
    return read


def refuse_impossible(rollout: Rollout, record: str) -> None:
    """Check that a rollout can have written this record.

    :param record: the name that the record has on AWS.
    :raises ValueError: with what can't be, of which there is no way back.
    """
    if rollout.names.record != record:
        raise ValueError(f"it is of a rollout of another endpoint, {rollout.endpoint_name}")
    for name in (rollout.endpoint_name, rollout.names.variant, rollout.blue_endpoint_name, rollout.blue.variant):
        validate_endpoint_name(name)
    if rollout.blue.variant not in [each["VariantName"] for each in rollout.blue.config["ProductionVariants"]]:
        raise ValueError(f"blue.config has no variant {rollout.blue.variant}")
    if rollout.blue.weight < 0 or rollout.blue.instance_count < 0 or rollout.metric_period_seconds <= 0:
        raise ValueError("a weight, an instance count or a period is below what there can be")
    if rollout.traffic.has_function and not (rollout.plan.function and rollout.blue.function_version):
        raise ValueError("it names no function, or not the version that called blue")
    if rollout.traffic.has_deployment and rollout.plan.deployment is None:
        raise ValueError("it does not say by whose means CodeDeploy shifts")
    strategy = rollout.plan.strategy
    if strategy and not (strategy.steps and all(0 < step.share <= 100 for step in strategy.steps)):
        raise ValueError("plan.strategy has no steps, or a share that is none")


def describe_spoilt(error: Exception) -> str:
    """Why a record can't be read, as half a sentence."""
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
