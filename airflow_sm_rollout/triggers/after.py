"""Watches what was promoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_sm_rollout.aws.after import AfterWatcher
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.core.watch.after import after_from_dict
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.triggers.bake import log_judgement
from airflow_sm_rollout.triggers.base import RolloutTrigger, outlast_shortest_deferral


class AfterTrigger(RolloutTrigger):
    """Ends its task where no harm was found, and wakes it where there is something to undo, or to say.

    :param after: see :func:`~airflow_sm_rollout.core.watch.after.after_to_dict`; its times are absolute.
    """

    def __init__(self, *, after: dict[str, Any], **base: Any) -> None:
        super().__init__(**base)
        self.after = after

    async def events(self) -> AsyncIterator[TriggerEvent]:
        begun, watcher = asyncio.get_running_loop().time(), AfterWatcher(after_from_dict(self.after))
        while True:
            judged = await self.look(self._look, watcher, await self.clients())
            if judged.verdict is not Verdict.WATCHING:
                break
            await asyncio.sleep(self.poke_interval)
        await outlast_shortest_deferral(begun)
        told = {"verdict": judged.verdict.value, "reason": judged.reason}
        if judged.passes and not watcher.after.is_beside_blue:
            yield TaskSuccessEvent(xcoms={"return_value": told, **self.counted})
        else:
            yield TriggerEvent(told)  # type: ignore[no-untyped-call]

    def _look(self, watcher: AfterWatcher, clients: Clients) -> Judgement:
        judged = watcher.look(clients)
        log_judgement(self.log, judged)
        return judged
