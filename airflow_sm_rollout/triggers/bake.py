"""Watches green through a bake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.watch import Memory, look_now
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.traces import EVIDENCE
from airflow_sm_rollout.core.watch.judge import Look
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import watch_from_dict
from airflow_sm_rollout.triggers.base import RolloutTrigger, outlast_shortest_deferral


class BakeTrigger(RolloutTrigger):
    """Ends its task itself, at the first sign of harm or at the end of the bake.

    Going back through a worker first would cost seconds, during which users get errors: an alarm reaches the rollback in about 1 s this
    way, in up to 5 s the other (docs/facts-airflow.md#latency).

    :param watch: see :func:`~airflow_sm_rollout.core.watch.watch.watch_to_dict`; its times are absolute, since a trigger starts anew after
        its triggerer was killed.
    """

    def __init__(self, *, watch: dict[str, Any] | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.watch = watch

    async def events(self) -> AsyncIterator[TriggerEvent]:
        begun, memory = asyncio.get_running_loop().time(), Memory()
        while True:
            seen = await self.look(self._look, await self.clients(), memory)
            if seen.judgement.verdict is not Verdict.WATCHING:
                break
            await asyncio.sleep(self.poke_interval)
        xcoms = {**look_to_xcoms(seen), **self.counted}
        if seen.judgement.passes:
            await outlast_shortest_deferral(begun)
            yield TaskSuccessEvent(xcoms=xcoms)
        else:
            yield TaskFailedEvent(xcoms=xcoms)

    def unreadable(self, why: str) -> TriggerEvent:
        return TaskFailedEvent(xcoms=look_to_xcoms(_unreadable(why)))

    def _look(self, clients: Clients, memory: Memory) -> Look:
        seen = look_by(clients, self.watch, memory)
        log_judgement(self.log, seen.judgement)
        return seen


def log_judgement(log: Any, judgement: Judgement) -> None:
    """What a look has come to: at ERROR where it ends the bake and the rollout, so that it stands out among a log's lines."""
    goes_on = judgement.passes or judgement.verdict is Verdict.WATCHING
    log.log(logging.INFO if goes_on else logging.ERROR, "%s: %s", judgement.verdict.value, judgement.reason)


def look_by(clients: Clients, stored: Mapping[str, Any] | None, memory: Memory) -> Look:
    """One look by a watch that was stored; one of another version of this package, that can't be read, nobody can tell anything by.

    :param stored: see :func:`~airflow_sm_rollout.core.watch.watch.watch_to_dict`.
    """
    try:
        watch = watch_from_dict(stored or {})
    except (RolloutError, KeyError, TypeError, ValueError, AttributeError) as error:
        return _unreadable(repr(error))
    return look_now(clients, watch, memory)


def _unreadable(why: str) -> Look:
    return Look(
        Judgement(
            Verdict.INCONCLUSIVE,
            f"another version of airflow_sm_rollout has begun this bake, and this one can't read what it has stored ({why}), so nobody "
            "watches green any more. Start a new rollout; install another version only while no rollout is in progress",
        )
    )


def look_to_xcoms(seen: Look) -> dict[str, Any]:
    """What people and the verdict task read of a bake; ``reason`` is set where the task fails, as by every task of a rollout, and
    ``evidence`` where green and blue were compared (:meth:`~airflow_sm_rollout.core.comparison.results.Comparison.as_dict`).
    """
    judgement = seen.judgement
    told: dict[str, Any] = {"return_value": {"verdict": judgement.verdict.value, "reason": judgement.reason}}
    if not judgement.passes:
        told["reason"] = judgement.reason
    if seen.comparison is not None:
        told[EVIDENCE] = seen.comparison.as_dict()
    return told
