"""The loop around :func:`~.converge.decide`, up to the next wait. It never sleeps: who runs it decides how to wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from airflow_sm_rollout.core.actions import Action
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import DeadlinePassed, NotThere, RefusedByAws, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import Act, Again, AsBefore, Decision, Done, GiveUp, Goal, Hold, Wait, pause_after
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rules.shared import update_takes

SOON = timedelta(seconds=5)  # after an error that passes by itself, or when AWS does not show yet what was done
# AWS may not show yet what was just made. What is not there after so many tries, a minute and more, was deleted.
_LATEST = timedelta(minutes=10)
_TRIES_WITHOUT = 5
# A process may be stopped for a while between looking and acting, and its rollout be taken back meanwhile by somebody else.
_FRESH = timedelta(minutes=1)


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
        :raises RefusedByAws: if AWS does not let it be read.
        """
        ...

    def perform(self, action: Action) -> None:
        """Do it; doing it twice does no harm.

        :raises Passing: if it has to be looked at again.
        :raises RefusedByAws: if AWS refuses for good.
        """
        ...


def advance(
    goal: Goal, rollout_id: str, world: World, deadline: datetime, tell: Callable[[str], None], *, refusals: int = 0
) -> Done | Wait | Hold | Again:
    """Go on toward a goal until it is reached or there is nothing to do but wait.

    What AWS refuses ends a way forward. The way back never ends by that: another way is taken if there is one, and otherwise the same is
    tried again until the deadline.

    :param deadline: when to give up.
    :param tell: takes a line for a person on each thing that is done.
    :param refusals: how often in a row AWS has refused by now, from the last :class:`~.goals.Again`.
    :raises RolloutRefused: nothing was begun.
    :raises RolloutGaveUp: the goal can't be reached.
    :raises DeadlinePassed: it was not reached in time, or for all that time nobody could tell.
    """
    try:
        return _go_on(goal, rollout_id, world, deadline, tell)
    except Passing as error:
        if world.is_past(deadline):
            raise DeadlinePassed(f"{_describe_goal(goal, deadline)}; {error}") from error
        return Wait(str(error), SOON)
    except RefusedByAws as error:
        if not _may_pass(error, goal, refusals):
            raise
        if world.is_past(deadline):
            raise DeadlinePassed(f"{_describe_goal(goal, deadline)}; {error}") from error
        return Again(str(error), refusals + 1)


def drive(
    goal: Goal,
    rollout_id: str,
    world: World,
    deadline: datetime,
    *,
    tell: Callable[[str], None],
    wait: Callable[[str, timedelta], None],
) -> Done:
    """:func:`advance` until the goal is reached.

    :param wait: waits between two looks; takes the reason, and how long at least.
    :raises RolloutError: see :func:`advance`.
    """
    refusals = 0
    while True:
        step = advance(goal, rollout_id, world, deadline, tell, refusals=refusals)
        if isinstance(step, Done):
            return step
        refusals = step.refusals if isinstance(step, Again) else 0
        wait(step.reason, pause_after(refusals))


def _go_on(
    goal: Goal, rollout_id: str, world: World, deadline: datetime, tell: Callable[[str], None]
) -> Done | Wait | Hold:
    last: Action | None = None
    refused: list[tuple[Action, RefusedByAws]] = []
    while not (takes := _takes(last, goal)):
        seen = world.observe(goal)
        decision = _decide_in_time(goal, rollout_id, seen, deadline)
        if not isinstance(decision, Act):
            return decision
        if not isinstance(goal, AsBefore) and world.is_past(seen.at + _FRESH):
            return Wait(f"what was seen at {seen.at:%H:%M:%S UTC} is too old to act on", SOON)
        if decision.action == last:
            return Wait(f"done, but not to be seen yet: {decision.action}", SOON)
        for error in (error for action, error in refused if action == decision.action):
            raise error  # there is no other way
        tell(str(decision.action))
        try:
            world.perform(decision.action)
            last = decision.action
        except RefusedByAws as error:
            if not isinstance(goal, AsBefore):
                raise
            tell(str(error))
            refused.append((decision.action, error))
            goal = replace(goal, refused=(*goal.refused, decision.action))
    return Wait(f"AWS was asked to {last}", takes)


def _takes(done: Action | None, goal: Goal) -> timedelta | None:
    """How long what was just done keeps AWS from any other step forward; ``None``: it does not."""
    return update_takes(done) if done is not None and not isinstance(goal, AsBefore) else None


def _may_pass(error: RefusedByAws, goal: Goal, refusals: int) -> bool:
    return isinstance(goal, AsBefore) or (isinstance(error, NotThere) and refusals < _TRIES_WITHOUT)


def _decide_in_time(goal: Goal, rollout_id: str, seen: Observation, deadline: datetime) -> Act | Done | Wait | Hold:
    decision = decide(goal, rollout_id, seen)
    if isinstance(decision, GiveUp):
        raise (RolloutRefused if decision.refused else RolloutGaveUp)(decision.reason)
    if seen.at >= deadline and not _may_be_late(decision, goal, seen.at - deadline):
        raise DeadlinePassed(f"{_describe_goal(goal, deadline)}; {seen.describe()}{_say_why(seen)}")
    return decision


def _may_be_late(decision: Decision, goal: Goal, late: timedelta) -> bool:
    """A step back is taken though the deadline is over; if AWS refuses it, that is what has to be told. But not for ever: somebody may
    undo each step as soon as it is taken.
    """
    is_step_back = isinstance(decision, Act) and isinstance(goal, AsBefore) and late < _LATEST
    return isinstance(decision, (Done, Hold)) or is_step_back


def _say_why(seen: Observation) -> str:
    reasons = [each.failure_reason for each in (seen.endpoint, seen.green_endpoint) if each and each.failure_reason]
    return f" (AWS says: {'; '.join(reasons)})" if reasons else ""


def _describe_goal(goal: Goal, deadline: datetime) -> str:
    return f"not reached by {deadline.isoformat(timespec='seconds')}: {goal}"
