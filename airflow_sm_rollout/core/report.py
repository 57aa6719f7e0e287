"""One rollout as people want to read it: made of what its tasks left behind and of what is live, JSON-able, without any judgement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.core.alarm_limit import AlarmLimit
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.figures import Figures, figures_from_dict
from airflow_sm_rollout.core.guardian import GuardianLook
from airflow_sm_rollout.core.outcome import Aftermath, Outcome, find_outcome
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.screen.cause import Cause, cause_of, slow_ms
from airflow_sm_rollout.core.screen.log import Event, Wished, events_of
from airflow_sm_rollout.core.screen.state import Button, State, buttons_of, describe_state, state_of
from airflow_sm_rollout.core.screen.stepper import Way, way_of_tasks
from airflow_sm_rollout.core.story import Shadow, SharePoint, Story, Unsettled
from airflow_sm_rollout.core.traces import (
    FIGURES,
    UNFINISHED,
    Approval,
    BakeTrace,
    TaskTrace,
    approvals_of,
    bakes_of,
    calls_of,
    did_of,
    readable,
)
from airflow_sm_rollout.core.undo import Left


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task in one line, and what it did, each with its time (ISO 8601)."""

    name: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    sentence: str
    did: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """What AWS says at this moment.

    :param share: green's share in percent; ``None``: there is no telling.
    :param alarms: each one's state by its name.
    :param control: what a person last wished; ``None``: nothing.
    :param aftermath: what became of the rollout; ``None``: not asked.
    :param serving: the endpoint that clients call, and its state, in words.
    :param phase: which way it goes, by its record; ``None``: there is none any more.
    :param alarm_reasons: CloudWatch's text on each alarm's state, by its name.
    :param alarm_limits: when each alarm rings and its last value, by its name; one of a kind that is not known has none.
    :param guardian: the last look of whoever would take it back without Airflow; ``None``: nobody, or it can't be told.
    :param left: what is left to undo of a rollout that has ended; ``None``: it has not, or nobody has looked.
    """

    at: datetime
    share: float | None
    alarms: Mapping[str, str]
    control: Control | None
    figures: Figures | None
    aftermath: Aftermath | None = None
    serving: str = ""
    phase: Phase | None = None
    alarm_reasons: Mapping[str, str] = field(default_factory=dict)
    alarm_limits: Mapping[str, AlarmLimit] = field(default_factory=dict)
    guardian: GuardianLook | None = None
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Those members of :class:`Live` that change slowly and cost more to read."""

    figures: Figures
    alarm_limits: Mapping[str, AlarmLimit]
    guardian: GuardianLook | None

    def behind(self, live: Live) -> Live:
        """A look at where the rollout stands, with these."""
        limits = {**live.alarm_limits, **self.alarm_limits}
        return replace(live, figures=self.figures, alarm_limits=limits, guardian=self.guardian)


@dataclass(frozen=True, slots=True)
class Limits:
    """What green must keep, for lines in the pictures; ``None``: there is no such limit.

    :param p99_ms: the plan's limit of p99, in milliseconds.
    :param slow_ms: from when on a call is slow to the rollout's own alarm, in milliseconds.
    :param error_percent: the plan's limit of failing calls, 4XX and 5XX together, in percent.
    """

    p99_ms: float | None = None
    slow_ms: float | None = None
    error_percent: float | None = None
    tolerances: Tolerances = DEFAULTS


@dataclass(frozen=True, slots=True)
class Report:
    """A rollout.

    :param sentence: the outcome in one sentence.
    :param is_shifted_by_aws: whether AWS takes the steps itself, and heeds alarms alone.
    :param planned: from when on green is to have which share, in percent, if nothing holds it up.
    :param shares: from when on it really had which.
    :param facts: questions of somebody who knows nothing yet, and their answers.
    :param state: where it stands, and ``chip`` in a word or two.
    :param share: green's share now, in percent.
    :param read_at: when AWS was read; ``None``: it was not.
    :param buttons: what a person may ask of it now.
    :param comparison: green against blue as it stands now, while a bake watches; JSON.
    :param unread: in words, what is missing in all this because it can't be read.
    :param guarded: who would take it back without Airflow, in words; empty: nobody is known.
    :param failure: why AWS could not be read at the last look; empty: it could, or was not asked.
    :param figures_failure: so why its figures could not.
    """

    endpoint: str
    rollout_id: str
    group: str
    blue: str
    green: str
    state: State
    chip: str
    share: float
    cause: Cause
    way: Way
    buttons: tuple[Button, ...]
    events: tuple[Event, ...]
    limits: Limits
    read_at: datetime | None
    strategy: str
    traffic: str
    is_shifted_by_aws: bool
    outcome: Outcome
    sentence: str
    started_at: datetime
    ended_at: datetime | None
    planned: tuple[SharePoint, ...]
    shares: tuple[SharePoint, ...]
    facts: tuple[tuple[str, str], ...]
    tasks: tuple[TaskLine, ...]
    verdicts: tuple[BakeTrace, ...]
    approvals: tuple[Approval, ...]
    alarms: Mapping[str, str]
    figures: Figures | None
    control: str
    alarm_reasons: Mapping[str, str]
    alarm_limits: Mapping[str, AlarmLimit] = field(default_factory=dict)
    comparison: Mapping[str, Any] | None = None
    unread: tuple[str, ...] = ()
    guarded: str = ""
    failure: str = ""
    figures_failure: str = ""

    @property
    def is_running(self) -> bool:
        """Whether more is to come."""
        return self.outcome is Outcome.RUNNING


def build_report(
    group: str,
    rollout: Rollout,
    tasks: Sequence[TaskTrace],
    live: Live | None,
    *,
    is_over: bool = False,
    comparison: Mapping[str, Any] | None = None,
    wishes: Sequence[Wished] = (),
) -> Report:
    """Put a rollout's report together.

    :param group: the task group's name; empty for none.
    :param rollout: the frozen plan.
    :param tasks: its tasks, in the order of the group.
    :param live: what AWS says now, if it was asked.
    :param is_over: whether its DAG run is, so that no task does anything more.
    :param comparison: green against blue as it stands now, if it was asked.
    :param wishes: those that Airflow's audit log has.
    """
    kept, unread = readable(tasks)
    story = _tell(rollout, kept, live, is_over)
    shown = _show(group, rollout, kept, live, story, wishes)
    guardian = live.guardian if live and shown.is_running else None
    return replace(
        shown,
        comparison=comparison if shown.is_running else None,
        unread=unread,
        guarded=guardian.describe(live.at) if live and guardian else "",
    )


def _show(
    group: str,
    rollout: Rollout,
    tasks: Sequence[TaskTrace],
    live: Live | None,
    story: Story,
    wishes: Sequence[Wished],
) -> Report:
    return Report(
        **_at_a_glance(rollout, tasks, live, story, wishes),
        endpoint=rollout.endpoint_name,
        rollout_id=rollout.rollout_id,
        group=group,
        blue=rollout.blue.model_name,
        green=rollout.green_model_name,
        strategy=rollout.plan.strategy.name if rollout.plan.strategy else "single steps",
        traffic=rollout.plan.traffic,
        outcome=story.outcome,
        started_at=rollout.started_at,
        ended_at=story.ended_at,
        planned=tuple(_planned(rollout, tasks, live.at if live and story.outcome is Outcome.RUNNING else None)),
        shares=tuple(story.shares),
        facts=tuple(story.facts()),
        tasks=tuple(_line(task) for task in tasks),
        verdicts=tuple(story.verdicts),
        approvals=tuple(story.approvals),
        figures=story.figures,
        **_alarms(rollout, live),
    )


def _alarms(rollout: Rollout, live: Live | None) -> dict[str, Any]:
    """What is known of the alarms: those members of a report."""
    if live is None:
        return {"alarms": dict.fromkeys(rollout.watched_alarms, ""), "alarm_reasons": {}}
    states = {name: live.alarms.get(name, "not read") for name in rollout.watched_alarms}
    return {"alarms": states, "alarm_reasons": live.alarm_reasons, "alarm_limits": live.alarm_limits}


def _at_a_glance(
    rollout: Rollout, tasks: Sequence[TaskTrace], live: Live | None, story: Story, wishes: Sequence[Wished]
) -> dict[str, Any]:
    """Where it stands, why, what comes next, and what may be asked of it: those members of a report."""
    control, at = (live.control, live.at) if live else (None, None)
    share = story.shares[-1][1] if story.shares else 0.0
    left = live.left if live else None
    state = state_of(story.outcome, tasks, story.approvals, control, live.phase if live else None, share, left)
    sentence = story.sentence()
    if left is not None and left.is_undoing:
        sentence = f"Its promotion is being undone: {rollout.blue.model_name} gets all requests back."
    return {
        "state": state,
        "chip": describe_state(state, share),
        "share": share,
        "sentence": sentence,
        "cause": cause_of(
            rollout, state, sentence, tasks, story.approvals, story.figures, live.alarm_limits if live else {}
        ),
        "way": way_of_tasks(rollout, tasks, control, at, story.outcome),
        "buttons": tuple(buttons_of(rollout, state, control, share, left)),
        "events": events_of(tasks, story.approvals, story.verdicts, story.figures, control, wishes),
        "limits": _limits(rollout),
        "is_shifted_by_aws": rollout.traffic.is_shifted_by_aws,
        "read_at": at,
        "control": control.describe() if control else "",
    }


def _limits(rollout: Rollout) -> Limits:
    evidence = rollout.plan.evidence
    rate = evidence.limits.max_error_rate
    return Limits(
        p99_ms=evidence.limits.max_p99_ms,
        slow_ms=slow_ms(rollout),
        error_percent=None if rate is None else 100 * rate,
        tolerances=evidence.tolerances or DEFAULTS,
    )


def _tell(rollout: Rollout, tasks: Sequence[TaskTrace], live: Live | None, is_over: bool) -> Story:
    settle = next((task for task in tasks if task.note.get("kind") == "settled"), None)
    figures = _figures(settle, live)
    failed = next((task for task in tasks if task.reason), None)
    unsettled = None if settle else _unsettled(tasks, live, is_over)
    aftermath = unsettled.aftermath if unsettled else None
    outcome = find_outcome((task.note for task in tasks), aftermath, is_over=unsettled is not None)
    undone = _undone(tasks, live)
    return Story(
        rollout,
        Outcome.UNDONE if undone else outcome,
        tuple(_shares(tasks, settle, live, figures)),
        _ended_at(settle, live),
        figures,
        tuple(bakes_of(tasks)),
        tuple(approvals_of(tasks)),
        *_proof(failed),
        shadow=_shadow(tasks),
        unsettled=unsettled,
        calls=calls_of(tasks),
        undone=undone,
    )


def _ended_at(settle: TaskTrace | None, live: Live | None) -> datetime | None:
    """When it was over; of a task that has just said so and not ended itself: at the last look."""
    if settle is None or settle.ended_at is not None:
        return settle.ended_at if settle else None
    return live.at if live else None


def _undone(tasks: Sequence[TaskTrace], live: Live | None) -> str:
    """Who has undone its promotion, and why: as AWS has it, or a task of this run has noted; empty: nobody has."""
    noted = next((str(task.note.get("sentence")) for task in tasks if task.note.get("kind") == "undone"), "")
    return (live.left.undone if live and live.left else "") or noted


def _unsettled(tasks: Sequence[TaskTrace], live: Live | None, is_over: bool) -> Unsettled | None:
    """What AWS shows of a rollout that no task will settle any more; ``None``: one may."""
    settling = [task.state for task in tasks if task.name == "settle"]
    if not is_over and not (settling and settling[0] not in UNFINISHED):
        return None
    return Unsettled(live.aftermath if live else None, live.serving if live else "")


def _shadow(tasks: Sequence[TaskTrace]) -> Shadow | None:
    """Green as a shadow, until it was deployed anew to have traffic: the next task that has returned the rollout's handle has done that."""
    for index, task in enumerate(tasks):
        if task.note.get("kind") == "shadow" and task.ended_at is not None:
            deployed = next((later for later in tasks[index + 1 :] if "green_variant" in later.returned), None)
            return Shadow(task.ended_at, float(task.note["percent"]), deployed.ended_at if deployed else None)
    return None


