"""When an alarm rings, and how far it is from that, as people read it: made of CloudWatch's description. Nothing is decided by it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_sm_rollout.core.watch.rule import describe_rule

_OVER = {
    "GreaterThanThreshold": "over {}",
    "GreaterThanOrEqualToThreshold": "at {} or more",
    "LessThanThreshold": "below {}",
    "LessThanOrEqualToThreshold": "at {} or less",
    "LessThanLowerOrGreaterThanUpperThreshold": "outside {}",
    "LessThanLowerThreshold": "below {}",
    "GreaterThanUpperThreshold": "above {}",
}
_SCALES = {
    "Percent": ("%", 1.0),
    "Seconds": ("s", 1.0),
    "Milliseconds": ("ms", 1.0),
    "Microseconds": ("ms", 0.001),
    "Bytes": ("B", 1.0),
    "Count": ("", 1.0),
    "None": ("", 1.0),
}
# Units of SageMaker's metrics: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
_MICROSECONDS = {"ModelLatency", "OverheadLatency", "ModelSetupTime"}
_UNIT_IN_LABEL = re.compile(r"\((ms|s|/s|B)\)")


@dataclass(frozen=True, slots=True)
class AlarmLimit:
    """An alarm's limit, and its last value.

    :param measured: what it measures; empty: other alarms.
    :param rings: when it rings, in words, with the limit, its unit and the periods.
    :param limit: the limit in its unit; ``None``: a band that CloudWatch expects, or other alarms' states.
    :param unit: of ``limit``, ``last``, ``low`` and ``high``; empty: a number, or not known.
    :param last: the last value that is known.
    :param low: the lower end of the band then, and ``high`` the upper one; ``None``: there is none.
    :param at: when that was.
    :param by: of an alarm over others, which ones it heeded at its last change.
    """

    measured: str
    rings: str
    limit: float | None = None
    unit: str = ""
    last: float | None = None
    low: float | None = None
    high: float | None = None
    at: datetime | None = None
    by: tuple[str, ...] = ()

    def describe(self) -> str:
        """When it rings, in a few words."""
        return f"rings when {f'{self.measured} is ' if self.measured else ''}{self.rings}"

    def describe_last(self) -> str:
        """The last value, in a few words; empty: none is known."""
        when = f" at {self.at:%H:%M:%S} UTC" if self.at else ""
        if self.by:
            return f"last changed by {', '.join(self.by)}{when}"
        if self.last is None:
            return ""
        ends = [f"{word} {number(end)}" for word, end in (("from", self.low), ("to", self.high)) if end is not None]
        expected = f" (expected {' '.join(ends)}{_behind(self.unit)})" if ends else ""
        return f"last {number(self.last)}{_behind(self.unit)}{expected}{when}"


@dataclass(frozen=True, slots=True)
class Scale:
    """What people read instead of CloudWatch's values: those times ``factor``, in ``unit``."""

    unit: str = ""
    factor: float = 1.0

    def read(self, value: float) -> float:
        """A value as people read it."""
        return round(value * self.factor, 6)


def limit_of(found: Mapping[str, Any]) -> AlarmLimit | None:
    """An alarm's limit, with the value at its last change of state.

    :param found: a member of DescribeAlarms' ``MetricAlarms`` or ``CompositeAlarms``.
    :return: ``None``: it is of a kind that this version does not know.
    """
    if found.get("AlarmRule"):
        return _composite(str(found["AlarmRule"]), _document(found))
    compared = _OVER.get(str(found.get("ComparisonOperator")))
    if compared is None or not (found.get("MetricName") or found.get("Metrics")):
        return None
    scale, band = scale_of(found), band_of(found)
    threshold = None if band else found.get("Threshold")
    if not band and threshold is None:
        return None
    limit = None if threshold is None else scale.read(float(threshold))
    told = _band_words(band) if limit is None else f"{number(limit)}{_behind(scale.unit)}"
    document = _document(found)
    last, low, high = (
        _newest(document, name, scale)
        for name in ("recentDatapoints", "recentLowerThresholds", "recentUpperThresholds")
    )
    rings = f"{compared.format(told)} {_periods(found)}"
    at = None if last is None else _moment(document.get("queryDate"))
    return AlarmLimit(_measured(found), rings, limit, scale.unit, last, low, high, at)


