"""Reads what a bake is judged from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import FlapsSeen, count_requests, read_alarms
from airflow_sm_rollout.core.alarms import Bake, Judgement, judge_bake


@dataclass(frozen=True, slots=True)
class Counted:
    """Whose requests are counted at the end of a bake.

    :param period_seconds: how often its metrics are published.
    """

    endpoint_name: str
    variant: str
    period_seconds: int


def look_at_bake(
    clients: Clients, bake: Bake, alarms: Sequence[str], counted: Counted | None, now: datetime, flaps_seen: FlapsSeen
) -> Judgement:
    """Read the alarms, at the end the requests too, and judge."""
    states = read_alarms(clients.cloudwatch, alarms, bake.green_traffic_since or bake.started_at, flaps_seen)
    requests = None
    if counted is not None and now >= bake.ends_at:
        # No data of a variant that had traffic is no requests; both are too few to tell.
        found = count_requests(
            clients.cloudwatch, counted.endpoint_name, counted.variant, counted.period_seconds, bake.started_at, now
        )
        requests = found or 0.0
    return judge_bake(bake, states, requests, now)
