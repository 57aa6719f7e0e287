from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.cloudwatch.timestamps import to_datetime
from airflow_sm_rollout.sandbox.errors import AwsError

START = 1_700_000_040


def refusal(bench: Any, operation: str, **params: Any) -> AwsError:
    with pytest.raises(AwsError) as refused:
        bench.call(operation, **params)
    return refused.value


def test_a_new_alarm_is_unchecked_until_its_first_evaluation(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="notBreaching")
    alarm = bench.alarm()
    assert (alarm["StateValue"], alarm["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    assert "StateReasonData" not in alarm
    bench.schedule.advance(59)
    assert bench.alarm()["StateValue"] == "INSUFFICIENT_DATA"
    bench.schedule.advance(1)
    assert bench.alarm()["StateValue"] == "OK"


def test_an_alarm_is_described_as_it_was_put(bench: Any) -> None:
    bench.put_alarm(AlarmDescription="why", Dimensions=[{"Name": "VariantName", "Value": "green"}], Threshold=2.0)
    at = to_datetime(START)
    assert bench.alarm() == {
        "AlarmName": "errors",
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors",
        "AlarmDescription": "why",
        "AlarmConfigurationUpdatedTimestamp": at,
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": at,
        "StateTransitionedTimestamp": at,
        "MetricName": "Errors",
        "Namespace": "AWS/SageMaker",
        "Statistic": "Sum",
        "Dimensions": [{"Name": "VariantName", "Value": "green"}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 2.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }


def test_an_alarm_trips_once_the_bad_minute_is_visible_and_says_why(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="notBreaching")
    bench.record(3, at=70, seen=170)
    bench.schedule.advance(200)
    assert bench.history() == [
        (
            60,
            "OK",
            (
                "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
                "[NonBreaching]."
            ),
        ),
        (
            180,
            "ALARM",
            "Threshold Crossed: 1 datapoint [3.0 (14/11/23 22:15:00)] was greater than or equal to the threshold (1.0).",
        ),
    ]
    alarm = bench.alarm()
    assert alarm["StateTransitionedTimestamp"] == alarm["StateUpdatedTimestamp"] == to_datetime(START + 180)
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [3.0]


def test_after_the_metric_stops_the_alarm_goes_on_judging_its_last_datapoint(bench: Any) -> None:
    """Recorded on AWS: 1 x 60 s looked back six minutes, 1 x 900 s three periods."""
    bench.put_alarm("minute", TreatMissingData="notBreaching")
    bench.put_alarm("quarter", TreatMissingData="notBreaching", Period=900)
    bench.record(3, at=10, seen=15)
    bench.schedule.advance(7200)
    assert [(at, state) for at, state, _ in bench.history("minute")] == [(60, "ALARM"), (420, "OK")]
    assert [(at, state) for at, state, _ in bench.history("quarter")] == [(60, "ALARM"), (2760, "OK")]


@pytest.mark.parametrize(("period", "interval"), [(10, 10), (20, 10), (30, 10), (60, 60), (300, 60)])
def test_short_periods_are_evaluated_every_ten_seconds_and_others_every_minute(
    bench: Any, period: int, interval: int
) -> None:
    bench.schedule.advance(7)
    bench.put_alarm(Period=period, TreatMissingData="breaching")
    bench.schedule.advance(interval - 1)
    assert bench.history() == []
    bench.schedule.advance(1)
    assert [at for at, _, _ in bench.history()] == [7 + interval]


def test_m_of_n_tolerates_gaps_between_the_bad_datapoints(bench: Any) -> None:
    bench.put_alarm(EvaluationPeriods=3, DatapointsToAlarm=2, Threshold=1.0)
    for minute, value in enumerate([0, 1, 0, 1, 0, 0]):
        bench.record(value, at=60 * minute, seen=60 * minute + 60)
    bench.schedule.advance(400)
    assert [(at, state) for at, state, _ in bench.history()] == [(60, "OK"), (240, "ALARM"), (300, "OK")]


def test_a_flap_between_two_looks_shows_only_in_the_history(bench: Any) -> None:
    bench.put_alarm(Period=10, TreatMissingData="notBreaching")
    for tick in range(30):
        bench.record(1 if tick == 12 else 0, at=10 * tick, seen=10 * tick + 10)
    looks = []
    for _ in range(3):
        bench.schedule.advance(100)
        looks.append(bench.alarm()["StateValue"])
    assert looks == ["OK", "OK", "OK"]
    assert [(at, state) for at, state, _ in bench.history()] == [(10, "OK"), (130, "ALARM"), (140, "OK")]


def test_a_percentile_alarm_waits_for_enough_samples_if_told_so(bench: Any) -> None:
    for name, low_samples in (("patient", "ignore"), ("hasty", "evaluate")):
        bench.put_alarm(
            name,
            Statistic=None,
            ExtendedStatistic="p90",
            MetricName="Latency",
            EvaluateLowSampleCountPercentile=low_samples,
        )
    for minute, samples in enumerate([99, 100]):
        for _ in range(samples):
            bench.record(5, at=60 * minute, seen=60 * minute, metric="Latency")
    bench.schedule.advance(120)
    assert [at for at, _, _ in bench.history("hasty")] == [60]
    assert [at for at, _, _ in bench.history("patient")] == [120]


def math_alarm(expression: str) -> dict[str, Any]:
    def stat(name: str) -> dict[str, Any]:
        return {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": name}, "Period": 60, "Stat": "Sum"}

    return {
        "AlarmName": "rate",
        "Metrics": [
            {"Id": "e", "MetricStat": stat("Errors"), "ReturnData": False},
            {"Id": "n", "MetricStat": stat("Invocations"), "ReturnData": False},
            {"Id": "rate", "Expression": expression, "Label": "error rate"},
        ],
        "EvaluationPeriods": 1,
        "Threshold": 0.05,
        "ComparisonOperator": "GreaterThanThreshold",
    }


def test_an_error_rate_with_a_traffic_floor_ignores_a_lone_failure(bench: Any) -> None:
    bench.call("PutMetricAlarm", **math_alarm("IF(n >= 10, e / n, 0)"))
    for minute, (errors, requests) in enumerate([(1, 1), (0, 20), (2, 20)]):
        bench.record(errors, at=60 * minute, seen=60 * minute)
        bench.record(requests, at=60 * minute, seen=60 * minute, metric="Invocations")
    bench.schedule.advance(180)
    assert [(at, state) for at, state, _ in bench.history("rate")] == [(60, "OK"), (180, "ALARM")]
    document = json.loads(bench.alarm("rate")["StateReasonData"])
    assert (document["recentDatapoints"], "statistic" in document) == ([0.1], False)


def test_a_math_alarm_is_described_with_its_metrics_and_no_metric_name(bench: Any) -> None:
    alarm = math_alarm("e / n")
    bench.call("PutMetricAlarm", **alarm)
    described = bench.alarm("rate")
    assert described["Metrics"] == alarm["Metrics"]
    assert "MetricName" not in described


def test_set_alarm_state_lasts_until_the_next_evaluation(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="notBreaching")
    bench.schedule.advance(90)
    bench.call("SetAlarmState", AlarmName="errors", StateValue="ALARM", StateReason="drill")
    alarm = bench.alarm()
    assert (alarm["StateValue"], alarm["StateReason"]) == ("ALARM", "drill")
    bench.schedule.advance(30)
    assert [(at, state) for at, state, _ in bench.history()] == [(60, "OK"), (90, "ALARM"), (120, "OK")]


def test_setting_the_same_state_changes_the_reason_and_not_the_transition(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="ignore")
    bench.schedule.advance(30)
    bench.call(
        "SetAlarmState",
        AlarmName="errors",
        StateValue="INSUFFICIENT_DATA",
        StateReason="still",
        StateReasonData='{"by":"me"}',
    )
    alarm = bench.alarm()
    assert (alarm["StateReason"], alarm["StateReasonData"]) == ("still", '{"by":"me"}')
    assert alarm["StateUpdatedTimestamp"] == to_datetime(START + 30)
    assert alarm["StateTransitionedTimestamp"] == to_datetime(START)
    assert bench.history() == []


def test_set_alarm_state_refuses_what_aws_refuses(bench: Any) -> None:
    bench.put_alarm()
    state = {"AlarmName": "errors", "StateReason": "x"}
    assert refusal(bench, "SetAlarmState", **state, StateValue="INVALID").message == (
        "1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: "
        "Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
    )
    assert refusal(bench, "SetAlarmState", **state, StateValue="OK", StateReasonData="{").code == "InvalidFormat"
    missing = refusal(bench, "SetAlarmState", AlarmName="none", StateReason="x", StateValue="OK")
    assert (missing.code, missing.status) == ("ResourceNotFound", 404)


def test_updating_an_alarm_keeps_its_state_and_its_rhythm(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="breaching")
    bench.schedule.advance(100)
    for _ in range(4):
        bench.put_alarm(TreatMissingData="notBreaching")
        assert bench.alarm()["StateValue"] == "ALARM"
        bench.schedule.advance(5)
    bench.schedule.advance(20)
    assert [(at, state) for at, state, _ in bench.history()] == [(60, "ALARM"), (120, "OK")]


def test_a_deleted_alarm_is_evaluated_no_more_and_its_history_stays(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="breaching")
    bench.schedule.advance(60)
    bench.call("DeleteAlarms", AlarmNames=["errors", "unknown"])
    assert bench.call("DescribeAlarms")["MetricAlarms"] == []
    bench.schedule.advance(3600)
    assert [state for _, state, _ in bench.history()] == ["ALARM"]
    items = bench.call("DescribeAlarmHistory", AlarmName="errors")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == [
        'Alarm "errors" deleted',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        'Alarm "errors" created',
    ]
    assert not bench.schedule._due


def test_history_documents_are_written_as_on_aws(bench: Any) -> None:
    bench.put_alarm(TreatMissingData="breaching", OKActions=["arn:aws:sns:us-east-1:1:t"])
    bench.schedule.advance(60)
    state, created = bench.call("DescribeAlarmHistory")["AlarmHistoryItems"]
    assert (state["AlarmType"], state["HistoryItemType"]) == ("MetricAlarm", "StateUpdate")
    document = json.loads(state["HistoryData"])
    assert document["version"] == "1.0"
    assert document["oldState"] == {
        "stateValue": "INSUFFICIENT_DATA",
        "stateReason": "Unchecked: Initial alarm creation",
    }
    assert document["newState"]["stateReasonData"]["evaluatedDatapoints"] == [
        {"timestamp": "2023-11-14T22:14:00.000+0000"}
    ]
    configuration = json.loads(created["HistoryData"])
    assert configuration["type"] == "Create"
    assert configuration["createdAlarm"]["alarmName"] == "errors"
    assert configuration["createdAlarm"]["okactions"] == ["arn:aws:sns:us-east-1:1:t"]
    assert configuration["createdAlarm"]["stateUpdatedTimestamp"] == "2023-11-14T22:14:00.000+0000"


def test_history_is_filtered_by_type_and_date_and_paged(bench: Any) -> None:
    bench.put_alarm()
    for minute in range(1, 5):
        bench.schedule.advance(1)
        state = "ALARM" if minute % 2 else "OK"
        bench.call("SetAlarmState", AlarmName="errors", StateValue=state, StateReason=str(minute))
    first = bench.call("DescribeAlarmHistory", MaxRecords=3)
    second = bench.call("DescribeAlarmHistory", MaxRecords=3, NextToken=first["NextToken"])
    seconds = [item["Timestamp"].timestamp() - START for page in (first, second) for item in page["AlarmHistoryItems"]]
    assert seconds == [4, 3, 2, 1, 0]
    assert "NextToken" not in second
    window = bench.call(
        "DescribeAlarmHistory",
        StartDate=to_datetime(START + 1),
        EndDate=to_datetime(START + 2),
        HistoryItemType="StateUpdate",
    )
    assert [item["Timestamp"].timestamp() - START for item in window["AlarmHistoryItems"]] == [2, 1]
    assert "less than or equal to 100" in refusal(bench, "DescribeAlarmHistory", MaxRecords=101).message


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"Statistic": "Mean"}, "ValidationError", "Value 'Mean' at 'statistic'"),
        ({"Statistic": None}, "ValidationError", "Exactly one of Statistic and ExtendedStatistic"),
        ({"ExtendedStatistic": "p99"}, "ValidationError", "Exactly one of Statistic and ExtendedStatistic"),
        (
            {"Statistic": None, "ExtendedStatistic": "q99"},
            "InvalidParameterValue",
            "The value q99 for parameter Extended",
        ),
        ({"Period": 15}, "ValidationError", "Period must be 10, 20, 30 or a multiple of 60"),
        ({"Period": None}, "ValidationError", "The parameter Period is required"),
        ({"Namespace": None}, "ValidationError", "The parameter Namespace is required"),
        ({"MetricName": None}, "ValidationError", "Exactly one of MetricName and Metrics"),
        ({"Threshold": None}, "ValidationError", "The parameter Threshold is required"),
        ({"ComparisonOperator": "Above"}, "ValidationError", "Value 'Above' at 'comparisonOperator'"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "ValidationError", "not supported by the sandbox"),
        ({"ThresholdMetricId": "t"}, "ValidationError", "ThresholdMetricId is not supported by the sandbox"),
        ({"TreatMissingData": "good"}, "InvalidParameterValue", "The value good for parameter TreatMissingData"),
        ({"EvaluateLowSampleCountPercentile": "no"}, "InvalidParameterValue", "Option no is not supported"),
        ({"EvaluationPeriods": 0}, "ValidationError", "at least 1"),
        ({"DatapointsToAlarm": 2}, "ValidationError", "DatapointsToAlarm must be less than or equal to"),
        (
            {"EvaluationPeriods": 1441},
            "ValidationError",
            "across more than a day (EvaluationPeriods * Period must be <= 86400)",
        ),
        ({"Period": 3600, "EvaluationPeriods": 169}, "ValidationError", "more than seven days"),
        (
            {"Metrics": math_alarm("e")["Metrics"]},
            "ValidationError",
            "The parameters Metrics and Namespace are mutually",
        ),
    ],
)
def test_a_wrong_metric_alarm_is_refused(bench: Any, changes: dict[str, Any], code: str, message: str) -> None:
    alarm = {
        "AlarmName": "errors",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    } | changes
    with pytest.raises(AwsError) as refused:
        bench.cloudwatch.put_metric_alarm({key: content for key, content in alarm.items() if content is not None})
    assert refused.value.code == code
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("e / x", "Error in expression 'rate': Undefined metric or expression id 'x'"),
        ("AVG(e)", "The result is a scalar"),
        ("METRICS()", "a single time series, not an array"),
        ("[e, 1]", "Error in expression 'rate': an array holds time series"),
        ("ANOMALY_DETECTION_BAND(e)", "ANOMALY_DETECTION_BAND is not supported by the sandbox"),
    ],
)
def test_a_wrong_expression_is_refused_when_the_alarm_is_put(bench: Any, expression: str, message: str) -> None:
    assert message in refusal(bench, "PutMetricAlarm", **math_alarm(expression)).message


