"""Reads CloudWatch's alarms, and deletes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from botocore.session import get_session

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.core.alarm_limit import limit_of
from airflow_sm_rollout.core.observation import Alarm

_NAMES_PER_CALL = 100  # DescribeAlarms' limit
_STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")

FlapsSeen = dict[tuple[str, datetime, datetime], "tuple[datetime, str] | None"]
"""By an alarm's name, when its state last changed, and since when it was asked: its last ALARM since then, and why; ``None``: none."""


def read_alarms(
    cloudwatch: Any, names: Sequence[str], since: datetime | None, flaps_seen: FlapsSeen | None = None
) -> tuple[Alarm, ...]:
    """The alarms' states; one that does not exist is ``MISSING``.

    :param since: from when on a flap counts, which is an ALARM that is over again; ``None``: don't look for flaps.
    :param flaps_seen: kept between looks by who looks often. The history, which allows three calls a second per region, is then read
        once after each change of an alarm's state.
    """
    found = {alarm.get("AlarmName", ""): alarm for alarm in describe_alarms(cloudwatch, names)}
    seen: FlapsSeen = {} if flaps_seen is None else flaps_seen
    return tuple(_alarm(cloudwatch, name, found.get(name), since, seen) for name in names)


def describe_alarms(cloudwatch: Any, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Those of the alarms that exist, of any type, as AWS describes them."""
    for start in range(0, len(names), _NAMES_PER_CALL):
        asked: dict[str, Any] = {
            "AlarmNames": list(names[start : start + _NAMES_PER_CALL]),
            "AlarmTypes": list(alarm_types()),
        }
        while True:
            answer = cloudwatch.describe_alarms(**asked, MaxRecords=_NAMES_PER_CALL)
            for kind in asked["AlarmTypes"]:
                yield from answer.get(f"{kind}s", ())
            if not answer.get("NextToken"):
                break
            asked["NextToken"] = answer["NextToken"]


@cache
def alarm_types() -> tuple[str, ...]:
    """All types of alarms that the installed botocore can read. CloudWatch leaves those out that are not asked for."""
    return tuple(get_session().get_service_model("cloudwatch").shape_for("AlarmType").enum)


def _alarm(
    cloudwatch: Any, name: str, found: Mapping[str, Any] | None, since: datetime | None, flaps_seen: FlapsSeen
) -> Alarm:
    if found is None:
        return Alarm(name, "MISSING")
    changed_at = found.get("StateTransitionedTimestamp") or found.get("StateUpdatedTimestamp")
    state, reason = told(found, "StateValue", f"alarm {name}"), found.get("StateReason", "")
    limit = limit_of(found)
    if state not in _STATES:
        return Alarm(
            name, "INSUFFICIENT_DATA", f"{state}, which this version does not know; {reason}", changed_at, limit=limit
        )
    if state == "ALARM" or since is None or changed_at is None or changed_at < since:
        return Alarm(name, state, reason, changed_at, limit=limit)
    if (name, changed_at, since) not in flaps_seen:
        flaps_seen[name, changed_at, since] = _last_flap(cloudwatch, name, since)
    flap = flaps_seen[name, changed_at, since]
    return Alarm(name, state, flap[1] if flap else reason, changed_at, flap[0] if flap else None, limit)


def _last_flap(cloudwatch: Any, name: str, since: datetime) -> tuple[datetime, str] | None:
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, AlarmTypes=list(alarm_types()), HistoryItemType="StateUpdate", StartDate=since
    )
    for page in pages:
        for item in page.get("AlarmHistoryItems", ()):
            at, summary = (told(item, each, f"a change of alarm {name}") for each in ("Timestamp", "HistorySummary"))
            if at >= since and summary.endswith("to ALARM"):
                return at, _reason_of(item)
    return None


def _reason_of(item: Mapping[str, Any]) -> str:
    """The alarm's reason in a history item, with its figures; else its summary."""
    try:
        return str(json.loads(item["HistoryData"])["newState"]["stateReason"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return str(item["HistorySummary"])


def delete_alarms(cloudwatch: Any, names: Iterable[str]) -> None:
    """Delete alarms; those that are not there are no error to AWS."""
    cloudwatch.delete_alarms(AlarmNames=list(names))
