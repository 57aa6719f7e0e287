"""The rollout's way as a few stops: which are behind, where it is now, what comes when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.plan.strategy import Step
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.traces import UNREADABLE, WATCH, TaskTrace
from airflow_sm_rollout.core.watch.watch import watch_from_dict

DONE, NOW, AHEAD, STOPPED, MISSED = "done", "now", "ahead", "stopped", "missed"
_NEARLY = 0.01  # percent; weights are floats


@dataclass(frozen=True, slots=True)
class Stop:
    """One part of the way.

    :param state: ``done``, ``now``, ``ahead``, ``stopped`` (the rollout did not get beyond it) or ``missed`` (it did not get there).
    :param bake: how long it is watched there by the plan; ``None``: it is not.
    :param task: the task that is at work there, or was last.
    """

    name: str
    state: str
    bake: timedelta | None = None
    since: datetime | None = None
    until: datetime | None = None
    task: str = ""

    @property
    def took(self) -> timedelta | None:
        """How long it took; ``None``: it is not over."""
        return self.until - self.since if self.since and self.until and self.state == DONE else None


@dataclass(frozen=True, slots=True)
class Way:
    """All stops, and what comes next.

    :param next: what the next one is, in words; empty: nothing is to come, or nobody knows what.
    :param next_at: when, if nothing does harm; ``None``: it is held, or nobody knows.
    :param ends_at: when the last bake is over, at the earliest.
    """

    stops: tuple[Stop, ...]
    next: str = ""
    next_at: datetime | None = None
    ends_at: datetime | None = None


def way_of_tasks(
    rollout: Rollout, tasks: Sequence[TaskTrace], control: Control | None, now: datetime | None, outcome: Outcome
) -> Way:
    """The way as a rollout's tasks tell it.

    :param now: AWS's time at the last look; ``None``: AWS was not read.
    """
    groups = _groups(rollout, tasks)
    stops = [_stop(name, bake, of_stop) for name, bake, of_stop in groups]
    if outcome is not Outcome.RUNNING or any(stop.state == STOPPED for stop in stops):
        return Way(tuple(_ended(stops, outcome)))
    index = next((number for number, stop in enumerate(stops) if stop.state != DONE), len(stops) - 1)
    stops[index] = replace(stops[index], state=NOW)
    of_stop = groups[index][2]
    answered = [task for task in of_stop if not (task.name.startswith("approve") and task.ended_at is None)]
    if len(answered) < len(of_stop):
        stops[index] = replace(stops[index], since=None)
        return Way(tuple(stops), f"{_coming(stops[index])}, if a person approves")
    asked = any(task.name.startswith("approve") for task in _behind(groups, index))
    return _ahead(stops, index, _bake_ends(of_stop, control, now), "a person is asked" if asked else "")


def way_by_share(
    rollout: Rollout,
    share: float,
    since: datetime | None,
    paused: timedelta,
    *,
    is_held: bool,
    bake_ends: datetime | None = None,
) -> Way:
    """The way as AWS shows it, without the tasks.

    :param share: green's in percent.
    :param since: since when it has had that; ``None``: nobody knows.
    :param paused: how long the rollout has been paused since then.
    :param is_held: whether it goes nowhere just now.
    :param bake_ends: when the bake is over, where that is noted; else the plan's bake counts from ``since`` on.
    """
    steps = _steps(rollout)
    stops = [Stop("Deploy", DONE if share else NOW, until=rollout.green_traffic_since, since=rollout.started_at)]
    index = next((n + 1 for n, step in enumerate(steps) if step.share >= share - _NEARLY), len(steps)) if share else 0
    for number, step in enumerate(steps, 1):
        state = DONE if number < index else NOW if number == index else AHEAD
        stops.append(Stop(f"{step.share:g} %", state, step.bake, since if number == index else None))
    stops.append(Stop("Promote", AHEAD))
    bake = stops[index].bake
    estimate = since + bake + paused if since and bake is not None else None
    return _ahead(stops, index, None if is_held else bake_ends or estimate, "")


def _ahead(stops: list[Stop], index: int, bake_ends: datetime | None, asks: str) -> Way:
    following = stops[index + 1] if index + 1 < len(stops) else None
    words = asks or (_coming(following) if following else "")
    left = sum((stop.bake or timedelta() for stop in stops[index + 1 :]), timedelta())
    return Way(tuple(stops), words, bake_ends, bake_ends + left if bake_ends else None)


def _coming(stop: Stop) -> str:
    return {"Promote": "green is promoted"}.get(stop.name, f"green gets {stop.name}")


def _steps(rollout: Rollout) -> Sequence[Step]:
    return rollout.plan.strategy.steps if rollout.plan.strategy and not rollout.traffic.is_shifted_by_aws else ()


_Group = tuple[str, timedelta | None, list[TaskTrace]]


def _groups(rollout: Rollout, tasks: Sequence[TaskTrace]) -> list[_Group]:
    """The stops' names, bakes and tasks: a share's are those from its shift (or the question before it) to the next one's."""
    deploy: list[TaskTrace] = []
    shares: list[list[TaskTrace]] = []
    promote: list[TaskTrace] = []
    asked: list[TaskTrace] = []
    for task in tasks:
        kind = task.name.partition("_")[0]
        if kind == "approve":
            asked.append(task)
        elif kind == "shift":
            shares.append([*asked, task])
            asked = []
        elif kind == "promote":
            promote.append(task)
        elif kind in {"bake", "ask"} and shares:
            shares[-1].append(task)
        elif kind not in {"settle", "verdict"}:
            deploy.append(task)
    steps = _steps(rollout)
    named: list[_Group] = [("Deploy", None, deploy)]
    for number, step in enumerate(steps):
        named.append((f"{step.share:g} %", step.bake, shares[number] if number < len(shares) else []))
    return [*named, ("Promote", None, promote)]


