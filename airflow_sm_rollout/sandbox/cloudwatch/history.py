"""What happened to alarms: kept after an alarm is deleted, for two weeks (user guide, "Common features of alarms")."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.cloudwatch.timestamps import render_json, to_datetime

KEPT_SECONDS = 14 * 86400
ITEM_TYPES = (
    "ConfigurationUpdate",
    "StateUpdate",
    "Action",
    "AlarmContributorStateUpdate",
    "AlarmContributorAction",
)


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One event; ``at`` in seconds since the epoch, ``document`` is what HistoryData holds as JSON."""

    at: float
    alarm: str
    alarm_type: str
    item_type: str
    summary: str
    document: Mapping[str, Any]

    def answer(self) -> dict[str, Any]:
        """An AlarmHistoryItem."""
        return {
            "AlarmName": self.alarm,
            "AlarmType": self.alarm_type,
            "Timestamp": to_datetime(self.at),
            "HistoryItemType": self.item_type,
            "HistorySummary": self.summary,
            "HistoryData": render_json(self.document),
        }


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """What DescribeAlarmHistory asks for; None is any. Times in seconds since the epoch, both inclusive."""

    alarm: str | None
    alarm_types: Collection[str]
    item_type: str | None
    start: float | None
    end: float | None

    def accepts(self, item: HistoryItem) -> bool:
        return (
            item.alarm_type in self.alarm_types
            and self.alarm in (None, item.alarm)
            and self.item_type in (None, item.item_type)
            and (self.start is None or item.at >= self.start)
            and (self.end is None or item.at <= self.end)
        )


class History:
    """Events in the order in which they happened."""

    def __init__(self) -> None:
        self._items: deque[HistoryItem] = deque()

    def add(self, item: HistoryItem) -> None:
        self._items.append(item)
        while self._items[0].at < item.at - KEPT_SECONDS:
            self._items.popleft()

    def find(self, wanted: HistoryFilter, *, newest_first: bool) -> list[HistoryItem]:
        found = [item for item in self._items if wanted.accepts(item)]
        return found[::-1] if newest_first else found


def record_state(
    at: float, alarm: str, alarm_type: str, old: tuple[str, str, Any], new: tuple[str, str, Any]
) -> HistoryItem:
    """A change of state.

    :param old: state, reason and reason data (a parsed document, a text, or None) before it; ``new`` the same after it.
    """
    document = {"version": "1.0", "oldState": _describe_state(*old), "newState": _describe_state(*new)}
    summary = f"Alarm updated from {old[0]} to {new[0]}"
    return HistoryItem(at, alarm, alarm_type, "StateUpdate", summary, document)


def record_configuration(
    at: float, alarm: str, alarm_type: str, change: str, settings: Mapping[str, Any]
) -> HistoryItem:
    """A change of configuration; ``change`` is Create, Update or Delete."""
    done = f"{change.lower()}d"
    document = {"version": "1.0", "type": change, f"{done}Alarm": settings}
    return HistoryItem(at, alarm, alarm_type, "ConfigurationUpdate", f'Alarm "{alarm}" {done}', document)


def _describe_state(state: str, reason: str, reason_document: Any) -> dict[str, Any]:
    described = {"stateValue": state, "stateReason": reason}
    return described if reason_document is None else {**described, "stateReasonData": reason_document}
