"""Asking a person before a step: what is asked, whom, for how long, and the question's text with the evidence so far."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import parse_names
from airflow_sm_rollout.core.plan.strategy import Strategy, parse_duration
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.traces import BakeTrace, compared_rows
from airflow_sm_rollout.core.traffic import Traffic
from airflow_sm_rollout.core.watch.verdict import Verdict

APPROVE, REJECT = "Approve", "Reject"
BEFORE_FULL_TRAFFIC = "before_full_traffic"
_ON_TIMEOUT = ("roll_back", "approve")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:])")


@dataclass(frozen=True, slots=True)
class ApprovalGate:
    """A person is asked before green gets a share.

    :param before: that share in percent, one of the plan's.
    :param timeout: how long the question is open.
    :param on_timeout: what silence means: ``roll_back`` or ``approve``.
    :param assigned_users: who may answer, as Airflow's user ids; by default everybody who may edit the DAG's tasks.
    :param notifiers: Airflow notifiers that are called when the question is asked.
    """

    before: float = 100.0
    timeout: timedelta = timedelta(hours=24)
    on_timeout: str = "roll_back"
    assigned_users: tuple[str, ...] = ()
    notifiers: Sequence[Any] = field(default=())

    def __post_init__(self) -> None:
        if self.on_timeout not in _ON_TIMEOUT:
            raise PlanError("approval on_timeout", self.on_timeout, f"one of {', '.join(_ON_TIMEOUT)}")
        if self.timeout <= timedelta():
            raise PlanError("approval timeout", self.timeout, "above 0")

    @property
    def may_answer(self) -> str:
        """Who, in words."""
        return ", ".join(self.assigned_users) or "anybody who may edit this DAG's tasks"

    @property
    def silence(self) -> str:
        """What silence leads to, in words."""
        return "everything is rolled back" if self.on_timeout == "roll_back" else "it counts as approved"


def parse_gate(option: object) -> ApprovalGate:
    """Read the option ``approval``.

    :param option: an :class:`ApprovalGate`, a mapping of its members, or ``"before_full_traffic"``.
    :raises PlanError: for something else.
    """
    if isinstance(option, ApprovalGate):
        return option
    if option == BEFORE_FULL_TRAFFIC:
        return ApprovalGate()
    known = {member.name for member in fields(ApprovalGate)}
    if not isinstance(option, Mapping) or set(option) - known:
        raise PlanError("approval", option, f"{BEFORE_FULL_TRAFFIC!r}, or a mapping of {', '.join(sorted(known))}")
    given = dict(option)
    if "timeout" in given:
        given["timeout"] = parse_duration("approval timeout", given["timeout"])
    if "assigned_users" in given:
        given["assigned_users"] = parse_names("approval assigned_users", given["assigned_users"], "Airflow's user ids")
    notifiers = given.get("notifiers", ())
    if not isinstance(notifiers, Sequence) or isinstance(notifiers, (str, bytes)):
        raise PlanError("approval notifiers", notifiers, "a list of Airflow notifiers")
    return ApprovalGate(**given)


def validate_gate(gate: ApprovalGate, strategy: Strategy, traffic: Traffic | None) -> None:
    """Refuse a question that would never be asked.

    :param traffic: ``None``: not known yet.
    :raises PlanError: if the plan has no such step, or leaves the steps to SageMaker.
    """
    if traffic is not None and traffic.is_shifted_by_aws:
        raise PlanError(
            "approval",
            gate.before,
            f"not with traffic={traffic.name!r}: {traffic.shifter} shifts by itself and asks nobody",
        )
    shares = [step.share for step in strategy.steps]
    if gate.before not in shares:
        raise PlanError(
            "approval before", gate.before, f"one of the plan's shares, {', '.join(f'{s:g}' for s in shares)}"
        )


def gate_behind_bakes(option: object) -> ApprovalGate:
    """The question behind a bake at whose end nobody could tell: the people and the time of the option ``approval``, if it is given.

    :raises PlanError: see :func:`parse_gate`.
    """
    gate = parse_gate(option) if option else ApprovalGate()
    return replace(gate, before=100.0, on_timeout="roll_back")


def validate_silence(gate: ApprovalGate) -> ApprovalGate:
    """Refuse that silence approves what nobody could tell: that would be ``when_inconclusive="go_on"``.

    :raises PlanError: if it would.
    """
    if gate.on_timeout != "roll_back":
        raise PlanError("approval on_timeout", gate.on_timeout, "roll_back: silence can't tell what nobody could")
    return gate


def why_nobody_is_asked(rollout: Rollout, bake: str, verdict: str | None, step: int | None) -> str:
    """Why a person need not say how to go on after a bake; empty: one has to, which is so too if there is no telling how it ended.

    :param bake: its task, for people.
    :param verdict: how it ended; ``None``: it has not said.
    :param step: which step of the plan comes next, if steps are planned.
    """
    if rollout.plan.evidence.when_inconclusive != "ask":
        return "the plan leaves no bake to a person, so nobody is asked"
    if verdict in (Verdict.HEALTHY.value, Verdict.UNPROVEN.value):
        return f"{bake} ended {verdict}, so nobody is asked"
    if verdict is None and step and rollout.step(step - 1) is None:
        return "the plan has no such step, so nobody is asked"
    return ""


def share_behind(rollout: Rollout, step: int | None, gate: ApprovalGate) -> float:
    """Green's share in percent if a rollout goes on: that of the step that comes next, or the gate's if none does."""
    planned = rollout.step(step) if step is not None else None
    return planned.share if planned else gate.before


def describe_silence(until: object, *, approves: bool) -> str:
    """That nobody has answered, in words."""
    return f"nobody answered until {until}{', which counts as approved' if approves else ''}"


def render_question(
    gate: ApprovalGate,
    rollout: Rollout,
    verdicts: Sequence[BakeTrace],
    alarms: Mapping[str, str],
    until: datetime,
    *,
    chart: str,
    tab: str,
) -> str:
    """The question's text, in Markdown; everything from outside is escaped.

    :param verdicts: of the bakes so far.
    :param alarms: each watched alarm's state by its name.
    :param chart: path of the picture of green's share.
    :param tab: path of the Rollout tab.
    """
    named = (rollout.green_model_name, rollout.endpoint_name, rollout.blue.model_name)
    green, endpoint, blue = (_plain(name) for name in named)
    closes = until.strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        f"May **{green}** get **{gate.before:g} %** of the requests of **{endpoint}**, in place of {blue}?",
        f"To be answered by {_plain(gate.may_answer)}, until {closes}; after that {gate.silence}.",
        "Reject rolls back at once. The watch stays on meanwhile: harm rolls back and withdraws this question.",
        f"![green's share over time]({chart})",
        *_render_verdicts(verdicts),
        _render_alarms(alarms),
        f"All of it: [the Rollout tab of this run]({tab})",
    ]
    return "\n\n".join(parts)


def _render_verdicts(verdicts: Sequence[BakeTrace]) -> Iterator[str]:
    if not verdicts:
        yield "Nothing has been watched yet."
    for verdict in verdicts:
        yield f"**{_plain(verdict.name)}: {_plain(verdict.verdict)}.** {_plain(verdict.sentence)}"
    latest = next((each.comparison for each in reversed(verdicts) if each.comparison), None)
    if latest:
        yield _plain(latest.get("sentence", ""))
        yield "\n".join(_render_table(latest))


def _render_table(comparison: Mapping[str, Any]) -> Iterator[str]:
    yield "| | green | blue |"
    yield "|---|---|---|"
    for row in compared_rows(comparison):
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _render_alarms(alarms: Mapping[str, str]) -> str:
    told = ", ".join(f"{_plain(name)} {_plain(state)}" for name, state in alarms.items())
    return f"Alarms: {told or 'none is watched'}"


def _plain(text: object) -> str:
    """Text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))
