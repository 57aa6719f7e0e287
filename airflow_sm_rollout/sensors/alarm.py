"""Watches alarms for a while, and fails the moment one rings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.traces import WATCH
from airflow_sm_rollout.core.watch.sources import judged_alarms, judged_since
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch, watch_from_dict, watch_to_dict
from airflow_sm_rollout.operators.base import WaitingTask, is_template
from airflow_sm_rollout.operators.leaving import failing_with_reason, left_by
from airflow_sm_rollout.operators.planning import parse_alarms

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.control import Control
    from airflow_sm_rollout.core.rollout import Rollout
    from airflow_sm_rollout.core.watch.judge import Look


NO_SENSOR = "It is no BaseSensorOperator of Airflow's"


class AlarmSensor(WaitingTask):
    """Watches alarms through a bake.

    Succeeds when it is over and every alarm was quiet, had data, and green had enough requests; fails the moment one is in ALARM, or was
    between two looks, or does not exist.

    It is no ``BaseSensorOperator``: such a sensor ends at a time-out, or as skipped (``timeout``, ``soft_fail``), and then nothing rolls
    back. It is never retried, whatever the DAG's default arguments say: a retry would bake again what has just proven harmful.

    With ``rollout`` it watches that rollout's alarms (yours and its own) for its plan's ``step``; alone it watches ``alarms`` for
    ``duration``.

    :param alarms: names of alarms, metric and composite; a list, or a string with commas (templated).
    :param duration: how long to watch: a timedelta or seconds (templated).
    :param step: which step of the frozen plan gives the duration, counted from 0; behind the last one there is nothing to watch.
    :param min_requests: requests that green must have had, with ``rollout``; by default as the rollout's own alarms have it.
    """

    template_fields: Sequence[str] = (*WaitingTask.template_fields, "alarms", "duration")
    ui_color = "#eadcf3"
    judges_evidence: ClassVar[bool] = False
    not_taken: ClassVar[Mapping[str, str]] = {
        "retries": "a retry would watch again what has just proven harmful",
        "timeout": f"duration or step says how long it watches. {NO_SENSOR}",
        "mode": f"deferrable=False keeps it in its worker. {NO_SENSOR}",
        "soft_fail": f"a green that does harm must not end as skipped. {NO_SENSOR}",
        "never_fail": f"a green that does harm must not end as skipped. {NO_SENSOR}",
        "silent_fail": f"an error of AWS's is waited out, or ends the watch as inconclusive. {NO_SENSOR}",
        "exponential_backoff": f"harm must be seen within one poke_interval. {NO_SENSOR}",
        "max_wait": f"harm must be seen within one poke_interval. {NO_SENSOR}",
    }

    def __init__(
        self,
        *,
        alarms: str | Sequence[str] = (),
        duration: DurationOption | None = None,
        step: int | None = None,
        min_requests: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.alarms, self.min_requests, self.step = alarms, min_requests, step
        super().__init__(**kwargs)
        if (duration is None) == (step is None):
            raise PlanError("duration", duration, "how long to watch, or give step instead of it")
        if duration is not None and not is_template(duration):
            parse_duration("duration", duration)
        self.duration = duration

    def meet_no_rollout(self) -> None:
        if not self.alarms:
            raise PlanError("alarms", self.alarms, "names of alarms, or give rollout")
        for name in ("step", "min_requests"):
            if getattr(self, name) is not None:
                raise PlanError(name, getattr(self, name), "it belongs to a rollout: give rollout, or endpoint_name")

    def execute(self, context: Context) -> dict[str, Any] | None:
        result: dict[str, Any] | None = failing_with_reason(context, lambda: self._begin(context))
        return result

    def resume(self, context: Context, event: Any) -> dict[str, Any] | None:
        """Only in ``dag.test()``, which lets no trigger end its task: judge what the trigger has judged."""
        return self._look_on(context, watch_from_dict(left_by(context, self.task_id, WATCH)))

    def _begin(self, context: Context) -> dict[str, Any] | None:
        from airflow_sm_rollout.aws.bake_note import leave_note
        from airflow_sm_rollout.triggers.bake import BakeTrigger
        from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL

        planned = self.recorded(context) if self.rollout or self.endpoint_name else None
        if planned is None and (self.rollout or self.endpoint_name):
            raise RolloutGaveUp(
                "no rollout is in progress here (it was rolled back or promoted, or never began), so there is nothing to watch"
            )
        duration = self._duration(planned)
        if duration is None:
            self.log.info("The plan has no step %s: nothing to watch", self.step)
            return None
        watch = self._plan_watch(planned, duration)
        context["ti"].xcom_push(key=WATCH, value=watch_to_dict(watch))
        if watch.rollout is not None:
            leave_note(self.clients().ssm, watch)
        self.log.info("Watching %s for %s", ", ".join(watch.alarms) or "no alarm", duration)
        self.foretell(watch)
        if self.deferrable and duration >= SHORTEST_DEFERRAL:
            trigger = BakeTrigger(
                watch=watch_to_dict(watch), poke_interval=self.poke_interval, connection=self.connection.as_dict()
            )
            self.defer(trigger=trigger, method_name="resume")
        return self._look_on(context, watch)

    def foretell(self, watch: Watch) -> None:
        """Say what the watch can prove."""

    def _duration(self, planned: Rollout | None) -> timedelta | None:
        if self.duration is not None:
            return parse_duration("duration", self.duration)
        step = planned.step(self.step or 0) if planned else None
        return step.bake if step else None

    def _plan_watch(self, planned: Rollout | None, duration: timedelta) -> Watch:
        from airflow_sm_rollout.aws.world import utc_now

        now, alarms = utc_now(), parse_alarms(self.alarms)
        if planned is None:
            if not alarms:
                raise PlanError("alarms", self.alarms, "names of alarms: nobody would be watching")
            return Watch(now, now + duration, None, 0, alarms=alarms)
        step = planned.step(self.step) if self.step is not None else None
        paused = self._paused(planned, now)
        return Watch(
            started_at=now,
            ends_at=now + duration if self.step is None else planned.bake_end(self.step, now, paused),
            green_traffic_since=judged_since(planned),
            min_requests=self.min_requests if self.min_requests is not None else self.planned_min_requests(planned),
            paused_before=paused,
            alarms=tuple(dict.fromkeys((*alarms, *judged_alarms(planned)))),
            rollout=planned,
            judges_evidence=self.judges_evidence,
            share=step.share if step else None,
            share_since=now if step else None,
            observes=True,
            **self.watch_options(planned),
        )

    def _paused(self, planned: Rollout, now: datetime) -> timedelta:
        """How long the rollout has been paused so far."""
        from airflow_sm_rollout.aws.control import read_control

        def read() -> Control | None:
            return read_control(self.clients().ssm, planned.endpoint_name, planned.rollout_id)

        control = self.read_patiently("could not read what is wished of the rollout", read)
        return control.paused(now) if control else timedelta()

    def planned_min_requests(self, planned: Rollout) -> int:
        """Requests that green must have had in a bake, where this task does not say; without any it can't be compared with blue."""
        if planned.plan.default_alarms:
            return planned.plan.default_alarms.min_requests
        return 1 if self.judges_evidence and planned.plan.evidence.tolerances else 0

    def watch_options(self, planned: Rollout) -> dict[str, Any]:
        """What else decides about the bake's end: members of :class:`~airflow_sm_rollout.core.watch.watch.Watch`."""
        return {}

    def _look_on(self, context: Context, watch: Watch) -> dict[str, Any]:
        from airflow_sm_rollout.aws.watch import Memory, look_now
        from airflow_sm_rollout.hooks.outside import OUTSIDE
        from airflow_sm_rollout.triggers.bake import log_judgement

        clients, memory = self.clients(), Memory()
        while (seen := look_now(clients, watch, memory)).judgement.verdict is Verdict.WATCHING:
            log_judgement(self.log, seen.judgement)
            time.sleep(self.poke_interval)
            OUTSIDE.look_up()
        return self._end(context, seen)

    def _end(self, context: Context, seen: Look) -> dict[str, Any]:
        from airflow_sm_rollout.triggers.bake import log_judgement, look_to_xcoms

        log_judgement(self.log, seen.judgement)
        xcoms = look_to_xcoms(seen)
        told: dict[str, Any] = xcoms["return_value"]
        for key, value in xcoms.items():
            if key != "return_value" or not seen.judgement.passes:
                context["ti"].xcom_push(key=key, value=value)
        if not seen.judgement.passes:
            raise AirflowFailException(seen.judgement.reason)
        return told