def _stop(name: str, bake: timedelta | None, tasks: Sequence[TaskTrace]) -> Stop:
    begun = [task.started_at for task in tasks if task.started_at]
    ended = [task.ended_at for task in tasks if task.ended_at]
    failed = any(task.state == "failed" for task in tasks)
    done = bool(tasks) and all(task.state in {"success", "skipped"} for task in tasks)
    last = next((task.name for task in reversed(tasks) if task.started_at), "")
    state = STOPPED if failed else DONE if done else AHEAD
    until = max(ended, default=None) if done or failed else None
    return Stop(name, state, bake, min(begun, default=None), until, last)


def _ended(stops: Sequence[Stop], outcome: Outcome) -> Iterator[Stop]:
    """The way of what goes forward no more: what was under way when it turned is where it stopped."""
    turned = False
    for stop in stops:
        if outcome in (Outcome.PROMOTED, Outcome.UNDONE):
            yield replace(stop, state=DONE)
        elif turned:
            yield replace(stop, state=MISSED)
        else:
            turned = stop.state != DONE
            yield replace(stop, state=STOPPED) if turned else stop


def _bake_ends(tasks: Sequence[TaskTrace], control: Control | None, now: datetime | None) -> datetime | None:
    """When the bake that is under way is over, with the pauses so far; ``None``: there is none, or it is paused."""
    stored = [task.xcoms[WATCH] for task in tasks if task.xcoms.get(WATCH) and task.ended_at is None]
    if not stored or (control and control.is_paused):
        return None
    try:
        watch = watch_from_dict({**stored[-1], "rollout": None})
    except (*UNREADABLE, RolloutError):
        return None
    return watch.end(control, now or watch.started_at)


def _behind(groups: Sequence[_Group], index: int) -> Sequence[TaskTrace]:
    return groups[index + 1][2] if index + 1 < len(groups) else ()
