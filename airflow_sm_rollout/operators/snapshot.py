"""Reads blue and freezes the plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_rollout.core.cost import describe_cost
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.traces import PLANNED
from airflow_sm_rollout.operators.handle import Handle, handle_of
from airflow_sm_rollout.operators.planning import PlanningOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


class SnapshotOperator(PlanningOperator):
    """Reads what the endpoint is now, checks all that can be known to fail, and freezes the plan. Changes nothing.

    It stands first in a rollout's task group, as the setup of the tasks that always run at its end. A DAG file that is edited in the
    middle of a rollout does not change that rollout.

    Options: see :class:`~.planning.PlanningOperator`.

    :param keep_blue: how long blue keeps its instances after the promotion, without traffic: a timedelta, seconds, or text such as
        ``1h``. A :class:`~.watch_promoted.WatchPromotedOperator` must follow, which takes them away then.
    :param is_shadowed: whether a :class:`~.shadow_green.ShadowGreenOperator` follows; ``None``: not known.
    :return: the rollout handle, with the frozen plan.
    """

    def __init__(
        self, *, is_shadowed: bool | None = None, keep_blue: DurationOption | None = None, **kwargs: Any
    ) -> None:
        self.is_shadowed = is_shadowed
        self.keep_blue = parse_duration("keep_blue", keep_blue) if keep_blue else None
        super().__init__(**kwargs)

    linked = "blue_endpoint"
    not_taken: ClassVar[Mapping[str, str]] = {
        "rollout": "it makes the handle that other tasks take, by endpoint_name and the options of the plan"
    }

    def run_until(self, context: Context, deadline: datetime | None) -> Handle:
        rollout = self.plan(context)
        self.link(context, handle_of(rollout))
        blue, strategy = rollout.blue, rollout.plan.strategy
        self.log.info(
            "Blue is %s %s, variant %s with weight %g on %s",
            rollout.traffic.config_word,
            blue.config_name,
            blue.variant,
            blue.weight,
            blue.capacity,
        )
        if strategy:
            shares = ", ".join(f"{step.share:g} % for {step.bake}" for step in strategy.steps)
            self.log.info("Plan: %s: %s; at least %s", strategy.name, shares, strategy.minimum_duration)
            if blue.max_concurrency is None:
                self.log.info("%s", describe_cost(rollout.plan, blue.instance_count))
        self._foretell(rollout)
        self.log.info("Watched: %s", ", ".join(rollout.watched_alarms) or "no alarm")
        context["ti"].xcom_push(key=PLANNED, value=self._identity(rollout))
        return handle_of(rollout)

    def _foretell(self, rollout: Rollout) -> None:
        """What the bakes will be able to prove: it is for people, and what can't be read of it keeps nobody from rolling out."""
        from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe
        from airflow_sm_rollout.aws.foresight import foresee

        if rollout.plan.default_alarms and rollout.shortest_bake < rollout.metrics_take:
            self.log.warning(
                "A bake of %s is shorter than the %s that the rollout's own alarms take",
                rollout.shortest_bake,
                rollout.metrics_take,
            )
        try:
            for sentence in foresee(self.clients(), rollout):
                self.log.info("%s", sentence)
        except AWS_ERRORS as error:
            self.log.warning("What the bakes can prove is not known: %s", describe(error))

    def _identity(self, rollout: Rollout) -> dict[str, Any]:
        return {
            "endpoint": rollout.endpoint_name,
            "rollout_id": rollout.rollout_id,
            "model": rollout.green_model_name,
            "strategy": rollout.plan.strategy.name if rollout.plan.strategy else "single steps",
            "traffic": rollout.plan.traffic,
            "started_at": rollout.started_at.isoformat(),
            # What else there is to a connection may be secret (a proxy's password), and is not heeded by the pages.
            "connection": {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name},
        }
