"""What alarms say against green.

Only an alarm that exists, was not already ringing, has had data and did not ring speaks for green. Everything else is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.rollout import Rollout


def describe_harm(alarms: Sequence[Alarm], green_traffic_since: datetime | None) -> str:
    """The reason not to go on, or nothing. An alarm that can't be found is one: nobody watches green then."""
    for alarm in alarms:
        if alarm.state == "MISSING":
            return f"alarm {alarm.name} does not exist (deleted?), so nothing watches green"
        if alarm.state == "ALARM":
            return _describe_ringing(alarm, green_traffic_since)
        if alarm.flapped_at is not None:
            return f"alarm {alarm.name} was in ALARM at {_time(alarm.flapped_at)} and is {alarm.state} again: {alarm.reason}"
    return ""


def _describe_ringing(alarm: Alarm, green_traffic_since: datetime | None) -> str:
    since = f" since {_time(alarm.since)}" if alarm.since else ""
    if green_traffic_since is None or (alarm.since is not None and alarm.since < green_traffic_since):
        return (
            f"alarm {alarm.name} is in ALARM{since}, from before green had traffic: it says nothing about green, "
            f"and can't while it rings: {alarm.reason}"
        )
    return f"alarm {alarm.name} is in ALARM{since}: {alarm.reason}"


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S UTC")


def harm_by_alarms(rollout: Rollout, alarms: Sequence[Alarm]) -> str:
    """Why a rollout turns around by its alarms; empty: it does not, as in a dry run, whatever rings."""
    return "" if rollout.plan.evidence.dry_run else describe_harm(alarms, rollout.green_traffic_since)
