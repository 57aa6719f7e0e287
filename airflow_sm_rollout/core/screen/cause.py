"""Why a rollout stands where it does, in plain words with units, blue's figures beside green's; and what to do now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_sm_rollout.core.alarm_limit import AlarmLimit
from airflow_sm_rollout.core.figures import Figures, Point, total
from airflow_sm_rollout.core.plan.alarms import IN_A_ROW, TIMES_BLUES
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.screen.state import State
from airflow_sm_rollout.core.traces import Approval, TaskTrace

_LOOKED_BACK = IN_A_ROW + 2  # periods: an alarm rings a period or two after the last one it has counted


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, and what now.

    :param head: what has become of it, where ``plain`` is the reason of that; empty: ``plain`` says both.
    :param plain: one or two sentences.
    :param raw: the reason as AWS or the task gave it, where ``plain`` says it otherwise; empty: it does not.
    :param now: what to do, in one sentence.
    :param task: the task whose log tells more, or that waits for an answer; empty: none.
    """

    plain: str
    now: str
    raw: str = ""
    task: str = ""
    head: str = ""


def cause_of(
    rollout: Rollout,
    state: State,
    sentence: str,
    tasks: Sequence[TaskTrace],
    approvals: Sequence[Approval],
    figures: Figures | None,
    limits: Mapping[str, AlarmLimit],
) -> Cause:
    """Why a rollout is in its state.

    :param sentence: the outcome in one sentence, which is said where nothing has failed.
    :param limits: when the user's alarms ring, by their names, as far as it is known.
    """
    failed = next((task for task in tasks if task.reason and task.name != "verdict"), None)
    asked = next((each.name for each in approvals if not each.answer), "")
    now = _NOW[state].format(
        endpoint=rollout.endpoint_name, blue=rollout.blue.model_name, green=rollout.green_model_name, task=asked
    )
    head = _HEADS.get(state, "").format(blue=rollout.blue.model_name)
    if failed is None and state is State.ROLLING_BACK:
        return Cause(sentence.removeprefix("In progress: "), now, head=head)
    if failed is None or not head or not sentence.startswith(("Rolled back", "In progress")):
        return Cause(sentence, now, task=failed.name if failed and state.is_over else asked)
    plain, reason = _plain(rollout, failed, figures, limits), failed.reason.rstrip(".")
    return Cause(f"{plain or reason}.", now, failed.reason if plain else "", failed.name, head)


_HEADS = {
    State.ROLLED_BACK: "Rolled back: {blue} serves all requests as before.",
    State.ROLLING_BACK: "Rolling back: {blue} gets all requests back.",
}
_NOW = {
    State.STARTING: "Nothing: the plan is being made.",
    State.DEPLOYING: "Nothing: green gets its instances, and no requests yet.",
    State.SHADOWING: "Nothing: green answers copies, and nobody gets its answers.",
    State.SHIFTING: "Nothing: AWS is changing the split.",
    State.BAKING: "Nothing: green is watched, and goes on or back by itself.",
    State.PAUSED: "Resume it, or abort it. Until then green keeps its share, and harm still rolls it back.",
    State.ASKING: "Answer in Airflow: task {task}, tab Required Actions.",
    State.PROMOTING: "Nothing: green has all requests, and blue is being removed.",
    State.ROLLING_BACK: (
        "Nothing: {blue} gets all requests back by itself. Does it take more than 10 minutes? Run: sm-rollout rollback {endpoint}"
    ),
    State.PROMOTED: "Nothing.",
    State.ROLLED_BACK: (
        "{blue} serves as before, so nothing is urgent. Was it right? Look at the pictures below, then mend the model and roll out anew."
    ),
    State.REFUSED: "Nothing was changed. Mend what is named, then clear the task or start a new run.",
    State.UNDONE: (
        "{blue} serves as before, so nothing is urgent. To have {green} again, mend what was wrong with it and roll it out anew."
    ),
    State.NOT_SETTLED: "Act now. Run: sm-rollout rollback {endpoint}",
}


def _plain(rollout: Rollout, failed: TaskTrace, figures: Figures | None, limits: Mapping[str, AlarmLimit]) -> str:
    """An alarm's reason in plain words; empty: the reason is no alarm's, or plain already."""
    name = next((each for each in rollout.watched_alarms if f"alarm {each} is in ALARM" in failed.reason), None)
    if name is None or failed.ended_at is None or "from before green had traffic" in failed.reason:
        return ""
    beside = _beside(figures, failed.ended_at) if figures else ""
    return f"{_rang(rollout, name, limits.get(name))}{beside}"


def _rang(rollout: Rollout, name: str, limit: AlarmLimit | None) -> str:
    defaults, thresholds = rollout.plan.default_alarms, rollout.thresholds
    if defaults is not None and name == rollout.names.error_alarm:
        return (
            f"Green failed too many calls: over {defaults.max_error_percent:g} % more than {TIMES_BLUES:g} times blue's share, in "
            f"{IN_A_ROW} periods in a row"
        )
    if defaults is not None and thresholds is not None and name == rollout.names.latency_alarm:
        slow, before = slow_ms(rollout) or 0.0, thresholds.p99 / 1000
        return (
            f"Green was too slow: too many of its calls took longer than {slow:.3g} ms ({defaults.latency_factor:g} x blue's p99 before, "
            f"{before:.3g} ms)"
        )
    if defaults is not None and name == rollout.names.queue_alarm:
        return (
            f"Green let requests wait too long: over {defaults.max_wait_seconds:g} s more than {TIMES_BLUES:g} times as long as blue, in "
            f"{IN_A_ROW} periods in a row"
        )
    return f"Alarm {name} rang" + (f": it {limit.describe()}" if limit else "")


def slow_ms(rollout: Rollout) -> float | None:
    """From when on a call is slow to the rollout's own alarm; ``None``: it has none."""
    defaults, thresholds = rollout.plan.default_alarms, rollout.thresholds
    if defaults is None or thresholds is None:
        return None
    return defaults.latency_factor * thresholds.p99 / 1000


def _beside(figures: Figures, ended_at: datetime) -> str:
    """What both did in the last periods with requests before a moment."""
    since = ended_at.timestamp() - _LOOKED_BACK * figures.period_seconds

    def lately(points: Sequence[Point]) -> Sequence[Point]:
        return [point for point in points if since <= point.at < ended_at.timestamp()]

    green, blue = lately(figures.green), lately(figures.blue)
    if not any(point.requests for point in green):
        return ""
    seconds = _LOOKED_BACK * figures.period_seconds
    span = f"{seconds} s" if seconds < 120 else f"{seconds / 60:.3g} min"
    return f". In the last {span} before: green {_did(green)}; blue {_did(blue)}"


def _did(points: Sequence[Point]) -> str:
    requests, failures = total(points)
    if not requests:
        return "had no requests"
    slowest = max((point.p99_ms for point in points if point.p99_ms is not None), default=None)
    latency = "" if slowest is None else f", p99 up to {slowest:.3g} ms"
    return f"failed {failures:,} of {requests:,} ({100 * failures / requests:.3g} %){latency}"
