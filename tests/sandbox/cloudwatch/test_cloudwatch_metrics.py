from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.sandbox.cloudwatch.statistics import parse_statistic
from airflow_sm_rollout.sandbox.cloudwatch.store import RAW_SECONDS, Entry, MetricStore, Points, make_key
from airflow_sm_rollout.sandbox.cloudwatch.timestamps import to_datetime
from airflow_sm_rollout.sandbox.errors import AwsError

START = 1_700_000_040


def metric(name: str, stat: str = "Sum", **changes: Any) -> dict[str, Any]:
    return {
        "Id": name.lower(),
        "MetricStat": {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": name}, "Period": 60, "Stat": stat},
    } | changes


def test_a_point_is_read_from_its_time_of_visibility_on(bench: Any) -> None:
    bench.record(3, at=0, seen=60)
    bench.record(4, at=30, seen=90)
    assert bench.values() == {}
    bench.schedule.advance(60)
    assert bench.values() == {0: 3}
    bench.schedule.advance(30)
    assert bench.values() == {0: 7}


def test_points_fall_into_periods_counted_from_the_start(bench: Any) -> None:
    for second in (0, 59, 60, 119.9, 120):
        bench.record(1, at=second)
    assert bench.values() == {0: 2, 60: 2, 120: 1}
    assert bench.values(period=10) == {0: 1, 50: 1, 60: 1, 110: 1, 120: 1}


def test_start_is_rounded_down_to_the_minute_and_to_the_period_below_one(bench: Any) -> None:
    bench.record(1, at=0)
    bench.record(1, at=20)
    bench.record(1, at=30)

    def read(period: int, first: float, last: float) -> list[float]:
        query = metric("Errors")
        query["MetricStat"]["Period"] = period
        answer = bench.call(
            "GetMetricData",
            MetricDataQueries=[query],
            StartTime=to_datetime(START + first),
            EndTime=to_datetime(START + last),
        )
        return [at.timestamp() - START for at in answer["MetricDataResults"][0]["Timestamps"]]

    assert read(60, 45, 70) == [0]
    assert read(10, 25, 33) == [20]


def test_results_come_newest_first_unless_asked_otherwise(bench: Any) -> None:
    bench.record(1, at=0)
    bench.record(2, at=60)
    assert bench.data([metric("Errors")])[0]["Values"] == [2, 1]
    assert bench.data([metric("Errors")], ScanBy="TimestampAscending")[0]["Values"] == [1, 2]


def test_an_answer_has_label_status_and_aware_timestamps(bench: Any) -> None:
    bench.record(1)
    (result,) = bench.data([metric("Errors")])
    assert result == {
        "Id": "errors",
        "Label": "Errors",
        "StatusCode": "Complete",
        "Timestamps": [datetime(2023, 11, 14, 22, 14, tzinfo=timezone.utc)],
        "Values": [1.0],
    }


def test_labels_tell_statistic_and_period_only_where_these_differ(bench: Any) -> None:
    queries = [metric("Errors", Id="a"), metric("Errors", "Minimum", Id="b")]
    assert [result["Label"] for result in bench.data(queries)] == ["Errors Sum", "Errors Minimum"]
    queries[1]["MetricStat"]["Period"] = 30
    assert [result["Label"] for result in bench.data(queries)] == ["Errors Sum 60", "Errors Minimum 30"]
    assert bench.data([metric("Errors", Label="mine")])[0]["Label"] == "mine"


def test_a_metric_without_points_is_complete_and_empty(bench: Any) -> None:
    (result,) = bench.data([metric("Nothing")])
    assert (result["Values"], result["StatusCode"]) == ([], "Complete")


def test_several_units_are_reported_and_the_first_by_name_is_read(bench: Any) -> None:
    for unit, value in (("Seconds", 1.0), ("Milliseconds", 60000.0)):
        bench.call("PutMetricData", Namespace="mine", MetricData=[{"MetricName": "t", "Value": value, "Unit": unit}])
    query = metric("t")
    query["MetricStat"]["Metric"]["Namespace"] = "mine"
    (result,) = bench.data([query])
    assert result["Values"] == [60000.0]
    assert result["Messages"] == [
        {"Code": "MultipleUnits", "Value": "Multiple units returned: '[Milliseconds, Seconds]'"}
    ]
    query["MetricStat"]["Unit"] = "Seconds"
    assert bench.data([query])[0]["Values"] == [1.0]


def test_long_answers_are_paged_with_partial_data(bench: Any) -> None:
    for minute in range(5):
        bench.record(minute, at=60 * minute)
        bench.record(10 * minute, at=60 * minute, metric="Other")
    params: dict[str, Any] = {}
    pages = []
    while True:
        answer = bench.call(
            "GetMetricData",
            MetricDataQueries=[metric("Errors"), metric("Other")],
            StartTime=to_datetime(START),
            EndTime=to_datetime(START + 600),
            MaxDatapoints=4,
            **params,
        )
        pages.append([(r["Id"], r["Values"], r["StatusCode"]) for r in answer["MetricDataResults"]])
        if "NextToken" not in answer:
            break
        params["NextToken"] = answer["NextToken"]
    assert pages == [
        [("errors", [4, 3, 2, 1], "PartialData")],
        [("errors", [0], "Complete"), ("other", [40, 30, 20], "PartialData")],
        [("other", [10, 0], "Complete")],
    ]


def test_a_page_that_ends_with_the_last_point_has_no_token(bench: Any) -> None:
    bench.record(1)
    answer = bench.call(
        "GetMetricData",
        MetricDataQueries=[metric("Errors")],
        StartTime=to_datetime(START),
        EndTime=to_datetime(START + 600),
        MaxDatapoints=1,
    )
    assert "NextToken" not in answer


def test_math_hides_what_returns_no_data_and_keeps_the_rest(bench: Any) -> None:
    bench.record(1)
    bench.record(4, metric="Requests")
    queries = [
        metric("Errors", Id="e", ReturnData=False),
        metric("Requests", Id="n", ReturnData=False),
        {"Id": "rate", "Expression": "percent / 100"},
        {"Id": "percent", "Expression": "100 * e / n", "Label": "failed"},
    ]
    results = bench.data(queries)
    assert [(r["Id"], r["Label"], r["Values"]) for r in results] == [
        ("rate", "rate", [0.25]),
        ("percent", "failed", [25]),
    ]


def test_an_array_is_returned_as_several_results(bench: Any) -> None:
    bench.record(1)
    bench.record(4, metric="Requests")
    queries = [metric("Errors"), metric("Requests"), {"Id": "all", "Expression": "METRICS() * 2", "Label": "twice"}]
    results = [(r["Label"], r["Values"]) for r in bench.data(queries) if r["Id"] == "all"]
    assert results == [("twice Errors", [2]), ("twice Requests", [8])]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([metric("Errors", "p999")], "The value p999 for parameter MetricDataQueries.member.1.MetricStat.Stat"),
        ([metric("A", Id="X")], "The value 'X' for parameter MetricDataQueries.member.1.Id"),
        ([metric("A", Id="a"), metric("B", Id="a")], "'a' is used more than once"),
        ([{"Id": "e", "Expression": "m1 + 1"}], "Error in expression 'e': Undefined metric or expression id 'm1'"),
        ([{"Id": "e", "Expression": "e + 1"}], "Error in expression 'e': it refers to itself"),
        ([metric("A"), {"Id": "e", "Expression": "a +"}], "Error in expression 'e': unexpected end"),
        ([metric("A"), {"Id": "e", "Expression": "SUM(a)"}], "Error in expression 'e': The result is a scalar"),
        ([{"Id": "e", "Expression": "SEARCH('x', 'Sum')"}], "SEARCH is not supported"),
        ([{"Id": "e", "Expression": "SELECT MAX(x) FROM y GROUP BY z", "Period": 60}], "the sandbox reads SELECT"),
        ([metric("A", Id=f"a{n}") for n in range(501)], "must not have a size greater than 500"),
        ([{"Id": "e"}], "Exactly one of"),
    ],
)
def test_wrong_queries_are_validation_errors_that_name_them(bench: Any, queries: list[Any], message: str) -> None:
    with pytest.raises(AwsError) as refused:
        bench.data(queries)
    assert refused.value.code == "ValidationError"
    assert message in refused.value.message


