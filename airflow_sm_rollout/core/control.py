"""What a person wishes of a rollout in progress: hold it, let it go on, take it all the way, or end it.

The wish is an SSM parameter of its own beside the record, so that the record keeps its one writer (SSM has no compare-and-set) and a
wish needs neither Airflow nor its database.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.spoilt import well_typed

CONTROL_VERSION = 1


class Wish(str, Enum):
    """What was last asked for."""

    GO_ON = "go_on"
    PAUSE = "pause"
    PROMOTE = "promote"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Control:
    """The last wish.

    :param rollout_id: the rollout it is about; one about another is none.
    :param since: when it was made.
    :param by: who made it.
    :param note: why, in that person's words.
    :param paused_before: how long the rollout had been paused, all in all, before this wish.
    """

    rollout_id: str
    wish: Wish
    since: datetime
    by: str = "somebody"
    note: str = ""
    paused_before: timedelta = timedelta()

    @property
    def is_paused(self) -> bool:
        """Whether the rollout is to be held."""
        return self.wish is Wish.PAUSE

    def paused(self, now: datetime) -> timedelta:
        """How long the rollout has been paused, all in all, by now."""
        return self.paused_before + (now - self.since if self.is_paused else timedelta())

    def describe(self) -> str:
        """Who wished what and when, in a few words."""
        done = {Wish.GO_ON: "resumed", Wish.PAUSE: "paused", Wish.PROMOTE: "told to promote", Wish.ABORT: "aborted"}[
            self.wish
        ]
        note = f" ({self.note})" if self.note else ""
        return f"{done} by {self.by} at {self.since.strftime('%H:%M:%S UTC')}{note}"


def next_control(before: Control | None, wish: Control) -> Control:
    """The wish that follows another, with the time paused so far carried over.

    :raises RolloutError: where it can't follow: nothing follows an abort, and only a pause is resumed.
    """
    if before is None:
        before = replace(wish, wish=Wish.GO_ON, paused_before=timedelta())
    if before.wish is Wish.ABORT:
        raise RolloutError(
            f"the rollout was {before.describe()}: it is going back, and nothing else can be asked of it"
        )
    if wish.wish is Wish.GO_ON and not before.is_paused:
        raise RolloutError("the rollout is not paused")
    if wish.wish is Wish.PAUSE and before.is_paused:
        raise RolloutError(f"the rollout was {before.describe()} already")
    return replace(wish, paused_before=before.paused(wish.since))


def control_to_json(control: Control) -> str:
    """The parameter's text."""
    stored = asdict(control)
    stored |= {
        "since": control.since.isoformat(),
        "paused_before": control.paused_before.total_seconds(),
        "wish": control.wish.value,
    }
    return json.dumps({"version": CONTROL_VERSION, **stored}, separators=(",", ":"))


def control_from_json(text: str) -> Control:
    """Read a wish.

    :raises RolloutError: if it is none, or of a version that this package does not know.
    """
    try:
        stored = json.loads(text)
        version = stored.pop("version")
        if version != CONTROL_VERSION:
            raise RolloutError(
                f"the wish has version {version}, this package reads version {CONTROL_VERSION}: upgrade it"
            )
        stored |= {
            "since": datetime.fromisoformat(stored["since"]),
            "paused_before": timedelta(seconds=stored["paused_before"]),
            "wish": Wish(stored["wish"]),
        }
        return well_typed(Control(**stored))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise RolloutError(f"this is no wish about a rollout: {text[:80]!r}") from None
