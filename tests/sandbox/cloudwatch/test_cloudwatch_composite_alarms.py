from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.errors import AwsError

ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"


def put_composite(bench: Any, name: str, rule: str) -> None:
    bench.call("PutCompositeAlarm", AlarmName=name, AlarmRule=rule)


def set_state(bench: Any, name: str, state: str) -> None:
    bench.call("SetAlarmState", AlarmName=name, StateValue=state, StateReason="drill")


def refusal(bench: Any, operation: str, **params: Any) -> AwsError:
    with pytest.raises(AwsError) as refused:
        bench.call(operation, **params)
    return refused.value


@pytest.fixture
def two(bench: Any) -> Any:
    """Two metric alarms that keep whatever state they are set to."""
    for name in ("a", "b"):
        bench.put_alarm(name, TreatMissingData="ignore")
    return bench


def test_a_composite_is_described_only_if_its_type_is_asked_for(two: Any) -> None:
    put_composite(two, "both", "ALARM(a) AND ALARM(b)")
    assert two.call("DescribeAlarms", AlarmNames=["both"])["CompositeAlarms"] == []
    alarm = two.alarm("both", "CompositeAlarm")
    assert (alarm["AlarmArn"], alarm["AlarmRule"]) == (ARN + "both", "ALARM(a) AND ALARM(b)")
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    two.schedule.run_due()
    alarm = two.alarm("both", "CompositeAlarm")
    assert alarm["StateReason"] == f"{ARN}both was created and its alarm rule evaluates to OK"


def test_a_composite_follows_its_children_at_once_and_names_the_cause(two: Any) -> None:
    put_composite(two, "any", "ALARM(a) OR ALARM(b)")
    two.schedule.advance(30)
    set_state(two, "b", "ALARM")
    alarm = two.alarm("any", "CompositeAlarm")
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"] == f"{ARN}b transitioned to ALARM at Tuesday 14 November, 2023 22:14:30 UTC"
    assert json.loads(alarm["StateReasonData"]) == {
        "triggeringAlarms": [
            {"arn": ARN + "b", "state": {"value": "ALARM", "timestamp": "2023-11-14T22:14:30.000+0000"}}
        ]
    }
    set_state(two, "b", "OK")
    assert two.alarm("any", "CompositeAlarm")["StateValue"] == "OK"


def test_a_change_that_leaves_the_rule_as_it_was_leaves_no_trace(two: Any) -> None:
    put_composite(two, "both", "ALARM(a) AND ALARM(b)")
    two.schedule.run_due()
    set_state(two, "a", "ALARM")
    assert [state for _, state, _ in two.history("both", "CompositeAlarm")] == ["OK"]


def test_a_composite_of_composites_follows_through_the_levels(two: Any) -> None:
    put_composite(two, "inner", "ALARM(a)")
    put_composite(two, "outer", f'ALARM("{ARN}inner") AND NOT ALARM(b)')
    two.schedule.run_due()
    set_state(two, "a", "ALARM")
    assert two.alarm("outer", "CompositeAlarm")["StateValue"] == "ALARM"
    set_state(two, "b", "ALARM")
    assert two.alarm("outer", "CompositeAlarm")["StateValue"] == "OK"


def test_a_metric_alarms_flap_reaches_the_composites_history(bench: Any) -> None:
    bench.put_alarm("a", TreatMissingData="notBreaching", Period=10)
    put_composite(bench, "any", "ALARM(a)")
    for tick in range(6):
        bench.record(1 if tick == 2 else 0, at=10 * tick, seen=10 * tick + 10)
    bench.schedule.advance(60)
    assert [(at, state) for at, state, _ in bench.history("any", "CompositeAlarm")] == [
        (0, "OK"),
        (30, "ALARM"),
        (40, "OK"),
    ]


