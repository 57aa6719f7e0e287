"""CloudWatch's operations on metrics: publish, list, read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from airflow_sm_rollout.sandbox.cloudwatch.functions import TimeSeries, Value
from airflow_sm_rollout.sandbox.cloudwatch.paging import cut_page, read_token, write_token
from airflow_sm_rollout.sandbox.cloudwatch.queries import (
    ExpressionQuery,
    MetricQuery,
    Query,
    check_result,
    evaluate_queries,
    is_period,
    parse_queries,
    read_dimensions,
)
from airflow_sm_rollout.sandbox.cloudwatch.statistics import SIMPLE_STATISTICS, Statistic, parse_statistic
from airflow_sm_rollout.sandbox.cloudwatch.store import Entry, MetricStore, Points, Series, SeriesKey, make_key
from airflow_sm_rollout.sandbox.cloudwatch.timestamps import to_datetime, to_seconds
from airflow_sm_rollout.sandbox.errors import AwsError

Params: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = dict[str, Any]

MAX_STATISTICS_DATAPOINTS = 1440
MAX_DATAPOINTS = 100_800
LIST_PAGE = 500
_DAY = 86400
_RECENTLY = "PT3H"
_BYTES = [f"{size}{kind}" for kind in ("bytes", "bits") for size in ("", "kilo", "mega", "giga", "tera")]
_SIZES = [name.capitalize() for name in _BYTES]
UNITS = (
    ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"]
    + _SIZES
    + [f"{size}/Second" for size in _SIZES]
)


class MetricOperations:
    """PutMetricData, ListMetrics, GetMetricStatistics, GetMetricData.

    :param store: where points are kept.
    :param now: seconds since the epoch.
    """

    def __init__(self, store: MetricStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def put_metric_data(self, params: Params) -> Answer:
        """Publish points; they are readable at once."""
        namespace = params["Namespace"]
        if namespace.startswith("AWS/"):
            raise _invalid_value(f"The value {namespace} for parameter Namespace is invalid.")
        batches = [params.get("MetricData") or []]
        batches += [entity.get("MetricData") or [] for entity in params.get("EntityMetricData") or []]
        now = self._now()
        points = [
            point
            for batch in batches
            for number, datum in enumerate(batch, 1)
            for point in _read_datum(namespace, datum, f"MetricData.member.{number}", now)
        ]
        for key, unit, entry in points:
            self._store.add(key, unit, entry)
        return {}

    def list_metrics(self, params: Params) -> Answer:
        """Metrics that have a visible point and were fed in the last two weeks, at most 500 a page."""
        if params.get("RecentlyActive", _RECENTLY) != _RECENTLY:
            raise _invalid_value(f"The parameter RecentlyActive must be a value in the set [ {_RECENTLY} ].")
        now, recent = self._now(), 3 * 3600 if "RecentlyActive" in params else 14 * _DAY
        filters = [(item["Name"], item.get("Value")) for item in params.get("Dimensions") or ()]
        found = [
            _describe_metric(key)
            for key, series in self._store.items()
            if series.visible_from <= now
            and series.newest >= now - recent
            and params.get("Namespace") in (None, key.namespace)
            and params.get("MetricName") in (None, key.metric)
            and all(_has_dimension(key, name, value) for name, value in filters)
        ]
        page, token = cut_page(found, params.get("NextToken"), LIST_PAGE)
        return {"Metrics": list(page), **({"NextToken": token} if token else {})}

    def get_metric_statistics(self, params: Params) -> Answer:
        """Statistics of one metric: a datapoint per period and unit."""
        statistics = _read_statistics(params)
        start, end, period = _read_range(params, params["Period"], self._now())
        _check_range(params, period, [1, 5, 10, 20, 30])
        if (end - start) / period > MAX_STATISTICS_DATAPOINTS:
            raise AwsError(
                "InvalidParameterCombination",
                f"You have requested up to {math.ceil((end - start) / period)} datapoints, which exceeds the limit of "
                f"{MAX_STATISTICS_DATAPOINTS}. You may reduce the datapoints requested by increasing Period, or "
                "decreasing the time range.",
            )
        key = make_key(params["Namespace"], params["MetricName"], read_dimensions(params.get("Dimensions")))
        with self._store.lock:
            series = self._store.find(key) or Series()
            datapoints = [
                datapoint
                for unit, points in series.chosen_units(params.get("Unit"))
                for datapoint in _describe_points(points, unit, statistics, (start, end, period), self._now())
            ]
        return {"Label": key.metric, "Datapoints": sorted(datapoints, key=lambda point: point["Timestamp"])}

    def get_metric_data(self, params: Params) -> Answer:
        """Values of metrics and of metric math over them."""
        queries = parse_queries(params["MetricDataQueries"], "MetricDataQueries")
        now = self._now()
        _check_order(params)
        units: dict[str, list[str]] = {}

        def fetch(query: MetricQuery) -> Mapping[int, float]:
            start, end, period = _read_range(params, query.period, now)
            points, units[query.id] = self._read(query, (start, end, period), now)
            return points

        longest = max([query.period for query in queries if isinstance(query, MetricQuery)], default=60)
        start, end, _ = _read_range(params, longest, now)
        values = evaluate_queries(queries, fetch, start, end)
        results = [
            _Result(query.id, label, series, units.get(query.id, []))
            for query in queries
            if query.returned
            for label, series in _returned_series(query, values[query.id], queries)
        ]
        return _cut_results(results, params, any(isinstance(query, ExpressionQuery) for query in queries))

    def _read(self, query: MetricQuery, span: tuple[int, int, int], now: float) -> tuple[dict[int, float], list[str]]:
        """Values by period, and the units found. Of several units the first by alphabet is read, as recorded on AWS."""
        with self._store.lock:
            series = self._store.find(query.key) or Series()
            by_unit = {
                unit: found
                for unit, points in series.chosen_units(query.unit)
                if (found := points.values(query.statistic, span, now))
            }
        return next(iter(by_unit.values()), {}), list(by_unit)


class _Result:
    """One time series of GetMetricData's answer."""

    def __init__(self, name: str, label: str, series: TimeSeries, units: list[str]) -> None:
        self.name = name
        self.label = label
        self.points = list(series.points.items())
        self.units = units

    def answer(self, first: int, last: int) -> Answer:
        points = self.points[first:last]
        answer = {
            "Id": self.name,
            "Label": self.label,
            "Timestamps": [to_datetime(at) for at, _ in points],
            "Values": [value for _, value in points],
            "StatusCode": "Complete" if last >= len(self.points) else "PartialData",
        }
        if len(self.units) > 1:
            text = f"Multiple units returned: '[{', '.join(self.units)}]'"
            answer["Messages"] = [{"Code": "MultipleUnits", "Value": text}]
        return answer


