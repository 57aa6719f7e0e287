"""The datapoints that a metric alarm judges, read from the store."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_sm_rollout.sandbox.cloudwatch.alarm_settings import AlarmSettings
from airflow_sm_rollout.sandbox.cloudwatch.alarms import Datapoint
from airflow_sm_rollout.sandbox.cloudwatch.functions import TimeSeries
from airflow_sm_rollout.sandbox.cloudwatch.queries import MetricQuery, evaluate_queries
from airflow_sm_rollout.sandbox.cloudwatch.store import MetricStore, Points
from airflow_sm_rollout.sandbox.errors import AwsError


def read_datapoints(store: MetricStore, settings: AlarmSettings, now: float) -> list[Datapoint]:
    """The newest real datapoints in the evaluation range, newest first, at most one for each evaluation period.

    :param now: what became visible later does not count.
    """
    criteria = settings.criteria
    end = criteria.window_end(now)
    start = end - criteria.evaluation_range * criteria.period
    if isinstance(settings.watched, MetricQuery):
        return _read_metric(store, settings.watched, (start, end), now, criteria.periods)
    return _read_math(store, settings, (start, end), now)[: criteria.periods]


def _read_metric(
    store: MetricStore, query: MetricQuery, span: tuple[int, int], now: float, wanted: int
) -> list[Datapoint]:
    found: list[Datapoint] = []
    with store.lock:
        for points in _units(store, query):
            for at, samples in points.periods_back(*span, query.period, now):
                value = query.statistic.compute(samples)
                if value is not None:
                    found.append(Datapoint(at, value, float(sum(samples.counts))))
                if len(found) == wanted:
                    return found
            if found:
                return found
    return found


def _read_math(store: MetricStore, settings: AlarmSettings, span: tuple[int, int], now: float) -> list[Datapoint]:
    start, end = span

    def fetch(query: MetricQuery) -> Mapping[int, float]:
        return _values(store, query, span, now)

    try:
        values = evaluate_queries(settings.queries, fetch, start, end)
    except AwsError:
        # Operands were tried when the alarm was put; what is left is a scalar divided by zero, which is no datapoint.
        return []
    series = values[settings.watched.id]
    points = series.points if isinstance(series, TimeSeries) else {}
    return [Datapoint(at, value) for at, value in reversed(list(points.items()))]


def _values(store: MetricStore, query: MetricQuery, span: tuple[int, int], now: float) -> dict[int, float]:
    with store.lock:
        for points in _units(store, query):
            if values := points.values(query.statistic, (*span, query.period), now):
                return values
    return {}


def _units(store: MetricStore, query: MetricQuery) -> list[Points]:
    series = store.find(query.key)
    return [points for _, points in series.chosen_units(query.unit)] if series else []
