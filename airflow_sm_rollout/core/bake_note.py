"""Until when a bake watches, as it is noted beside the rollout's record for whoever looks without Airflow. Nothing is decided by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.watch.watch import Watch


@dataclass(frozen=True, slots=True)
class BakeNote:
    """A bake.

    :param share: green's in it, in percent.
    :param paused_before: how long the rollout had been paused when it began.
    """

    share: float
    started_at: datetime
    ends_at: datetime
    paused_before: timedelta

    def end(self, control: Control | None, now: datetime) -> datetime:
        """When it is over, with the pauses so far."""
        return self.ends_at + (control.paused(now) - self.paused_before if control else timedelta())


def note_of(watch: Watch) -> BakeNote | None:
    """What is noted of a watch; ``None``: nobody knows green's share in it."""
    if watch.share is None:
        return None
    return BakeNote(watch.share, watch.started_at, watch.ends_at, watch.paused_before)


def note_to_text(note: BakeNote) -> str:
    """A note as the value of a tag, which may have no braces and no commas."""
    moments = (each.isoformat(timespec="seconds") for each in (note.started_at, note.ends_at))
    return " ".join((f"{note.share:g}", *moments, f"{note.paused_before.total_seconds():.0f}"))


def note_from_text(text: str) -> BakeNote | None:
    """Read a note; ``None``: it is none."""
    try:
        share, started_at, ends_at, paused = text.split(" ")
        moments = [datetime.fromisoformat(each) for each in (started_at, ends_at)]
        note = BakeNote(float(share), moments[0], moments[1], timedelta(seconds=float(paused)))
    except (ValueError, OverflowError):
        return None
    return note if all(each.tzinfo for each in moments) else None
