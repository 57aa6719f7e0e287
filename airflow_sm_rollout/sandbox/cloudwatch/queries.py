"""MetricDataQuery structures, shared by GetMetricData and alarms on metric math: parsed, checked, evaluated (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_sm_rollout.sandbox.cloudwatch.expressions import Node, evaluate_node, find_references, parse_expression
from airflow_sm_rollout.sandbox.cloudwatch.functions import ExpressionError, Scope, TimeSeries, Value
from airflow_sm_rollout.sandbox.cloudwatch.insights import InsightsError, Pattern, parse_select
from airflow_sm_rollout.sandbox.cloudwatch.statistics import Statistic, parse_statistic
from airflow_sm_rollout.sandbox.cloudwatch.store import SeriesKey, make_key
from airflow_sm_rollout.sandbox.errors import AwsError

MAX_QUERIES = 500
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_REFUSED = ("SEARCH", "ANOMALY_DETECTION_BAND", "INSIGHT_RULE_METRIC", "SERVICE_QUOTA", "DB_PERF_INSIGHTS")


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """A statistic of a metric, or of all that match a pattern. ``period`` in seconds; ``unit`` None reads any."""

    id: str
    key: SeriesKey | Pattern
    period: int
    statistic: Statistic
    unit: str | None
    label: str | None = None
    returned: bool = True


@dataclass(frozen=True, slots=True)
class ExpressionQuery:
    """Metric math over the other queries of the request."""

    id: str
    node: Node
    references: frozenset[str]
    period: int | None
    label: str | None = None
    returned: bool = True


Query: TypeAlias = MetricQuery | ExpressionQuery
Fetch: TypeAlias = Callable[[MetricQuery], Mapping[int, float]]


def invalid(message: str) -> AwsError:
    """CloudWatch's usual answer to a bad request, with its text."""
    return AwsError("ValidationError", message)


def is_period(period: object, shortest: Sequence[int] = (1, 5, 10, 20, 30)) -> bool:
    """Whether AWS takes a period: one of ``shortest``, or a multiple of 60 seconds."""
    return isinstance(period, int) and (period in shortest or (period >= 60 and period % 60 == 0))


