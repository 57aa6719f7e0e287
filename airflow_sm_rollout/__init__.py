"""Rolls out newly trained models on Amazon SageMaker from Airflow: blue/green beside each other, traffic shifted, watched, rolled back.

Public names are imported when they are first used, so that importing the package costs a DAG file nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AlarmDefaults": "core.plan.alarms",
    "AlarmSensor": "sensors.alarm",
    "ApprovalGate": "core.approval",
    "ApproveOperator": "operators.approval",
    "AskOperator": "operators.ask",
    "BakeSensor": "sensors.bake",
    "DeployGreenOperator": "operators.deploy_green",
    "FindOrphansOperator": "operators.find_orphans",
    "Green": "core.rollout",
    "Kpi": "core.plan.limits",
    "Limits": "core.plan.limits",
    "Margin": "core.plan.tolerances",
    "Metric": "core.plan.limits",
    "PlanError": "core.errors",
    "PromoteOperator": "operators.promote",
    "RollbackOperator": "operators.rollback",
    "RolloutError": "core.errors",
    "RolloutGaveUp": "core.errors",
    "RolloutRefused": "core.errors",
    "ShadowGreenOperator": "operators.shadow_green",
    "ShiftWeightOperator": "operators.shift_weight",
    "SnapshotOperator": "operators.snapshot",
    "Tolerances": "core.plan.tolerances",
    "ValidateGreenOperator": "operators.validate_green",
    "blue_green_rollout": "task_groups",
    "canary_rollout": "task_groups",
    "linear_rollout": "task_groups",
}

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604 - the names are strings, from the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
