"""Reads what the user counts: from CloudWatch itself, from anywhere else through who can (Airflow's tasks and triggers)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.metrics import Values, read_values, stat_query
from airflow_sm_rollout.core.plan.measures import CloudWatch, Measure
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.rows import (
    Answer,
    Malformed,
    Question,
    counts_of,
    names_of_blue,
    names_of_green,
)
from airflow_sm_rollout.core.watch.sources import BASELINE, floor

_LEAST_BASELINE = 40  # periods: so many tell how counts scatter
_EVENTS, _TRIALS = "sm_rollout_events", "sm_rollout_trials"


def read_measure(clients: Clients, measure: Measure, rollout: Rollout, after: datetime | None, now: datetime) -> Answer:
    """What its source says by now.

    :param after: up to when its periods are known; ``None``: of none, so blue's before the rollout are asked for too.
    """
    question = _question(measure, rollout, after, now)
    if isinstance(measure.source, CloudWatch):
        return _read_cloudwatch(clients.cloudwatch, measure.source, question)
    if clients.outside is None:
        return Answer(is_read_here=False)
    return clients.outside.ask(measure, question) if question.starts else Answer(question.until)


def _question(measure: Measure, rollout: Rollout, after: datetime | None, now: datetime) -> Question:
    seconds = measure.period_seconds
    before = max(BASELINE, timedelta(seconds=_LEAST_BASELINE * seconds))
    return Question(
        since=after or floor(rollout.started_at - before, seconds),
        until=floor(now - measure.late, seconds),
        seconds=seconds,
        green=names_of_green(rollout),
        blue=names_of_blue(rollout),
        mean=measure.mean,
    )


def _read_cloudwatch(cloudwatch: Any, source: CloudWatch, question: Question) -> Answer:
    def read(names: Mapping[str, str]) -> tuple[Values, Values]:
        queries = []
        for name, metric in source.metrics.items():
            dimensions = metric.dimensions_of(names)
            queries.append(stat_query(name, dimensions, metric.name, metric.stat, question.seconds, metric.namespace))
        for name, expression in ((_EVENTS, source.events), (_TRIALS, source.trials)):
            queries.append({"Id": name, "Expression": expression, "Period": question.seconds})
        found = read_values(cloudwatch, queries, question.since, question.until, _EVENTS, _TRIALS)
        return found[_EVENTS], found[_TRIALS]

    try:
        return Answer(question.until, counts_of(read(question.green), read(question.blue), question))
    except Malformed as error:
        return Answer(unknown=f"CloudWatch's figures are no counts: {error}")
