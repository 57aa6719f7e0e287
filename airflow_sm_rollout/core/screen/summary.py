"""What AWS alone shows of an endpoint and its rollout, for a terminal and for programs; no task, no Airflow is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.core.bake_note import BakeNote
from airflow_sm_rollout.core.comparison.results import Comparison
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.observation import Alarm, Observation
from airflow_sm_rollout.core.orphans import why_stale
from airflow_sm_rollout.core.outcome import Aftermath
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.screen.proof import proofs_of
from airflow_sm_rollout.core.screen.state import State, describe_state
from airflow_sm_rollout.core.screen.stepper import DONE, MISSED, NOW, STOPPED, Way, way_by_share
from airflow_sm_rollout.core.undo import Kept, Undone
from airflow_sm_rollout.core.watch.ringing import harm_by_alarms

SCHEMA_VERSION = 1
_NEARLY = 0.01  # percent; weights are floats
_BAR = 30
_MARKS = {DONE: "✓", NOW: "▸", STOPPED: "✕", MISSED: "–"}
_ENDS = {
    Aftermath.PROMOTED: State.PROMOTED,
    Aftermath.AS_BEFORE: State.ROLLED_BACK,
    Aftermath.CHANGED: State.NOT_SETTLED,
    Aftermath.HELD: State.NOT_SETTLED,
}
_ENDS_OF_UNDO = {**_ENDS, Aftermath.AS_BEFORE: State.UNDONE}


@dataclass(frozen=True, slots=True)
class Summary:
    """An endpoint and the rollout in progress on it, or just over.

    :param name: the name that rollouts know.
    :param rollout: ``None``: none is in progress.
    :param state: where it stands; ``None``: none is in progress.
    :param share: green's share in percent; ``None``: SageMaker does not tell it now.
    :param stale: why it looks as if nobody drove it; empty: it does not.
    :param comparison: green against blue by now; ``None``: not asked, or there is nothing to compare.
    :param last: what there is of the rollout that was promoted last; ``None``: nothing, or it was not read.
    :param is_estimate: whether the way's times are: the bake under way has left no note of its end.
    """

    name: str
    seen: Observation
    rollout: Rollout | None
    state: State | None = None
    share: float | None = None
    way: Way | None = None
    stale: str = ""
    comparison: Comparison | None = None
    is_estimate: bool = True
    last: Kept | Undone | None = None

    @property
    def chip(self) -> str:
        """The state in a word or two."""
        return describe_state(self.state, self.share or 0.0) if self.state else "no rollout is in progress"


def summarize(
    name: str,
    seen: Observation,
    comparison: Comparison | None = None,
    noted: BakeNote | None = None,
    *,
    last: Kept | Undone | None = None,
) -> Summary:
    """Sum up a look at AWS.

    :param seen: as for :func:`~airflow_sm_rollout.core.status.describe_status`.
    :param noted: the bake that was noted last; it counts where it is of the share that green has.
    :param last: what there is of the rollout that was promoted last.
    """
    rollout = seen.record
    if rollout is None:
        return Summary(name, seen, None, last=last)
    share = rollout.traffic.share(rollout, seen)
    paused = seen.control.paused(seen.at) if seen.control else timedelta()
    state = _state(rollout, seen, share)
    bake = noted if noted and share is not None and abs(noted.share - share) < _NEARLY else None
    return Summary(
        name,
        seen,
        rollout,
        state,
        share,
        _way(rollout, seen, state, share, bake),
        why_stale(rollout, seen.at, paused),
        comparison,
        is_estimate=bake is None,
    )


def ended(before: Summary, seen: Observation, aftermath: Aftermath) -> Summary:
    """The last summary of a rollout that is over.

    :param seen: what serves now.
    """
    is_undo = before.rollout is not None and before.rollout.undoes
    state = (_ENDS_OF_UNDO if is_undo else _ENDS)[aftermath]
    share = {State.PROMOTED: 100.0, State.ROLLED_BACK: 0.0, State.UNDONE: 0.0}.get(state)
    return Summary(before.name, seen, before.rollout, state, share, None, "", before.comparison)


def _state(rollout: Rollout, seen: Observation, share: float | None) -> State:
    control = seen.control
    if rollout.phase is Phase.ROLLING_BACK or (control and control.wish is Wish.ABORT):
        return State.ROLLING_BACK
    if rollout.phase is Phase.PROMOTED:
        return State.PROMOTING
    if control and control.is_paused:
        return State.PAUSED
    if not share and share is not None:
        return State.DEPLOYING
    is_busy = any(each is not None and each.is_busy for each in (seen.endpoint, seen.green_endpoint))
    return State.SHIFTING if is_busy or share is None else State.BAKING


def _way(rollout: Rollout, seen: Observation, state: State, share: float | None, bake: BakeNote | None) -> Way:
    since = _since(rollout, seen) if state is State.BAKING else None
    control = seen.control
    paused = control.paused(seen.at) if control and since and control.since > since else timedelta()
    is_held = state is not State.BAKING or bool(_harm(rollout, seen))
    ends = bake.end(control, seen.at) if bake else None
    return way_by_share(rollout, share or 0.0, since, paused, is_held=is_held, bake_ends=ends)


def _harm(rollout: Rollout, seen: Observation) -> str:
    return harm_by_alarms(rollout, seen.alarms) if rollout.green_traffic_since else ""


def _since(rollout: Rollout, seen: Observation) -> datetime | None:
    """Since about when green has had its share: when what sets it was last changed."""
    if rollout.traffic.has_pointer:
        return seen.pointer.written_at if seen.pointer else None
    return seen.endpoint.last_modified if seen.endpoint else None


def describe_summary(summary: Summary, now: datetime) -> Iterator[str]:
    """It in lines, the most important first.

    :param now: by which the countdown runs.
    """
    rollout = summary.rollout
    if rollout is None or summary.state is None:
        yield f"{summary.name}: {summary.chip}; {summary.seen.describe()}"
        if summary.last is not None:
            yield summary.last.describe()
        return
    yield f"{summary.name}: {summary.chip}   {rollout.blue.model_name} → {rollout.green_model_name}"
    if summary.way is not None:
        yield "  ".join(f"{_MARKS.get(stop.state, '·')} {stop.name}" for stop in summary.way.stops)
    if summary.share is not None:
        filled = round(_BAR * summary.share / 100)
        yield f"green {'█' * filled}{'░' * (_BAR - filled)} {summary.share:g} % of the requests"
    yield from _describe_next(summary, rollout, now)
    for proof in proofs_of(summary.comparison) if summary.comparison else ():
        yield f"{proof.name}: {proof.describe()}"
    for alarm in summary.seen.alarms:
        yield alarm.describe()
    if summary.seen.control is not None:
        yield f"last wish: {summary.seen.control.describe()}"


def _describe_next(summary: Summary, rollout: Rollout, now: datetime) -> Iterator[str]:
    harm = _harm(rollout, summary.seen)
    if summary.stale:
        yield f"STALE: {summary.stale}; if nobody drives it any more, sm-rollout rollback {summary.name} ends it"
    if harm:
        yield f"its DAG run rolls it back, as {harm}"
    elif summary.way is not None and summary.way.next_at is not None:
        left = summary.way.next_at - now
        about = "about " if summary.is_estimate else ""
        when = (
            f"in {about}{_countdown(left)}"
            if left > timedelta()
            else "now, once the last figures are in and green looks no worse than blue"
        )
        end = f"; the end is at {summary.way.ends_at:%H:%M:%S} UTC at the earliest" if summary.way.ends_at else ""
        yield f"{summary.way.next} {when}, unless something does harm{end}"
    elif summary.state is State.PAUSED:
        yield f"nothing goes forward, until sm-rollout resume, promote or abort {summary.name}"
    elif summary.state is not None and summary.state.is_over:
        yield summary.seen.describe()


def _countdown(left: timedelta) -> str:
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def summary_to_dict(summary: Summary) -> dict[str, Any]:
    """It as JSON, as ``docs/status.schema.json`` has it. Moments are ISO 8601, shares percent, durations seconds."""
    endpoint = summary.seen.endpoint
    return {
        "schema_version": SCHEMA_VERSION,
        "at": summary.seen.at.isoformat(),
        "name": summary.name,
        "endpoint": None if endpoint is None else {"status": endpoint.status, "config": endpoint.config_name},
        "rollout": None if summary.rollout is None else _rollout_to_dict(summary, summary.rollout),
        "last_promoted": _last_to_dict(summary.last) if summary.last else None,
    }


def _last_to_dict(last: Kept | Undone) -> dict[str, Any]:
    undone = {"by": last.by, "note": last.note} if isinstance(last, Undone) else {"by": None, "note": None}
    state = State.UNDONE if isinstance(last, Undone) else State.PROMOTED
    return {"id": last.rollout_id, "state": state.value, "at": last.at.isoformat(), **undone}


def _rollout_to_dict(summary: Summary, rollout: Rollout) -> dict[str, Any]:
    way, control = summary.way, summary.seen.control
    strategy = rollout.plan.strategy
    return {
        "id": rollout.rollout_id,
        "owner": dict(rollout.owner),
        "started_at": rollout.started_at.isoformat(),
        "blue": rollout.blue.model_name,
        "green": rollout.green_model_name,
        "strategy": strategy.name if strategy else None,
        "traffic": rollout.plan.traffic,
        "state": summary.state.value if summary.state else None,
        "share": summary.share,
        "stale": summary.stale or None,
        "stops": [
            {"name": stop.name, "state": stop.state, "bake_seconds": stop.bake.total_seconds() if stop.bake else None}
            for stop in (way.stops if way else ())
        ],
        "next": (way.next or None) if way else None,
        "next_at": _iso(way.next_at) if way else None,
        "ends_at": _iso(way.ends_at) if way else None,
        "is_estimate": summary.is_estimate if way and way.next_at else None,
        "alarms": [_alarm(alarm) for alarm in summary.seen.alarms],
        "wish": control
        and {"wish": control.wish.value, "by": control.by, "at": control.since.isoformat(), "note": control.note},
        "evidence": _evidence(summary.comparison),
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    limit = alarm.limit
    return {
        "name": alarm.name,
        "state": alarm.state,
        "reason": alarm.reason,
        "rings": limit and limit.describe(),
        "limit": limit and limit.limit,
        "unit": (limit and limit.unit) or None,
        "last": limit and limit.last,
    }


def _evidence(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "verdict": comparison.verdict.value,
        "harm": comparison.evidence,
        "harm_needed": comparison.needed,
        "health": comparison.health,
        "health_needed": comparison.health_needed,
        "sentence": comparison.sentence,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
