"""Watches what was promoted, and undoes it where it does harm."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_sm_rollout.core.cost import describe_warm
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import OnlyGreen
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.traces import NOTE
from airflow_sm_rollout.core.undo import Kept, Undone, why_undone
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.operators.base import is_template
from airflow_sm_rollout.operators.handle import handle_of, read_handle
from airflow_sm_rollout.operators.leaving import left_by
from airflow_sm_rollout.operators.notices import notice, parse_notifiers, tell
from airflow_sm_rollout.operators.planning import parse_alarms
from airflow_sm_rollout.operators.undoing import UndoingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout
    from airflow_sm_rollout.core.watch.after import After

_EVERY = 60.0
_LOST = "harm was found, and somebody has deleted the record of the undo, which said what harm"
_WITHIN = timedelta(days=366)  # the watch says how long an undo is for


class WatchPromotedOperator(UndoingOperator):
    """Watches a promoted green for a while, and undoes the promotion the moment harm is proven. Then it fails, and its DAG run with it.

    It watches the alarms of the rollout's plan, its limits, its measures with ``at_most`` and Model Monitor's schedules. Where the rollout
    made alarms of its own, it watches that no more calls fail than these allowed, by blue's worst minute before the rollout. There is no
    blue any more to compare green with. Each hour is judged for itself.

    It ends early, as a success, where another rollout of the endpoint begins. Where somebody else undoes the promotion, it fails with that.
    Where in no hour anybody could tell, it fails, and undoes nothing.

    :param endpoint_name: the endpoint (templated); or
    :param rollout: the rollout's handle (templated): then it is of that rollout and no later one, as with ``rollout_id``.
    :param duration: for how long after the promotion: a timedelta, seconds, or text such as ``24h`` (templated).
    :param alarms: names of further alarms (templated).
    :param settle_task_id: the task of this DAG run that settles the rollout: it is skipped unless that has found it promoted.
    :param notifiers: who is told that it was undone, and why; see :mod:`~.notices`.
    """

    template_fields: Sequence[str] = ("duration", "alarms", *UndoingOperator.template_fields)
    ui_color = "#f3dce6"
    found: Judgement | None = None
    """What the trigger has found."""

    def __init__(
        self,
        *,
        duration: DurationOption,
        alarms: str | Sequence[str] = (),
        settle_task_id: str | None = None,
        notifiers: Any = None,
        poke_interval: float = _EVERY,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.duration = duration
        self.alarms = alarms
        self.settle_task_id = settle_task_id
        self.notifiers = parse_notifiers(notifiers)
        if not is_template(duration) and not parse_duration("duration", duration):
            raise PlanError("duration", duration, "above 0")
        if not is_template(alarms):
            parse_alarms(alarms)

    def resume(self, context: Context, event: Any) -> Any:
        """With a deadline an undo goes on; otherwise the watch has found something."""
        if isinstance(event, Mapping) and "deadline" in event:
            return super().resume(context, event)
        if isinstance(event, Mapping):
            self.found = Judgement(Verdict(event["verdict"]), str(event["reason"]))
        else:  # only in dag.test(), which lets no trigger end its task: judge what the trigger has judged
            self.deferrable = False
        return self.execute_until(context, None)

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        from airflow_sm_rollout.aws.after import read_last

        self._skip_unless_promoted(context)
        name, ssm = self._name_rollout(), self.clients().ssm
        record, previous = self.read_patiently("could not read what was promoted", lambda: read_last(ssm, name))
        if record is not None and record.undoes and self.rollout_id in (None, record.rollout_id):
            self._go_back(context, record, why_undone(record), deadline)
        if record is not None and record.blue_until and self.rollout_id in (None, record.rollout_id):
            return self._watch_beside_blue(context, record, deadline)
        if isinstance(previous, Undone) and self.rollout_id in (None, previous.rollout_id):
            raise RolloutGaveUp(previous.describe())
        if not isinstance(previous, Kept):
            raise RolloutGaveUp(f"nothing was kept of a promotion of endpoint {name}, so nothing could be undone")
        if deadline is not None and previous.rollout.plan.keep_blue is None:  # otherwise blue was being taken away
            self._go_back(context, previous.rollout, _LOST, deadline)
        self.rollout_id = self.rollout_id or previous.rollout_id
        self.link(context, handle_of(previous.rollout), to="green_endpoint")
        judged = self.found or self._watch(self._plan(previous))
        if judged.verdict is Verdict.HARMFUL and not judged.passes:
            self._go_back(context, previous.rollout, judged.reason, deadline)
        if not judged.passes:
            raise RolloutGaveUp(f"{judged.reason}. Nothing was undone")
        return {"verdict": judged.verdict.value, "reason": judged.reason}

    def _watch_beside_blue(self, context: Context, record: Rollout, deadline: datetime | None) -> dict[str, Any]:
        """As long as blue is kept warm; then it goes, and the rest is watched.

        :param deadline: until when blue has to be gone, where it is on its way.
        """
        from airflow_sm_rollout.core.watch.after import plan_beside_blue

        self.rollout_id = record.rollout_id
        after = plan_beside_blue(record, parse_duration("duration", self.duration), parse_alarms(self.alarms))
        if deadline is None and after is not None:
            self.log.info("%s", describe_warm(record))
            judged = self.found or self._watch(after)
            if judged.verdict in (Verdict.HARMFUL, Verdict.ABORTED) and not judged.passes:
                self._go_back(context, record, judged.reason, deadline)
            self.log.info("%s", judged.reason)
        self.found = None
        self.reach(context, OnlyGreen(record), deadline, record.names)
        return self.run_until(context, None)

    def _skip_unless_promoted(self, context: Context) -> None:
        if self.settle_task_id is None:
            return
        settled = left_by(context, self.settle_task_id) or {}
        if settled.get("outcome") != Outcome.PROMOTED.noted:
            raise AirflowSkipException("nothing was promoted, so there is nothing to watch")

    def _name_rollout(self) -> str:
        """The endpoint's name; from now on it is known of which rollout, where anybody has said it."""
        if not self.rollout:
            return str(self.endpoint_name)
        handle = read_handle(self.rollout)
        self.rollout_id = str(handle["rollout_id"])
        return str(handle["endpoint_name"])

    def _plan(self, kept: Kept) -> After:
        from airflow_sm_rollout.core.watch.after import plan_after

        after = plan_after(kept, parse_duration("duration", self.duration), parse_alarms(self.alarms))
        if not after.watches_anything:
            allowed = (
                "names of alarms, or give the rollout alarms, limits or measures with at_most: nobody would be watching"
            )
            raise PlanError("alarms", self.alarms, allowed)
        self.log.info("Watching until %s: %s", after.until.isoformat(), ", ".join(after.alarms) or "no alarm")
        return after

    def _watch(self, after: After) -> Judgement:
        from airflow_sm_rollout.aws.after import AfterWatcher
        from airflow_sm_rollout.core.watch.after import after_to_dict
        from airflow_sm_rollout.hooks.outside import OUTSIDE
        from airflow_sm_rollout.triggers.after import AfterTrigger
        from airflow_sm_rollout.triggers.bake import log_judgement

        if self.deferrable:
            trigger = AfterTrigger(
                after=after_to_dict(after), poke_interval=self.poke_interval, connection=self.connection.as_dict()
            )
            self.defer(trigger=trigger, method_name="resume")
        watcher = AfterWatcher(after)
        while (judged := watcher.look(self.clients())).verdict is Verdict.WATCHING:
            log_judgement(self.log, judged)
            time.sleep(self.poke_interval)
            OUTSIDE.look_up()
        return judged

    def _go_back(self, context: Context, rollout: Rollout, harm: str, deadline: datetime | None) -> None:
        """Undo, and fail with why.

        :raises RolloutGaveUp: in any case.
        """
        try:
            done = self.undo(context, self.wanted(context, rollout.endpoint_name, harm, _WITHIN), deadline)
        except RolloutRefused as refused:
            raise RolloutGaveUp(f"{harm}. It could NOT be undone: {refused}") from refused
        state = done.describe() if isinstance(done, Undone) else done.reason
        sentence = f"Undone ({state}) because {harm}"
        context["ti"].xcom_push(key=NOTE, value={"kind": "undone", "sentence": sentence})
        tell(self.notifiers, context, lambda: notice(context, "undone", sentence, handle_of(rollout)))
        raise RolloutGaveUp(sentence)
