"""Puts a question to a person and waits for the answer: what all the tasks that ask have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from airflow_sm_rollout.core.approval import (
    APPROVE,
    REJECT,
    ApprovalGate,
    describe_silence,
    render_question,
)
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.traces import APPROVAL, EVIDENCE, BakeTrace, TaskTrace, bakes_of, plain_xcom
from airflow_sm_rollout.core.watch.sources import judged_alarms
from airflow_sm_rollout.core.watch.watch import watch_question, watch_to_dict
from airflow_sm_rollout.operators.base import WaitingTask
from airflow_sm_rollout.operators.handle import handle_of
from airflow_sm_rollout.operators.leaving import failing_with_reason, left_by
from airflow_sm_rollout.operators.notices import notice, parse_notifiers, tell
from airflow_sm_rollout.operators.respondents import is_anybody_one_admin, refuse_unknowable
from airflow_sm_rollout.plugin.address import chart_path, group_name, tab_path

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


_NOTE = Param(None, type=["null", "string"], title="Note", description="Why; it is kept with the rollout.")


class QuestionOperator(WaitingTask, HITLOperator):
    """Base of the operators that ask in Airflow's UI (Required Actions) and REST API, with the evidence so far, and wait in the triggerer.

    Green is watched as in a bake while the question is open: at harm, or when a person aborts, the task fails and the question is
    withdrawn. A reject fails it, too, with who rejected and why; so does silence, unless the gate says otherwise. It is never retried: a
    retry would ask again what was answered.

    :param gate: what is asked; see :class:`~airflow_sm_rollout.core.approval.ApprovalGate`.
    :param evidence_task_ids: the bakes so far, whose verdicts are shown.
    :param notifiers: who is told that it waits, beside the gate's; see :mod:`~.notices`.
    """

    template_fields: Sequence[str] = (*WaitingTask.template_fields, "subject")
    ui_color = "#fbe3c0"
    not_taken: ClassVar[Mapping[str, str]] = {
        "timeout": "how long a person has to answer is the gate's, such as {'before': 100, 'timeout': 3600}",
        "deferrable": "a question is always watched in the triggerer",
        "retries": "a retry would ask again what was answered",
    }

    def __init__(
        self,
        *,
        gate: ApprovalGate,
        subject: str,
        evidence_task_ids: Sequence[str],
        notifiers: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse_unknowable(gate.assigned_users)
        self.gate = gate
        self.told = [*parse_notifiers(notifiers)["waiting"], *gate.notifiers]
        self.evidence_task_ids = list(evidence_task_ids)
        super().__init__(
            subject=subject,
            options=[APPROVE, REJECT],
            assigned_users=[{"id": user, "name": user} for user in self.gate.assigned_users] or None,
            **{**kwargs, "params": {"note": _NOTE}},  # Airflow passes the DAG's params too
        )

    def why_not(self, context: Context, planned: Rollout) -> str:
        """Why nobody is to be asked now; empty: somebody is.

        :param planned: the rollout, with the frozen plan.
        :raises PlanError: if the question does not fit that plan.
        """
        raise NotImplementedError

    def asked_share(self, planned: Rollout) -> float:
        """Green's share in percent that the answer lets it have."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        return failing_with_reason(context, lambda: self._ask(context))

    def _ask(self, context: Context) -> dict[str, Any]:
        planned = self.recorded(context)
        if planned is None:
            raise RolloutGaveUp("no rollout is in progress here (it was rolled back or promoted), so nobody is asked")
        why_not = self.why_not(context, planned)
        if not why_not:
            self._refuse_harm(context, planned)
            self._wait_for_answer(context, planned)
        self.log.info("%s", why_not)
        return {"state": why_not}

    def _wait_for_answer(self, context: Context, planned: Rollout) -> NoReturn:
        from airflow_sm_rollout.aws.world import utc_now
        from airflow_sm_rollout.triggers.approval import ApprovalTrigger

        now = utc_now()
        until = now + self.gate.timeout
        question = {
            "before": self.asked_share(planned),
            "asked_at": now.isoformat(timespec="seconds"),
            "until": until.isoformat(timespec="seconds"),
            "may_answer": self.gate.may_answer,
        }
        self._put_question(context, planned, question, until)
        trigger = ApprovalTrigger(
            ti_id=context["ti"].id,
            until=until.isoformat(),
            approves_silence=self.gate.on_timeout == "approve",
            question=question,
            watch=watch_to_dict(replace(watch_question(planned, now, until), observes=True)),
            poke_interval=self.poke_interval,
            connection=self.connection.as_dict(),
        )
        self.defer(trigger=trigger, method_name="answered")

    def _put_question(self, context: Context, planned: Rollout, question: dict[str, Any], until: datetime) -> None:
        self.body = self._render_body(context, planned, until)
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
            assigned_users=self.assigned_users,
        )
        context["ti"].xcom_push(key=APPROVAL, value=question)
        if self.gate.assigned_users and is_anybody_one_admin():
            self.log.warning(
                "This Airflow asks for no login (simple_auth_manager_all_admins): anybody may answer, whoever is assigned"
            )
        self.log.info("Asked %s, until %s; then %s", self.gate.may_answer, question["until"], self.gate.silence)
        asked = f"Waiting for {self.gate.may_answer} to let {planned.green_model_name} have {question['before']:g} % of the requests of"
        told = f"{asked} {planned.endpoint_name}, until {question['until']}; then {self.gate.silence}"
        tell({"waiting": self.told}, context, lambda: notice(context, "waiting", told, handle_of(planned)))

    def answered(self, context: Context, event: Any) -> dict[str, Any]:
        """A person has answered; in ``dag.test()``, which lets no trigger end its task, also that nobody has, or that green does harm."""
        heed = self._heed if isinstance(event, Mapping) and "chosen_options" in event else self._heed_silence
        result: dict[str, Any] = failing_with_reason(context, lambda: heed(context, event))
        return result

    def _heed_silence(self, context: Context, event: Any) -> dict[str, Any]:
        planned = self.recorded(context)
        if planned is not None:
            self._refuse_harm(context, planned)
        question = left_by(context, context["ti"].task_id, APPROVAL) or {}
        silence = describe_silence(question.get("until"), approves=self.gate.on_timeout == "approve")
        if self.gate.on_timeout != "approve":
            raise RolloutGaveUp(silence)
        return {"state": silence}

    def _heed(self, context: Context, event: Any) -> dict[str, Any]:
        ti = context["ti"]
        by, at = _responder(event), _moment(event["responded_at"])
        note = str((event.get("params_input") or {}).get("note") or "")
        answer = "approved" if APPROVE in event["chosen_options"] else "rejected"
        question = left_by(context, ti.task_id, APPROVAL) or {}
        ti.xcom_push(key=APPROVAL, value={**question, "answer": answer, "by": by, "at": at, "note": note})
        about = f" {question['before']:g} %" if question else ""
        sentence = f"{by} {answer}{about} at {at}{f': {note}' if note else ''}"
        self.log.info("%s", sentence)
        if answer == "rejected":
            raise RolloutGaveUp(sentence)
        self._go_on(context)
        return {"state": sentence}

    def _go_on(self, context: Context) -> None:
        from airflow_sm_rollout.aws.watch import leave_last_sign

        planned = self.recorded(context)
        if planned is not None:
            self._refuse_harm(context, planned)
            leave_last_sign(self.clients(), planned)

    def _refuse_harm(self, context: Context, planned: Rollout) -> None:
        """Neither asked nor approved is what harms."""
        from airflow_sm_rollout.aws.watch import Memory, look
        from airflow_sm_rollout.aws.world import utc_now
        from airflow_sm_rollout.triggers.approval import AGAINST

        now = utc_now()
        judgement = look(self.clients(), watch_question(planned, now, now), now, Memory()).judgement
        if judgement.verdict in AGAINST and not judgement.passes:
            raise RolloutGaveUp(judgement.reason)

    def _render_body(self, context: Context, planned: Rollout, until: datetime) -> str:
        from airflow_sm_rollout.aws.cloudwatch import read_alarms

        ti = context["ti"]
        alarms = self.read_patiently(
            "could not read the alarms",
            lambda: read_alarms(self.clients().cloudwatch, judged_alarms(planned), None),
        )
        return render_question(
            replace(self.gate, before=self.asked_share(planned)),
            planned,
            self._verdicts(context),
            {alarm.name: alarm.state for alarm in alarms},
            until,
            chart=chart_path(ti.dag_id, ti.run_id, group_name(ti.task_id, ti.map_index)),
            tab=tab_path(ti.dag_id, ti.run_id),
        )

    def _verdicts(self, context: Context) -> list[BakeTrace]:
        def left(task_id: str, key: str) -> Any:
            return plain_xcom(left_by(context, task_id, key))

        traces = [
            TaskTrace(
                task_id.rpartition(".")[2],
                "success",
                None,
                None,
                {key: left(task_id, key) for key in ("return_value", EVIDENCE)},
            )
            for task_id in self.evidence_task_ids
        ]
        return list(bakes_of(traces))


def _responder(event: Mapping[str, Any]) -> str:
    user = event.get("responded_by_user") or {}
    name, user_id = user.get("name"), user.get("id")
    return f"{name} ({user_id})" if name and name != user_id else str(name or user_id or "somebody")


def _moment(at: Any) -> str:
    return at.isoformat(timespec="seconds") if isinstance(at, datetime) else str(at)
