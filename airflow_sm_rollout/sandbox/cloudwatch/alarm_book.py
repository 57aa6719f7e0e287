"""The alarms that exist, and how their states change over time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from airflow_sm_rollout.sandbox.clock import Schedule
from airflow_sm_rollout.sandbox.cloudwatch.alarm_settings import AlarmSettings
from airflow_sm_rollout.sandbox.cloudwatch.alarms import State, decide_state, describe_reason, render_reason
from airflow_sm_rollout.sandbox.cloudwatch.evaluation import read_datapoints
from airflow_sm_rollout.sandbox.cloudwatch.history import History, record_configuration, record_state
from airflow_sm_rollout.sandbox.cloudwatch.rules import Rule
from airflow_sm_rollout.sandbox.cloudwatch.store import MetricStore
from airflow_sm_rollout.sandbox.cloudwatch.timestamps import render_iso, render_json, render_long, to_datetime

METRIC_ALARM = "MetricAlarm"
COMPOSITE_ALARM = "CompositeAlarm"
_CREATED = "Unchecked: Initial alarm creation"


@dataclass(slots=True)
class Alarm:
    """One alarm: its configuration as AWS answers it, what it evaluates, and its state.

    Times are seconds since the epoch; ``transitioned`` is when the state changed, ``updated`` when anything of it did.
    """

    name: str
    arn: str
    configuration: dict[str, Any]
    evaluates: AlarmSettings | Rule
    configured: float
    updated: float
    transitioned: float
    next_due: float = 0.0
    state: State = State.INSUFFICIENT_DATA
    reason: str = _CREATED
    reason_document: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def alarm_type(self) -> str:
        return COMPOSITE_ALARM if isinstance(self.evaluates, Rule) else METRIC_ALARM

    @property
    def children(self) -> tuple[str, ...]:
        return self.evaluates.children if isinstance(self.evaluates, Rule) else ()

    def answer(self) -> dict[str, Any]:
        """A MetricAlarm or CompositeAlarm in AWS's shape."""
        answer = {
            **self.configuration,
            "AlarmName": self.name,
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": to_datetime(self.configured),
            "StateValue": self.state.value,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": to_datetime(self.updated),
            "StateTransitionedTimestamp": to_datetime(self.transitioned),
        }
        if self.reason_document is not None:
            answer["StateReasonData"] = self.reason_document
        return answer

    def account_of_state(self) -> tuple[str, str, Any]:
        """State, reason and parsed reason data, as the history wants them."""
        return self.state.value, self.reason, _parse_document(self.reason_document)


