"""Is a bake over, and how did it end? Everything that watches green is put together here.

Harm that anything has proven ends it at once. At its end it is healthy only if everything that was to be watched had figures to the end,
green had enough calls, and nobody found harm; what nobody can tell is inconclusive, and the plan says what becomes of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.watch.alarms import describe_harm
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class Bake:
    """One share being watched.

    :param started_at: when the watch began.
    :param ends_at: when it is over.
    :param green_traffic_since: when green first had traffic; an alarm that rang before then rang about something else.
    :param min_requests: requests that green must have had by the end; with fewer nobody can tell.
    :param paused_before: how long the rollout had been paused when the watch began; what it is paused after that, the bake is longer.
    :param extension: how much longer it lasts if nobody can tell at its end.
    :param when_inconclusive: what becomes of it if nobody can tell then either; see ``Evidence`` of the plan.
    :param asked_in: the task behind it in which a person is asked then; empty: there is none.
    :param ends_early: whether it is over as soon as green is proven healthy.
    """

    started_at: datetime
    ends_at: datetime
    green_traffic_since: datetime | None
    min_requests: int
    paused_before: timedelta = timedelta()
    extension: timedelta = timedelta()
    when_inconclusive: str = "fail"
    asked_in: str = ""
    ends_early: bool = False

    def end(self, control: Control | None, now: datetime) -> datetime:
        """When it is over, with the pauses so far."""
        return self.ends_at + (control.paused(now) - self.paused_before if control else timedelta())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a bake has found.

    :param alarms: the watched alarms, with flaps since green had traffic.
    :param requests: green's requests in this bake; ``None``: not read, which is enough before the end.
    :param control: what a person last wished of the rollout.
    :param judgements: of the comparison, the limits and what else watches.
    :param is_proven: whether the comparison has proven green healthy.
    :param gap: why the figures that it is judged by don't cover the bake so far (:mod:`~.coverage`); empty: they do.
    """

    alarms: Sequence[Alarm]
    requests: float | None = None
    control: Control | None = None
    judgements: Sequence[Judgement] = ()
    is_proven: bool = False
    gap: str = ""


def judge_bake(bake: Bake, seen: Seen, now: datetime) -> Judgement:
    """Judge green at any moment of a bake."""
    harm = describe_harm(seen.alarms, bake.green_traffic_since or bake.started_at)
    if harm:
        return Judgement(Verdict.HARMFUL, harm)
    harmful = next((each for each in seen.judgements if each.verdict is Verdict.HARMFUL), None)
    wished = _judge_wish(seen) if seen.control else None
    return harmful or wished or _judge_quiet(bake, seen, now)


def _judge_wish(seen: Seen) -> Judgement | None:
    control = seen.control
    if control is None:
        return None
    if control.wish is Wish.ABORT:
        return Judgement(Verdict.ABORTED, f"the rollout was {control.describe()}")
    if control.wish is Wish.PROMOTE:
        return Judgement(Verdict.HEALTHY, f"{_quiet(seen)} so far, and the rollout was {control.describe()}")
    if control.is_paused:
        return Judgement(Verdict.WATCHING, f"{_quiet(seen)}; the rollout was {control.describe()}, the share is held")
    return None


def _judge_quiet(bake: Bake, seen: Seen, now: datetime) -> Judgement:
    end = bake.end(seen.control, now)
    doubt = _describe_doubt(bake, seen)
    if bake.ends_early and seen.is_proven and not doubt:
        return Judgement(Verdict.HEALTHY, _told(seen, f"{_quiet(seen)} so far{_counted(seen)}; the bake ends early"))
    if now < end:
        return Judgement(Verdict.WATCHING, _told(seen, f"{_quiet(seen)}, {_seconds(end - now)} of the bake left"))
    if not doubt:
        return Judgement(Verdict.HEALTHY, _told(seen, f"{_quiet(seen)} to the end of the bake{_counted(seen)}"))
    if now < end + bake.extension:
        left = _seconds(end + bake.extension - now)
        told = f"nobody can tell yet whether green is healthy: {doubt}. The bake goes on, for at most {left}"
        return Judgement(Verdict.WATCHING, told)
    return _judge_doubt(bake, f"nobody can tell whether green is healthy: {doubt}")


def _judge_doubt(bake: Bake, told: str) -> Judgement:
    if bake.when_inconclusive == "go_on":
        going_on = f'{told}. The plan goes on all the same (when_inconclusive="go_on")'
        return Judgement(Verdict.INCONCLUSIVE, going_on, is_tolerated=True)
    if bake.when_inconclusive != "ask":
        return Judgement(Verdict.INCONCLUSIVE, told)
    if bake.asked_in:
        return Judgement(Verdict.INCONCLUSIVE, f"{told}. Task {bake.asked_in} asks a person", is_tolerated=True)
    unasked = 'The plan asks a person (when_inconclusive="ask"), but no AskOperator is all that follows this task'
    return Judgement(Verdict.INCONCLUSIVE, f"{told}. {unasked}")


def _describe_doubt(bake: Bake, seen: Seen) -> str:
    """Why nobody can tell, or nothing."""
    blind = [alarm for alarm in seen.alarms if alarm.state == "INSUFFICIENT_DATA"]
    if blind:
        return f"{_names(blind)} had too little data to tell: {blind[0].reason}"
    if seen.gap:
        return seen.gap
    if seen.requests is not None and seen.requests < bake.min_requests:
        return f"green had {seen.requests:,.0f} requests in this bake, at least {bake.min_requests:,} were needed (min_requests)"
    unsure = [each.reason for each in seen.judgements if each.verdict is Verdict.INCONCLUSIVE]
    return unsure[0].rstrip(".") if unsure else ""


def _told(seen: Seen, quiet: str) -> str:
    gap = [seen.gap] if seen.gap else []
    return "; ".join(part.rstrip(".") for part in (quiet, *gap, *(each.reason for each in seen.judgements)))


def _quiet(seen: Seen) -> str:
    return f"{_names(seen.alarms)} quiet" if seen.alarms else "no harm seen (no alarm is watched)"


def _names(alarms: Sequence[Alarm]) -> str:
    return f"alarm{'s' if len(alarms) > 1 else ''} {', '.join(alarm.name for alarm in alarms)}"


def _counted(seen: Seen) -> str:
    return f", {seen.requests:,.0f} requests" if seen.requests is not None else ""


def _seconds(duration: timedelta) -> str:
    return f"{int(duration.total_seconds())} s"