def watched_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The query whose values an alarm over metrics judges; empty: it has one metric and no queries."""
    band = found.get("ThresholdMetricId")
    shown = [query for query in found.get("Metrics") or () if query.get("ReturnData", True) and query.get("Id") != band]
    return shown[0] if shown else {}


def band_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The query that makes the expected band; empty: there is none."""
    band = found.get("ThresholdMetricId")
    return next((query for query in found.get("Metrics") or () if band and query.get("Id") == band), {})


def scale_of(found: Mapping[str, Any]) -> Scale:
    """How an alarm's values are read."""
    metric, stat, unit = _metric_of(found)
    if not metric:
        return _scale_of_label(_label(found))
    if stat.startswith(("SampleCount", "TC(", "PR(")):
        return Scale("%" if stat.startswith("PR(") else "")
    if unit in _SCALES:
        return Scale(*_SCALES[unit])
    return _scale_of_metric(metric, stat)


def period_of(found: Mapping[str, Any]) -> int:
    """Its period in seconds; 0: not known."""
    queries = found.get("Metrics") or ()
    periods = [query.get("MetricStat", {}).get("Period") or query.get("Period") for query in queries]
    return int(found.get("Period") or next((each for each in periods if each), 0))


def number(value: float) -> str:
    """A value without more digits than anybody reads."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _behind(unit: str) -> str:
    return f" {unit}" if unit else ""


def _metric_of(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Metric, statistic and unit of what it watches; empty where that is metric math."""
    if found.get("MetricName"):
        stat = found.get("ExtendedStatistic") or found.get("Statistic")
        return str(found["MetricName"]), str(stat or ""), str(found.get("Unit") or "")
    watched = watched_of(found).get("MetricStat") or {}
    name = (watched.get("Metric") or {}).get("MetricName")
    return str(name or ""), str(watched.get("Stat") or ""), str(watched.get("Unit") or "")


def _scale_of_metric(metric: str, stat: str) -> Scale:
    if metric in _MICROSECONDS:
        return Scale(*_SCALES["Microseconds"])
    if metric.startswith("Invocation") and metric.endswith("Errors") and stat == "Average":
        return Scale("%", 100.0)  # of 0 and 1 for each request
    return Scale("%" if metric.endswith("Utilization") else "")


def _scale_of_label(label: str) -> Scale:
    unit = _UNIT_IN_LABEL.search(label)
    return Scale(unit[1]) if unit else Scale("%" if "%" in label or "percent" in label.lower() else "")


def _label(found: Mapping[str, Any]) -> str:
    watched = watched_of(found)
    return str(watched.get("Label") or watched.get("Expression") or "")


def _measured(found: Mapping[str, Any]) -> str:
    metric, stat, _ = _metric_of(found)
    return f"{stat} of {metric}" if metric else _label(found)


def _periods(found: Mapping[str, Any]) -> str:
    of, period = int(found.get("EvaluationPeriods") or 1), period_of(found)
    needed = int(found.get("DatapointsToAlarm") or of)
    length = f" of {period} s" if period else ""
    if of == 1:
        return f"in one period{length}"
    return f"in {of} periods{length} in a row" if needed == of else f"in {needed} of {of} periods{length}"


def _band_words(band: Mapping[str, Any]) -> str:
    width = re.search(r"ANOMALY_DETECTION_BAND\([^,()]+,\s*([\d.]+)\s*\)", str(band.get("Expression")))
    return f"the expected band ({width[1]} standard deviations)" if width else "the expected band"


def _composite(rule: str, document: Mapping[str, Any]) -> AlarmLimit:
    by, at = [], None
    for each in _objects(document.get("triggeringAlarms")):
        by.append(_name(str(each.get("arn", ""))))
        state = each.get("state")
        at = _moment(state.get("timestamp")) if isinstance(state, Mapping) else None
    return AlarmLimit("", describe_rule(rule), at=at, by=tuple(by))


def _name(text: str) -> str:
    return text.strip().partition(":alarm:")[2] or text.strip()


def _document(found: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        document = json.loads(found.get("StateReasonData") or "{}")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (each for each in value if isinstance(each, Mapping))


def _newest(document: Mapping[str, Any], name: str, scale: Scale) -> float | None:
    """The last of a list of numbers, oldest first."""
    values = document.get(name)
    last = values[-1] if isinstance(values, list) and values else None
    return scale.read(float(last)) if isinstance(last, (int, float)) else None


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", str(text)))
    except ValueError:
        return None
    return at if at.tzinfo else None
