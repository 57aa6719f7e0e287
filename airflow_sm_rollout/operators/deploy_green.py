"""Deploys green beside blue, without traffic."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed
from airflow_sm_rollout.operators.base import handle_of
from airflow_sm_rollout.operators.planning import PlanningOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


class DeployGreenOperator(PlanningOperator):
    """Puts green beside blue with no traffic, and takes the endpoint for this rollout.

    Green is a second production variant; with ``traffic="endpoints"`` an endpoint of its own; with ``"guardrails"`` a config only, since
    SageMaker launches its instances with the shift.

    If AWS refuses, what was made so far is undone before the task fails.

    Options: see :class:`~.planning.PlanningOperator`; or ``rollout``, what :class:`~.snapshot.SnapshotOperator` has returned.

    :return: the rollout handle, which the other operators take as ``rollout=deploy.output``.
    """

    ui_color = "#d7f0dc"
    is_shadowed = False

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        rollout = self.plan(context)
        self.rollout = handle_of(rollout)
        try:
            self.reach(context, self.goal(rollout), deadline)
        except RolloutGaveUp as error:
            self.linked = "blue_endpoint"
            raise RolloutGaveUp(f"{error}. {self._undo(rollout)}") from error
        return handle_of(rollout)

    def goal(self, rollout: Rollout) -> Goal:
        """The state to reach."""
        return GreenDeployed(rollout)

    def _undo(self, rollout: Rollout) -> str:
        """Undo, without waiting: a bad container may hold the endpoint for half an hour, and a rollback task has time for that."""
        from airflow_sm_rollout.core.advance import advance
        from airflow_sm_rollout.core.goals import Done

        world = self.world(rollout.names, self.connection.clients())
        deadline = world.now() + timedelta(minutes=5)
        try:
            step = advance(
                AsBefore(), rollout.rollout_id, world, deadline, lambda line: self.log.info("Undo: %s", line)
            )
        except RolloutGaveUp as error:
            return f"Undoing it failed too: {error}. A rollback task, or sm-rollout rollback {rollout.endpoint_name}, does the rest"
        if isinstance(step, Done):
            return "What was made was undone; the endpoint is as before"
        return f"It is not undone yet ({step.reason}): a rollback task, or sm-rollout rollback {rollout.endpoint_name}, does the rest"
