"""PutMetricAlarm's parameters: checked, and turned into what an alarm evaluates (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_sm_rollout.sandbox.cloudwatch.alarms import COMPARISONS, TREATMENTS, Criteria, minimum_samples
from airflow_sm_rollout.sandbox.cloudwatch.queries import (
    MetricQuery,
    Query,
    check_result,
    evaluate_queries,
    invalid,
    is_period,
    parse_queries,
    read_dimensions,
)
from airflow_sm_rollout.sandbox.cloudwatch.statistics import SIMPLE_STATISTICS, Statistic, parse_statistic
from airflow_sm_rollout.sandbox.cloudwatch.store import make_key
from airflow_sm_rollout.sandbox.errors import AwsError

Params: TypeAlias = Mapping[str, Any]

MAX_MATH_METRICS = 10
_SHORT_PERIODS = (10, 20, 30)
_ANOMALY = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
_UNSUPPORTED = (
    "ThresholdMetricId",
    "EvaluationCriteria",
    "EvaluationInterval",
    "EvaluationWindow",
    "WarmUpConfiguration",
)
_METRIC_ONLY = ("Namespace", "MetricName", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """What a metric alarm evaluates: its queries, which of them it watches, and how it judges that."""

    queries: Sequence[Query]
    watched: Query
    criteria: Criteria


def read_alarm(params: Params) -> AlarmSettings:
    """Check and translate PutMetricAlarm's parameters.

    :raises AwsError: with AWS's code; what the sandbox cannot do is refused by name, never ignored.
    """
    _check_name(params["AlarmName"])
    _refuse_unsupported(params)
    _check_enumerations(params)
    _check_required(params)
    queries = _read_queries(params)
    watched = _find_watched(queries)
    periods = {query.period for query in queries if isinstance(query, MetricQuery)}
    if len(periods) != 1:
        raise invalid("Metrics list must contain metrics of one period; all MetricStat must have the same Period")
    period = periods.pop()
    _check_periods(period, params["EvaluationPeriods"], params.get("DatapointsToAlarm"))
    return AlarmSettings(queries, watched, _read_criteria(params, watched, period))


def _check_name(name: str) -> None:
    if not name or len(name) > 255:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'alarmName' failed to satisfy constraint: "
            f"Member must have length {'greater than or equal to 1' if not name else 'less than or equal to 255'}"
        )


def _refuse_unsupported(params: Params) -> None:
    for name in _UNSUPPORTED:
        if params.get(name) is not None:
            raise invalid(f"{name} is not supported by the sandbox.")
    if params.get("ComparisonOperator") in _ANOMALY:
        raise invalid(
            f"ComparisonOperator {params['ComparisonOperator']} (anomaly detection) is not supported by the sandbox."
        )


def _check_enumerations(params: Params) -> None:
    allowed: Mapping[str, Sequence[str]] = {
        "ComparisonOperator": (*COMPARISONS, *_ANOMALY),
        "Statistic": SIMPLE_STATISTICS,
    }
    for name, values in allowed.items():
        check_enumeration(params.get(name), f"{name[0].lower()}{name[1:]}", values)
    treatment = params.get("TreatMissingData", "missing")
    if treatment not in TREATMENTS:
        raise AwsError(
            "InvalidParameterValue",
            f"The value {treatment} for parameter TreatMissingData is not supported. "
            f"Supported values are {', '.join(TREATMENTS)}.",
        )
    low_samples = params.get("EvaluateLowSampleCountPercentile", "evaluate")
    if low_samples not in ("evaluate", "ignore"):
        raise AwsError(
            "InvalidParameterValue",
            f"Option {low_samples} is not supported. Supported options for parameter EvaluateLowSampleCountPercentile "
            "are evaluate and ignore.",
        )


def check_enumeration(value: str | None, member: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not in AWS's enumeration; None is not given.

    :raises AwsError: ``ValidationError`` in AWS's words.
    """
    if value is not None and value not in allowed:
        raise invalid(
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        )