def _cut_results(results: Sequence[_Result], params: Params, has_expression: bool) -> Answer:
    """Sort, and cut to MaxDatapoints. AWS gives no NextToken where there is an expression, so nothing is cut then."""
    if params.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        for result in results:
            result.points.reverse()
    budget = params.get("MaxDatapoints") or MAX_DATAPOINTS
    offset = read_token(params.get("NextToken"))
    total = sum(len(result.points) for result in results)
    end = total if has_expression else offset + budget
    answers, place = [], 0
    for result in results:
        first, last = max(offset - place, 0), min(end - place, len(result.points))
        if first < last or (not result.points and not offset):
            answers.append(result.answer(first, last))
        place += len(result.points)
    token = {"NextToken": write_token(end)} if end < total else {}
    return {"MetricDataResults": answers, "Messages": [], **token}


def _returned_series(query: Query, value: Value, queries: Sequence[Query]) -> list[tuple[str, TimeSeries]]:
    """The series of a result, each with its label."""
    check_result(query, value)
    label = _default_label(query, queries) if query.label is None else query.label
    if isinstance(value, tuple):
        return [(f"{label} {series.label}".strip(), series) for series in value]
    return [(label, value)] if isinstance(value, TimeSeries) else []


def _default_label(query: Query, queries: Sequence[Query]) -> str:
    """As recorded on AWS: the metric's name, with statistic and period where these tell the queries apart."""
    if isinstance(query, ExpressionQuery):
        return query.id
    metrics = [other for other in queries if isinstance(other, MetricQuery)]
    label = query.key.metric
    if len({other.statistic.name for other in metrics}) > 1:
        label += f" {query.statistic.name}"
    if len({other.period for other in metrics}) > 1:
        label += f" {query.period}"
    return label


def _describe_points(
    points: Points, unit: str, statistics: Sequence[Statistic], span: tuple[int, int, int], now: float
) -> list[Answer]:
    columns = {statistic.name: points.values(statistic, span, now) for statistic in statistics}
    answers = []
    for at in sorted({at for column in columns.values() for at in column}):
        values = {name: column[at] for name, column in columns.items() if at in column}
        answer: Answer = {"Timestamp": to_datetime(at), "Unit": unit}
        answer |= {name: value for name, value in values.items() if name in SIMPLE_STATISTICS}
        if extended := {name: value for name, value in values.items() if name not in SIMPLE_STATISTICS}:
            answer["ExtendedStatistics"] = extended
        answers.append(answer)
    return answers


def _read_statistics(params: Params) -> list[Statistic]:
    plain, extended = params.get("Statistics") or [], params.get("ExtendedStatistics") or []
    if bool(plain) == bool(extended):
        raise AwsError("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics")
    for name in plain:
        if name not in SIMPLE_STATISTICS:
            raise _invalid_value(f"The value {name} for parameter Statistics is not supported.")
    try:
        return [parse_statistic(name) for name in (*plain, *extended)]
    except ValueError:
        raise _invalid_value(
            f"The value {', '.join(extended)} for parameter ExtendedStatistics is not supported."
        ) from None


