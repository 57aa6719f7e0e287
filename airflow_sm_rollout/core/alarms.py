"""What alarms say about green: harm, nothing wrong, or that they can't tell.

Only an alarm that exists, was not already ringing, has had data and did not ring speaks for green. Everything else is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.observation import Alarm


class Verdict(str, Enum):
    """What a look at green says."""

    WATCHING = "watching"
    HEALTHY = "healthy"
    HARMFUL = "harmful"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason in one sentence, with the figures."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Bake:
    """One share being watched.

    :param started_at: when the watch began.
    :param ends_at: when it is over.
    :param green_traffic_since: when green first had traffic; an alarm that rang before then rang about something else.
    :param min_requests: requests that green must have had by the end; with fewer nobody can tell.
    :param paused_before: how long the rollout had been paused when the watch began; what it is paused after that, the bake is longer.
    """

    started_at: datetime
    ends_at: datetime
    green_traffic_since: datetime | None
    min_requests: int
    paused_before: timedelta = timedelta()

    def end(self, control: Control | None, now: datetime) -> datetime:
        """When it is over, with the pauses so far."""
        return self.ends_at + (control.paused(now) - self.paused_before if control else timedelta())


def judge_bake(
    bake: Bake, alarms: Sequence[Alarm], requests: float | None, now: datetime, control: Control | None = None
) -> Judgement:
    """Judge green from its alarms, at any moment of a bake.

    :param alarms: the watched alarms, with flaps since green had traffic.
    :param requests: green's requests in this bake; ``None``: not read, which is enough before the end.
    :param control: what a person last wished of the rollout.
    """
    harm = describe_harm(alarms, bake.green_traffic_since or bake.started_at)
    if harm:
        return Judgement(Verdict.HARMFUL, harm)
    wished = _judge_wish(control, alarms) if control else None
    return wished or _judge_quiet(bake, alarms, requests, now, bake.end(control, now))


def _judge_wish(control: Control, alarms: Sequence[Alarm]) -> Judgement | None:
    if control.wish is Wish.ABORT:
        return Judgement(Verdict.ABORTED, f"the rollout was {control.describe()}")
    if control.wish is Wish.PROMOTE:
        return Judgement(Verdict.HEALTHY, f"{_names(alarms)} quiet so far, and the rollout was {control.describe()}")
    if control.is_paused:
        return Judgement(
            Verdict.WATCHING, f"{_names(alarms)} quiet; the rollout was {control.describe()}, the share is held"
        )
    return None


def _judge_quiet(
    bake: Bake, alarms: Sequence[Alarm], requests: float | None, now: datetime, end: datetime
) -> Judgement:
    if now < end:
        return Judgement(
            Verdict.WATCHING, f"{_names(alarms)} quiet, {int((end - now).total_seconds())} s of the bake left"
        )
    blind = [alarm for alarm in alarms if alarm.state == "INSUFFICIENT_DATA"]
    if blind:
        return Judgement(Verdict.INCONCLUSIVE, f"{_names(blind)} had too little data to tell: {blind[0].reason}")
    if requests is not None and requests < bake.min_requests:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"green had {requests:g} requests in this bake, {bake.min_requests} are needed to tell",
        )
    counted = f", {requests:g} requests" if requests is not None else ""
    return Judgement(Verdict.HEALTHY, f"{_names(alarms)} quiet to the end of the bake{counted}")


def describe_harm(alarms: Sequence[Alarm], green_traffic_since: datetime | None) -> str:
    """The reason not to go on, or nothing. An alarm that can't be found is one: nobody watches green then."""
    for alarm in alarms:
        if alarm.state == "MISSING":
            return f"alarm {alarm.name} does not exist (deleted?), so nothing watches green"
        if alarm.state == "ALARM":
            return _describe_ringing(alarm, green_traffic_since)
        if alarm.flapped_at is not None:
            return f"alarm {alarm.name} was in ALARM at {_time(alarm.flapped_at)} and is {alarm.state} again: {alarm.reason}"
    return ""


def _describe_ringing(alarm: Alarm, green_traffic_since: datetime | None) -> str:
    since = f" since {_time(alarm.since)}" if alarm.since else ""
    if green_traffic_since is None or (alarm.since is not None and alarm.since < green_traffic_since):
        return (
            f"alarm {alarm.name} is in ALARM{since}, from before green had traffic: it says nothing about green, "
            f"and can't while it rings: {alarm.reason}"
        )
    return f"alarm {alarm.name} is in ALARM{since}: {alarm.reason}"


def _names(alarms: Sequence[Alarm]) -> str:
    return "alarms " + ", ".join(alarm.name for alarm in alarms) if alarms else "no alarm is watched,"


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S UTC")