def test_exactly_one_query_of_an_alarm_returns_data(bench: Any) -> None:
    alarm = math_alarm("e / n")
    alarm["Metrics"][0]["ReturnData"] = True
    assert "Exactly one element of the metrics list" in refusal(bench, "PutMetricAlarm", **alarm).message


def test_describe_filters_by_name_prefix_state_and_action(bench: Any) -> None:
    bench.put_alarm("a1", TreatMissingData="breaching", AlarmActions=["arn:aws:sns:us-east-1:1:page"])
    bench.put_alarm("a2", TreatMissingData="notBreaching")
    bench.put_alarm("b1")
    bench.schedule.advance(60)

    def names(**params: Any) -> list[str]:
        return [alarm["AlarmName"] for alarm in bench.call("DescribeAlarms", **params)["MetricAlarms"]]

    assert names() == ["a1", "a2", "b1"]
    assert names(AlarmNames=["b1", "a1", "none"]) == ["a1", "b1"]
    assert names(AlarmNamePrefix="a") == ["a1", "a2"]
    assert names(StateValue="ALARM") == ["a1"]
    assert names(ActionPrefix="arn:aws:sns") == ["a1"]
    assert "together" in refusal(bench, "DescribeAlarms", AlarmNames=["a"], AlarmNamePrefix="a").message
    assert "100" in refusal(bench, "DescribeAlarms", AlarmNames=[f"a{n}" for n in range(101)]).message


