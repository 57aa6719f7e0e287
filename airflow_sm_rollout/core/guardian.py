"""When a rollout is taken back without Airflow: what a guardian watches, and which rollouts nobody drives any more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.cost import describe_warm
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.orphans import describe_age, why_stale
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.watch.sources import judged_alarms, judged_since
from airflow_sm_rollout.core.watch.watch import Watch

SIGN_EVERY = timedelta(minutes=1)
"""How often who drives a rollout says so on AWS at most, and so a guardian that it looks."""

GUARDED_WITHIN = timedelta(minutes=2)
"""How old a guardian's last look may be where a rollout insists on one."""

_ENDED, _RETRY = " ended", " retry"
_ENDLESS = timedelta(days=365)
_UNDER_WAY = timedelta(minutes=1)
"""That green is to get traffic is recorded before it does. If the rollout ended between, the traffic would come after its end."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a rollout may be silent before it is taken back.

    :param in_task: while a task of it drives, which gives a sign each minute.
    :param between_tasks: behind a task that has ended well: the next may be a user's own, which gives none, or wait for a worker.
    """

    in_task: timedelta = timedelta(minutes=10)
    between_tasks: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Sign:
    """What who drives a rollout has last said of it.

    :param at: when; of a task that waits for its next try, when that is due at the latest.
    :param has_ended: whether that was that its task had ended well.
    :param awaits_retry: whether it was that its task had failed and was to be tried again.
    """

    at: datetime
    has_ended: bool = False
    awaits_retry: bool = False


class State(str, Enum):
    """What a look came to for one rollout."""

    LEFT_ALONE = "left_alone"
    WATCHED = "watched"
    TAKING_BACK = "taking_back"
    TAKEN_BACK = "taken_back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look came to for one rollout, or for all (no endpoint).

    :param sentence: for a person, with the figures.
    """

    state: State
    sentence: str
    endpoint_name: str = ""
    rollout_id: str = ""


@dataclass(frozen=True, slots=True)
class GuardianLook:
    """What a guardian leaves of its last look.

    :param by: its name.
    :param prefix: what the names of the endpoints begin with that it watches; empty: all of the account and Region.
    """

    by: str
    at: datetime
    prefix: str = ""

    def describe(self, now: datetime) -> str:
        """Who guards, in a few words."""
        return f"guarded by {self.by}, last look {describe_age(now - self.at)} ago"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """That a guardian has decided to take a rollout back.

    :param why: with the figures, as a half sentence.
    """

    rollout_id: str
    why: str
    by: str
    at: datetime

    def describe(self) -> str:
        """Whose decision it was, and why."""
        return f"guardian {self.by} took it back at {self.at:%H:%M:%S UTC}: {self.why}"


def why_unguarded(look: GuardianLook | None, endpoint_name: str, now: datetime) -> str:
    """Why nobody guards an endpoint, as a sentence with what to do; empty if somebody does.

    :param look: the last one of a guardian that guards it; ``None``: none ever has.
    """
    if look is not None and now - look.at <= GUARDED_WITHIN:
        return ""
    last = f"guardian {look.by} looked last {describe_age(now - look.at)} ago" if look else "none ever has"
    return (
        f"no guardian has looked at endpoint {endpoint_name} within {describe_age(GUARDED_WITHIN)} ({last}), and guardian='required' "
        "asks for one. Nothing was changed. Start one (sm-rollout guardian), then clear this task"
    )


def to_json(noted: GuardianLook | TakenBack) -> str:
    """The text of a guardian's parameter."""
    return json.dumps({**asdict(noted), "at": noted.at.isoformat()}, separators=(",", ":"))


def look_from_json(text: str) -> GuardianLook:
    """Read what a guardian has left of its look.

    :raises RolloutError: if it is none.
    """
    return GuardianLook(**_read(text, "look of a guardian", GuardianLook.__slots__))


def taken_back_from_json(text: str) -> TakenBack:
    """Read what a guardian has noted of a rollout.

    :raises RolloutError: if it is none.
    """
    return TakenBack(**_read(text, "note of a guardian", TakenBack.__slots__))


