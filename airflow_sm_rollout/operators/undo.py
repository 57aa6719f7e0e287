"""Takes back what was promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_rollout.core.converge import ON_DRIFT
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.undo import UNDO_WITHIN, Undone
from airflow_sm_rollout.operators.base import ConvergeOperator, is_template
from airflow_sm_rollout.operators.handle import handle_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class UndoOperator(ConvergeOperator):
    """Takes an endpoint back to what it was before the rollout that was promoted last, whichever DAG run that was of.

    It goes back by the same rules as a rollback. Where it can't, as blue's model is gone, somebody has changed the endpoint since, or
    another rollout is in progress, it changes nothing and fails with the reason and the way that works. What was undone already is a
    success.

    :param endpoint_name: the endpoint, or by two endpoints the name that clients resolve (templated).
    :param rollout_id: of which rollout, as its handle has it (templated): then it is refused where another was promoted since. ``None``: of
        the one that was promoted last.
    :param note: why, for whoever looks later (templated).
    :param on_drift: what to do where somebody has changed something since: ``refuse`` or ``restore``; ``None``: as the rollout's plan says
        (templated).
    :param undo_within: how long after the promotion it may be: a timedelta or seconds (templated).
    :return: how it ended, as a rollback returns it.
    """

    template_fields: Sequence[str] = (
        "rollout_id",
        "note",
        "on_drift",
        "undo_within",
        *ConvergeOperator.template_fields,
    )
    ui_color = "#f7d9d3"
    linked = "blue_endpoint"
    not_taken: ClassVar[Mapping[str, str]] = {
        "rollout": "left out: give endpoint_name, and rollout_id where it must be of that rollout and of no later one"
    }

    def __init__(
        self,
        *,
        rollout_id: str | None = None,
        note: str = "",
        on_drift: str | None = None,
        undo_within: DurationOption = UNDO_WITHIN,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rollout_id = rollout_id
        self.note = note
        self.on_drift = on_drift
        self.undo_within = undo_within
        if not is_template(undo_within):
            parse_duration("undo_within", undo_within)
        if not is_template(on_drift):
            _check_drift(on_drift)

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        from airflow_sm_rollout.aws.undo import Wanted, begin_undo, end_undo

        clients, within = self.clients(), parse_duration("undo_within", self.undo_within)
        on_drift = _check_drift(self.on_drift or None)
        name, by, which = str(self.endpoint_name), _describe_run(context), self.rollout_id or None
        wanted = Wanted(name, by, str(self.note), on_drift, within, which)
        begun = self.read_patiently("could not begin the undo", lambda: begin_undo(clients, wanted))
        if isinstance(begun, Undone):
            self.log.info("Nothing to do: %s", begun.describe())
            return {"outcome": "as_before", "state": begun.describe()}
        self.link(context, handle_of(begun))
        done = self.reach(context, AsBefore(begun), deadline, begun.names)
        self.log.info("%s", end_undo(clients, begun, done))
        return done.as_dict()


def _check_drift(on_drift: str | None) -> str | None:
    if on_drift is not None and on_drift not in ON_DRIFT:
        raise PlanError("on_drift", on_drift, f"one of {', '.join(ON_DRIFT)}")
    return on_drift


def _describe_run(context: Context) -> str:
    ti = context["ti"]
    return f"{ti.dag_id} {ti.run_id}"
