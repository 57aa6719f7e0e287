"""Waits for a person's answer, and goes on watching green meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail, update_hitl_detail_response
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.watch import Memory, leave_last_sign
from airflow_sm_rollout.aws.world import utc_now
from airflow_sm_rollout.core.approval import APPROVE, REJECT, describe_silence
from airflow_sm_rollout.core.traces import APPROVAL
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import watch_from_dict
from airflow_sm_rollout.triggers.bake import log_judgement, look_by
from airflow_sm_rollout.triggers.base import RolloutTrigger, in_thread, outlast_shortest_deferral

AGAINST = frozenset({Verdict.HARMFUL, Verdict.ABORTED, Verdict.DRIFTED, Verdict.INCONCLUSIVE})
"""What ends the wait: harm, a person's abort, somebody else's change, or that green can't be watched any more."""


class ApprovalTrigger(RolloutTrigger):
    """Ends its task itself at the first sign of harm and at the time-out; a bake's watch does the same, and for the same reason.

    Airflow 3.3 and later hand a person's answer to the task without asking the trigger; before, it is found here.

    :param ti_id: the task instance that has asked.
    :param until: when the question closes, ISO 8601.
    :param approves_silence: whether no answer counts as approval.
    :param question: the XCom :data:`~airflow_sm_rollout.core.traces.APPROVAL` as it is without an answer.
    :param watch: as for :class:`~.bake.BakeTrigger`; it must not end before the question.
    """

    def __init__(
        self,
        *,
        ti_id: Any,
        until: str,
        approves_silence: bool,
        question: dict[str, Any],
        watch: dict[str, Any],
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.ti_id = ti_id
        self.until = until
        self.approves_silence = approves_silence
        self.question = question
        self.watch = watch

    async def events(self) -> AsyncIterator[TriggerEvent]:
        begun, until = asyncio.get_running_loop().time(), datetime.fromisoformat(self.until)
        memory = Memory()
        while True:
            answer = await self._read_answer()
            harm = "" if answer else await self.look(self._look, await self.clients(), memory)
            if answer or harm or utc_now() >= until:
                break
            await asyncio.sleep(min(self.poke_interval, max(0.0, (until - utc_now()).total_seconds())))
        if answer:
            yield TriggerEvent(answer)  # type: ignore[no-untyped-call]
        elif harm:
            yield await self._withdraw(harm)
        else:
            yield await self._time_out(begun)

    async def _read_answer(self) -> dict[str, Any] | None:
        found = await sync_to_async(get_hitl_detail_content_detail)(ti_id=self.ti_id)
        if found is None or not (found.response_received and found.chosen_options):  # dag.test() knows of no answers
            return None
        by = found.responded_by_user
        return {
            "chosen_options": list(found.chosen_options),
            "params_input": found.params_input or {},
            "responded_at": found.responded_at.isoformat() if found.responded_at else "",
            "responded_by_user": {"id": by.id, "name": by.name} if by else None,
        }

    def _look(self, clients: Clients, memory: Memory) -> str:
        """The reason not to wait any longer, or nothing."""
        judgement = look_by(clients, self.watch, memory).judgement
        if judgement.verdict not in AGAINST or judgement.passes:
            return ""
        log_judgement(self.log, judgement)
        return judgement.reason

    async def _withdraw(self, harm: str) -> TriggerEvent:
        await self._close(REJECT)
        return TaskFailedEvent(xcoms={"reason": harm, APPROVAL: self._answered("withdrawn", harm), **self.counted})

    async def _time_out(self, begun: float) -> TriggerEvent:
        await self._close(APPROVE if self.approves_silence else REJECT)
        told = describe_silence(self.question["until"], approves=self.approves_silence)
        answered = self._answered("timed out", told)
        if not self.approves_silence:
            return TaskFailedEvent(xcoms={"reason": told, APPROVAL: answered, **self.counted})
        await in_thread(leave_last_sign, await self.clients(), watch_from_dict(self.watch).rollout)
        await outlast_shortest_deferral(begun)
        told_state = {"state": answered["note"]}
        return TaskSuccessEvent(xcoms={"return_value": told_state, APPROVAL: answered, **self.counted})

    async def _close(self, option: str) -> None:
        """So that nobody can answer what is not asked any more."""
        await sync_to_async(update_hitl_detail_response)(ti_id=self.ti_id, chosen_options=[option], params_input={})

    def _answered(self, answer: str, note: str) -> dict[str, Any]:
        at = utc_now().isoformat(timespec="seconds")
        return {**self.question, "answer": answer, "at": at, "note": note}
