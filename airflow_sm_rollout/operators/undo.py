"""Takes back what was promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.undo import UNDO_WITHIN, Undone
from airflow_sm_rollout.operators.base import is_template
from airflow_sm_rollout.operators.undoing import UndoingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class UndoOperator(UndoingOperator):
    """Takes an endpoint back to what it was before the rollout that was promoted last, whichever DAG run that was of.

    It goes back by the same rules as a rollback. Where it can't, as blue's model is gone, somebody has changed the endpoint since, or
    another rollout is in progress, it changes nothing and fails with the reason and the way that works. What was undone already is a
    success. Which rollout, and over which changes: see :class:`~.undoing.UndoingOperator`.

    :param endpoint_name: the endpoint, or by two endpoints the name that clients resolve (templated).
    :param note: why, for whoever looks later (templated).
    :param undo_within: how long after the promotion it may be: a timedelta or seconds (templated).
    :return: how it ended, as a rollback returns it.
    """

    template_fields: Sequence[str] = ("note", "undo_within", *UndoingOperator.template_fields)
    ui_color = "#f7d9d3"
    not_taken: ClassVar[Mapping[str, str]] = {
        "rollout": "left out: give endpoint_name, and rollout_id where it must be of that rollout and of no later one"
    }

    def __init__(self, *, note: str = "", undo_within: DurationOption = UNDO_WITHIN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.note = note
        self.undo_within = undo_within
        if not is_template(undo_within):
            parse_duration("undo_within", undo_within)

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        within = parse_duration("undo_within", self.undo_within)
        done = self.undo(context, self.wanted(context, str(self.endpoint_name), str(self.note), within), deadline)
        if isinstance(done, Undone):
            self.log.info("Nothing to do: %s", done.describe())
            return {"outcome": "as_before", "state": done.describe()}
        return done.as_dict()
