from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.sandbox.cloudwatch.statistics import Samples, parse_statistic

numbers = st.lists(st.integers(0, 10_000).map(lambda n: n / 8), min_size=1, max_size=60)


def samples(*values: float, counts: list[float] | None = None) -> Samples:
    weights = counts or [1.0] * len(values)
    return Samples(weights, [v * w for v, w in zip(values, weights, strict=True)], values, values)


def compute(name: str, *values: float, counts: list[float] | None = None) -> float | None:
    return parse_statistic(name).compute(samples(*values, counts=counts))


@given(numbers)
def test_percentiles_are_those_of_the_statistics_module(values: list[float]) -> None:
    if len(values) == 1:
        assert compute("p37", *values) == values[0]
        return
    expected = statistics.quantiles(values, n=100, method="inclusive")
    for percent in (1, 5, 50, 90, 99):
        assert compute(f"p{percent}", *values) == pytest.approx(expected[percent - 1])


@given(numbers, st.integers(1, 5))
def test_a_repeated_value_weighs_as_if_it_were_published_that_often(values: list[float], times: int) -> None:
    for name in ("p90", "tm90", "tc90", "WM(10%:90%)", "PR(:100)", "IQM", "TS(10:1000)"):
        repeated = compute(name, *(values * times))
        counted = compute(name, *values, counts=[float(times)] * len(values))
        assert repeated == pytest.approx(counted)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TC(2:4)", 2.0),  # the lower bound is out, the upper one in
        ("TC(:4)", 4.0),
        ("TC(4:)", 1.0),
        ("TS(2:4)", 7.0),
        ("TM(2:4)", 3.5),
        ("TM(5:)", None),
        ("TC(5:)", 0.0),
        ("WM(2:4)", (2 + 2 + 3 + 4 + 4) / 5),
        ("PR(:3)", 60.0),
        ("PR(3:5)", 40.0),
        ("PR(1:)", 80.0),
    ],
)
def test_an_absolute_lower_bound_is_exclusive_and_the_upper_inclusive(name: str, expected: float | None) -> None:
    assert compute(name, 5.0, 3.0, 1.0, 4.0, 2.0) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tc90", 9.0),
        ("TC(10%:90%)", 8.0),
        ("tm90", 5.0),
        ("TM(10%:90%)", 5.5),
        ("TS(80%:)", 19.0),
        ("IQM", 5.5),
        ("TC(25%:75%)", 5.0),
        ("tc85", 8.5),
    ],
)
def test_percent_bounds_trim_that_share_of_the_points(name: str, expected: float) -> None:
    assert compute(name, *(float(n) for n in range(1, 11))) == pytest.approx(expected)


@given(numbers)
def test_trimmed_sum_is_trimmed_mean_times_trimmed_count(values: list[float]) -> None:
    total, mean, count = (compute(f"{family}(10%:90%)", *values) for family in ("TS", "TM", "TC"))
    assert total is not None
    assert mean is not None
    assert count is not None
    assert total == pytest.approx(mean * count)


@given(numbers)
def test_tm_100_and_wm_100_are_the_average(values: list[float]) -> None:
    assert compute("tm100", *values) == pytest.approx(statistics.fmean(values))
    assert compute("wm100", *values) == pytest.approx(statistics.fmean(values))


def test_a_statistic_set_has_its_plain_statistics_but_no_percentile() -> None:
    spread = Samples([4.0], [10.0], [1.0], [5.0])
    assert [parse_statistic(n).compute(spread) for n in ("SampleCount", "Sum", "Average", "Minimum", "Maximum")] == [
        4.0,
        10.0,
        2.5,
        1.0,
        5.0,
    ]
    assert parse_statistic("p50").compute(spread) is None
    assert parse_statistic("p50").compute(Samples([4.0], [8.0], [2.0], [2.0])) == 2.0


def test_a_negative_value_leaves_no_percentile() -> None:
    assert compute("p50", -1.0, 2.0) is None
    assert compute("Minimum", -1.0, 2.0) == -1.0


@pytest.mark.parametrize(
    "name",
    ["sum", "p101", "p", "P99", "TM90", "tm(1:2)", "TM(:)", "TM(1%:2)", "TC(5:2)", "TC(5%:120%)", "PR(1%:2%)", ""],
)
def test_an_unknown_statistic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"statistic|bound"):
        parse_statistic(name)
