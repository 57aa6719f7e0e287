"""What the tasks of a rollout leave behind for people to read."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from airflow_sm_rollout.core.figures import figures_from_dict

PLANNED = "sm_rollout_planned"
"""XCom key of a rollout's identity and the connection it uses, left by the task that froze its plan.

A key of its own, since XComs are indexed by it: that is how all rollouts of an Airflow are found.
"""

REFUSED = "sm_rollout_refused"
"""XCom key of a rollout that did not begin, left by the task that would have planned it: what it was to be, and ``reason``."""

NOTE = "sm_rollout"
"""XCom key of what became of it: ``{"kind": "share", "share": percent}``, ``shadow`` with ``percent``, ``settled`` with ``outcome``,
``verdict`` and ``undone`` with ``sentence``, and ``refused``: the task that was to take the endpoint has changed nothing.
"""

DID = "did"
"""XCom key of what a task did: a list of ``{"at": ISO 8601, "what": text}``."""

APPROVAL = "approval"
"""XCom key of a question and its answer: the members of :class:`Approval` but for the name."""

EVIDENCE = "evidence"
"""XCom key of a comparison of green with blue."""

FIGURES = "figures"
"""XCom key of the rollout's :class:`~airflow_sm_rollout.core.figures.Figures`."""

WATCH = "watch"
"""XCom key of what a bake watches and until when: :func:`~airflow_sm_rollout.core.watch.watch.watch_to_dict`."""

CALLS, CALLS_AWAITED = "calls", "calls_awaited"
"""XCom keys of how many calls of AWS a task has made, by operation: itself, and its trigger that has ended it."""

KEYS = ("return_value", "reason", PLANNED, NOTE, DID, APPROVAL, EVIDENCE, FIGURES, WATCH, CALLS, CALLS_AWAITED)
"""All that a report is made of."""

UNFINISHED = frozenset(
    {"", "none", "scheduled", "queued", "running", "deferred", "awaiting_input", "up_for_retry", "restarting"}
)
"""Airflow's words for a task that may do something yet."""

UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a thing raises that another version of this package has left."""


@dataclass(frozen=True, slots=True)
class TaskTrace:
    """A task of a rollout as Airflow has it.

    :param name: behind the task group's name, e.g. ``shift_10``.
    :param state: Airflow's word; empty: nothing was decided about it.
    :param xcoms: what it has left, by key, as JSON has it.
    """

    name: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    xcoms: Mapping[str, Any]

    @property
    def returned(self) -> Mapping[str, Any]:
        """What it returned, if that is an object."""
        return _object(self.xcoms.get("return_value"))

    @property
    def note(self) -> Mapping[str, Any]:
        """Its note, see :data:`NOTE`."""
        return _object(self.xcoms.get(NOTE))

    @property
    def reason(self) -> str:
        """Why it failed, in its own words."""
        return str(self.xcoms.get("reason") or "")


@dataclass(frozen=True, slots=True)
class BakeTrace:
    """What a bake has left: what it found.

    :param comparison: green against blue with all figures, where the bake compares; JSON.
    """

    name: str
    verdict: str
    sentence: str
    comparison: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person. Moments are ISO 8601.

    :param before: green's share in percent that it is about.
    :param may_answer: who, in words.
    :param answer: ``approved``, ``rejected``, ``timed out`` or ``withdrawn``; empty: it is open.
    :param by: who answered.
    """

    name: str
    before: float
    asked_at: str
    until: str
    may_answer: str = ""
    answer: str = ""
    by: str = ""
    at: str = ""
    note: str = ""


def describe_moment(text: str) -> str:
    """A moment that a task has left (ISO 8601), as people read it; what is none stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if at.tzinfo else text


def readable(tasks: Sequence[TaskTrace]) -> tuple[tuple[TaskTrace, ...], tuple[str, ...]]:
    """The tasks without those XComs that can't be read, as another version of this package has left them; and in words which those are."""
    unread = {(task.name, key) for task in tasks for key in task.xcoms if not _is_readable(key, task.xcoms[key])}
    kept = tuple(
        replace(task, xcoms={key: value for key, value in task.xcoms.items() if (task.name, key) not in unread})
        for task in tasks
    )
    return kept, tuple(f"XCom {key} of task {name}" for name, key in sorted(unread))


def did_of(task: TaskTrace) -> tuple[tuple[str, str], ...]:
    """What a task did, each with its time (ISO 8601)."""
    return _read_did(task.xcoms.get(DID) or ())


