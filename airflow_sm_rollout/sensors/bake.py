"""Watches green through a bake by all that its plan asks for, and fails the moment harm is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import PlanError, RolloutError
from airflow_sm_rollout.core.plan.options import parse_flag
from airflow_sm_rollout.sensors.alarm import AlarmSensor

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Rollout
    from airflow_sm_rollout.core.watch.watch import Watch


class BakeSensor(AlarmSensor):
    """Watches a rollout through a bake: its alarms, the comparison of green with blue, and the plan's limits.

    Ends at the first proof of harm. At the end of the bake it succeeds if nothing found harm and everything that was to be watched could
    be, to the end (:mod:`~airflow_sm_rollout.core.watch.coverage`); what becomes of a bake at whose end nobody can tell, the plan says
    (``when_inconclusive``). With ``ask`` it succeeds, if an :class:`~airflow_sm_rollout.operators.ask.AskOperator` is all that follows it
    directly; otherwise it fails. The comparison goes on over all steps of a rollout. The first look reads what CloudWatch has since
    green first had traffic, each later one what has become final since the one before.

    XCom ``evidence`` has the comparison's figures, XCom ``reason`` why the task failed.

    :param duration: how long to watch: a timedelta or seconds (templated); or
    :param step: which step of the frozen plan gives the duration, counted from 0; behind the last one there is nothing to watch.
    :param alarms: names of further alarms (templated).
    :param min_requests: requests that green must have had, by default as the plan's limits or the rollout's own alarms have it.
    :param dry_run: judge green, tell at the end what would have been done, and pass. Only for this bake: what comes behind it watches as
        the plan says; a whole rollout is dry by the option ``dry_run`` of the task that plans it.
    """

    ui_color = "#f3dce6"
    judges_evidence: ClassVar[bool] = True

    def __init__(self, *, dry_run: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_dry_run = parse_flag("dry_run", dry_run)

    def meet_no_rollout(self) -> None:
        raise PlanError("rollout", None, "a rollout handle such as deploy.output, or give endpoint_name")

    def planned_min_requests(self, planned: Rollout) -> int:
        limit = planned.plan.evidence.limits.min_requests
        return limit if limit is not None else super().planned_min_requests(planned)

    def watch_options(self, planned: Rollout) -> dict[str, Any]:
        evidence = planned.plan.evidence
        return {
            "extension": evidence.extension,
            "when_inconclusive": evidence.when_inconclusive,
            "asked_in": self.asked_in() if evidence.when_inconclusive == "ask" else "",
            "ends_early": evidence.end_early,
            "dry_run": self.is_dry_run or evidence.dry_run,
        }

    def foretell(self, watch: Watch) -> None:
        """Into the task's log; where blue's traffic can't be read, the bake watches all the same."""
        from airflow_sm_rollout.aws.foresight import foresee_bake
        from airflow_sm_rollout.aws.world import translated_errors

        if watch.rollout is None:
            return
        try:
            with translated_errors("could not read blue's traffic"):
                lines = foresee_bake(self.clients(), watch.rollout, watch.share, watch.ends_at - watch.started_at)
        except (Passing, RolloutError) as error:
            lines = [str(error)]
        for line in lines:
            self.log.info("%s", line)

    def asked_in(self) -> str:
        """The task behind this one that asks a person, if nothing of the DAG goes on without its answer."""
        from airflow_sm_rollout.operators.ask import AskOperator

        behind = [task for task in self.downstream_list if not task.is_teardown]
        asking = [task for task in behind if isinstance(task, AskOperator) and task.bake_task_id == self.task_id]
        return str(asking[0].task_id) if asking == behind and asking else ""
