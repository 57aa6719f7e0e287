"""Asks a person how to go on after a bake at whose end nobody could tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.approval import (
    ApprovalGate,
    parse_gate,
    share_behind,
    validate_silence,
    why_nobody_is_asked,
)
from airflow_sm_rollout.core.traces import plain_xcom
from airflow_sm_rollout.operators.leaving import left_by
from airflow_sm_rollout.operators.question import QuestionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


class AskOperator(QuestionOperator):
    """Stands right behind a bake and asks a person whether to go on, if the plan says so (``when_inconclusive="ask"``) and the bake has not
    ended healthy; otherwise it succeeds at once. See :class:`~.question.QuestionOperator` for what an answer, silence and harm lead to.

    The bake finds this task in the DAG: only where nothing else follows it directly, it leaves to a person what it can't tell itself.

    :param bake_task_id: that :class:`~airflow_sm_rollout.sensors.bake.BakeSensor`.
    :param gate: whom to ask and for how long, and in ``before`` which share comes next, where no ``step`` says it. Silence always rolls
        back. See :class:`~airflow_sm_rollout.core.approval.ApprovalGate`.
    :param step: which step of the frozen plan comes next, counted from 0.
    :param evidence_task_ids: earlier bakes, whose verdicts are shown too.
    """

    def __init__(
        self,
        *,
        bake_task_id: str,
        gate: ApprovalGate | Mapping[str, Any] = ApprovalGate(),  # noqa: B008 - frozen
        step: int | None = None,
        evidence_task_ids: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self.bake_task_id = bake_task_id
        self.step = step
        super().__init__(
            gate=validate_silence(parse_gate(gate)),
            subject="Nobody can tell whether the new model is healthy. Go on?",
            evidence_task_ids=[*evidence_task_ids, bake_task_id],
            **kwargs,
        )

    def why_not(self, context: Context, planned: Rollout) -> str:
        ended = plain_xcom(left_by(context, self.bake_task_id))
        verdict = ended.get("verdict") if isinstance(ended, Mapping) else None
        return why_nobody_is_asked(planned, self.bake_task_id.rpartition(".")[2], verdict, self.step)

    def asked_share(self, planned: Rollout) -> float:
        return share_behind(planned, self.step, self.gate)
