"""The queue of an asynchronous endpoint: how many requests are in it, and how long they wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.errors import AWS_ERRORS
from airflow_sm_rollout.aws.metrics import read_values, stat_query
from airflow_sm_rollout.core.observation import Backlog

BACKLOG, AGE = "ApproximateBacklogSize", "ApproximateAgeOfOldestRequest"
_MINUTE = 60
_LATELY = timedelta(minutes=10)


def queue_of(dimensions: Mapping[str, str]) -> dict[str, str]:
    """The dimensions of the queue that a variant's requests wait in: it is its endpoint's."""
    return {"EndpointName": dimensions["EndpointName"]}


def read_backlogs(cloudwatch: Any, endpoints: Sequence[str], now: datetime) -> dict[str, Backlog | None]:
    """The newest figure of each endpoint's queue; ``None``: AWS tells none. What it does not tell holds nobody up for ever."""
    return {name: _read_backlog(cloudwatch, name, now) for name in endpoints}


def _read_backlog(cloudwatch: Any, endpoint: str, now: datetime) -> Backlog | None:
    query = stat_query("backlog", {"EndpointName": endpoint}, BACKLOG, "Maximum", _MINUTE)
    try:
        values = read_values(cloudwatch, [query], now - _LATELY, now)["backlog"]
    except AWS_ERRORS:
        return None
    newest = max(values, default=None)
    return None if newest is None else Backlog(newest, round(values[newest]))


def read_longest_wait(cloudwatch: Any, dimensions: Mapping[str, str], since: datetime, until: datetime) -> float | None:
    """How many seconds the oldest request of a queue waited at most; ``None``: AWS does not tell."""
    query = stat_query("age", queue_of(dimensions), AGE, "Maximum", _MINUTE)
    return max(read_values(cloudwatch, [query], since, until)["age"].values(), default=None)
