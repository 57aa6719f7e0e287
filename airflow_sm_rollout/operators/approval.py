"""Asks a person whether green may get more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.approval import ApprovalGate, parse_gate, validate_gate
from airflow_sm_rollout.operators.question import QuestionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout


class ApproveOperator(QuestionOperator):
    """Asks a person before green gets a share; see :class:`~.question.QuestionOperator` for what an answer, silence and harm lead to.

    :param gate: what is asked; see :class:`~airflow_sm_rollout.core.approval.ApprovalGate`.
    :param step: which step of the frozen plan it stands before, counted from 0. Nobody is asked if that step gives green another share.
    :param evidence_task_ids: the bakes so far, whose verdicts are shown.
    """

    def __init__(
        self,
        *,
        gate: ApprovalGate | Mapping[str, Any] | str = ApprovalGate(),  # noqa: B008 - frozen
        step: int,
        evidence_task_ids: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        parsed = parse_gate(gate)
        self.step = step
        super().__init__(
            gate=parsed,
            subject=f"Give the new model {parsed.before:g} % of the requests?",
            evidence_task_ids=evidence_task_ids,
            **kwargs,
        )

    def why_not(self, context: Context, planned: Rollout) -> str:
        if planned.plan.strategy is not None:
            # A form may have asked for other steps than the DAG's author has thought of.
            validate_gate(self.gate, planned.plan.strategy, planned.traffic)
        step = planned.step(self.step)
        asks = step is not None and step.share == self.gate.before
        return "" if asks else "nobody is to approve this step of the plan"

    def asked_share(self, planned: Rollout) -> float:
        return self.gate.before
