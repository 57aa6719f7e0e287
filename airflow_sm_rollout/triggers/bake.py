"""Watches green through a bake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from airflow_sm_rollout.aws.bake import Watched, look_at_bake
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import FlapsSeen
from airflow_sm_rollout.aws.world import translated_errors, utc_now
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.alarms import Bake, Judgement, Verdict
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.hooks.rollout import AwsConnection
from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL


class BakeTrigger(BaseTrigger):
    """Ends its task itself, at the first sign of harm or at the end of the bake.

    Going back through a worker first would cost seconds, during which users get errors: an alarm reaches the rollback in about 1 s this
    way, in up to 5 s the other (AIRFLOW_FACTS.md section 2).

    :param bake: see :func:`bake_to_dict`; its times are absolute, since a trigger starts anew after its triggerer was killed.
    :param alarms: names of the alarms.
    :param watched: whose wishes are heeded and requests counted; members of :class:`~airflow_sm_rollout.aws.bake.Watched`.
    :param poke_interval: seconds between two looks.
    :param connection: see :class:`~airflow_sm_rollout.hooks.rollout.AwsConnection`.
    """

    def __init__(
        self,
        *,
        bake: dict[str, Any],
        alarms: list[str],
        watched: dict[str, Any] | None,
        poke_interval: float,
        connection: dict[str, Any],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bake = bake
        self.alarms = alarms
        self.watched = watched
        self.poke_interval = poke_interval
        self.connection = connection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "bake": self.bake,
                "alarms": self.alarms,
                "watched": self.watched,
                "poke_interval": self.poke_interval,
                "connection": self.connection,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        begun = utc_now()
        clients = await asyncio.to_thread(AwsConnection(**self.connection).clients)
        flaps_seen: FlapsSeen = {}
        while (judgement := await asyncio.to_thread(self._look, clients, flaps_seen)).verdict is Verdict.WATCHING:
            await asyncio.sleep(self.poke_interval)
        xcoms = judgement_to_xcoms(judgement)
        if judgement.verdict is Verdict.HEALTHY:
            await asyncio.sleep(max(0.0, (begun + SHORTEST_DEFERRAL - utc_now()).total_seconds()))
            yield TaskSuccessEvent(xcoms=xcoms)
        else:
            yield TaskFailedEvent(xcoms=xcoms)

    def _look(self, clients: Clients, flaps_seen: FlapsSeen) -> Judgement:
        judgement = look(clients, bake_from_dict(self.bake), self.alarms, self.watched, flaps_seen)
        self.log.info("%s: %s", judgement.verdict.value, judgement.reason)
        return judgement


def look(
    clients: Clients, bake: Bake, alarms: list[str], watched: dict[str, Any] | None, flaps_seen: FlapsSeen
) -> Judgement:
    """One look, with errors of AWS as judgements: one that passes leaves the watch on, until the bake is over; then, and for one that does
    not pass, nobody can tell.
    """
    try:
        with translated_errors("could not look at the alarms"):
            return look_at_bake(clients, bake, alarms, Watched(**watched) if watched else None, utc_now(), flaps_seen)
    except Passing as error:
        over = utc_now() >= bake.ends_at + SHORTEST_DEFERRAL
        return Judgement(Verdict.INCONCLUSIVE if over else Verdict.WATCHING, str(error))
    except RolloutGaveUp as error:
        return Judgement(Verdict.INCONCLUSIVE, str(error))


def bake_to_dict(bake: Bake) -> dict[str, Any]:
    """A bake as JSON."""
    since = bake.green_traffic_since
    return {
        "started_at": bake.started_at.isoformat(),
        "ends_at": bake.ends_at.isoformat(),
        "green_traffic_since": since.isoformat() if since else None,
        "min_requests": bake.min_requests,
        "paused_before": bake.paused_before.total_seconds(),
    }


def bake_from_dict(stored: dict[str, Any]) -> Bake:
    """A bake from its JSON."""
    since = stored["green_traffic_since"]
    return Bake(
        started_at=datetime.fromisoformat(stored["started_at"]),
        ends_at=datetime.fromisoformat(stored["ends_at"]),
        green_traffic_since=datetime.fromisoformat(since) if since else None,
        min_requests=stored["min_requests"],
        paused_before=timedelta(seconds=stored["paused_before"]),
    )


def judgement_to_xcoms(judgement: Judgement) -> dict[str, Any]:
    """What people and the verdict task read of a bake; ``reason`` is set where the task fails, as by every task of a rollout."""
    told = {"verdict": judgement.verdict.value, "reason": judgement.reason}
    failed = {} if judgement.verdict is Verdict.HEALTHY else {"reason": judgement.reason}
    return {"return_value": told, **failed}