def test_a_state_set_on_a_composite_stays_until_a_child_changes(two: Any) -> None:
    put_composite(two, "any", "ALARM(a)")
    two.schedule.run_due()
    set_state(two, "any", "ALARM")
    two.schedule.advance(3600)
    assert two.alarm("any", "CompositeAlarm")["StateValue"] == "ALARM"
    set_state(two, "a", "OK")
    assert two.alarm("any", "CompositeAlarm")["StateValue"] == "OK"


def test_two_composites_that_depend_on_each_other_do_not_run_for_ever(two: Any) -> None:
    put_composite(two, "x", "ALARM(a)")
    put_composite(two, "y", "NOT ALARM(x)")
    put_composite(two, "x", "ALARM(a) OR ALARM(y)")
    two.schedule.run_due()
    set_state(two, "a", "ALARM")
    assert two.alarm("x", "CompositeAlarm")["StateValue"] == "ALARM"


def test_an_alarm_that_a_composite_needs_cannot_be_deleted(two: Any) -> None:
    two.put_alarm("c")
    put_composite(two, "any", "ALARM(a) OR ALARM(b)")
    error = refusal(two, "DeleteAlarms", AlarmNames=["a", "c"])
    assert (error.code, error.message) == (
        "ValidationError",
        "Cannot delete a as there are composite alarm(s) depending on it.",
    )
    assert len(two.call("DescribeAlarms")["MetricAlarms"]) == 3
    both = refusal(two, "DeleteAlarms", AlarmNames=["a", "b"])
    assert both.message == "Cannot delete a,b as there are composite alarm(s) depending on them."
    two.call("DeleteAlarms", AlarmNames=["any", "a", "b"])
    assert [alarm["AlarmName"] for alarm in two.call("DescribeAlarms")["MetricAlarms"]] == ["c"]


def test_only_one_composite_is_deleted_at_a_time(two: Any) -> None:
    put_composite(two, "x", "ALARM(a)")
    put_composite(two, "y", "ALARM(a)")
    assert "more than one composite" in refusal(two, "DeleteAlarms", AlarmNames=["x", "y"]).message


def test_children_and_parents_are_described_briefly(two: Any) -> None:
    put_composite(two, "inner", "ALARM(a)")
    put_composite(two, "outer", "ALARM(inner) OR ALARM(b)")
    children = two.call("DescribeAlarms", ChildrenOfAlarmName="outer")
    assert [alarm["AlarmName"] for alarm in children["MetricAlarms"]] == ["b"]
    assert [set(alarm) for alarm in children["CompositeAlarms"]] == [
        {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}
    ]
    parents = two.call("DescribeAlarms", ParentsOfAlarmName="a")["CompositeAlarms"]
    assert parents == [{"AlarmName": "inner", "AlarmArn": ARN + "inner"}]
    assert "ChildrenOfAlarmName" in refusal(two, "DescribeAlarms", ChildrenOfAlarmName="outer", StateValue="OK").message


def test_a_composite_history_is_given_only_if_its_type_is_asked_for(two: Any) -> None:
    put_composite(two, "any", "ALARM(a)")
    assert two.call("DescribeAlarmHistory", AlarmName="any")["AlarmHistoryItems"] == []
    (item,) = two.call("DescribeAlarmHistory", AlarmName="any", AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"]
    assert (item["AlarmType"], item["HistorySummary"]) == ("CompositeAlarm", 'Alarm "any" created')


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("ALARM(a) OR ALARM(none)", "alarms [none] in the alarm rule do not exist"),
        ("ALARM(a) ALARM(b)", "AlarmRule is not valid"),
        (" ALARM(a)", "leading or trailing whitespace"),
    ],
)
def test_a_wrong_rule_is_refused(two: Any, rule: str, message: str) -> None:
    assert message in refusal(two, "PutCompositeAlarm", AlarmName="c", AlarmRule=rule).message


def test_a_name_belongs_to_one_kind_of_alarm(two: Any) -> None:
    assert "another type" in refusal(two, "PutCompositeAlarm", AlarmName="a", AlarmRule="ALARM(b)").message
