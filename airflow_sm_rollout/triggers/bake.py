"""Watches green through a bake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from airflow_sm_rollout.aws.bake import Look, Memory, Watched, look_at_bake
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.world import translated_errors, utc_now
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.rollout import Rollout, from_json, to_json
from airflow_sm_rollout.core.watch.bake import Bake
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL, RolloutTrigger, in_thread

_PATIENCE = timedelta(minutes=1)  # a bake is longer by this rather than that a throttled last look costs a rollout


class BakeTrigger(RolloutTrigger):
    """Ends its task itself, at the first sign of harm or at the end of the bake.

    Going back through a worker first would cost seconds, during which users get errors: an alarm reaches the rollback in about 1 s this
    way, in up to 5 s the other (docs/facts-airflow.md#latency).

    :param bake: see :func:`bake_to_dict`; its times are absolute, since a trigger starts anew after its triggerer was killed.
    :param alarms: names of the alarms.
    :param watched: the rollout whose bake it is; see :func:`watched_to_dict`.
    """

    def __init__(
        self, *, bake: dict[str, Any], alarms: list[str], watched: dict[str, Any] | None = None, **base: Any
    ) -> None:
        super().__init__(**base)
        self.bake = bake
        self.alarms = alarms
        self.watched = watched

    async def events(self) -> AsyncIterator[TriggerEvent]:
        begun, memory = utc_now(), Memory()
        while True:
            seen = await in_thread(self._look, await self.clients(), memory)
            if seen.judgement.verdict is not Verdict.WATCHING:
                break
            await asyncio.sleep(self.poke_interval)
        xcoms = look_to_xcoms(seen)
        if seen.judgement.passes:
            await asyncio.sleep(max(0.0, (begun + SHORTEST_DEFERRAL - utc_now()).total_seconds()))
            yield TaskSuccessEvent(xcoms=xcoms)
        else:
            yield TaskFailedEvent(xcoms=xcoms)

    def unreadable(self, why: str) -> TriggerEvent:
        return TaskFailedEvent(xcoms=look_to_xcoms(_unreadable(why)))

    def _look(self, clients: Clients, memory: Memory) -> Look:
        seen = look(clients, self.bake, self.alarms, self.watched, memory)
        self.log.info("%s: %s", seen.judgement.verdict.value, seen.judgement.reason)
        return seen


def look(
    clients: Clients, bake: Mapping[str, Any], alarms: list[str], watched: Mapping[str, Any] | None, memory: Memory
) -> Look:
    """One look, with errors of AWS as judgements: one that passes leaves the watch on, until the bake has been over for a while, with all
    that it is longer by pauses and where nobody can tell; then, and for one that does not pass, nobody can tell.

    :param bake: see :func:`bake_to_dict`; of another version of this package nobody can tell, if it can't be read.
    :param watched: see :func:`watched_to_dict`.
    """
    try:
        planned, rollout = bake_from_dict(bake), watched_from_dict(watched)
    except (RolloutError, KeyError, TypeError, ValueError, AttributeError) as error:
        return _unreadable(repr(error))
    try:
        with translated_errors("could not look at the bake"):
            return look_at_bake(clients, planned, alarms, rollout, utc_now(), memory)
    except Passing as error:
        over = utc_now() >= (memory.ends_at or planned.ends_at) + planned.extension + _PATIENCE
        return Look(Judgement(Verdict.INCONCLUSIVE if over else Verdict.WATCHING, str(error)))
    except RolloutGaveUp as error:
        return Look(Judgement(Verdict.INCONCLUSIVE, str(error)))


def _unreadable(why: str) -> Look:
    return Look(
        Judgement(
            Verdict.INCONCLUSIVE,
            f"another version of airflow_sm_rollout has begun this bake, and this one can't read what it has stored ({why}), so nobody "
            "watches green any more. Start a new rollout; install another version only while no rollout is in progress",
        )
    )


def bake_to_dict(bake: Bake) -> dict[str, Any]:
    """A bake as JSON."""
    since = bake.green_traffic_since
    return {
        "started_at": bake.started_at.isoformat(),
        "ends_at": bake.ends_at.isoformat(),
        "green_traffic_since": since.isoformat() if since else None,
        "min_requests": bake.min_requests,
        "paused_before": bake.paused_before.total_seconds(),
        "extension": bake.extension.total_seconds(),
        "when_inconclusive": bake.when_inconclusive,
        "asked_in": bake.asked_in,
        "ends_early": bake.ends_early,
    }


def bake_from_dict(stored: Mapping[str, Any]) -> Bake:
    """A bake from its JSON; what an earlier version did not know of is as by default.

    :raises KeyError: if something is not there.
    :raises TypeError: if there is something that this version does not know.
    """
    moments = {name: datetime.fromisoformat(stored[name]) for name in ("started_at", "ends_at")}
    since = stored["green_traffic_since"]
    durations = {name: timedelta(seconds=stored.get(name, 0.0)) for name in ("paused_before", "extension")}
    since = datetime.fromisoformat(since) if since else None
    return Bake(**{**stored, **moments, **durations, "green_traffic_since": since})


def watched_to_dict(rollout: Rollout, *, judges_evidence: bool, share: float | None = None) -> dict[str, Any]:
    """The rollout that is watched, as JSON; see :class:`~airflow_sm_rollout.aws.bake.Watched`."""
    return {"rollout": to_json(rollout), "judges_evidence": judges_evidence, "share": share}


def watched_from_dict(stored: Mapping[str, Any] | None) -> Watched | None:
    """The rollout that is watched, from its JSON; ``None``: only alarms are.

    :raises RolloutError: if this version can't read its record.
    :raises KeyError: if something is not there.
    :raises TypeError: if there is something that this version does not know.
    """
    return Watched(**{**stored, "rollout": from_json(stored["rollout"])}) if stored else None


def look_to_xcoms(seen: Look) -> dict[str, Any]:
    """What people and the verdict task read of a bake; ``reason`` is set where the task fails, as by every task of a rollout, and
    ``evidence`` where green and blue were compared (:meth:`~airflow_sm_rollout.core.comparison.comparison.Comparison.as_dict`).
    """
    judgement = seen.judgement
    told: dict[str, Any] = {"return_value": {"verdict": judgement.verdict.value, "reason": judgement.reason}}
    if not judgement.passes:
        told["reason"] = judgement.reason
    if seen.comparison is not None:
        told["evidence"] = seen.comparison.as_dict()
    return told
