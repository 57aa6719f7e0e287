"""Who did what when: one list of moments, for people, and as Markdown for an incident."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.figures import Figures
from airflow_sm_rollout.core.screen.state import UNDO
from airflow_sm_rollout.core.traces import Approval, BakeTrace, TaskTrace, did_of

_SAME = timedelta(seconds=15)  # Airflow notes a wish before AWS has it
_WISHED = {
    Wish.PAUSE.value: "asked to pause",
    Wish.GO_ON.value: "asked to go on",
    Wish.PROMOTE.value: "asked to promote",
    Wish.ABORT.value: "aborted the rollout",
    UNDO: "asked to undo the promotion",
}


@dataclass(frozen=True, slots=True)
class Wished:
    """A wish as Airflow's audit log has it."""

    at: datetime
    by: str
    wish: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened.

    :param who: a person, ``rollout`` with its task, or ``CloudWatch``.
    :param kind: ``person``, ``alarm``, ``verdict`` or ``change``.
    """

    at: datetime
    who: str
    what: str
    kind: str


def events_of(
    tasks: Sequence[TaskTrace],
    approvals: Sequence[Approval],
    verdicts: Sequence[BakeTrace],
    figures: Figures | None,
    control: Control | None,
    wishes: Sequence[Wished],
) -> tuple[Event, ...]:
    """Everything that is known, first one first."""
    found = [
        *_changes(tasks),
        *_verdicts(tasks, verdicts),
        *_questions(approvals),
        *_alarms(figures),
        *_wishes(control, wishes),
    ]
    return tuple(sorted(found, key=lambda event: event.at))


def _changes(tasks: Sequence[TaskTrace]) -> Iterator[Event]:
    for task in tasks:
        for at, what in did_of(task):
            moment = _moment(at)
            if moment is not None:
                yield Event(moment, f"task {task.name}", what, "change")


def _verdicts(tasks: Sequence[TaskTrace], verdicts: Sequence[BakeTrace]) -> Iterator[Event]:
    ended = {task.name: task.ended_at for task in tasks}
    for each in verdicts:
        at = ended.get(each.name)
        if at is not None:
            yield Event(at, f"task {each.name}", f"{each.verdict}: {each.sentence}", "verdict")
    for task in tasks:
        said = {each.name for each in verdicts}
        if task.reason and task.ended_at is not None and task.name not in said:
            yield Event(task.ended_at, f"task {task.name}", f"failed: {task.reason}", "verdict")


def _questions(approvals: Sequence[Approval]) -> Iterator[Event]:
    for each in approvals:
        asked, answered = _moment(each.asked_at), _moment(each.at)
        if asked is not None:
            yield Event(
                asked,
                f"task {each.name}",
                f"asked {each.may_answer or 'a person'} to approve {each.before:g} %",
                "change",
            )
        if each.answer and answered is not None:
            note = f" ({each.note})" if each.note else ""
            yield Event(answered, each.by or "nobody", f"{each.answer} {each.before:g} %{note}", "person")


def _alarms(figures: Figures | None) -> Iterator[Event]:
    for name, spans in (figures.rang if figures else {}).items():
        for begun, over in spans:
            yield Event(_utc(begun), "CloudWatch", f"alarm {name} went into ALARM", "alarm")
            if over is not None:
                yield Event(_utc(over), "CloudWatch", f"alarm {name} left ALARM", "alarm")


def _wishes(control: Control | None, wishes: Sequence[Wished]) -> Iterator[Event]:
    known = list(wishes)
    if control is not None and not any(
        each.wish == control.wish.value and abs(each.at - control.since) < _SAME for each in known
    ):
        known.append(Wished(control.since, control.by, control.wish.value, control.note))
    for each in known:
        note = f" ({each.note})" if each.note else ""
        yield Event(each.at, each.by, f"{_WISHED.get(each.wish, each.wish)}{note}", "person")


def as_markdown(title: str, facts: Sequence[tuple[str, str]], events: Sequence[Event]) -> str:
    """All of it for a ticket or a post-mortem.

    :param facts: questions and their answers.
    """
    lines = [f"## {_cell(title)}", "", *(f"- **{_cell(question)}:** {_cell(answer)}" for question, answer in facts), ""]
    lines += ["| When (UTC) | Who | What |", "| --- | --- | --- |"]
    lines += [f"| {event.at:%Y-%m-%d %H:%M:%S} | {_cell(event.who)} | {_cell(event.what)} |" for event in events]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text that breaks out of no cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=timezone.utc)
