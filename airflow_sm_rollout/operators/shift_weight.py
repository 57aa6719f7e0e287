"""Gives green a share of the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.goals import GreenShare
from airflow_sm_rollout.core.traces import NOTE
from airflow_sm_rollout.operators.base import ConvergeOperator, is_template

if TYPE_CHECKING:
    from airflow.sdk import Context


class ShiftWeightOperator(ConvergeOperator):
    """Gives green a share of the traffic, once it has the instances for it.

    A share is never raised while a watched alarm rings, or has rung since green had traffic.

    :param share: green's share in percent, 0 to 100 (templated); or
    :param step: which step of the frozen plan, counted from 0. Behind the plan's last step there is nothing to do, nor with
        ``traffic="guardrails"``, where SageMaker takes the steps itself.
    """

    template_fields: Sequence[str] = (*ConvergeOperator.template_fields, "share")
    ui_color = "#f6ecd2"

    def __init__(self, *, share: float | str | None = None, step: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if (share is None) == (step is None):
            raise PlanError("share", share, "a share in percent, or give step instead of it")
        self.share = share
        self.step = step
        if share is not None and not is_template(share):
            _parse_share(share)

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any] | None:
        share = self._share(context)
        if share is None:
            self.log.info("There is no step %s to take here: nothing to do", self.step)
            return None
        done = self.reach(context, GreenShare(share), deadline)
        context["ti"].xcom_push(key=NOTE, value={"kind": "share", "share": share})
        return {"share": share, "state": done.reason}

    def _share(self, context: Context) -> float | None:
        """The share to reach; ``None``: the plan has fewer steps."""
        if self.step is None:
            return _parse_share(self.share)
        planned = self.recorded(context)
        if planned is None:
            raise RolloutGaveUp(
                "no rollout is in progress here (it was rolled back or promoted, or never began), so nothing was changed"
            )
        step = planned.step(self.step)
        return step.share if step else None


def _parse_share(share: object) -> float:
    """Read a share.

    :raises PlanError: unless it is a number from 0 to 100.
    """
    allowed = "a share in percent, 0 to 100"
    try:
        parsed = float(share)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise PlanError("share", share, allowed) from None
    if not 0 <= parsed <= 100:
        raise PlanError("share", share, allowed)
    return parsed
