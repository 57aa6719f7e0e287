"""The alarms that a rollout makes for green: metric math that rings at gross harm which is green's alone.

See :class:`~airflow_sm_rollout.core.plan.alarms.AlarmDefaults` for what they ring at, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_sm_rollout.aws.cloudwatch import describe_alarms
from airflow_sm_rollout.aws.metrics import count_above, requests_metric, stat_query
from airflow_sm_rollout.aws.queue import AGE, queue_of
from airflow_sm_rollout.core.plan.alarms import IN_A_ROW, TIMES_BLUES, AlarmDefaults
from airflow_sm_rollout.core.rollout import Rollout

_MINUTE = 60
_JITTER_MICROSECONDS = 25_000.0  # a p99 that rises by less is a shared machine's noise, however fast the model


def put_own_alarms(cloudwatch: Any, rollout: Rollout) -> None:
    """Make the alarms of :class:`~airflow_sm_rollout.core.plan.alarms.AlarmDefaults` for green's variant; again changes nothing."""
    for alarm in _alarms(rollout):
        cloudwatch.put_metric_alarm(**alarm)


def read_unlike(cloudwatch: Any, rollout: Rollout) -> dict[str, bool]:
    """Those alarms of the rollout's names that are not as it makes them, with whether they are about green all the same: an earlier try's,
    and not somebody else's.
    """
    found = {alarm.get("AlarmName", ""): alarm for alarm in describe_alarms(cloudwatch, rollout.own_alarms)}
    made = {alarm["AlarmName"]: alarm for alarm in _alarms(rollout)}
    unlike = [name for name, alarm in found.items() if name in made and _essence(alarm) != _essence(made[name])]
    greens = rollout.green_dimensions
    return {name: any(_is_about(found[name], each) for each in (greens, queue_of(greens))) for name in unlike}


def _alarms(rollout: Rollout) -> Iterator[dict[str, Any]]:
    defaults = rollout.plan.default_alarms
    if defaults is not None:
        yield _error_alarm(rollout, defaults)
        if rollout.thresholds is not None:
            yield _latency_alarm(rollout, defaults, rollout.thresholds.p99)
        if rollout.blue.is_asynchronous:
            yield _queue_alarm(rollout, defaults)