class AlarmBook:
    """All alarms of a region, evaluated on a schedule. Callers hold ``schedule.lock``."""

    def __init__(self, store: MetricStore, schedule: Schedule) -> None:
        self._store = store
        self._schedule = schedule
        self.alarms: dict[str, Alarm] = {}
        self.history = History()

    def put(self, alarm: Alarm) -> None:
        """Create an alarm, or replace the configuration of the one of that name, whose state stays."""
        old = self.alarms.get(alarm.name)
        now = alarm.configured
        if old is not None:
            alarm.state, alarm.reason, alarm.reason_document = old.state, old.reason, old.reason_document
            alarm.updated, alarm.transitioned, alarm.tags = old.updated, old.transitioned, old.tags
        self.alarms[alarm.name] = alarm
        self._record_configuration(now, alarm, "Create" if old is None else "Update")
        if isinstance(alarm.evaluates, AlarmSettings):
            first = now + alarm.evaluates.criteria.interval
            # An alarm that is put again and again must be evaluated all the same.
            self._evaluate_at(alarm, first if old is None else max(now, min(first, old.next_due)))
        else:
            verb = "created" if old is None else "updated"
            self._schedule.at(now, partial(self._evaluate_new_composite, alarm, verb))

    def delete(self, alarm: Alarm, now: float) -> None:
        """Remove it; its pending evaluations find it gone."""
        del self.alarms[alarm.name]
        self._record_configuration(now, alarm, "Delete")

    def set_state(self, alarm: Alarm, state: State, reason: str, document: str | None, now: float) -> None:
        """Give an alarm a state, and let the composites above it follow."""
        self._set_state(alarm, state, reason, document, now, frozenset())

    def parents(self, name: str) -> list[Alarm]:
        """The composite alarms whose rule names an alarm."""
        return [alarm for alarm in self.alarms.values() if name in alarm.children]

    def _evaluate_at(self, alarm: Alarm, due: float) -> None:
        alarm.next_due = due
        self._schedule.at(due, partial(self._evaluate_metric, alarm))

    def _evaluate_metric(self, alarm: Alarm, now: float) -> None:
        if self.alarms.get(alarm.name) is not alarm or not isinstance(alarm.evaluates, AlarmSettings):
            return
        criteria = alarm.evaluates.criteria
        points = read_datapoints(self._store, alarm.evaluates, now)
        end = criteria.window_end(now)
        state = decide_state(criteria, points, end)
        if state is not None and state is not alarm.state:
            document = render_json(describe_reason(criteria, points, end, now))
            self.set_state(alarm, state, render_reason(criteria, state, points), document, now)
        self._evaluate_at(alarm, now + criteria.interval)

    def _set_state(
        self, alarm: Alarm, state: State, reason: str, document: str | None, now: float, above: frozenset[str]
    ) -> None:
        old, changed = alarm.account_of_state(), state is not alarm.state
        alarm.state, alarm.reason, alarm.reason_document, alarm.updated = state, reason, document, now
        if not changed:
            return
        alarm.transitioned = now
        self.history.add(record_state(now, alarm.name, alarm.alarm_type, old, alarm.account_of_state()))
        for parent in self.parents(alarm.name):
            # Composites may depend on each other in a cycle; AWS then stops evaluating too.
            if parent.name not in above:
                reason = f"{alarm.arn} transitioned to {state.value} at {render_long(now)}"
                self._evaluate_composite(parent, reason, [alarm], now, above | {alarm.name})

    def _evaluate_new_composite(self, alarm: Alarm, verb: str, now: float) -> None:
        if self.alarms.get(alarm.name) is not alarm:
            return
        children = [self.alarms[name] for name in alarm.children if name in self.alarms]
        self._evaluate_composite(
            alarm, f"{alarm.arn} was {verb} and its alarm rule evaluates to ", children, now, frozenset()
        )

    def _evaluate_composite(
        self, alarm: Alarm, reason: str, causes: list[Alarm], now: float, above: frozenset[str]
    ) -> None:
        if not isinstance(alarm.evaluates, Rule):
            return
        state = State.ALARM if alarm.evaluates.holds(self._state_of) else State.OK
        if state is alarm.state:
            return
        triggering = [
            {"arn": cause.arn, "state": {"value": cause.state.value, "timestamp": render_iso(cause.transitioned)}}
            for cause in causes
        ]
        text = reason + state.value if reason.endswith(" ") else reason
        self._set_state(alarm, state, text, render_json({"triggeringAlarms": triggering}), now, above)

    def _state_of(self, name: str) -> str:
        alarm = self.alarms.get(name)
        return State.INSUFFICIENT_DATA.value if alarm is None else alarm.state.value

    def _record_configuration(self, now: float, alarm: Alarm, change: str) -> None:
        settings = _camel_case(
            {key: content for key, content in alarm.answer().items() if key not in ("StateReason", "StateReasonData")}
        )
        self.history.add(record_configuration(now, alarm.name, alarm.alarm_type, change, settings))


def _parse_document(document: str | None) -> Any:
    """StateReasonData as the history embeds it: an object, or whatever text SetAlarmState was given."""
    return None if document is None else json.loads(document)


def _camel_case(content: Any) -> Any:
    """AWS's history writes the same names with a small first letter, and ``okactions`` all small."""
    if isinstance(content, Mapping):
        return {_camel_name(key): _camel_case(item) for key, item in content.items()}
    if isinstance(content, list):
        return [_camel_case(item) for item in content]
    return render_iso(content.timestamp()) if hasattr(content, "timestamp") else content


def _camel_name(name: str) -> str:
    return "okactions" if name == "OKActions" else name[0].lower() + name[1:]