def _read_range(params: Params, period: int, now: float) -> tuple[int, int, int]:
    """Start, end and period in seconds, the start rounded down as the API reference of GetMetricData has it.

    Below a minute the end is rounded down too ("at 01:05:23 ... you receive data from 01:05:10 to 01:05:20").
    """
    start, end = to_seconds(params["StartTime"]), to_seconds(params["EndTime"])
    if period < 60:
        return int(start // period) * period, int(end // period) * period, period
    age = now - start
    step = 60 if age < 15 * _DAY else 300 if age < 63 * _DAY else 3600
    return int(start // step) * step, math.ceil(end), period


def _is_range(params: Params) -> bool:
    """Whether a range holds any time. Both ends are cut to whole seconds first (moto's tests say so; no record)."""
    return int(to_seconds(params["StartTime"])) < int(to_seconds(params["EndTime"]))


def _check_order(params: Params) -> None:
    if not _is_range(params):
        raise AwsError("ValidationError", "The parameter EndTime must be greater than StartTime.")


def _check_range(params: Params, period: int, shortest: Sequence[int]) -> None:
    if not _is_range(params):
        raise _invalid_value("The parameter StartTime must be less than the parameter EndTime.")
    if not is_period(period, shortest):
        raise _invalid_value(f"The value {period} for parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


def _read_datum(namespace: str, datum: Params, where: str, now: float) -> list[tuple[SeriesKey, str, Entry]]:
    """A MetricDatum as entries: one for a value or a statistic set, one for each of Values."""
    unit = datum.get("Unit", "None")
    if unit not in UNITS:
        raise _invalid_value(f"The parameter {where}.Unit must be a value in the set [ {', '.join(UNITS)} ].")
    key = make_key(namespace, datum["MetricName"], read_dimensions(datum.get("Dimensions")))
    if len(key.dimensions) > 30:
        raise _invalid_value(f"The collection {where}.Dimensions must not have a size greater than 30.")
    at = _read_time(datum, where, now)
    entries = [Entry(at, now, *numbers) for numbers in _read_numbers(datum, where)]
    for entry in entries:
        if not all(math.isfinite(number) and abs(number) <= 2.0**360 for number in entry):
            raise _invalid_value(
                f"The value for parameter {where}.Value must be a number in the range of -2^360 to 2^360."
            )
    return [(key, unit, entry) for entry in entries]


def _read_time(datum: Params, where: str, now: float) -> float:
    """The start of the second or, at standard resolution, of the minute that a point belongs to."""
    resolution: int = datum.get("StorageResolution", 60)
    if resolution not in (1, 60):
        raise _invalid_value(f"The value {resolution} for parameter {where}.StorageResolution must be 1 or 60.")
    stamp: datetime | None = datum.get("Timestamp")
    at = now if stamp is None else to_seconds(stamp)
    if at > now + 7200:
        raise _invalid_value(
            f"The parameter {where}.Timestamp must specify a time no more than two hours in the future."
        )
    if at < now - 14 * _DAY:
        raise _invalid_value(f"The parameter {where}.Timestamp must specify a time within the past two weeks.")
    return at // resolution * resolution


def _read_numbers(datum: Params, where: str) -> list[tuple[float, float, float, float]]:
    """Count, sum, minimum and maximum of each entry."""
    _check_exclusive(datum, where)
    if "Value" in datum:
        value = float(datum["Value"])
        return [(1.0, value, value, value)]
    if "StatisticValues" in datum:
        given = datum["StatisticValues"]
        return [(given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"])]
    values = [float(value) for value in datum["Values"]]
    counts = [float(count) for count in datum.get("Counts") or [1.0] * len(values)]
    if len(values) != len(counts):
        raise _invalid_value(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    if len(values) > 150:
        raise _invalid_value(f"The collection {where}.Values must not have a size greater than 150.")
    return [(count, value * count, value, value) for value, count in zip(values, counts, strict=True)]


def _check_exclusive(datum: Params, where: str) -> None:
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if not given:
        raise AwsError("MissingParameter", f"The parameter {where}.Value is required.")
    if len(given) > 1:
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive "
            "and you have specified both.",
        )


def _has_dimension(key: SeriesKey, name: str, value: str | None) -> bool:
    return any(name == own and value in (None, content) for own, content in key.dimensions)


def _describe_metric(key: SeriesKey) -> Answer:
    dimensions = [{"Name": name, "Value": value} for name, value in key.dimensions]
    return {"Namespace": key.namespace, "MetricName": key.metric, "Dimensions": dimensions}


def _invalid_value(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)
