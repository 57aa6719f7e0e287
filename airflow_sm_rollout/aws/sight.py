"""Reads alarms whole, to tell what they see: dimensions, metric math, queries, logs, and the alarms that composite ones are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_sm_rollout.aws.cloudwatch import describe_alarms
from airflow_sm_rollout.core.watch.rule import parse_rule
from airflow_sm_rollout.core.watch.sight import Condition, Source, Watcher, conditions_of

_SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_OF_METRIC = re.compile(r'\s*SELECT\s+\w+\s*\(\s*"?([^")\s]+)', re.IGNORECASE)
_NAMED_METRICS = re.compile(r"""METRICS\s*\(\s*["']([^"']*)["']""", re.IGNORECASE)
_FROM = re.compile(r'\bFROM\s+(?:SCHEMA\s*\(\s*)?"?([^",()\s]+)', re.IGNORECASE)
_WHERE = re.compile(r"""(["']?)([\w.:/-]+)\1\s*(!=|=)\s*["']([^"']*)["']""")
_ACCOUNT = "AWS.AccountId"


def read_watchers(cloudwatch: Any, names: Iterable[str]) -> list[Watcher]:
    """What those of the alarms read that exist."""
    wanted = list(dict.fromkeys(names))
    described = _describe_below(cloudwatch, wanted)
    return [_watcher(name, described, frozenset()) for name in wanted if described.get(name)]


def read_parts(cloudwatch: Any, names: Iterable[str]) -> frozenset[str]:
    """The names of the alarms, and of all that composite ones among them are made of."""
    return frozenset(_describe_below(cloudwatch, list(dict.fromkeys(names))))


def _describe_below(cloudwatch: Any, wanted: list[str]) -> dict[str, Mapping[str, Any]]:
    """The alarms, and those that their rules name, and so on; one that does not exist is empty."""
    described: dict[str, Mapping[str, Any]] = {}
    asked = wanted
    while asked:
        found = {alarm.get("AlarmName", ""): alarm for alarm in describe_alarms(cloudwatch, asked)}
        described |= found
        children = (name for alarm in found.values() for name in parse_rule(alarm.get("AlarmRule", "")).names)
        asked = [name for name in dict.fromkeys(children) if name not in described]
        described |= {name: {} for name in asked}
    return described


def _watcher(name: str, described: Mapping[str, Mapping[str, Any]], above: frozenset[str]) -> Watcher:
    alarm = described[name]
    if "AlarmRule" in alarm:
        rule = parse_rule(alarm["AlarmRule"])
        below = [each for each in rule.names if described.get(each) and each not in above | {name}]
        children = {each: _watcher(each, described, above | {name}) for each in below}
        return Watcher(name, rule=rule, children=children)
    logs = alarm.get("ScheduledQueryConfiguration", {})
    return Watcher(name, tuple(_sources(alarm)), tuple(logs.get("LogGroupIdentifiers", ())))


def _sources(alarm: Mapping[str, Any]) -> Iterator[Source]:
    if "MetricName" in alarm:
        conditions = conditions_of(alarm.get("Dimensions", ()))
        yield Source(alarm.get("Namespace", ""), conditions, metric=alarm["MetricName"])
    promql = alarm.get("EvaluationCriteria", {}).get("PromQLCriteria", {}).get("Query", "")
    if promql:
        yield Source("", _conditions_in(promql), is_exact=False)
    queries = {query.get("Id", ""): query for query in alarm.get("Metrics", ())}
    own = alarm.get("AlarmArn", "::::").split(":")[4]
    yield from (_source(queries[name], own) for name in _read_for(queries) if _is_read(queries[name]))


def _is_read(query: Mapping[str, Any]) -> bool:
    return "MetricStat" in query or bool(_SELECT.match(query.get("Expression", "")))


def _source(query: Mapping[str, Any], own: str) -> Source:
    if "MetricStat" in query:
        metric, account = query["MetricStat"].get("Metric", {}), query.get("AccountId", own)
        conditions = conditions_of(metric.get("Dimensions", ()))
        others = account if account != own else ""
        return Source(metric.get("Namespace", ""), conditions, account=others, metric=metric.get("MetricName", ""))
    asked = query["Expression"]
    namespace, metric, conditions = _FROM.search(asked), _OF_METRIC.match(asked), _conditions_in(asked)
    others = [each.value for each in conditions if each.label == _ACCOUNT and each.is_wanted and each.value != own]
    named = tuple(each for each in conditions if each.label != _ACCOUNT)
    return Source(
        namespace[1] if namespace else "",
        named,
        is_exact=False,
        account=others[0] if others else "",
        metric=metric[1] if metric else "",
    )


def _conditions_in(query: str) -> tuple[Condition, ...]:
    """The conditions of a Metrics Insights query, or of a PromQL one."""
    return tuple(Condition(label, value, sign == "=") for _, label, sign, value in _WHERE.findall(query))


def _read_for(queries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The identifiers of all that an alarm on metric math is made of: what it returns, and what that refers to."""
    asked = [name for name, query in queries.items() if query.get("ReturnData", len(queries) == 1)]
    reached: dict[str, None] = {}
    while asked:
        name = asked.pop(0)
        if name not in reached:
            reached[name] = None
            asked += _referred_to(queries[name].get("Expression", ""), queries)
    return list(reached)


def _referred_to(expression: str, queries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if _SELECT.match(expression):
        return []
    if "METRICS(" in expression.upper():
        parts = _NAMED_METRICS.findall(expression) or [""]  # METRICS("errors") is those with that in their identifier
        return [
            name for name, query in queries.items() if "MetricStat" in query and any(part in name for part in parts)
        ]
    return [word for word in re.findall(r"\b[a-z]\w*\b", expression) if word in queries]