def calls_of(tasks: Sequence[TaskTrace]) -> dict[str, int]:
    """Calls of AWS by operation, the most first: those of all tasks, as far as they were counted."""
    made = sum((_read_calls(task.xcoms.get(key)) for task in tasks for key in (CALLS, CALLS_AWAITED)), Counter())
    return dict(made.most_common())


def bakes_of(tasks: Sequence[TaskTrace]) -> Iterator[BakeTrace]:
    """What the bakes have found so far."""
    for task in tasks:
        if "verdict" in task.returned:
            comparison = _object(task.xcoms.get(EVIDENCE)) or _object(task.returned.get(EVIDENCE))
            sentence = str(task.returned.get("reason") or task.reason)
            yield BakeTrace(task.name, str(task.returned["verdict"]), sentence, comparison or None)


def approvals_of(tasks: Sequence[TaskTrace]) -> Iterator[Approval]:
    """What people were asked."""
    for task in tasks:
        stored = _object(task.xcoms.get(APPROVAL))
        if stored:
            yield _read_approval(stored, task.name)


def compared_rows(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each compared metric's name, and how often it happened to green and to blue.

    :param comparison: JSON of :class:`~airflow_sm_rollout.core.comparison.results.Comparison`, of whatever version wrote it.
    """
    for compared in comparison.get("metrics") or ():
        metric = str(compared.get("metric", "")).replace("_", " ")
        yield metric, _describe_rate(compared.get("green")), _describe_rate(compared.get("blue"))


def progress_of(comparison: Mapping[str, Any]) -> Iterator[tuple[str, float, str]]:
    """How far the comparison is to a proof either way: of what, the share of the way (0 to 1), and the figures.

    Evidence is a factor, 1 at the start, so half of the way is the root of what is needed.

    :param comparison: as for :func:`compared_rows`; what does not tell it has no lines.
    """
    for proof, evidence, needed in (
        ("Proof that green is worse", "evidence", "needed"),
        ("Proof that it is not", "health", "health_needed"),
    ):
        if evidence in comparison and needed in comparison:
            found, wanted = float(comparison[evidence]), float(comparison[needed])
            share = math.log(max(found, 1.0)) / math.log(wanted) if wanted > 1 else 0.0
            yield proof, round(min(share, 1.0), 3), f"{found:.3g} of {wanted:.3g}"


def _describe_rate(rate: Mapping[str, Any] | None) -> str:
    if not rate:
        return "not known"
    low, high = (f"{100 * rate[end]:.3g}" for end in ("low", "high"))
    return f"{100 * rate['rate']:.3g} % ({rate['events']:,} of {rate['requests']:,}; {low} to {high} %)"


def settled_at(tasks: Sequence[TaskTrace]) -> datetime | None:
    """When the rollout was over; ``None``: it is not, or a task says that it is and has not ended itself."""
    return next((task.ended_at for task in tasks if task.note.get("kind") == "settled"), None)


def plain_xcom(value: Any) -> Any:
    """A value as it was meant: what a trigger's event leaves in XCom comes back as JSON text (Airflow 3.3.2 encodes it once more)."""
    if not isinstance(value, str) or value[:1] not in ('"', "{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _read_approval(stored: Mapping[str, Any], name: str = "") -> Approval:
    words = {member: str(stored.get(member) or "") for member in ("may_answer", "answer", "by", "at", "note")}
    return Approval(name, float(stored["before"]), str(stored["asked_at"]), str(stored["until"]), **words)


def _read_did(stored: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(each["at"]), str(each["what"])) for each in stored)


def _read_calls(stored: Any) -> Counter[str]:
    return Counter({str(operation): int(count) for operation, count in _object(stored).items()})


def _read_comparison(stored: Mapping[str, Any]) -> tuple[object, ...]:
    return *compared_rows(stored), *progress_of(stored)


def _read_share(returned: Any) -> float | None:
    share = _object(returned).get("share")
    return None if share is None else float(share)


def _read_percent(note: Any) -> float:
    return float(_object(note).get("percent", 0))


_READ: Mapping[str, Callable[[Any], object]] = {
    "return_value": _read_share,
    NOTE: _read_percent,
    APPROVAL: _read_approval,
    DID: _read_did,
    EVIDENCE: _read_comparison,
    FIGURES: figures_from_dict,
    CALLS: _read_calls,
    CALLS_AWAITED: _read_calls,
}


def _is_readable(key: str, value: Any) -> bool:
    try:
        if key in _READ and value is not None:
            _READ[key](value)
    except UNREADABLE:
        return False
    return True


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
