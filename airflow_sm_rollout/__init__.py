"""Rolls out newly trained models on Amazon SageMaker from Airflow: blue/green beside each other, traffic shifted, watched, rolled back.

Public names are imported when they are first used, so that importing the package costs a DAG file nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # For editors and type checkers, which can't follow what is imported when it is first used.
    from airflow_sm_rollout.core.approval import ApprovalGate as ApprovalGate
    from airflow_sm_rollout.core.errors import PlanError as PlanError
    from airflow_sm_rollout.core.errors import RolloutError as RolloutError
    from airflow_sm_rollout.core.errors import RolloutGaveUp as RolloutGaveUp
    from airflow_sm_rollout.core.errors import RolloutRefused as RolloutRefused
    from airflow_sm_rollout.core.plan.alarms import AlarmDefaults as AlarmDefaults
    from airflow_sm_rollout.core.plan.limits import Kpi as Kpi
    from airflow_sm_rollout.core.plan.limits import Limits as Limits
    from airflow_sm_rollout.core.plan.limits import Metric as Metric
    from airflow_sm_rollout.core.plan.measures import CloudWatch as CloudWatch
    from airflow_sm_rollout.core.plan.measures import Function as Function
    from airflow_sm_rollout.core.plan.measures import HttpJson as HttpJson
    from airflow_sm_rollout.core.plan.measures import Mean as Mean
    from airflow_sm_rollout.core.plan.measures import Measure as Measure
    from airflow_sm_rollout.core.plan.measures import Prometheus as Prometheus
    from airflow_sm_rollout.core.plan.measures import Sql as Sql
    from airflow_sm_rollout.core.plan.tolerances import Margin as Margin
    from airflow_sm_rollout.core.plan.tolerances import Tolerances as Tolerances
    from airflow_sm_rollout.core.rollout import Green as Green
    from airflow_sm_rollout.hooks.event_bridge import EventBridgeNotifier as EventBridgeNotifier
    from airflow_sm_rollout.operators.approval import ApproveOperator as ApproveOperator
    from airflow_sm_rollout.operators.ask import AskOperator as AskOperator
    from airflow_sm_rollout.operators.deploy_green import DeployGreenOperator as DeployGreenOperator
    from airflow_sm_rollout.operators.find_orphans import FindOrphansOperator as FindOrphansOperator
    from airflow_sm_rollout.operators.promote import PromoteOperator as PromoteOperator
    from airflow_sm_rollout.operators.rollback import RollbackOperator as RollbackOperator
    from airflow_sm_rollout.operators.settle import SettleOperator as SettleOperator
    from airflow_sm_rollout.operators.settle import VerdictOperator as VerdictOperator
    from airflow_sm_rollout.operators.shadow_green import ShadowGreenOperator as ShadowGreenOperator
    from airflow_sm_rollout.operators.shift_weight import ShiftWeightOperator as ShiftWeightOperator
    from airflow_sm_rollout.operators.snapshot import SnapshotOperator as SnapshotOperator
    from airflow_sm_rollout.operators.undo import UndoOperator as UndoOperator
    from airflow_sm_rollout.operators.validate_green import ValidateGreenOperator as ValidateGreenOperator
    from airflow_sm_rollout.operators.watch_promoted import WatchPromotedOperator as WatchPromotedOperator
    from airflow_sm_rollout.sensors.alarm import AlarmSensor as AlarmSensor
    from airflow_sm_rollout.sensors.bake import BakeSensor as BakeSensor
    from airflow_sm_rollout.task_groups import blue_green_rollout as blue_green_rollout
    from airflow_sm_rollout.task_groups import canary_rollout as canary_rollout
    from airflow_sm_rollout.task_groups import linear_rollout as linear_rollout

__version__ = "0.1.0"

_HOMES = {
    "AlarmDefaults": "core.plan.alarms",
    "AlarmSensor": "sensors.alarm",
    "ApprovalGate": "core.approval",
    "ApproveOperator": "operators.approval",
    "AskOperator": "operators.ask",
    "BakeSensor": "sensors.bake",
    "CloudWatch": "core.plan.measures",
    "DeployGreenOperator": "operators.deploy_green",
    "EventBridgeNotifier": "hooks.event_bridge",
    "FindOrphansOperator": "operators.find_orphans",
    "Function": "core.plan.measures",
    "Green": "core.rollout",
    "HttpJson": "core.plan.measures",
    "Kpi": "core.plan.limits",
    "Limits": "core.plan.limits",
    "Margin": "core.plan.tolerances",
    "Mean": "core.plan.measures",
    "Measure": "core.plan.measures",
    "Metric": "core.plan.limits",
    "PlanError": "core.errors",
    "Prometheus": "core.plan.measures",
    "PromoteOperator": "operators.promote",
    "RollbackOperator": "operators.rollback",
    "RolloutError": "core.errors",
    "RolloutGaveUp": "core.errors",
    "RolloutRefused": "core.errors",
    "SettleOperator": "operators.settle",
    "ShadowGreenOperator": "operators.shadow_green",
    "ShiftWeightOperator": "operators.shift_weight",
    "SnapshotOperator": "operators.snapshot",
    "Sql": "core.plan.measures",
    "Tolerances": "core.plan.tolerances",
    "UndoOperator": "operators.undo",
    "ValidateGreenOperator": "operators.validate_green",
    "VerdictOperator": "operators.settle",
    "WatchPromotedOperator": "operators.watch_promoted",
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
