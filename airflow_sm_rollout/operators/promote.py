"""Leaves green alone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.goals import OnlyGreen
from airflow_sm_rollout.operators.base import ConvergeOperator
from airflow_sm_rollout.operators.handle import find_frozen

if TYPE_CHECKING:
    from airflow.sdk import Context


class PromoteOperator(ConvergeOperator):
    """Leaves green alone to serve, removes what the rollout made on the way, and releases the endpoint.

    Green must have all of the traffic, and no watched alarm may ring. With ``traffic="endpoints"`` blue's endpoint is kept, or deleted a
    while after clients have left it (``delete_blue``, ``drain``); with ``"guardrails"`` this is where SageMaker shifts the traffic by the
    plan's steps, and where its going back is told as a failure.
    """

    ui_color = "#cdebc5"

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        done = self.reach(context, OnlyGreen(find_frozen(self.rollout)), deadline)
        return done.as_dict()
