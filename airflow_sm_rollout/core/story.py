"""A rollout told to somebody who knows nothing about it yet: the outcome in a sentence, and the questions that everybody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_sm_rollout.core.cost import describe_kept, describe_spent
from airflow_sm_rollout.core.figures import Figures, total
from airflow_sm_rollout.core.outcome import Aftermath, Outcome
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.traces import Approval, BakeTrace, describe_moment

SharePoint = tuple[datetime, float]
_ANSWERED_BY_A_PERSON = ("approved", "rejected")


@dataclass(frozen=True, slots=True)
class Shadow:
    """Green as a shadow of blue.

    :param percent: how many of the requests were copied to it.
    :param until: when it was one no more; ``None``: it is, or was to its end.
    """

    since: datetime
    percent: float
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A rollout whose run is over without having settled it, as AWS shows it.

    :param aftermath: ``None``: AWS was not read.
    :param serving: the endpoint that clients call, in words.
    """

    aftermath: Aftermath | None
    serving: str


@dataclass(frozen=True, slots=True)
class Story:
    """What the words are made from.

    :param shares: from when on green had which share, in percent.
    :param proof: why it was rolled back; empty if it was not.
    :param by_task: which task gave that reason.
    :param calls: how many calls of AWS its tasks have made, by operation; empty: they were not counted.
    :param undone: that its promotion was undone, by whom and why.
    """

    rollout: Rollout
    outcome: Outcome
    shares: Sequence[SharePoint]
    ended_at: datetime | None
    figures: Figures | None
    verdicts: Sequence[BakeTrace]
    approvals: Sequence[Approval]
    proof: str
    by_task: str
    shadow: Shadow | None = None
    unsettled: Unsettled | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    undone: str = ""

    def sentence(self) -> str:
        """The outcome, with what it rests on."""
        green, blue = self.rollout.green_model_name, self.rollout.blue.model_name
        if self.outcome is Outcome.REFUSED:
            return f"Not started: {self.proof or 'it was refused'}."
        if self.outcome is Outcome.UNDONE:
            return f"Undone: {blue} serves all requests as before the rollout; {self.undone.rstrip('.')}."
        if self.unsettled is not None:
            return self._unsettled_sentence(self.unsettled)
        if self.outcome is Outcome.PROMOTED:
            return f"Promoted: {green} serves all requests of {self.rollout.endpoint_name}."
        if self.outcome is Outcome.ROLLED_BACK:
            return (
                f"Rolled back: {blue} serves all requests as before, because {self.proof or 'green was not promoted'}."
            )
        return self._state_so_far()

    def _unsettled_sentence(self, unsettled: Unsettled) -> str:
        """What AWS shows: somebody may have settled it since, by ``sm-rollout rollback``, the janitor, or a task that left no note."""
        name, noted = self.rollout.endpoint_name, "as AWS shows it; no task of this run has noted the end"
        why = f" The run ended because {self.proof}." if self.proof else ""
        if unsettled.aftermath is Aftermath.PROMOTED:
            return f"Promoted: {self.rollout.green_model_name} serves all requests of {name}, {noted}."
        if unsettled.aftermath is Aftermath.AS_BEFORE:
            return f"As before: {self.rollout.blue.model_name} serves all requests of {name}, {noted}.{why}"
        if unsettled.aftermath is Aftermath.CHANGED:
            return (
                f"Not settled by this run, but nothing of the rollout is left; since then somebody, or a later rollout, has changed what "
                f"serves: {unsettled.serving}.{why}"
            )
        return f"NOT SETTLED: {unsettled.serving or 'the endpoint may not be as before'}. Run sm-rollout rollback {name}.{why}"

    @property
    def _is_by_aws(self) -> bool:
        """Whether AWS shifts just now, and tells nobody how far it is."""
        return self.rollout.traffic.is_shifted_by_aws and not self.shares

    def _state_so_far(self) -> str:
        if self._is_by_aws:
            way = self.rollout.traffic
            return f"In progress: {way.shifter} shifts the requests to {self.rollout.green_model_name} by {way.means}."
        question = next((each for each in self.approvals if not each.answer), None)
        asked = (
            f" It waits for a person's answer in task {question.name}, until {describe_moment(question.until)}."
            if question
            else ""
        )
        return f"In progress: {self.rollout.green_model_name} {self._state_of_green()}.{asked}"

    def _state_of_green(self) -> str:
        share = self.shares[-1][1] if self.shares else 0.0
        if self.shadow is not None and self.shadow.until is None and not share:
            return f"is a shadow: it answers copies of {self.shadow.percent:g} % of the requests, and nobody gets its answers"
        return f"has {share:g} % of the requests"

    def facts(self) -> Iterator[tuple[str, str]]:
        """Question and answer."""
        yield "Which model", self._model()
        yield "When", self._when()
        yield "How much traffic it had", self._traffic()
        yield "How many requests failed", self._failures()
        yield "What proved it", self._proof()
        yield "Who decided", self._decider()
        yield "What serves now", self._serving()
        yield "What it cost", self._cost()
        if self.calls:
            told = ", ".join(f"{operation} {count:,}" for operation, count in self.calls.items())
            yield "How often it asked AWS", f"{sum(self.calls.values()):,} calls: {told}"

    def _model(self) -> str:
        green = self.rollout.green
        origin = green.model_data_url or green.model_package_arn or "a model that existed"
        return (
            f"{self.rollout.green_model_name} (green, from {origin}) in place of {self.rollout.blue.model_name} (blue)"
        )

    def _when(self) -> str:
        began = self.rollout.started_at
        if self.ended_at is None:
            unknown = "; when it ended, no task has noted" if self.outcome is not Outcome.RUNNING else ""
            return f"since {_moment(began)}{unknown}"
        minutes, seconds = divmod(int((self.ended_at - began).total_seconds()), 60)
        return f"{_moment(began)} to {_moment(self.ended_at)}, {minutes} min {seconds} s"

    def _traffic(self) -> str:
        if self.shadow is None:
            return self._shares_in_words()
        until = f" to {_time(self.shadow.until)}" if self.shadow.until else ""
        copies = (
            f"copies of {self.shadow.percent:g} % of the requests from {_time(self.shadow.since)}{until}, as a shadow"
        )
        return f"{copies}; then {self._shares_in_words()}"

    def _shares_in_words(self) -> str:
        if not any(share for _, share in self.shares):
            return self._traffic_without_share()
        changes = [
            point
            for before, point in zip([None, *self.shares], self.shares, strict=False)
            if not before or before[1] != point[1]
        ]
        steps = ", then ".join(f"{share:g} % from {_time(at)}" for at, share in changes)
        return f"{steps} (UTC)"

    def _traffic_without_share(self) -> str:
        """Where no task has left a share: AWS shifted by itself, or the task that shifted did not come to its end."""
        served = total(self.figures.green)[0] if self.figures else 0
        if served:
            return f"{served:,} requests; which share of all that was, no task has noted"
        if self._is_by_aws:
            return f"not known: {self.rollout.traffic.shifter} shifts by itself"
        return "none" if self.outcome is not Outcome.RUNNING else "none yet"

    def _failures(self) -> str:
        if self.figures is None:
            return "not known: CloudWatch was not read"
        (green, green_failed), (blue, blue_failed) = total(self.figures.green), total(self.figures.blue)
        counted = self.figures.counted_at.strftime("%H:%M:%S UTC")
        copies, copies_failed = total(self.figures.shadow)
        as_shadow = f"; as a shadow {copies_failed:,} of {copies:,} copies" if copies else ""
        if not green:
            return f"none counted: CloudWatch had published no request to green by {counted}{as_shadow}"
        return (
            f"{green_failed:,} of green's {green:,} ({_percent(green_failed, green)}); "
            f"blue failed {blue_failed:,} of {blue:,} ({_percent(blue_failed, blue)}) meanwhile; counted at {counted}{as_shadow}"
        )

    def _proof(self) -> str:
        if self.proof:
            return self.proof
        return " ".join(f"{each.name}: {each.sentence}." for each in self.verdicts) or "nothing yet"

    def _decider(self) -> str:
        decided = [
            f"{each.by} {each.answer} {each.before:g} % at {describe_moment(each.at)}{f' ({each.note})' if each.note else ''}"
            for each in self.approvals
            if each.answer in _ANSWERED_BY_A_PERSON
        ]
        if self.by_task and not any(each.answer == "rejected" for each in self.approvals):
            decided.append(f"the rollout itself, by task {self.by_task}")
        by_plan = "the rollout itself, by its plan" if self.outcome is not Outcome.RUNNING else "nobody yet"
        return "; ".join(decided) or by_plan

    def _cost(self) -> str:
        until = self.ended_at or (self.figures.counted_at if self.figures else None)
        if self.outcome is Outcome.REFUSED:
            return "nothing: it was not started"
        if until is None:
            return "not known: no task has noted its end"
        plan, blues = self.rollout.plan, self.rollout.blue.instance_count
        kept = describe_kept(plan, blues) if self.outcome in (Outcome.PROMOTED, Outcome.UNDONE) else ""
        return f"{describe_spent(self.rollout, self.shares, until)}{kept}"

    def _serving(self) -> str:
        rollout = self.rollout
        if self.unsettled is not None and self.unsettled.aftermath is Aftermath.CHANGED:
            return self.unsettled.serving
        if self.outcome is Outcome.REFUSED:
            return "what served before: this rollout has changed nothing"
        if self.outcome is Outcome.PROMOTED:
            return f"green, {rollout.green_model_name}, alone"
        if self.outcome in (Outcome.ROLLED_BACK, Outcome.UNDONE):
            on_config = "" if rollout.traffic.has_component else f" on config {rollout.blue.config_name}"
            return f"blue, {rollout.blue.model_name}{on_config}, as before"
        if self._is_by_aws:
            return f"blue and green, as {self.rollout.traffic.shifter} shifts the requests"
        share = self.shares[-1][1] if self.shares else 0.0
        return f"blue {100 - share:g} %, green {share:g} %"


def _time(at: datetime) -> str:
    return at.strftime("%H:%M:%S")


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %" if whole else "no requests"
