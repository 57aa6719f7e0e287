"""Metrics Insights: a query in AWS's SQL over all metrics that match it, whatever their dimensions are when it is asked (pure).

``SELECT FUNCTION(metric) FROM namespace | SCHEMA(namespace, label, ...) [WHERE label = 'value' [AND ...]]``, after the CloudWatch user
guide. Groups, orders and limits, which make several series of one, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_sm_rollout.sandbox.cloudwatch.store import SeriesKey

_NAME = r"(?:\"[^\"]+\"|[\w./-]+)"
_QUERY = re.compile(
    rf"\s*SELECT\s+(?P<function>\w+)\s*\(\s*(?P<metric>{_NAME})\s*\)\s+FROM\s+"
    rf"(?:SCHEMA\s*\(\s*(?P<schema>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)|(?P<namespace>{_NAME}))"
    r"(?:\s+WHERE\s+(?P<where>.+?))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = rf"({_NAME})\s*(!=|=)\s*'([^']*)'"
_CONDITIONS = re.compile(rf"{_CONDITION}(?:\s+AND\s+{_CONDITION})*", re.IGNORECASE)
_STATISTICS = {"SUM": "Sum", "AVG": "Average", "COUNT": "SampleCount", "MAX": "Maximum", "MIN": "Minimum"}


class InsightsError(ValueError):
    """A query that can't be read."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which metrics a query is about.

    :param labels: exactly the dimensions that a metric must have; ``None``: any.
    :param wanted: what some of them must be.
    :param refused: what some of them must not be.
    """

    namespace: str
    metric: str
    labels: frozenset[str] | None = None
    wanted: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def matches(self, key: SeriesKey) -> bool:
        """Whether a metric is one of them."""
        dimensions: Mapping[str, str] = dict(key.dimensions)
        return (
            (key.namespace, key.metric) == (self.namespace, self.metric)
            and self.labels in (None, frozenset(dimensions))
            and all(dimensions.get(label) == value for label, value in self.wanted)
            and not any(dimensions.get(label) == value for label, value in self.refused)
        )


def parse_select(text: str) -> tuple[Pattern, str]:
    """The metrics that a query is about, and the name of the statistic over all of them.

    :raises InsightsError: if it can't be read, or asks for more than one series.
    """
    found = _QUERY.fullmatch(text)
    if found is None or found["function"].upper() not in _STATISTICS:
        raise InsightsError(
            "the sandbox reads SELECT FUNCTION(metric) FROM ... [WHERE label = 'value' [AND ...]] alone"
        )
    names = [_plain(name) for name in re.findall(_NAME, found["schema"] or found["namespace"])]
    labels = frozenset(names[1:]) if found["schema"] else None
    where = found["where"] or ""
    if where and not _CONDITIONS.fullmatch(where):
        raise InsightsError(f"the sandbox reads conditions label = 'value' joined by AND alone, not: {where}")
    read = re.findall(_CONDITION, where)
    wanted, refused = (
        tuple((_plain(label), value) for label, sign, value in read if sign == each) for each in ("=", "!=")
    )
    pattern = Pattern(names[0], _plain(found["metric"]), labels, wanted, refused)
    return pattern, _STATISTICS[found["function"].upper()]


def _plain(name: str) -> str:
    return name.strip('"')
