"""Reads what a bake is judged from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import FlapsSeen, count_requests, read_alarms
from airflow_sm_rollout.aws.control import read_control
from airflow_sm_rollout.core.alarms import Bake, Judgement, judge_bake


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose wishes are heeded in a bake, and whose requests are counted at its end.

    :param dimensions: of green's metrics.
    :param period_seconds: how often its metrics are published.
    :param rollout_id: the rollout whose wishes count.
    """

    endpoint_name: str
    dimensions: Mapping[str, str]
    period_seconds: int
    rollout_id: str


def look_at_bake(
    clients: Clients, bake: Bake, alarms: Sequence[str], watched: Watched | None, now: datetime, flaps_seen: FlapsSeen
) -> Judgement:
    """Read the alarms and a person's wish, at the end the requests too, and judge."""
    states = read_alarms(clients.cloudwatch, alarms, bake.green_traffic_since or bake.started_at, flaps_seen)
    control = read_control(clients.ssm, watched.endpoint_name, watched.rollout_id) if watched else None
    requests = None
    if watched is not None and now >= bake.end(control, now):
        # No data of a variant that had traffic is no requests; both are too few to tell.
        found = count_requests(clients.cloudwatch, watched.dimensions, watched.period_seconds, bake.started_at, now)
        requests = found or 0.0
    return judge_bake(bake, states, requests, now, control)