def _essence(alarm: Mapping[str, Any]) -> tuple[Any, ...]:
    """When it rings."""
    told = [
        alarm.get(member)
        for member in ("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "TreatMissingData")
    ]
    reads = {(query.get("Id"), query.get("Expression"), *_metric_of(query)) for query in alarm.get("Metrics", ())}
    return float(alarm.get("Threshold", 0.0)), told, reads


def _metric_of(query: Mapping[str, Any]) -> tuple[Any, ...]:
    stat = query.get("MetricStat", {})
    metric = stat.get("Metric", {})
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", ()))
    return metric.get("MetricName"), dimensions, stat.get("Stat"), stat.get("Period")


def _is_about(alarm: Mapping[str, Any], dimensions: Mapping[str, str]) -> bool:
    return any(_metric_of(query)[1] == frozenset(dimensions.items()) for query in alarm.get("Metrics", ()))


def _error_alarm(rollout: Rollout, defaults: AlarmDefaults) -> dict[str, Any]:
    failing = (("Invocation4XXErrors", "Sum"), ("Invocation5XXErrors", "Sum"))
    return {
        "AlarmName": rollout.names.error_alarm,
        "AlarmDescription": f"Failing calls (4XX and 5XX) of {_whose(rollout)}",
        "Metrics": _excess(rollout, defaults, "failing", failing, rollout.worst_errors),
        "Threshold": defaults.max_error_percent,
        **_common(rollout),
    }


def _latency_alarm(rollout: Rollout, defaults: AlarmDefaults, baseline: int) -> dict[str, Any]:
    slow = max(defaults.latency_factor * baseline, baseline + _JITTER_MICROSECONDS)
    than = f"{slow / 1000:.0f} ms (blue's p99 before: {baseline / 1000:.0f} ms)"
    return {
        "AlarmName": rollout.names.latency_alarm,
        "AlarmDescription": f"Calls slower than {than} of {_whose(rollout)}",
        "Metrics": _excess(rollout, defaults, "slow", (("ModelLatency", count_above(slow)),), 0.0),
        "Threshold": defaults.max_slow_percent,
        **_common(rollout),
    }


def _queue_alarm(rollout: Rollout, defaults: AlarmDefaults) -> dict[str, Any]:
    """Of an empty queue AWS may tell nothing, which is no harm."""
    period, usual = max(rollout.metric_period_seconds, _MINUTE), rollout.worst_wait_seconds or 0.0
    ages = [
        stat_query(side, queue_of(dimensions), AGE, "Maximum", period)
        for side, dimensions in (("g", rollout.green_dimensions), ("b", rollout.blue_dimensions))
    ]
    label = f"oldest request in s, above {TIMES_BLUES:g} x blue's"
    blues = f"IF(b + 0 * g > {usual:g}, b, {usual:g})"
    rings = f"IF(g > 0, g - {TIMES_BLUES:g} * blues, 0)"  # of a period that green tells nothing of, nothing is said
    return {
        "AlarmName": rollout.names.queue_alarm,
        "AlarmDescription": f"How long requests wait in the queue of {rollout.green_endpoint_name}, for {rollout.describe_owner()}",
        "Metrics": [
            *ages,
            {"Id": "blues", "Expression": blues, "Label": "blue's oldest request in s", "ReturnData": False},
            {"Id": "ringing", "Expression": rings, "Label": label, "ReturnData": True},
        ],
        "Threshold": defaults.max_wait_seconds,
        **_common(rollout),
        "TreatMissingData": "notBreaching",
    }


def _excess(
    rollout: Rollout, defaults: AlarmDefaults, kind: str, counted: Sequence[tuple[str, str]], usual: float
) -> list[dict[str, Any]]:
    """Metric math: by how many percent of green's calls the bad ones are more than three times blue's share.

    :param counted: metrics and statistics whose sum are the bad calls.
    :param usual: blue's share where it has too few calls in a period to tell.
    """
    green, blue = (" + ".join(f"{side}{index}" for index in range(len(counted))) for side in ("g", "b"))
    queries = _counts("g", rollout.green_dimensions, counted, rollout)
    # "0 * gn" gives a point to each of green's periods also where blue has none; an error metric that has no point counts as 0.
    blues = f"{usual:.6f} + 0 * gn"
    if (
        rollout.blue_dimensions != rollout.green_dimensions
    ):  # else one figure is of both, and only what was before is blue's
        queries += _counts("b", rollout.blue_dimensions, counted, rollout)
        blues = f"IF(bn + 0 * gn >= {defaults.min_requests}, ({blue}) / bn, {usual:.6f})"
    excess = f"100 * (({green}) / gn - {TIMES_BLUES:g} * blues)"
    # No FILL: it would invent points for periods that are not published yet.
    rings = f"IF(gn >= {defaults.min_bad_requests}, IF({green} + 0 * gn >= {defaults.min_bad_requests}, excess, 0), 0)"
    above = f"{kind}, % above {TIMES_BLUES:g} x blue's"
    return [
        *queries,
        {"Id": "blues", "Expression": blues, "Label": f"{kind}, blue's share", "ReturnData": False},
        {"Id": "excess", "Expression": excess, "Label": above, "ReturnData": False},
        {"Id": "ringing", "Expression": rings, "Label": above, "ReturnData": True},
    ]


def _counts(
    side: str, dimensions: Mapping[str, str], counted: Sequence[tuple[str, str]], rollout: Rollout
) -> list[dict[str, Any]]:
    period = rollout.metric_period_seconds
    metric = requests_metric(is_queued=rollout.blue.is_asynchronous)
    calls = stat_query(f"{side}n", dimensions, *metric, period)
    bad = [stat_query(f"{side}{index}", dimensions, *each, period) for index, each in enumerate(counted)]
    return [calls, *bad]


def _common(rollout: Rollout) -> dict[str, Any]:
    return {
        "EvaluationPeriods": IN_A_ROW,
        "DatapointsToAlarm": IN_A_ROW,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "missing",
        "Tags": [{"Key": "sm-rollout", "Value": rollout.rollout_id}],
    }


def _whose(rollout: Rollout) -> str:
    """Whose metrics these are, for people."""
    green = " ".join(rollout.green_dimensions.values())
    return f"{green} in percent of its calls, above {TIMES_BLUES:g} times blue's, for {rollout.describe_owner()}"