def _figures(settle: TaskTrace | None, live: Live | None) -> Figures | None:
    """What CloudWatch has published by now, or by the time when the rollout was settled."""
    noted: Any = settle.xcoms.get(FIGURES) if settle else None
    if live is not None and live.figures is not None:
        return live.figures
    return figures_from_dict(noted) if noted else None


def _proof(failed: TaskTrace | None) -> tuple[str, str]:
    return (failed.reason.rstrip("."), failed.name) if failed else ("", "")


def _planned(rollout: Rollout, tasks: Sequence[TaskTrace], now: datetime | None) -> Iterator[SharePoint]:
    """The plan, laid where green first had traffic; while it has not yet, from now on."""
    reached = [task.ended_at for task in tasks if "share" in task.returned and task.ended_at]
    at = reached[0] if reached else now or rollout.started_at
    for step in rollout.plan.strategy.steps if rollout.plan.strategy else ():
        yield at, step.share
        at += step.bake
    yield at, 100.0


def _shares(
    tasks: Sequence[TaskTrace], settle: TaskTrace | None, live: Live | None, figures: Figures | None
) -> Iterator[SharePoint]:
    for task in tasks:
        if task.ended_at is not None and task.returned.get("share") is not None:
            yield task.ended_at, float(task.returned["share"])
    if settle is not None and settle.ended_at is not None:
        outcome = find_outcome([settle.note], is_over=True)
        yield (
            (settle.ended_at, 100.0)
            if outcome is Outcome.PROMOTED
            else (_back_at(settle, settle.ended_at, figures), 0.0)
        )
    elif live is not None and live.share is not None:
        yield live.at, live.share


def _back_at(settle: TaskTrace, ended_at: datetime, figures: Figures | None) -> datetime:
    """When green had its last request: tidying up takes longer than giving blue its traffic back."""
    served = [point.at for point in figures.green if point.requests] if figures else []
    if figures is None or not served or settle.started_at is None:
        return ended_at
    last = datetime.fromtimestamp(served[-1], tz=ended_at.tzinfo) + timedelta(seconds=figures.period_seconds)
    return min(max(last, settle.started_at), ended_at)


def _line(task: TaskTrace) -> TaskLine:
    sentence = task.reason or str(task.returned.get("reason") or task.returned.get("state") or "")
    return TaskLine(task.name, task.state, task.started_at, task.ended_at, sentence, did_of(task))