def test_describe_pages_over_metric_then_composite_alarms(bench: Any) -> None:
    bench.put_alarm("m1")
    bench.put_alarm("m2")
    bench.call("PutCompositeAlarm", AlarmName="a", AlarmRule="ALARM(m1)")
    params = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 2}
    first = bench.call("DescribeAlarms", **params)
    second = bench.call("DescribeAlarms", **params, NextToken=first["NextToken"])
    assert [alarm["AlarmName"] for alarm in first["MetricAlarms"]] == ["m1", "m2"]
    assert [alarm["AlarmName"] for alarm in second["CompositeAlarms"]] == ["a"]
    assert "NextToken" not in second


def test_alarms_for_a_metric_are_those_on_just_it(bench: Any) -> None:
    green = [{"Name": "VariantName", "Value": "green"}]
    bench.put_alarm("plain")
    bench.put_alarm("green", Dimensions=green)
    bench.call("PutMetricAlarm", **math_alarm("e / n"))

    def names(**params: Any) -> list[str]:
        answer = bench.call("DescribeAlarmsForMetric", Namespace="AWS/SageMaker", MetricName="Errors", **params)
        return [alarm["AlarmName"] for alarm in answer["MetricAlarms"]]

    assert names() == ["plain"]
    assert names(Dimensions=green, Statistic="Sum", Period=60) == ["green"]
    assert names(Statistic="Average") == []