def _check_required(params: Params) -> None:
    for name in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if params.get(name) is None:
            raise invalid(f"The parameter {name} is required.")
    if params.get("Metrics"):
        if given := [name for name in _METRIC_ONLY if params.get(name)]:
            raise invalid(f"The parameters Metrics and {given[0]} are mutually exclusive and you have specified both.")
    else:
        _check_metric(params)


def _check_metric(params: Params) -> None:
    if not params.get("MetricName"):
        raise invalid("Exactly one of MetricName and Metrics must be specified.")
    for name in ("Namespace", "Period"):
        if not params.get(name):
            raise invalid(f"The parameter {name} is required.")
    if bool(params.get("Statistic")) == bool(params.get("ExtendedStatistic")):
        raise invalid("Exactly one of Statistic and ExtendedStatistic must be specified.")


def _read_queries(params: Params) -> list[Query]:
    if params.get("Metrics"):
        queries = parse_queries(params["Metrics"], "Metrics")
        if sum(1 for query in queries if isinstance(query, MetricQuery)) > MAX_MATH_METRICS:
            raise invalid(f"An alarm on metric math can use at most {MAX_MATH_METRICS} metrics")
        return queries
    dimensions = read_dimensions(params.get("Dimensions"))
    key = make_key(params["Namespace"], params["MetricName"], dimensions)
    return [MetricQuery("m1", key, params["Period"], _read_statistic(params), params.get("Unit"))]


def _read_statistic(params: Params) -> Statistic:
    extended = params.get("ExtendedStatistic")
    if extended in SIMPLE_STATISTICS:
        raise AwsError(
            "InvalidParameterValue", f"The value {extended} for parameter ExtendedStatistic is not supported."
        )
    try:
        return parse_statistic(extended or params["Statistic"])
    except ValueError:
        raise AwsError(
            "InvalidParameterValue", f"The value {extended} for parameter ExtendedStatistic is not supported."
        ) from None


def _find_watched(queries: Sequence[Query]) -> Query:
    """The one query with ReturnData; its operands are tried on empty metrics, so that a misfit is refused here."""
    returned = [query for query in queries if query.returned]
    if len(returned) != 1:
        raise invalid("Exactly one element of the metrics list should return data.")
    value = evaluate_queries(queries, lambda query: {}, 0, 0)[returned[0].id]
    check_result(returned[0], value)
    if isinstance(value, tuple):
        raise invalid(f"Error in expression '{returned[0].id}': an alarm needs a single time series, not an array")
    return returned[0]


def _check_periods(period: int, periods: int, to_alarm: int | None) -> None:
    if not is_period(period, _SHORT_PERIODS):
        raise invalid("Period must be 10, 20, 30 or a multiple of 60")
    if periods < 1 or (to_alarm is not None and to_alarm < 1):
        raise invalid("EvaluationPeriods and DatapointsToAlarm must be at least 1")
    if to_alarm is not None and to_alarm > periods:
        raise invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    longest, words = (86_400, "a day") if period < 3600 else (604_800, "seven days")
    if period * periods > longest:
        raise invalid(
            f"Metrics cannot be checked across more than {words} (EvaluationPeriods * Period must be <= {longest})"
            + (" for alarms using period < 3600" if period < 3600 else "")
        )


def _read_criteria(params: Params, watched: Query, period: int) -> Criteria:
    metric = watched if isinstance(watched, MetricQuery) else None
    percentile = metric.statistic.percentile if metric else None
    ignores = percentile is not None and params.get("EvaluateLowSampleCountPercentile") == "ignore"
    return Criteria(
        period=period,
        periods=params["EvaluationPeriods"],
        datapoints_to_alarm=params.get("DatapointsToAlarm"),
        threshold=float(params["Threshold"]),
        comparison=params["ComparisonOperator"],
        missing=params.get("TreatMissingData", "missing"),
        minimum_samples=minimum_samples(percentile) if ignores and percentile is not None else 0.0,
        statistic=metric.statistic.name if metric else None,
        unit=metric.unit if metric else None,
    )