def read_dimensions(dimensions: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """AWS's list of Name and Value as a mapping."""
    return {dimension["Name"]: dimension["Value"] for dimension in dimensions or ()}


def parse_queries(items: Sequence[Mapping[str, Any]], where: str) -> list[Query]:
    """Check a request's queries.

    :param where: the parameter's name, for messages.
    :raises AwsError: ``ValidationError``, naming the query.
    """
    if len(items) > MAX_QUERIES:
        raise invalid(f"The collection {where} must not have a size greater than {MAX_QUERIES}.")
    queries = [_parse_query(item, f"{where}.member.{number}") for number, item in enumerate(items, 1)]
    ids = [query.id for query in queries]
    for query in queries:
        if ids.count(query.id) > 1:
            raise invalid(
                f"The values for parameter Id in {where} must be unique; '{query.id}' is used more than once."
            )
        if isinstance(query, ExpressionQuery):
            _check_references(query, ids)
    _order(queries)
    return queries


def _parse_query(item: Mapping[str, Any], where: str) -> Query:
    name = item.get("Id") or ""
    if not _ID.fullmatch(name):
        raise invalid(
            f"The value '{name}' for parameter {where}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )
    if ("MetricStat" in item) == ("Expression" in item):
        raise invalid(f"Exactly one of {where}.MetricStat and {where}.Expression must be given.")
    if re.match(r"\s*SELECT\b", item.get("Expression", ""), re.IGNORECASE):
        return _parse_insights_query(name, item, where)
    if "Expression" in item:
        return _parse_expression_query(name, item, where)
    stat = item["MetricStat"]
    metric = stat["Metric"]
    return MetricQuery(
        name,
        make_key(metric.get("Namespace", ""), metric.get("MetricName", ""), read_dimensions(metric.get("Dimensions"))),
        _checked_period(stat["Period"], f"{where}.MetricStat.Period"),
        _checked_statistic(stat["Stat"], f"{where}.MetricStat.Stat"),
        stat.get("Unit"),
        item.get("Label"),
        item.get("ReturnData", True),
    )


def _parse_insights_query(name: str, item: Mapping[str, Any], where: str) -> MetricQuery:
    try:
        pattern, statistic = parse_select(item["Expression"])
    except InsightsError as error:
        raise invalid(f"Error in expression '{name}': {error}") from None
    period = _checked_period(item.get("Period", 0), f"{where}.Period")
    returned = item.get("ReturnData", True)
    return MetricQuery(name, pattern, period, _checked_statistic(statistic, where), None, item.get("Label"), returned)


def _parse_expression_query(name: str, item: Mapping[str, Any], where: str) -> ExpressionQuery:
    text = item["Expression"]
    for word in _REFUSED:
        if re.match(rf".*\b{word}\s*\(", text, re.DOTALL):
            raise invalid(f"Error in expression '{name}': {word} is not supported by the sandbox.")
    try:
        node = parse_expression(text)
    except ExpressionError as error:
        raise invalid(f"Error in expression '{name}': {error}") from None
    period = item.get("Period")
    if period is not None:
        _checked_period(period, f"{where}.Period")
    return ExpressionQuery(name, node, find_references(node), period, item.get("Label"), item.get("ReturnData", True))


def _checked_period(period: int, where: str) -> int:
    if not is_period(period):
        raise invalid(f"The value {period} for parameter {where} must be 1, 5, 10, 20, 30 or a multiple of 60.")
    return period


def _checked_statistic(name: str, where: str) -> Statistic:
    try:
        return parse_statistic(name)
    except ValueError:
        raise invalid(f"The value {name} for parameter {where} is not supported.") from None


def _check_references(query: ExpressionQuery, ids: Sequence[str]) -> None:
    for name in sorted(query.references):
        if name not in ids:
            raise invalid(f"Error in expression '{query.id}': Undefined metric or expression id '{name}'")


def _order(queries: Sequence[Query]) -> list[ExpressionQuery]:
    """The expressions, each after those it refers to."""
    ready = {query.id for query in queries if isinstance(query, MetricQuery)}
    waiting = [query for query in queries if isinstance(query, ExpressionQuery)]
    ordered: list[ExpressionQuery] = []
    while waiting:
        free = [query for query in waiting if query.references <= ready]
        if not free:
            raise invalid(f"Error in expression '{waiting[0].id}': it refers to itself")
        ordered += free
        ready |= {query.id for query in free}
        waiting = [query for query in waiting if query.id not in ready]
    return ordered


def evaluate_queries(queries: Sequence[Query], fetch: Fetch, start: int, end: int) -> dict[str, Value]:
    """The values of all queries by id.

    :param fetch: the points of a metric's query, ascending.
    :param start: of the range in seconds since the epoch; ``end`` is exclusive.
    :raises AwsError: ``ValidationError`` naming the expression whose operands do not fit.
    """
    metrics = [query for query in queries if isinstance(query, MetricQuery)]
    values: dict[str, Value] = {
        query.id: TimeSeries(fetch(query), query.label or query.key.metric) for query in metrics
    }
    periods = {query.id: query.period for query in metrics}
    longest = max(periods.values(), default=60)
    for query in _order(queries):
        grid = range(start, end, query.period or longest)
        try:
            value = evaluate_node(query.node, Scope(values, [metric.id for metric in metrics], periods, grid))
        except ExpressionError as error:
            raise invalid(f"Error in expression '{query.id}': {error}") from None
        values[query.id] = value
    return values


def check_result(query: Query, value: Value) -> None:
    """AWS refuses a query that returns data and is a scalar.

    :raises AwsError: ``ValidationError`` naming the expression.
    """
    if isinstance(value, float):
        raise invalid(f"Error in expression '{query.id}': The result is a scalar, and must be a time series")