def test_actions_are_disabled_and_enabled_and_unknown_names_passed_over(bench: Any) -> None:
    bench.put_alarm()
    bench.call("DisableAlarmActions", AlarmNames=["errors", "none"])
    assert bench.alarm()["ActionsEnabled"] is False
    bench.call("EnableAlarmActions", AlarmNames=["errors"])
    assert bench.alarm()["ActionsEnabled"] is True


def test_tags_are_kept_changed_and_gone_with_the_alarm(bench: Any) -> None:
    bench.put_alarm(Tags=[{"Key": "team", "Value": "ml"}])
    arn = bench.alarm()["AlarmArn"]
    bench.call("TagResource", ResourceARN=arn, Tags=[{"Key": "stage", "Value": "prod"}])
    bench.put_alarm(Tags=[{"Key": "ignored", "Value": "on update"}])
    bench.call("UntagResource", ResourceARN=arn, TagKeys=["team"])
    assert bench.call("ListTagsForResource", ResourceARN=arn)["Tags"] == [{"Key": "stage", "Value": "prod"}]
    bench.call("DeleteAlarms", AlarmNames=["errors"])
    assert bench.call("ListTagsForResource", ResourceARN=arn)["Tags"] == []
    assert refusal(bench, "TagResource", ResourceARN=arn, Tags=[]).code == "ResourceNotFoundException"


