"""How a metric alarm judges its datapoints (pure).

Sources: the tables of "Configuring how CloudWatch alarms treat missing data" in the user guide, and recorded reason texts.
An alarm looks back further than its evaluation periods: the guide says 5 periods for 3; public records show 6 for
1 x 60 s and 3 for 1 x 900 s. Two more periods, and at least five minutes, fits all three. For periods below a minute
there is no record; two minutes is this sandbox's choice.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_sm_rollout.sandbox.cloudwatch.timestamps import render_iso, render_short

LOOK_BACK_SECONDS = 300
HIGH_RESOLUTION_LOOK_BACK_SECONDS = 120
_LISTED_DATAPOINTS = 5


class State(str, Enum):
    """An alarm's state, by AWS's name."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
_TREATED_AS = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


@dataclass(frozen=True, slots=True)
class Datapoint:
    """A statistic's value over one period, which begins ``at``; ``samples`` is None for the result of metric math."""

    at: int
    value: float
    samples: float | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """What an alarm compares, and when it is alarmed.

    :param period: seconds; 10, 20, 30 or a multiple of 60.
    :param periods: N, AWS's EvaluationPeriods.
    :param datapoints_to_alarm: M, or None where it was not given (then M = N, and the reason is worded otherwise).
    :param missing: one of :data:`TREATMENTS`.
    :param minimum_samples: below this many samples in the evaluated periods the state stays; 0 judges any number.
    """

    period: int
    periods: int
    datapoints_to_alarm: int | None
    threshold: float
    comparison: str
    missing: str = "missing"
    minimum_samples: float = 0.0
    statistic: str | None = None
    unit: str | None = None

    @property
    def needed(self) -> int:
        return self.datapoints_to_alarm or self.periods

    @property
    def interval(self) -> int:
        """Seconds from one evaluation to the next."""
        return 10 if self.period < 60 else 60

    @property
    def evaluation_range(self) -> int:
        """How many periods it looks back for datapoints."""
        look_back = LOOK_BACK_SECONDS if self.period >= 60 else HIGH_RESOLUTION_LOOK_BACK_SECONDS
        return self.periods + max(2, look_back // self.period)

    def window_end(self, now: float) -> int:
        """The end of the newest period to judge: the window slides with the interval, not with the period."""
        return int(now // self.interval) * self.interval

    def breaches(self, point: Datapoint) -> bool:
        return COMPARISONS[self.comparison][0](point.value, self.threshold)


def minimum_samples(percentile: float) -> float:
    """Below how many samples a percentile is not significant (user guide, "Percentile-based alarms and low samples").

    :param percentile: 0-100.
    """
    share = percentile / 100
    distance = 1 - share if share >= 0.5 else share
    return math.inf if distance <= 0 else round(10 / distance, 6)


def decide_state(criteria: Criteria, points: Sequence[Datapoint], window_end: int) -> State | None:
    """The state that datapoints ask for, or None to keep the present one.

    :param points: the real datapoints of the evaluation range, newest first, at most ``criteria.periods`` of them.
    """
    if points and sum(point.samples or 0.0 for point in points) < criteria.minimum_samples:
        return None
    breaching = sum(1 for point in points if criteria.breaches(point))
    if breaching >= criteria.needed:
        return State.ALARM
    if breaching + criteria.periods - len(points) < criteria.needed:
        return State.OK
    return _decide_by_treatment(criteria, points, breaching, window_end)


def _decide_by_treatment(
    criteria: Criteria, points: Sequence[Datapoint], breaching: int, window_end: int
) -> State | None:
    """What is missing would decide."""
    if criteria.missing in _TREATED_AS:
        return State.ALARM if criteria.missing == "breaching" else State.OK
    if breaching < len(points):
        return State.OK
    if criteria.missing == "ignore":
        return None
    if not points:
        return State.INSUFFICIENT_DATA
    # A lone breaching point may be followed by a good one that is merely late, so AWS waits until it is M periods old.
    age = (window_end - points[-1].at) // criteria.period
    return State.ALARM if age >= criteria.needed else None


def render_reason(criteria: Criteria, state: State, points: Sequence[Datapoint]) -> str:
    """AWS's StateReason for a state that :func:`decide_state` chose."""
    if state is State.INSUFFICIENT_DATA:
        return f"Insufficient Data: {_count(criteria.periods, 'datapoint')} {_was(criteria.periods)} unknown."
    missing = criteria.periods - len(points) if criteria.missing in _TREATED_AS else 0
    treated = f" and {_count(missing, 'missing datapoint')} {_was(missing)} treated as [{_treatment(criteria)}]"
    grounds = [point for point in points if criteria.breaches(point) is (state is State.ALARM)]
    if not points or (missing and criteria.datapoints_to_alarm is None) or not grounds:
        received = f"{_count(len(points), 'datapoint')} {_was(len(points))}" if points else "no datapoints were"
        return f"Threshold Crossed: {received} received for {_count(criteria.periods, 'period')}{treated}."
    crossed = _render_crossing(criteria, state, grounds)
    return f"Threshold Crossed: {crossed}{treated if missing else ''}{_render_minimum(criteria, state)}."


def _treatment(criteria: Criteria) -> str:
    return _TREATED_AS.get(criteria.missing, "Missing")


def _render_crossing(criteria: Criteria, state: State, grounds: Sequence[Datapoint]) -> str:
    listed = ", ".join(f"{point.value!r} ({render_short(point.at)})" for point in grounds[:_LISTED_DATAPOINTS])
    if criteria.datapoints_to_alarm is None:
        number = _count(len(grounds), "datapoint")
    else:
        number = f"{len(grounds)} out of the last {criteria.periods} datapoints"
    side = "" if state is State.ALARM else "not "
    verb = f"{_was(len(grounds))} {side}{COMPARISONS[criteria.comparison][1]} the threshold ({criteria.threshold!r})"
    if len(grounds) <= _LISTED_DATAPOINTS:
        return f"{number} [{listed}] {verb}"
    return f"{number} {verb}. The most recent datapoints which crossed the threshold: [{listed}]"


def _render_minimum(criteria: Criteria, state: State) -> str:
    if criteria.datapoints_to_alarm is None:
        return ""
    number = criteria.needed if state is State.ALARM else criteria.periods - criteria.needed + 1
    change = "OK -> ALARM" if state is State.ALARM else "ALARM -> OK"
    return f" (minimum {_count(number, 'datapoint')} for {change} transition)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def describe_reason(criteria: Criteria, points: Sequence[Datapoint], window_end: int, now: float) -> dict[str, Any]:
    """AWS's StateReasonData, to be written as JSON: real datapoints oldest first, evaluated ones newest first."""
    starts = [window_end - (index + 1) * criteria.period for index in range(criteria.periods)]
    empty = [at for at in starts if all(point.at != at for point in points)][: criteria.periods - len(points)]
    evaluated = [_describe_point(point) for point in points] + [{"timestamp": render_iso(at)} for at in empty]
    optional = {
        "startDate": render_iso(points[-1].at) if points else None,
        "unit": criteria.unit,
        "statistic": criteria.statistic,
    }
    return {
        "version": "1.0",
        "queryDate": render_iso(now),
        **{key: text for key, text in optional.items() if text is not None},
        "period": criteria.period,
        "recentDatapoints": [point.value for point in reversed(points)],
        "threshold": criteria.threshold,
        "evaluatedDatapoints": sorted(evaluated, key=lambda item: str(item["timestamp"]), reverse=True),
    }


def _describe_point(point: Datapoint) -> dict[str, Any]:
    samples = {} if point.samples is None else {"sampleCount": point.samples}
    return {"timestamp": render_iso(point.at), **samples, "value": point.value}