def statistics(bench: Any, **params: Any) -> dict[str, Any]:
    defaults = {
        "Namespace": "mine",
        "MetricName": "t",
        "StartTime": to_datetime(START),
        "EndTime": to_datetime(START + 3600),
        "Period": 60,
    }
    answer: dict[str, Any] = bench.call("GetMetricStatistics", **(defaults | params))
    return answer


def test_statistics_give_all_that_is_asked_per_unit(bench: Any) -> None:
    data = [{"MetricName": "t", "Value": value, "Unit": "Seconds"} for value in (1.0, 3.0)]
    bench.call("PutMetricData", Namespace="mine", MetricData=data)
    answer = statistics(bench, Statistics=["Sum", "Maximum"])
    at = datetime(2023, 11, 14, 22, 14, tzinfo=timezone.utc)
    assert answer == {"Label": "t", "Datapoints": [{"Timestamp": at, "Unit": "Seconds", "Sum": 4.0, "Maximum": 3.0}]}
    (datapoint,) = statistics(bench, ExtendedStatistics=["p50", "TC(1:3)"])["Datapoints"]
    assert datapoint["ExtendedStatistics"] == {"p50": 2.0, "TC(1:3)": 1.0}


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (
            {"Statistics": ["Sum"], "Period": 1, "EndTime": to_datetime(START + 86400)},
            "InvalidParameterCombination",
            (
                "You have requested up to 86400 datapoints, which exceeds the limit of 1440. You may reduce the datapoints "
                "requested by increasing Period, or decreasing the time range."
            ),
        ),
        (
            {"Statistics": ["Sum"], "EndTime": to_datetime(START)},
            "InvalidParameterValue",
            "The parameter StartTime must be less than the parameter EndTime.",
        ),
        (
            {"Statistics": ["Sum"], "StartTime": to_datetime(START + 0.02), "EndTime": to_datetime(START + 0.98)},
            "InvalidParameterValue",
            "The parameter StartTime must be less than the parameter EndTime.",
        ),
        ({}, "InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics"),
        ({"Statistics": ["Sum"], "Period": 61}, "InvalidParameterValue", "The value 61 for parameter Period"),
        ({"ExtendedStatistics": ["q9"]}, "InvalidParameterValue", "The value q9 for parameter ExtendedStatistics"),
    ],
)
def test_statistics_refuse_what_aws_refuses(bench: Any, params: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(AwsError) as refused:
        statistics(bench, **params)
    assert refused.value.code == code
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    ("datum", "code", "message"),
    [
        (
            {"Value": 1.0, "Values": [1.0]},
            "InvalidParameterCombination",
            (
                "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you have "
                "specified both."
            ),
        ),
        (
            {"Values": [1.0], "Counts": [1.0, 2.0]},
            "InvalidParameterValue",
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.",
        ),
        ({}, "MissingParameter", "The parameter MetricData.member.1.Value is required."),
        ({"Value": float("nan")}, "InvalidParameterValue", "The value for parameter MetricData.member.1.Value"),
        ({"Value": 2.0**361}, "InvalidParameterValue", "The value for parameter MetricData.member.1.Value"),
        ({"Value": 1.0, "Unit": "Miles"}, "InvalidParameterValue", "The parameter MetricData.member.1.Unit"),
        ({"Value": 1.0, "StorageResolution": 5}, "InvalidParameterValue", "The value 5 for parameter"),
        (
            {"Value": 1.0, "Timestamp": to_datetime(START + 7300)},
            "InvalidParameterValue",
            "The parameter MetricData.member.1.T",
        ),
        (
            {"Value": 1.0, "Timestamp": to_datetime(START - 15 * 86400)},
            "InvalidParameterValue",
            "The parameter MetricData",
        ),
    ],
)
def test_a_wrong_datum_is_refused_and_nothing_is_stored(
    bench: Any, datum: dict[str, Any], code: str, message: str
) -> None:
    data = [{"MetricName": "t", **datum}, {"MetricName": "t", "Value": 1.0}]
    with pytest.raises(AwsError) as refused:
        bench.cloudwatch.put_metric_data({"Namespace": "mine", "MetricData": data})
    assert refused.value.code == code
    assert refused.value.message.startswith(message)
    assert bench.call("ListMetrics")["Metrics"] == []


