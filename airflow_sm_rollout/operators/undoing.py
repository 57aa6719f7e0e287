"""Goes back behind a promotion: what the operators share that do so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.converge import ON_DRIFT
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.goals import AsBefore, Done
from airflow_sm_rollout.core.undo import Undone
from airflow_sm_rollout.operators.base import ConvergeOperator, is_template
from airflow_sm_rollout.operators.handle import handle_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.aws.undo import Wanted


class UndoingOperator(ConvergeOperator):
    """Base of the operators that undo a promotion.

    :param rollout_id: of which rollout, as its handle has it (templated): then it is refused where another was promoted since. ``None``: of
        the one that was promoted last.
    :param on_drift: what to do where somebody has changed something since: ``refuse`` or ``restore``; ``None``: as the rollout's plan says
        (templated).
    """

    template_fields: Sequence[str] = ("rollout_id", "on_drift", *ConvergeOperator.template_fields)
    linked = "blue_endpoint"

    def __init__(self, *, rollout_id: str | None = None, on_drift: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rollout_id = rollout_id
        self.on_drift = on_drift
        if not is_template(on_drift):
            _check_drift(on_drift)

    def wanted(self, context: Context, endpoint_name: str, note: str, within: timedelta) -> Wanted:
        """The undo as this task asks for it."""
        from airflow_sm_rollout.aws.undo import Wanted

        ti, on_drift = context["ti"], _check_drift(self.on_drift or None)
        return Wanted(endpoint_name, f"{ti.dag_id} {ti.run_id}", note, on_drift, within, self.rollout_id or None)

    def undo(self, context: Context, wanted: Wanted, deadline: datetime | None) -> Done | Undone:
        """Go back, or on with that, unless it was done already.

        :raises RolloutRefused: with the reason, and the way that works.
        :raises RolloutGaveUp: if green serves on, with AWS's reason.
        """
        from airflow_sm_rollout.aws.undo import begin_undo, end_undo

        clients = self.clients()
        begun = self.read_patiently("could not begin the undo", lambda: begin_undo(clients, wanted))
        if isinstance(begun, Undone):
            return begun
        self.link(context, handle_of(begun))
        done = self.reach(context, AsBefore(begun), deadline, begun.names)
        self.log.info("%s", end_undo(clients, begun, done))
        return done


def _check_drift(on_drift: str | None) -> str | None:
    if on_drift is not None and on_drift not in ON_DRIFT:
        raise PlanError("on_drift", on_drift, f"one of {', '.join(ON_DRIFT)}")
    return on_drift
