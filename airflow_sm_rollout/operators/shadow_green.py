"""Lets green answer copies of blue's requests, and drops its answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import Goal, GreenShadowed
from airflow_sm_rollout.core.plan.options import parse_number
from airflow_sm_rollout.core.traces import NOTE
from airflow_sm_rollout.operators.deploy_green import DeployGreenOperator
from airflow_sm_rollout.operators.handle import Handle

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


class ShadowGreenOperator(DeployGreenOperator):
    """Makes green a shadow of blue (SageMaker's ``ShadowProductionVariants``), and takes the endpoint for this rollout.

    Live traffic is copied to green, and no user meets its answers. A :class:`~airflow_sm_rollout.sensors.bake.BakeSensor` behind it
    compares what the shadow did with what blue did; then :class:`~.deploy_green.DeployGreenOperator` goes on. For ``traffic="variants"``
    only, and for endpoints that AWS lets have a shadow: not serverless, not asynchronous (docs/facts-aws.md#shadows).

    :param percent: how many of the requests are copied, above 0 and at most 100.
    :return: the rollout handle.
    """

    is_shadowed = True

    def __init__(self, *, percent: float = 100.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        allowed = "a percentage above 0 and at most 100"
        self.percent = parse_number("percent", percent, allowed, lambda number: 0 < number <= 100)

    def run_until(self, context: Context, deadline: datetime | None) -> Handle:
        handle = super().run_until(context, deadline)
        context["ti"].xcom_push(key=NOTE, value={"kind": "shadow", "percent": self.percent})
        return handle

    def goal(self, rollout: Rollout) -> Goal:
        if not rollout.traffic.has_shadow:
            raise RolloutGaveUp(f"traffic={rollout.plan.traffic!r}: only with variants green can be a shadow of blue")
        return GreenShadowed(rollout, self.percent)
