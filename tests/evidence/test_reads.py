"""What is read of CloudWatch: final figures only, and what is missing is not zero."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.evidence import read_periods, read_thresholds
from airflow_sm_rollout.aws.limits import read_kpi, read_slow
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.plan.limits import Kpi, Metric
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.sources import Sources
from evidence.published import BLUE, GREEN, Published, at_minute, minutes, publish

MINUTE = timedelta(minutes=1)
THRESHOLDS = Thresholds(p50=100_000, p95=200_000, p99=300_000)


@pytest.fixture
def published() -> Iterator[Published]:
    with at_minute() as published:
        yield published


def sources(published: Published, seconds: int = 60, thresholds: Thresholds | None = THRESHOLDS) -> Sources:
    return Sources(BLUE, GREEN, thresholds, published.now(), seconds)


def test_requests_errors_and_slow_calls_are_counted_for_each_variant_and_period(published: Published) -> None:
    asked = sources(published)
    first, second = minutes(asked.since, 2)
    latencies = [50, 100, 150, 200, 250, 300, 350, 601]
    publish(published.sandbox, BLUE, first, requests=8, e5=1, e4=2, milliseconds=latencies)
    publish(published.sandbox, GREEN, first, requests=2, milliseconds=[301, 300])
    publish(published.sandbox, BLUE, second, requests=1, milliseconds=[10])
    publish(published.sandbox, GREEN, second)
    published.pass_time(minutes=3)
    assert read_periods(published.cloudwatch, asked, published.now()) == [
        Period(first, 60, Sample(8, 1, 2, 6, 4, 2, 1), Sample(2, 0, 0, 2, 2, 1, 0)),
        Period(second, 60, Sample(1, 0, 0, 0, 0, 0, 0), Sample(0, 0, 0, 0, 0, 0, 0)),
    ]


@pytest.mark.parametrize("seconds", [10, 60])
def test_a_period_is_read_only_when_it_is_as_old_as_it_is_long(published: Published, seconds: int) -> None:
    asked = sources(published, seconds)
    publish(published.sandbox, BLUE, asked.since, requests=3)
    # Half of the period becomes readable late, as on AWS.
    late = asked.since + timedelta(seconds=2 * seconds - 1)
    publish(published.sandbox, BLUE, asked.since, requests=5, visible_at=late)
    published.pass_time(seconds=2 * seconds - 2)
    assert read_periods(published.cloudwatch, asked, published.now()) == []
    published.pass_time(seconds=2)
    [period] = read_periods(published.cloudwatch, asked, published.now())
    assert period.blue is not None
    assert period.blue.requests == 8


def test_no_figures_and_half_of_them_are_none_and_not_zero(published: Published) -> None:
    asked = sources(published)
    publish(published.sandbox, BLUE, asked.since, requests=4, e5=None)
    published.pass_time(minutes=2)
    assert read_periods(published.cloudwatch, asked, published.now()) == [Period(asked.since, 60, None, None)]


def test_without_thresholds_nothing_is_known_about_latency(published: Published) -> None:
    asked = sources(published, thresholds=None)
    publish(published.sandbox, BLUE, asked.since, requests=4, milliseconds=[900] * 4)
    published.pass_time(minutes=2)
    [period] = read_periods(published.cloudwatch, asked, published.now())
    assert period.blue == Sample(4, 0, 0, None, None, None, None)


def test_blues_thresholds_are_the_medians_of_its_last_hours_minutes(published: Published) -> None:
    for minute, slowest in zip(minutes(published.now(), 3), (200, 400, 9000), strict=True):
        publish(published.sandbox, BLUE, minute, requests=3, milliseconds=[100, 100, slowest])
    published.pass_time(minutes=4)
    since = published.now() - timedelta(hours=1)
    found = read_thresholds(published.cloudwatch, BLUE, since, published.now())
    assert found == Thresholds(p50=100_000, p95=370_000, p99=394_000)
    assert read_thresholds(published.cloudwatch, GREEN, since, published.now()) is None


def test_calls_above_the_p99_limit_are_counted_in_the_periods_that_are_asked_for(published: Published) -> None:
    asked = sources(published)
    before, within, after = minutes(asked.since, 3)
    publish(published.sandbox, GREEN, before, requests=2, e5=2, milliseconds=[500, 500])
    publish(published.sandbox, GREEN, within, requests=3, e4=1, milliseconds=[500, 250, 251])
    publish(published.sandbox, GREEN, after)
    published.pass_time(minutes=4)
    periods = read_periods(published.cloudwatch, asked, published.now())
    assert read_slow(published.cloudwatch, asked, periods[1:], 250) == {within: 2}


def test_fast_calls_are_known_to_be_fast_also_if_cloudwatch_has_no_count_of_those_above_a_limit(
    published: Published,
) -> None:
    """AWS does not say whether a trimmed count of nothing is 0 or no figure."""

    def keep_what_is_counted(parsed: Any, **_: Any) -> None:
        for result in parsed["MetricDataResults"]:
            if result["Id"] not in {"bn", "be5", "be4", "gn", "ge5", "ge4"}:
                there = [pair for pair in zip(result["Timestamps"], result["Values"], strict=True) if pair[1]]
                result["Timestamps"], result["Values"] = [at for at, _ in there], [value for _, value in there]

    asked = sources(published)
    for minute in minutes(asked.since, 4):
        publish(published.sandbox, BLUE, minute, requests=2, milliseconds=[150, 50])
        publish(published.sandbox, GREEN, minute, requests=1, milliseconds=[50])
    published.pass_time(minutes=5)
    published.cloudwatch.meta.events.register("after-call.cloudwatch.GetMetricData", keep_what_is_counted)
    periods = read_periods(published.cloudwatch, asked, published.now())
    assert [period.green for period in periods] == [Sample(1, 0, 0, 0, 0, 0, 0)] * 4
    assert [period.blue for period in periods] == [Sample(2, 0, 0, 1, 0, 0, 0)] * 4
    slow = read_slow(published.cloudwatch, asked, periods, 250)
    assert slow == {period.start: 0 for period in periods}


def test_a_period_whose_latencies_are_missing_has_no_count_of_slow_calls(published: Published) -> None:
    asked = sources(published)
    for number, minute in enumerate(minutes(asked.since, 8)):
        publish(published.sandbox, GREEN, minute, requests=2, milliseconds=[] if number in {2, 5} else [500, 250])
    published.pass_time(minutes=9)
    periods = read_periods(published.cloudwatch, asked, published.now())
    slow = read_slow(published.cloudwatch, asked, periods, 250)
    assert [slow.get(period.start) for period in periods] == [1, 1, None, 1, 1, None, 1, 1]


def test_only_what_came_after_a_period_is_read_where_that_is_asked_for(published: Published) -> None:
    asked = sources(published)
    for minute in minutes(asked.since, 5):
        publish(published.sandbox, BLUE, minute, requests=2)
        publish(published.sandbox, GREEN, minute, requests=1)
    published.pass_time(minutes=6)
    everything = read_periods(published.cloudwatch, asked, published.now())
    assert len(everything) == 5
    for number in range(5):
        assert (
            read_periods(published.cloudwatch, asked, published.now(), everything[number].end)
            == everything[number + 1 :]
        )


def rollout(published: Published) -> Rollout:
    variant = {"VariantName": "AllTraffic", "ModelName": "fraud-v1"}
    blue = Blue("fraud-2024", {"ProductionVariants": [variant]}, "AllTraffic", 1.0, 1)
    return Rollout("fraud", "0badcafe", {}, published.now(), blue, Green(model_name="fraud-v2"), Plan())


def put(published: Published, metric: str, model: str, value: float) -> None:
    named = {"MetricName": metric, "Dimensions": [{"Name": "Model", "Value": model}], "Value": value}
    published.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{**named, "Timestamp": published.now()}])


def test_a_kpi_is_a_metric_or_metric_math_of_greens_and_of_blues(published: Published) -> None:
    since = published.now()
    for refused in (3.0, 6.0):
        for model, factor in (("fraud-v1", 1), ("fraud-v2", 2)):
            put(published, "Refused", model, factor * refused)
            put(published, "Orders", model, 60.0)
        published.pass_time(minutes=1)
    put(published, "Refused", "fraud-v2", 99.0)  # a minute that is not final
    published.pass_time(seconds=59)
    metrics = {
        "refused": Metric("Shop", "Refused", "Sum", {"Model": "{model}"}),
        "orders": Metric("Shop", "Orders", "Sum", {"Model": "{model}"}),
    }
    absolute = Kpi("refusals", {"refused": metrics["refused"]}, at_most=7)
    relative = Kpi("refusal rate", metrics, "100 * refused / orders", at_most=1.2, relative_to_blue=True)

    def read(kpi: Kpi) -> list[tuple[float | None, float | None]]:
        found = read_kpi(published.cloudwatch, kpi, rollout(published), since, None, published.now())
        return [(each.green, each.blue) for each in found]

    assert read(absolute) == [(6.0, None)]
    published.pass_time(seconds=1)
    assert read(absolute) == [(6.0, None), (12.0, None)]
    assert read(relative) == [(10.0, 5.0), (20.0, 10.0)]
    [first, second] = read_kpi(published.cloudwatch, absolute, rollout(published), since, None, published.now())
    assert read_kpi(published.cloudwatch, absolute, rollout(published), since, first, published.now()) == [second]


def test_a_kpi_without_a_figure_in_some_periods_is_0_in_them_only_if_it_says_so(published: Published) -> None:
    since = published.now()
    put(published, "Refused", "fraud-v2", 3.0)
    published.pass_time(minutes=2)
    put(published, "Refused", "fraud-v2", 5.0)
    published.pass_time(minutes=2)
    refused = {"refused": Metric("Shop", "Refused", "Sum", {"Model": "{model}"})}
    sparse, filled = (Kpi("refusals", refused, expression, at_most=7) for expression in ("", "FILL(refused, 0)"))
    known = (rollout(published), since, None, published.now())
    assert [each.green for each in read_kpi(published.cloudwatch, sparse, *known)] == [3.0, None, 5.0]
    assert [each.green for each in read_kpi(published.cloudwatch, filled, *known)] == [3.0, 0.0, 5.0]
