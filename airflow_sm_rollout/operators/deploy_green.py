"""Deploys green beside blue, without traffic."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed
from airflow_sm_rollout.core.traces import NOTE
from airflow_sm_rollout.operators.base import ConvergeOperator
from airflow_sm_rollout.operators.handle import Handle, handle_of
from airflow_sm_rollout.operators.notices import notice, parse_notifiers, tell
from airflow_sm_rollout.operators.planning import PlanningOperator, refuse_beside_a_handle

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


class DeployGreenOperator(PlanningOperator, ConvergeOperator):
    """Puts green beside blue with no traffic, and takes the endpoint for this rollout.

    Green is a second production variant; with ``traffic="endpoints"`` an endpoint of its own; with ``"guardrails"`` a config only, since
    SageMaker launches its instances with the shift.

    If AWS refuses, what was made so far is undone before the task fails.

    Options: see :class:`~.planning.PlanningOperator`; or ``rollout``, the handle of a task that has them, such as
    :class:`~.snapshot.SnapshotOperator`.

    :param notifiers: who is told when green is deployed; see :mod:`~.notices`.
    :return: the rollout handle, which the other operators take as ``rollout=deploy.output``.
    """

    ui_color = "#d7f0dc"
    is_shadowed = False

    def __init__(self, *, rollout: Any = None, notifiers: Any = None, **options: Any) -> None:
        if rollout is not None:
            refuse_beside_a_handle(options)
        super().__init__(rollout=rollout, **options)
        self.notifiers = parse_notifiers(notifiers)

    def run_until(self, context: Context, deadline: datetime | None) -> Handle:
        rollout = self.plan(context)
        handle = handle_of(rollout)
        self.link(context, handle)
        try:
            self.reach(context, self.goal(rollout), deadline, rollout.names)
        except RolloutRefused:
            self.link(context, handle, to="blue_endpoint")
            context["ti"].xcom_push(key=NOTE, value={"kind": "refused"})
            raise
        except RolloutGaveUp as error:
            self.link(context, handle, to="blue_endpoint")
            raise RolloutGaveUp(f"{error}. {self._undo(rollout)}") from error
        stands = f"{rollout.green_model_name} stands beside {rollout.blue.model_name}, and no user meets it yet"
        told = f"Started on endpoint {rollout.endpoint_name}: {stands}"
        tell(self.notifiers, context, lambda: notice(context, "started", told, handle))
        return handle

    def goal(self, rollout: Rollout) -> Goal:
        """The state to reach."""
        return GreenDeployed(rollout)

    def _undo(self, rollout: Rollout) -> str:
        """Undo, without waiting: a bad container may hold the endpoint for half an hour, and a rollback task has time for that."""
        from airflow_sm_rollout.core.advance import advance
        from airflow_sm_rollout.core.goals import Done

        world = self.world(rollout.names, self.clients())
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
