"""Restores what was before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.operators.base import ConvergeOperator
from airflow_sm_rollout.operators.handle import find_frozen

if TYPE_CHECKING:
    from airflow.sdk import Context


class RollbackOperator(ConvergeOperator):
    """Gives blue all traffic back, restores the endpoint (and the live pointer), and removes what the rollout made.

    Works from the record on AWS; give ``endpoint_name`` beside ``rollout`` for when nothing has reached XCom. Where no rollout of this
    DAG run is in progress, it does nothing and succeeds. In a DAG of your own, let it run whatever happens before it
    (``trigger_rule="all_done"``, or better as a teardown): see :mod:`airflow_sm_rollout.task_groups` for what survives what.
    """

    ui_color = "#f7d9d3"
    linked = "blue_endpoint"

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        done = self.reach(context, AsBefore(find_frozen(self.rollout)), deadline)
        return done.as_dict()
