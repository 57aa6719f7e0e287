"""The two tasks that always run at the end of a rollout's task group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import BaseOperator

from airflow_sm_rollout.core.figures import figures_to_dict
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.outcome import Outcome, find_outcome
from airflow_sm_rollout.core.traces import FIGURES, NOTE, REFUSED, plain_xcom
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.operators.base import ConvergeOperator
from airflow_sm_rollout.operators.handle import find_frozen, handle_of
from airflow_sm_rollout.operators.leaving import left_by
from airflow_sm_rollout.operators.links import RolloutLink
from airflow_sm_rollout.operators.notices import Notice, notice, parse_notifiers, tell
from airflow_sm_rollout.operators.options import refuse_what_is_not_taken

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.goals import Done
    from airflow_sm_rollout.core.rollout import Rollout


class SettleOperator(ConvergeOperator):
    """Rolls back, unless green was promoted. A teardown, because only teardowns run when a person marks the run failed.

    Whether it was, AWS shows: a task that a person has marked a success has promoted nothing.

    :param snapshot_task_id: the task that froze the plan. By what it has left a record that was deleted is made again, and what the
        rollout's requests came to is noted for people.
    :param watched_task_ids: the rollout's other tasks, to tell the notifiers what has ended it.
    :param notifiers: who is told that it goes back, and why, as soon as the way back has begun; see :mod:`~.notices`.
    """

    ui_color = "#e6e6e6"
    looks_inside = False

    def __init__(
        self, *, snapshot_task_id: str, watched_task_ids: Sequence[str] = (), notifiers: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot_task_id = snapshot_task_id
        self.watched_task_ids = list(watched_task_ids)
        self.notifiers = parse_notifiers(notifiers)

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        if deadline is not None:
            return self._settle(context, deadline)
        try:
            return self._settle(context, deadline)
        finally:  # the way back has begun, or is over
            tell(self.notifiers, context, lambda: self._find_cause(context))

    def _find_cause(self, context: Context) -> Notice | None:
        """What has ended the rollout, if anything has."""
        for task_id in self.watched_task_ids:
            reason, ended = _text(left_by(context, task_id, "reason")), plain_xcom(left_by(context, task_id))
            if reason:
                is_unsure = isinstance(ended, Mapping) and ended.get("verdict") == "inconclusive"
                event = "inconclusive" if is_unsure else "going_back"
                told = f"Going back, because in {task_id}: {reason}"
                return notice(context, event, told, left_by(context, self.snapshot_task_id) or {})
        return None

    def _settle(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        rollout = self._begun(context)  # as long as there is a record
        planned = find_frozen(left_by(context, self.snapshot_task_id))
        done = self.reach(context, AsBefore(planned), deadline, planned.names if planned is not None else None)
        ended = done.as_dict()
        if rollout is not None:
            serves = "green_endpoint" if done.outcome is Outcome.PROMOTED else "blue_endpoint"
            self.link(context, handle_of(rollout), to=serves)
            self._note_figures(context, rollout)
        context["ti"].xcom_push(key=NOTE, value={"kind": "settled", "outcome": ended["outcome"]})
        return {**ended, **self._taken_back(rollout, done)}

    def _taken_back(self, rollout: Rollout | None, done: Done) -> dict[str, str]:
        """Whose decision it was, where a guardian has taken the rollout back: all other tasks have only met its end."""
        if rollout is None or done.outcome is not Outcome.ROLLED_BACK:
            return {}
        from airflow_sm_rollout.aws.guardian import read_taken_back

        try:
            note = read_taken_back(self.clients().ssm, rollout.endpoint_name, rollout.rollout_id)
        except Exception as error:  # noqa: BLE001 - it is for people, as figures are
            self.log.warning("Whether a guardian took the rollout back can't be read: %s", error)
            return {}
        return {"because": note.describe()} if note else {}

    def _begun(self, context: Context) -> Rollout | None:
        """The rollout as it is recorded, or was planned; ``None``: nobody knows, or nobody can tell just now."""
        try:
            return self.recorded(context) or find_frozen(left_by(context, self.snapshot_task_id))
        except Exception as error:  # noqa: BLE001 - it is for people: what can't be read must not keep a rollout from being settled
            self.log.warning("The report will lack figures: %s", error)
            return None

    def _note_figures(self, context: Context, rollout: Rollout) -> None:
        """What the requests came to: the record is deleted now, and CloudWatch forgets."""
        from airflow_sm_rollout.aws.figures import read_figures
        from airflow_sm_rollout.aws.world import utc_now

        try:
            # Only the record has said whether green was a shadow.
            may_be_shadow = rollout.traffic.has_shadow
            figures = read_figures(self.clients(), rollout, utc_now(), is_shadow_read=may_be_shadow)
            context["ti"].xcom_push(key=FIGURES, value=figures_to_dict(figures))
        except Exception as error:  # noqa: BLE001 - a picture that can't be drawn must not make a settled rollout look unsettled
            self.log.warning("The report will lack figures: %s", error)


class VerdictOperator(BaseOperator):
    """Fails the run unless green was promoted, and says why in one sentence. A teardown, too: it gives the run its state.

    Unlike ``settle`` it is the teardown of no setup, since those run only where their setup has succeeded: a rollout that was refused,
    and so never began, is told by this task, too. Where ``snapshot`` was skipped, it is skipped.

    :param snapshot_task_id: the task that froze the plan.
    :param settle_task_id: the :class:`SettleOperator`.
    :param watched_task_ids: the rollout's other tasks, in their order; the first that left a reason gives it.
    :param notifiers: who is told how it has ended; see :mod:`~.notices`.
    """

    ui_color = "#e6e6e6"
    operator_extra_links = (RolloutLink(),)

    not_taken: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        *,
        snapshot_task_id: str,
        settle_task_id: str,
        watched_task_ids: Sequence[str],
        notifiers: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse_what_is_not_taken(type(self), kwargs)
        super().__init__(**kwargs)
        self.snapshot_task_id = snapshot_task_id
        self.settle_task_id = settle_task_id
        self.watched_task_ids = list(watched_task_ids)
        self.notifiers = parse_notifiers(notifiers)

    def execute(self, context: Context) -> str:
        settled = left_by(context, self.settle_task_id) or {}
        outcome = self._outcome(context, settled)
        if outcome is Outcome.PROMOTED:
            sentence = self._note(context, f"Promoted: {settled['state']}{self._unproven(context)}")
            self._tell(context, "promoted", sentence)
            return sentence
        if not settled:
            self._skip_where_none_was_wanted(context)
        event, end = self._end(context, outcome, settled)
        sentence = self._note(context, f"{end} because {settled.get('because') or self._reason(context)}")
        self.log.error("%s", sentence)
        context["ti"].xcom_push(key="reason", value=sentence)
        self._tell(context, event, sentence)
        raise AirflowFailException(sentence)

    def _unproven(self, context: Context) -> str:
        """The bakes that were too short to call green healthy; in a dry run those that would have gone back."""
        ended = {task_id: plain_xcom(left_by(context, task_id)) for task_id in self.watched_task_ids}
        read = {task_id.rpartition(".")[2]: told for task_id, told in ended.items() if isinstance(told, Mapping)}
        dry = (Verdict.HARMFUL.value, Verdict.INCONCLUSIVE.value)
        overruled = [f"{name}: {told.get('reason')}" for name, told in read.items() if told.get("verdict") in dry]
        if overruled:
            return f". {'; '.join(overruled)}"
        short = [name for name, told in read.items() if told.get("verdict") == Verdict.UNPROVEN.value]
        return f"; no harm was found, but {', '.join(short)} could not have found all of it" if short else ""

    def _skip_where_none_was_wanted(self, context: Context) -> None:
        if _states(context, [self.snapshot_task_id]).get(self.snapshot_task_id) == "skipped":
            raise AirflowSkipException(f"{self.snapshot_task_id} was skipped")

    def _note(self, context: Context, sentence: str) -> str:
        context["ti"].xcom_push(key=NOTE, value={"kind": "verdict", "sentence": sentence})
        return sentence

    def _tell(self, context: Context, event: str, sentence: str) -> None:
        def build() -> Notice:
            refused = left_by(context, self.snapshot_task_id, REFUSED) or {}
            unplanned = {"endpoint_name": refused.get("endpoint"), "green_model": refused.get("model")}
            handle = left_by(context, self.snapshot_task_id) or unplanned
            return notice(context, event, sentence, handle, left_by(context, self.settle_task_id, FIGURES))

        tell(self.notifiers, context, build)

    def _outcome(self, context: Context, settled: Mapping[str, Any]) -> Outcome:
        notes = [left_by(context, task_id, NOTE) or {} for task_id in self.watched_task_ids]
        return find_outcome([*notes, *([{**settled, "kind": "settled"}] if settled else [])], is_over=True)

    def _end(self, context: Context, outcome: Outcome, settled: Mapping[str, Any]) -> tuple[str, str]:
        has_plan = _states(context, [self.snapshot_task_id]).get(self.snapshot_task_id) == "success"
        if outcome is Outcome.REFUSED or (outcome is Outcome.NOT_SETTLED and not has_plan):
            return "not_started", "Not started"
        if outcome is Outcome.ROLLED_BACK:
            return outcome.value, f"Rolled back ({settled['state']})"
        failed = left_by(context, self.settle_task_id, "reason")
        return outcome.value, f"NOT SETTLED ({failed or 'the settle task did not finish'}; run sm-rollout rollback)"

    def _reason(self, context: Context) -> str:
        tasks = [self.snapshot_task_id, *self.watched_task_ids]
        for task_id in tasks:
            reason = _text(left_by(context, task_id, "reason"))
            if reason:
                return f"in {task_id}: {reason}"
        states = _states(context, tasks)
        if states.get(self.snapshot_task_id) == "upstream_failed":
            return f"a task before {self.snapshot_task_id} failed"
        unfinished = [
            f"{task_id} ended as {states.get(task_id) or 'not run'}"
            for task_id in tasks
            if states.get(task_id) != "success"
        ]
        if unfinished:
            return f"{unfinished[0]} (killed, or marked by a person)"
        return f"AWS shows that green was not promoted, though {self.watched_task_ids[-1]} is a success (marked by a person?)"


def _text(reason: str | None) -> str:
    """A reason as it was meant: what a trigger's event leaves in XCom comes back as JSON (Airflow 3.3.2 encodes it once more)."""
    return str(json.loads(reason)) if reason and reason.startswith('"') else reason or ""


def _states(context: Context, task_ids: list[str]) -> dict[str, str]:
    """States of tasks in this run; in a mapped task group, of those in the same run of it."""
    ti = context["ti"]
    found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=task_ids, map_index=ti.map_index)
    suffix = f"_{ti.map_index}"  # so Airflow's execution API calls a mapped task
    return {name.removesuffix(suffix): state for name, state in found.get(ti.run_id, {}).items()}