steps = st.lists(st.integers(1, 900), min_size=1, max_size=12)
traffic = st.lists(st.tuples(st.integers(0, 1800), st.integers(0, 90), st.integers(0, 3)), max_size=80)


@settings(max_examples=60, deadline=None)
@given(traffic, steps)
def test_a_clock_that_jumps_makes_the_same_history_as_one_that_is_lived_through(
    new_bench: Any, points: list[tuple[int, int, int]], strides: list[int]
) -> None:
    def live(strides: list[int], jump: bool) -> list[Any]:
        bench = new_bench()
        bench.put_alarm("short", Period=10, EvaluationPeriods=3, DatapointsToAlarm=2)
        bench.put_alarm("long", Threshold=2.0, TreatMissingData="notBreaching")
        bench.call("PutMetricAlarm", **math_alarm("IF(n > 2, e / n, 0)"))
        bench.call("PutCompositeAlarm", AlarmName="any", AlarmRule="ALARM(short) OR ALARM(long) AND NOT ALARM(rate)")
        for at, delay, value in points:
            bench.record(value, at=at, seen=at + delay)
            bench.record(1, at=at, seen=at + delay, metric="Invocations")
        for stride in strides:
            if jump:
                clock = bench.schedule.clock
                assert isinstance(clock, ManualClock)
                clock.set(clock.now() + stride)
                bench.schedule.run_due()
            else:
                bench.schedule.advance(stride)
        params = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        history = bench.call("DescribeAlarmHistory", **params)["AlarmHistoryItems"]
        return [history, bench.call("DescribeAlarms", **params)]

    total = sum(strides)
    lived = live([1] * total, jump=False) if total < 400 else live([7] * (total // 7) + [1] * (total % 7), jump=False)
    assert live(strides, jump=True) == lived
    assert live([total], jump=True) == lived
