"""Waits until there is something to decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import TaskFailedEvent, TriggerEvent

from airflow_sm_rollout.aws.guardian import SIGNS
from airflow_sm_rollout.aws.watch import Lookout
from airflow_sm_rollout.aws.world import AwsWorld, utc_now
from airflow_sm_rollout.core.advance import SOON, Passing
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import (
    AsBefore,
    Goal,
    GreenDeployed,
    GreenShadowed,
    GreenShare,
    Hold,
    OnlyGreen,
    Wait,
    pause_after,
)
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rhythm import next_look
from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL, RolloutTrigger


class ConvergeTrigger(RolloutTrigger):
    """Looks as the task would, and fires when the decision is no longer to wait, or at the deadline.

    It acts on nothing: what the decision then is, the resumed task finds out by looking itself.

    Once green has had traffic it is watched as in a bake, and harm, or a person who aborts, ends the task. The endpoint may be busy for
    minutes yet: the rollout has turned around by then, and its way back looks every few seconds whether AWS takes it.

    :param endpoint_name: the endpoint.
    :param rollout_id: whose rollout this is.
    :param goal: see :func:`goal_to_dict`.
    :param deadline: ISO 8601 with time zone; absolute, since a trigger starts anew after its triggerer was killed. A paused rollout has
        none.
    :param refusals: how often in a row AWS has refused the next step by now; the first look comes the later for it.
    :param expected: how many seconds the wait usually takes; 0: nobody knows.
    """

    def __init__(
        self,
        *,
        endpoint_name: str,
        rollout_id: str,
        goal: dict[str, Any],
        deadline: str,
        refusals: int = 0,
        expected: float = 0.0,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.endpoint_name = endpoint_name
        self.rollout_id = rollout_id
        self.goal = goal
        self.deadline = deadline
        self.refusals = refusals
        self.expected = expected

    async def events(self) -> AsyncIterator[TriggerEvent]:
        deadline, goal = datetime.fromisoformat(self.deadline), goal_from_dict(self.goal)
        lookout: Lookout | None = None
        interval = min(self.poke_interval, SOON.total_seconds()) if isinstance(goal, AsBefore) else self.poke_interval
        pause = max(SHORTEST_DEFERRAL, pause_after(self.refusals)).total_seconds()
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(max(next_look(goal, 0.0, self.expected, interval), pause))
        while True:
            clients = await self.clients()
            lookout = lookout or Lookout(AwsWorld(clients, self.endpoint_name, self.rollout_id))
            lookout.world.clients = clients  # they are shared, and change with their credentials
            waits, harm = await self.look(self._look, goal, deadline, lookout)
            if harm:
                yield TaskFailedEvent(xcoms={"reason": harm, **self.counted})
                return
            if not waits:
                break
            waited = asyncio.get_running_loop().time() - begun
            await asyncio.sleep(next_look(goal, waited, self.expected, interval))
        yield self._fired()

    def unreadable(self, why: str) -> TriggerEvent:
        """The task needs nothing of this trigger but to be woken: it looks itself, and waits anew with this version's arguments."""
        self.log.warning("Another version of airflow_sm_rollout has begun this wait (%s): the task looks itself", why)
        return self._fired()

    def _fired(self) -> TriggerEvent:
        told = {"deadline": self.deadline, "refusals": self.refusals, "calls": dict(self.calls)}
        return TriggerEvent(told)  # type: ignore[no-untyped-call]

    def _look(self, goal: Goal, deadline: datetime, lookout: Lookout) -> tuple[bool, str]:
        """Whether to go on waiting, and why to turn around. An error that does not pass is the task's to meet, and to say."""
        SIGNS.leave(lookout.world.clients, self.endpoint_name)
        try:
            decision, harm = lookout.look_for(goal)
        except Passing as error:
            self.log.warning("%s", error)
            return utc_now() < deadline, lookout.why_turn()
        except RolloutError:
            return False, ""
        if isinstance(decision, (Wait, Hold)):
            self.log.info("Waiting: %s", decision.reason)
        return isinstance(decision, Hold) or (isinstance(decision, Wait) and utc_now() < deadline), harm


def goal_to_dict(goal: Goal) -> dict[str, Any]:
    """A goal as JSON."""
    if isinstance(goal, GreenDeployed):
        return {"goal": "green_deployed", "rollout": to_json(goal.rollout)}
    if isinstance(goal, GreenShadowed):
        return {"goal": "green_shadowed", "rollout": to_json(goal.rollout), "percent": goal.percent}
    if isinstance(goal, GreenShare):
        return {"goal": "green_share", "share": goal.share}
    name = "as_before" if isinstance(goal, AsBefore) else "only_green"
    return {"goal": name, "rollout": to_json(goal.rollout) if goal.rollout else None}


def goal_from_dict(stored: dict[str, Any]) -> Goal:
    """A goal from its JSON."""
    if stored["goal"] == "green_deployed":
        return GreenDeployed(from_json(stored["rollout"]))
    if stored["goal"] == "green_shadowed":
        return GreenShadowed(from_json(stored["rollout"]), stored["percent"])
    if stored["goal"] == "green_share":
        return GreenShare(stored["share"])
    planned = from_json(stored["rollout"]) if stored.get("rollout") else None
    return AsBefore(planned) if stored["goal"] == "as_before" else OnlyGreen(planned)