def _read(text: str, what: str, members: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        stored = json.loads(text)
        known = {name: stored[name] for name in members}
        return {**known, "at": _moment(known["at"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RolloutError(f"this is no {what}: {text[:80]!r}") from None


def sign_to_text(sign: Sign) -> str:
    """A sign of life as the value of a tag."""
    said = _ENDED if sign.has_ended else _RETRY if sign.awaits_retry else ""
    return sign.at.isoformat(timespec="seconds") + said


def sign_from_text(text: str) -> Sign | None:
    """Read a sign of life; ``None``: it is somebody else's tag."""
    try:
        at = _moment(text.removesuffix(_ENDED).removesuffix(_RETRY))
        return Sign(at, has_ended=text.endswith(_ENDED), awaits_retry=text.endswith(_RETRY))
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    """Read a time.

    :raises ValueError: if it has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def watch_whole(rollout: Rollout, share: float | None) -> Watch | None:
    """The watch of all that green has done since it has had traffic: the bakes' own times are Airflow's; ``None``: it has had none.

    It has no end: that green is healthy by then is for a bake to say, and a guardian looks for harm alone.

    :param share: green's share in percent; ``None``: not known.
    """
    since = judged_since(rollout)
    if since is None:
        return None
    return Watch(
        started_at=since,
        ends_at=since + _ENDLESS,
        green_traffic_since=since,
        min_requests=0,
        alarms=judged_alarms(rollout),
        rollout=rollout,
        judges_evidence=True,
        share=share,
        dry_run=rollout.plan.evidence.dry_run,
    )


def is_going_back(rollout: Rollout, control: Control | None) -> bool:
    """Whether somebody has decided that it goes back."""
    return rollout.phase is Phase.ROLLING_BACK or (control is not None and control.wish is Wish.ABORT)


def why_not_watched(rollout: Rollout, seen: Observation, share: float | None) -> str:
    """Why there is nothing to take back; empty: green has traffic that may be taken from it.

    :param seen: with the rollout's endpoint.
    :param share: green's share in percent; ``None``: not known.
    """
    endpoint, since = seen.endpoint, judged_since(rollout)
    is_promoting = rollout.phase is Phase.FORWARD and _is_on_final_config(rollout, endpoint)
    if rollout.phase is Phase.PROMOTED or is_promoting:
        return describe_warm(rollout) or "green is promoted, what is left is to tidy"
    if since is None:
        return "green has had no traffic yet"
    is_under_way = share == 0 and seen.at - since < _UNDER_WAY
    return "green is just getting its first traffic" if is_under_way else ""


def why_nobody_answers(rollout: Rollout, share: float | None, green: Endpoint | None) -> str:
    """Why clients get no answer though green is promoted, as a half sentence; empty: they may get one.

    :param share: as for :func:`why_not_watched`.
    :param green: the endpoint where green is.
    """
    if rollout.phase is not Phase.PROMOTED or not rollout.traffic.has_pointer or not share:
        return ""
    name = rollout.green_endpoint_name
    if green is None:
        return f"green is promoted, and its endpoint {name}, which clients are sent to, is gone (deleted?)"
    return "" if green.answers else f"green is promoted, and its {green.describe()} can't answer"


def is_warm_too_long(rollout: Rollout, now: datetime, patience: Patience) -> bool:
    """Whether a blue that was kept warm should be gone, and nobody takes it away."""
    return rollout.blue_until is not None and now - rollout.blue_until > patience.in_task


def _is_on_final_config(rollout: Rollout, endpoint: Endpoint | None) -> bool:
    """By variants, promotion shows in nothing else; its alarms are deleted then. SageMaker's guardrails get there before anybody has
    looked at the alarms once more.
    """
    is_final = endpoint is not None and endpoint.config_name == rollout.names.final_config
    return is_final and rollout.traffic.shows_promotion


def why_abandoned(
    rollout: Rollout,
    sign: Sign | None,
    now: datetime,
    *,
    patience: Patience,
    paused: timedelta,
    goes_back: bool = False,
) -> str:
    """Why it looks as if nobody drove this rollout any more, as a half sentence; empty if somebody may.

    :param sign: the last sign of life; ``None``: none, as of an earlier version, or of who may not. Only much more time than its plan
        takes counts then.
    :param paused: how long it has been paused so far.
    :param goes_back: nothing of a user's own comes between then.
    """
    if sign is None:
        return why_stale(rollout, now, paused)
    is_between = sign.has_ended and not goes_back
    allowed = patience.between_tasks if is_between else patience.in_task
    quiet = now - sign.at
    if quiet <= allowed:
        return ""
    age = describe_age(quiet)
    told = f"nobody has driven it for {age}"
    if sign.awaits_retry:
        told = f"its task's next try was due {age} ago at the latest and has not begun"
    if is_between:
        told = f"its last task ended {age} ago and no other has begun"
    return f"{told} (at most {describe_age(allowed)} are allowed): is Airflow down?"
