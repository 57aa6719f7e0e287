"""What watches green, since when, until when, and by what it is judged: one value, in one JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.sources import judged_alarms, judged_since

_BEYOND_QUESTIONS = timedelta(days=1)
_MOMENTS = ("started_at", "ends_at", "green_traffic_since", "share_since")
_DURATIONS = ("paused_before", "extension")


@dataclass(frozen=True, slots=True)
class Watch:
    """One share of green being watched: a bake, a question to a person, or alarms alone.

    :param started_at: when the watch began.
    :param ends_at: when it is over.
    :param green_traffic_since: when green first had traffic; an alarm that rang before then rang about something else.
    :param min_requests: requests that green must have had by the end; with fewer nobody can tell.
    :param paused_before: how long the rollout had been paused when the watch began; what it is paused after that, the watch is longer.
    :param extension: how much longer it lasts if nobody can tell at its end.
    :param when_inconclusive: what becomes of it if nobody can tell then either; see ``Evidence`` of the plan.
    :param asked_in: the task behind it in which a person is asked then; empty: there is none.
    :param ends_early: whether it is over as soon as green is proven healthy.
    :param alarms: names of the alarms.
    :param rollout: whose wishes are heeded and whose requests are counted; ``None``: only the alarms are watched.
    :param judges_evidence: whether the comparison and the limits of the rollout's plan are asked, too.
    :param share: green's share as planned, in percent; ``None``: not known.
    :param dry_run: whether what speaks against green is only told: the watch goes on to its end, and passes.
    :param share_since: since when it has had that share, if it has kept it all the time since; ``None``: not known.
    :param observes: whether somebody else's change of the endpoint, of its shares or of the live pointer ends it.
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
    alarms: tuple[str, ...] = ()
    rollout: Rollout | None = None
    judges_evidence: bool = False
    share: float | None = None
    share_since: datetime | None = None
    observes: bool = False
    dry_run: bool = False

    def end(self, control: Control | None, now: datetime) -> datetime:
        """When it is over, with the pauses so far."""
        return self.ends_at + (control.paused(now) - self.paused_before if control else timedelta())

    @property
    def longest_hold(self) -> timedelta:
        """How much longer it lasts at most where green looks worse than blue at its end; see :mod:`~.holding`."""
        holds = self.judges_evidence and not self.dry_run and self.rollout is not None
        return self.rollout.plan.evidence.longest_hold if self.rollout and holds else timedelta()

    @property
    def alarms_count_since(self) -> datetime:
        """From when on an alarm that has rung speaks against green."""
        return self.green_traffic_since or self.started_at


def watch_to_dict(watch: Watch) -> dict[str, Any]:
    """A watch as JSON."""
    stored: dict[str, Any] = {name: getattr(watch, name) for name in Watch.__slots__}
    stored |= {name: stored[name] and stored[name].isoformat() for name in _MOMENTS}
    stored |= {name: stored[name].total_seconds() for name in _DURATIONS}
    rollout = to_json(watch.rollout) if watch.rollout else None
    return {**stored, "alarms": list(watch.alarms), "rollout": rollout}


def watch_from_dict(stored: Mapping[str, Any]) -> Watch:
    """A watch from its JSON; what an earlier version did not know of is as by default.

    :raises RolloutError: if this version can't read its rollout's record.
    :raises KeyError: if something is not there.
    :raises TypeError: if there is something that this version does not know.
    """
    members = {"share_since": None, **stored}
    members |= {name: members[name] and datetime.fromisoformat(members[name]) for name in _MOMENTS}
    members |= {name: timedelta(seconds=members.get(name, 0.0)) for name in _DURATIONS}
    rollout = members.get("rollout")
    return Watch(**{**members, "alarms": tuple(members.get("alarms", ())), "rollout": rollout and from_json(rollout)})


def watch_question(rollout: Rollout, now: datetime, until: datetime) -> Watch:
    """The watch while something else is waited for, such as a person's answer: harm ends that.

    :param until: when the question closes; the watch ends a day later.
    """
    return Watch(
        started_at=now,
        ends_at=until + _BEYOND_QUESTIONS,
        green_traffic_since=judged_since(rollout),
        min_requests=0,
        alarms=judged_alarms(rollout),
        rollout=rollout,
        judges_evidence=True,
        dry_run=rollout.plan.evidence.dry_run,
    )


def last_watch(stored: Sequence[Mapping[str, Any]], rollout: Rollout, now: datetime) -> Watch:
    """The watch of the bake that is under way, or was last, for whoever looks from outside.

    :param stored: what the bakes so far have left in XCom, in any order. Only times are taken from there: XComs may be written by people
        who may not say what is read from AWS.
    :param rollout: as it is recorded on AWS.
    """
    watches = [replace(watch_from_dict({**each, "rollout": None}), rollout=rollout) for each in stored]
    baked = [replace(each, alarms=judged_alarms(rollout)) for each in watches if each.judges_evidence]
    return max(baked, key=lambda each: each.started_at) if baked else watch_question(rollout, now, now)
