"""CloudWatch's operations on alarms, their history and their tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from airflow_sm_rollout.sandbox.clock import Schedule
from airflow_sm_rollout.sandbox.cloudwatch.alarm_book import COMPOSITE_ALARM, METRIC_ALARM, Alarm, AlarmBook
from airflow_sm_rollout.sandbox.cloudwatch.alarm_settings import AlarmSettings, check_enumeration, read_alarm
from airflow_sm_rollout.sandbox.cloudwatch.alarms import State
from airflow_sm_rollout.sandbox.cloudwatch.history import ITEM_TYPES, HistoryFilter
from airflow_sm_rollout.sandbox.cloudwatch.paging import cut_page
from airflow_sm_rollout.sandbox.cloudwatch.queries import invalid, read_dimensions
from airflow_sm_rollout.sandbox.cloudwatch.rules import Rule, RuleError, parse_rule
from airflow_sm_rollout.sandbox.cloudwatch.store import MetricStore
from airflow_sm_rollout.sandbox.cloudwatch.timestamps import to_seconds
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.surface import PassOn

Params: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = dict[str, Any]

MAX_NAMES = 100
MAX_TAGS = 50
DEFAULT_PAGE = 50
_STATES = (State.INSUFFICIENT_DATA.value, State.ALARM.value, State.OK.value)
_ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")


class AlarmOperations:
    """PutMetricAlarm to ListTagsForResource.

    :param arn_prefix: what precedes the name in an alarm's ARN.
    """

    def __init__(self, store: MetricStore, schedule: Schedule, arn_prefix: str) -> None:
        self._schedule = schedule
        self._arn_prefix = arn_prefix
        self._book = AlarmBook(store, schedule)

    def put_metric_alarm(self, params: Params) -> Answer:
        """Create a metric alarm or replace its configuration; it is first evaluated one interval later."""
        settings = read_alarm(params)
        defaults: Answer = {} if params.get("Metrics") else {"Dimensions": []}
        return self._put(params, settings, defaults | {"Threshold": settings.criteria.threshold})

    def put_composite_alarm(self, params: Params) -> Answer:
        """Create a composite alarm or replace its configuration; it follows its children from then on."""
        try:
            rule = parse_rule(params["AlarmRule"])
        except RuleError as error:
            raise invalid(str(error)) from None
        with self._schedule.lock:
            if unknown := [name for name in rule.children if name not in self._book.alarms]:
                names = ", ".join(unknown)
                raise invalid(f"Could not save the composite alarm as alarms [{names}] in the alarm rule do not exist")
            return self._put(params, rule, {})

    def _put(self, params: Params, evaluates: AlarmSettings | Rule, defaults: Params) -> Answer:
        given = {key: content for key, content in params.items() if key not in ("Tags", "AlarmName")}
        configuration = {"ActionsEnabled": True, **{name: [] for name in _ACTIONS}, **defaults, **given}
        name = params["AlarmName"]
        with self._schedule.lock:
            now = self._schedule.clock.now()
            alarm = Alarm(name, self._arn_prefix + name, configuration, evaluates, now, now, now)
            alarm.tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()}
            old = self._book.alarms.get(name)
            if old is not None and old.alarm_type != alarm.alarm_type:
                raise invalid(f"An alarm of another type with the name {name} exists already")
            self._book.put(alarm)
        return {}

    def describe_alarms(self, params: Params) -> Answer:
        """Alarms by name. Composite alarms only if AlarmTypes lists them, or as parents or children of one."""
        _check_page(params)
        with self._schedule.lock:
            if params.get("ChildrenOfAlarmName") or params.get("ParentsOfAlarmName"):
                return self._describe_relatives(params)
            accepts = _read_alarm_filter(params)
            found = [alarm for alarm in self._sorted() if accepts(alarm)]
            return _answer_alarms(found, params, Alarm.answer)

    def _describe_relatives(self, params: Params) -> Answer:
        role = "ChildrenOfAlarmName" if params.get("ChildrenOfAlarmName") else "ParentsOfAlarmName"
        if role == "ParentsOfAlarmName":
            names = [alarm.name for alarm in self._book.parents(params[role])]
        else:
            names = list(self._find(params[role]).children)
        found = [alarm for alarm in self._sorted() if alarm.name in names]
        if others := sorted(params.keys() - {role, "MaxRecords", "NextToken"}):
            raise invalid(f"{', '.join(others)} must not be specified together with {role}")
        fields = _RELATIVE_FIELDS[role]
        return _answer_alarms(found, params, lambda alarm: {name: alarm.answer()[name] for name in fields})

    def describe_alarms_for_metric(self, params: Params) -> Answer:
        """The alarms on just this metric; those on metric math or composite are left out, as on AWS."""
        wanted = {name: params[name] for name in _METRIC_FIELDS if params.get(name) is not None}
        dimensions = read_dimensions(params.get("Dimensions"))
        with self._schedule.lock:
            answers = [alarm.answer() for alarm in self._sorted() if "MetricName" in alarm.configuration]
        found = [
            answer
            for answer in answers
            if all(answer.get(name) == content for name, content in wanted.items())
            and read_dimensions(answer["Dimensions"]) == dimensions
        ]
        return {"MetricAlarms": found}

    def describe_alarm_history(self, params: Params) -> Answer:
        """What happened to alarms, deleted ones too: newest first, and only metric alarms unless AlarmTypes says more."""
        _check_page(params)
        check_enumeration(params.get("HistoryItemType"), "historyItemType", ITEM_TYPES)
        wanted = HistoryFilter(
            params.get("AlarmName"),
            params.get("AlarmTypes") or (METRIC_ALARM,),
            params.get("HistoryItemType"),
            to_seconds(params["StartDate"]) if "StartDate" in params else None,
            to_seconds(params["EndDate"]) if "EndDate" in params else None,
        )
        newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        with self._schedule.lock:
            items = self._book.history.find(wanted, newest_first=newest_first)
        page, token = cut_page(items, params.get("NextToken"), params.get("MaxRecords") or MAX_NAMES)
        return {"AlarmHistoryItems": [item.answer() for item in page], **({"NextToken": token} if token else {})}

    def delete_alarms(self, params: Params) -> Answer:
        """Delete alarms, pass over unknown names; refused as a whole while a composite alarm needs one of them."""
        names = _check_names(params)
        with self._schedule.lock:
            doomed = [self._book.alarms[name] for name in names if name in self._book.alarms]
            if sum(1 for alarm in doomed if alarm.alarm_type == COMPOSITE_ALARM) > 1:
                raise invalid("Cannot delete more than one composite alarm in one operation.")
            needed = [alarm.name for alarm in doomed if any(p not in doomed for p in self._book.parents(alarm.name))]
            if needed:
                them = "it" if len(needed) == 1 else "them"
                raise invalid(f"Cannot delete {','.join(needed)} as there are composite alarm(s) depending on {them}.")
            for alarm in doomed:
                self._book.delete(alarm, self._schedule.clock.now())
        return {}

    def set_alarm_state(self, params: Params) -> Answer:
        """Set a state by hand; a metric alarm's next evaluation sets the real one again."""
        check_enumeration(params["StateValue"], "stateValue", _STATES)
        document = params.get("StateReasonData")
        if document is not None:
            _check_json(document)
        with self._schedule.lock:
            alarm = self._find(params["AlarmName"])
            now = self._schedule.clock.now()
            self._book.set_state(alarm, State(params["StateValue"]), params["StateReason"], document, now)
        return {}

    def enable_alarm_actions(self, params: Params) -> Answer:
        return self._set_actions_enabled(params, True)

    def disable_alarm_actions(self, params: Params) -> Answer:
        return self._set_actions_enabled(params, False)

    def _set_actions_enabled(self, params: Params, enabled: bool) -> Answer:
        with self._schedule.lock:
            for name in _check_names(params):
                if name in self._book.alarms:
                    self._book.alarms[name].configuration["ActionsEnabled"] = enabled
        return {}

    def tag_resource(self, params: Params) -> Answer:
        with self._schedule.lock:
            alarm = self._find_arn(params["ResourceARN"])
            tags = alarm.tags | {tag["Key"]: tag["Value"] for tag in params["Tags"]}
            if len(tags) > MAX_TAGS:
                raise AwsError("InvalidParameterValue", f"A resource can have at most {MAX_TAGS} tags.")
            alarm.tags = tags
        return {}

    def untag_resource(self, params: Params) -> Answer:
        with self._schedule.lock:
            alarm = self._find_arn(params["ResourceARN"])
            alarm.tags = {key: value for key, value in alarm.tags.items() if key not in params["TagKeys"]}
        return {}

    def list_tags_for_resource(self, params: Params) -> Answer:
        """Tags; none for an alarm that does not exist, as recorded on AWS."""
        if ":alarm:" not in params["ResourceARN"]:
            raise PassOn
        with self._schedule.lock:
            found = [alarm for alarm in self._book.alarms.values() if alarm.arn == params["ResourceARN"]]
            tags = found[0].tags if found else {}
            return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}

    def _sorted(self) -> list[Alarm]:
        """Metric alarms first, then composite ones, each by name."""
        return sorted(self._book.alarms.values(), key=lambda alarm: (alarm.alarm_type == COMPOSITE_ALARM, alarm.name))

    def _find(self, name: str) -> Alarm:
        if name not in self._book.alarms:
            raise AwsError("ResourceNotFound", "", status=404)
        return self._book.alarms[name]

    def all_tags(self) -> dict[str, dict[str, str]]:
        """The tags of all alarms, by ARN."""
        with self._schedule.lock:
            return {alarm.arn: dict(alarm.tags) for alarm in self._book.alarms.values()}

    def _find_arn(self, arn: str) -> Alarm:
        if ":alarm:" not in arn:
            raise PassOn
        for alarm in self._book.alarms.values():
            if alarm.arn == arn:
                return alarm
        raise AwsError("ResourceNotFoundException", f"Resource {arn} does not exist.", status=404)


