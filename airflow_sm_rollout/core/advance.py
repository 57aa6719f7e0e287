"""The loop around :func:`~.converge.decide`, up to the next wait. It never sleeps: who runs it decides how to wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from airflow_sm_rollout.core.actions import Action
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import Act, Done, GiveUp, Goal, Hold, Wait
from airflow_sm_rollout.core.observation import Observation

SOON = timedelta(seconds=5)  # after an error that passes by itself, or when AWS does not show yet what was done


class Passing(Exception):
    """An error of the world that passes by itself (throttled, busy, a lost answer); the next look shows what came of it."""


class World(Protocol):
    """The two verbs that the loop needs, and the clock."""

    def is_past(self, deadline: datetime) -> bool:
        """Whether it is over."""
        ...

    def observe(self, goal: Goal) -> Observation:
        """Read what the goal's decision needs.

        :raises Passing: if it can't be read just now.
        """
        ...

    def perform(self, action: Action) -> None:
        """Do it; doing it twice does no harm.

        :raises Passing: if it has to be looked at again.
        :raises RolloutGaveUp: if AWS refuses for good.
        """
        ...


def advance(
    goal: Goal, rollout_id: str, world: World, deadline: datetime, tell: Callable[[str], None]
) -> Done | Wait | Hold:
    """Go on toward a goal until it is reached or there is nothing to do but wait.

    :param deadline: when to give up.
    :param tell: takes a line for a person on each thing that is done.
    :raises RolloutRefused: nothing was begun.
    :raises RolloutGaveUp: the goal can't be reached.
    :raises DeadlinePassed: it was not reached in time, or for all that time nobody could tell.
    """
    last: Action | None = None
    while True:
        try:
            decision = _decide_in_time(goal, rollout_id, world.observe(goal), deadline)
            if not isinstance(decision, Act):
                return decision
            if decision.action == last:
                return Wait(f"done, but not to be seen yet: {decision.action}", SOON)
            last = _do(decision, world, tell)
        except Passing as error:
            if world.is_past(deadline):
                raise DeadlinePassed(f"{_describe_goal(goal, deadline)}; {error}") from error
            return Wait(str(error), SOON)


def _decide_in_time(goal: Goal, rollout_id: str, seen: Observation, deadline: datetime) -> Act | Done | Wait | Hold:
    decision = decide(goal, rollout_id, seen)
    if isinstance(decision, GiveUp):
        raise (RolloutRefused if decision.refused else RolloutGaveUp)(decision.reason)
    if seen.at >= deadline and not isinstance(decision, (Done, Hold)):
        raise DeadlinePassed(f"{_describe_goal(goal, deadline)}; {seen.describe()}")
    return decision


def _do(decision: Act, world: World, tell: Callable[[str], None]) -> Action:
    tell(str(decision.action))
    world.perform(decision.action)
    return decision.action


def _describe_goal(goal: Goal, deadline: datetime) -> str:
    return f"not reached by {deadline.isoformat(timespec='seconds')}: {goal}"