def test_values_with_counts_and_statistic_sets_are_taken(bench: Any) -> None:
    data = [
        {"MetricName": "t", "Values": [1.0, 5.0], "Counts": [3.0, 1.0]},
        {"MetricName": "s", "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5}},
    ]
    bench.call("PutMetricData", Namespace="mine", MetricData=data)
    (datapoint,) = statistics(bench, ExtendedStatistics=["p50"])["Datapoints"]
    assert datapoint["ExtendedStatistics"] == {"p50": 1.0}
    (datapoint,) = statistics(bench, MetricName="s", Statistics=["SampleCount", "Average"])["Datapoints"]
    assert (datapoint["SampleCount"], datapoint["Average"]) == (4, 2.5)
    assert statistics(bench, MetricName="s", ExtendedStatistics=["p50"])["Datapoints"] == []


def test_standard_resolution_stores_whole_minutes_and_high_resolution_seconds(bench: Any) -> None:
    bench.schedule.advance(25)
    for resolution in (60, 1):
        datum = {"MetricName": f"r{resolution}", "Value": 1.0, "StorageResolution": resolution}
        bench.call("PutMetricData", Namespace="mine", MetricData=[datum])
    found = [
        statistics(bench, MetricName=f"r{resolution}", Period=1, Statistics=["Sum"], EndTime=to_datetime(START + 60))
        for resolution in (60, 1)
    ]
    assert [answer["Datapoints"][0]["Timestamp"].second for answer in found] == [0, 25]


def test_aws_namespaces_cannot_be_written(bench: Any) -> None:
    with pytest.raises(AwsError, match="AWS/SageMaker"):
        bench.call("PutMetricData", Namespace="AWS/SageMaker", MetricData=[{"MetricName": "t", "Value": 1.0}])


def test_metrics_are_listed_by_name_and_dimension_once_they_are_visible(bench: Any) -> None:
    bench.record(1, VariantName="green", EndpointName="e")
    bench.record(1, VariantName="blue", EndpointName="e")
    bench.record(1, seen=60, metric="Later")

    def listed(**params: Any) -> list[tuple[str, list[str]]]:
        metrics = bench.call("ListMetrics", **params)["Metrics"]
        return [(m["MetricName"], [d["Value"] for d in m["Dimensions"]]) for m in metrics]

    assert listed() == [("Errors", ["e", "green"]), ("Errors", ["e", "blue"])]
    assert listed(Dimensions=[{"Name": "VariantName", "Value": "blue"}]) == [("Errors", ["e", "blue"])]
    assert len(listed(Dimensions=[{"Name": "VariantName"}])) == 2
    assert listed(Namespace="other") == []
    bench.schedule.advance(60)
    assert listed(MetricName="Later") == [("Later", [])]
    bench.schedule.advance(4 * 3600)
    assert listed(RecentlyActive="PT3H") == []


def test_metrics_are_listed_five_hundred_a_page(bench: Any) -> None:
    for number in range(501):
        bench.record(1, VariantName=str(number))
    first = bench.call("ListMetrics")
    second = bench.call("ListMetrics", NextToken=first["NextToken"])
    assert (len(first["Metrics"]), len(second["Metrics"]), "NextToken" in second) == (500, 1, False)
    with pytest.raises(AwsError, match="InvalidNextToken"):
        bench.call("ListMetrics", NextToken="made up")


def test_the_order_of_dimensions_does_not_matter(bench: Any) -> None:
    bench.cloudwatch.record("mine", "t", {"a": "1", "b": "2"}, 1, "None", START, START)
    dimensions = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]
    assert len(statistics(bench, Dimensions=dimensions, Statistics=["Sum"])["Datapoints"]) == 1
    assert statistics(bench, Dimensions=dimensions[:1], Statistics=["Sum"])["Datapoints"] == []


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 400), st.integers(0, 3)), max_size=40), st.integers(0, 500)
)
def test_whatever_order_points_arrive_in_each_period_has_its_visible_ones(
    arrivals: list[tuple[int, int, int]], now: int
) -> None:
    points = Points()
    for at, seen, value in arrivals:
        points.add(Entry(float(at), float(seen), 1.0, float(value), float(value), float(value)))
    expected: dict[int, float] = {}
    for at, seen, value in arrivals:
        if seen <= now:
            expected[at // 60 * 60] = expected.get(at // 60 * 60, 0.0) + value
    total = parse_statistic("Sum")
    assert points.values(total, (0, 360, 60), now) == expected
    back = {at: total.compute(samples) for at, samples in points.periods_back(0, 360, 60, now)}
    assert back == expected
    assert list(back) == sorted(back, reverse=True)


def test_old_points_are_folded_to_one_for_each_value_of_a_minute() -> None:
    points = Points()
    for second in range(3 * RAW_SECONDS):
        points.add(Entry(float(second), float(second), 1.0, second % 7, second % 7, second % 7))
    assert len(points.columns[0]) < RAW_SECONDS + 2 * 60 * 7 + 1200
    raw = sorted(second % 7 for second in range(60))
    for name, expected in (("SampleCount", 60), ("Sum", sum(raw)), ("Maximum", 6), ("p50", 3), ("TC(4:)", 16)):
        assert points.values(parse_statistic(name), (0, 60, 60), 1e12) == {0: expected}


def test_points_of_one_second_and_value_become_one_when_all_of_them_can_be_read_and_nothing_is_lost() -> None:
    points, statistics = Points(), {}
    for call in range(50 * 600):
        at, value = float(call // 50), 1.0 + (call % 3) / 1000
        points.add(Entry(at, at + 60 + call % 7, 1.0, value, value, value))
        if call == 50 * 60:  # nothing is folded yet
            statistics = {
                name: points.values(parse_statistic(name), (0, 10, 10), 1e12) for name in ("Sum", "p99", "Maximum")
            }
    assert len(points.columns[0]) < 50 * 300 + 300 * 3
    for name, expected in statistics.items():
        assert points.values(parse_statistic(name), (0, 10, 10), 1e12) == pytest.approx(expected, rel=1e-12)
    assert sum(points.columns[2]) == 50 * 600


def test_folded_values_have_three_digits_and_their_exact_sum() -> None:
    points = Points()
    for value in (123_400.0, 123_499.0, 250_000.0):
        points.add(Entry(5.0, 65.0, 1.0, value, value, value))
    points.add(Entry(30.0, 65.0, 4.0, 40.0, 1.0, 20.0))
    points.add(Entry(59.0, 65.0, 2.0, 3.0, 0.5, 2.5))
    points.add(Entry(2.0 * RAW_SECONDS, 0.0, 1.0, 1.0, 1.0, 1.0))
    folded = [
        Entry(0.0, 65.0, 2.0, 246_899.0, 123_000.0, 123_000.0),
        Entry(0.0, 65.0, 1.0, 250_000.0, 250_000.0, 250_000.0),
        Entry(0.0, 65.0, 6.0, 43.0, 0.5, 20.0),
    ]
    assert [Entry(*row) for row in zip(*points.columns, strict=True)][:-1] == folded
    points.add(Entry(16.0 * 86_400, 0.0, 1.0, 1.0, 1.0, 1.0))
    assert list(points.columns[0]) == [16.0 * 86_400]


def test_a_busy_counter_takes_one_entry_a_second(bench: Any) -> None:
    for call in range(100):
        bench.record(1, at=call / 100, seen=60)
    series = bench.cloudwatch._store.find(make_key("AWS/SageMaker", "Errors", {}))
    assert series is not None
    assert len(series.units["None"].columns[0]) == 1
    assert bench.cloudwatch._store.find(make_key("AWS/SageMaker", "Errors", {"a": "b"})) is None


def test_many_threads_lose_no_point() -> None:
    store, key = MetricStore(), make_key("n", "m", {})

    def feed() -> None:
        for second in range(500):
            store.add(key, "None", Entry(float(second), 0.0, 1.0, 1.0, 1.0, 1.0))

    threads = [threading.Thread(target=feed) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series = store.find(key)
    assert series is not None
    assert series.units["None"].values(parse_statistic("Sum"), (0, 600, 600), 1.0) == {0: 4000.0}