_RELATIVE_FIELDS = {
    "ChildrenOfAlarmName": ("AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"),
    "ParentsOfAlarmName": ("AlarmName", "AlarmArn"),
}
_METRIC_FIELDS = ("Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "Unit")


def _read_alarm_filter(params: Params) -> Callable[[Alarm], bool]:
    names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix")
    if names and prefix:
        raise invalid("AlarmNames and AlarmNamePrefix must not be specified together.")
    if names:
        _check_names(params)
    check_enumeration(params.get("StateValue"), "stateValue", _STATES)
    types = params.get("AlarmTypes") or (METRIC_ALARM,)
    action = params.get("ActionPrefix")

    def accepts(alarm: Alarm) -> bool:
        return (
            alarm.alarm_type in types
            and (not names or alarm.name in names)
            and alarm.name.startswith(prefix or "")
            and params.get("StateValue") in (None, alarm.state.value)
            and (not action or _has_action(alarm, action))
        )

    return accepts


def _has_action(alarm: Alarm, prefix: str) -> bool:
    return any(action.startswith(prefix) for name in _ACTIONS for action in alarm.configuration[name])


def _answer_alarms(found: Sequence[Alarm], params: Params, render: Callable[[Alarm], Answer]) -> Answer:
    page, token = cut_page(found, params.get("NextToken"), params.get("MaxRecords") or DEFAULT_PAGE)
    return {
        "MetricAlarms": [render(alarm) for alarm in page if alarm.alarm_type == METRIC_ALARM],
        "CompositeAlarms": [render(alarm) for alarm in page if alarm.alarm_type == COMPOSITE_ALARM],
        **({"NextToken": token} if token else {}),
    }


def _check_names(params: Params) -> Sequence[str]:
    names: Sequence[str] = params["AlarmNames"]
    if len(names) > MAX_NAMES:
        raise invalid(
            f"1 validation error detected: Value '[{', '.join(names)}]' at 'alarmNames' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_NAMES}"
        )
    return names


def _check_page(params: Params) -> None:
    size = params.get("MaxRecords")
    if size is not None and not 1 <= size <= MAX_NAMES:
        bound = "greater than or equal to 1" if size < 1 else f"less than or equal to {MAX_NAMES}"
        raise invalid(
            f"1 validation error detected: Value '{size}' at 'maxRecords' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )


def _check_json(document: str) -> None:
    try:
        json.loads(document)
    except ValueError:
        raise AwsError("InvalidFormat", "StateReasonData is not valid JSON.") from None
