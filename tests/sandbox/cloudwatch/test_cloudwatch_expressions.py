from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.sandbox.cloudwatch.expressions import evaluate_node, parse_expression
from airflow_sm_rollout.sandbox.cloudwatch.functions import ExpressionError, Scope, TimeSeries, Value

GRID = range(0, 300, 60)
Row = list[Any]


def compute(text: str, **rows: Row) -> Any:
    """Evaluate over five minutes; None in a row, and in the result, is a missing point."""
    values: dict[str, Value] = {
        name: TimeSeries({at: float(v) for at, v in zip(GRID, row, strict=False) if v is not None}, name)
        for name, row in rows.items()
    }
    result = evaluate_node(parse_expression(text), Scope(values, list(rows), dict.fromkeys(rows, 60), GRID))
    if isinstance(result, tuple):
        return [spread(series, rows) for series in result]
    return result if isinstance(result, float) else spread(result, rows)


def spread(series: TimeSeries, rows: dict[str, Row]) -> Row:
    width = max((len(row) for row in rows.values()), default=len(GRID))
    return [series.points.get(at) for at in GRID[:width]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("10 - 4 - 3", 3.0),
        ("8 / 4 / 2", 1.0),
        ("2 * -3", -6.0),
        ("1 < 2 && 2 < 1 || 3 >= 3", 1.0),
        ("1 == 1 AND 2 != 2", 0.0),
        ("1.5e2 + .5", 150.5),
    ],
)
def test_operators_bind_as_in_arithmetic(text: str, expected: float) -> None:
    assert compute(text) == expected


def test_the_guides_comparison_table_holds() -> None:
    rows = {"metric1": [30, 20, 0, 0], "metric2": [20, None, 20, None]}
    assert compute("metric1 < metric2", **rows) == [0, 0, 1, 0]
    assert compute("metric1 >= 30", **rows) == [1, 0, 0, 0]
    assert compute("metric1 > 15 AND metric2 > 15", **rows) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IF(metric1, metric2, metric3)", [30, 0, 20, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, None]),
        ("IF(metric1, metric2)", [30, 0, None, None, None]),
        ("IF(1, metric2, metric3)", [30, None, 0, 0, 30]),
        ("IF(0, metric2)", [None] * 5),
    ],
)
def test_the_guides_if_tables_hold(text: str, expected: Row) -> None:
    rows = {"metric1": [1, 1, 0, 0, None], "metric2": [30, None, 0, 0, 30], "metric3": [0, 0, 20, None, 20]}
    assert compute(text, **rows) == expected


def test_an_error_rate_is_zero_without_errors_and_has_no_point_without_requests() -> None:
    assert compute("100 * e / n", e=[None, 2, 3, None], n=[10, 10, None, None]) == [0, 20, None, None]


def test_an_error_rate_with_a_traffic_floor_breaches_only_with_traffic() -> None:
    assert compute("IF(n >= 10, (a + b) / n, 0)", a=[5, 1], b=[None, 1], n=[10, 2]) == [0.5, 0]


def test_division_by_zero_drops_the_point() -> None:
    assert compute("a / b", a=[1, 1], b=[0, 2]) == [None, 0.5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FILL(a, 0)", [0, 1, 0, 4, 0]),
        ("FILL(a, REPEAT)", [None, 1, 1, 4, 4]),
        ("FILL(a, LINEAR)", [None, 1, 2.5, 4, None]),
        ("FILL(a, b)", [7, 1, 7, 4, 7]),
        ("FILL(a, MIN(a))", [1, 1, 1, 4, 1]),
        ("DIFF(a)", [None, None, None, 3, None]),
        ("RATE(a)", [None, None, None, 3 / 120, None]),
        ("DIFF_TIME(a)", [None, None, None, 120, None]),
        ("RUNNING_SUM(b)", [7, 14, 21, 28, 35]),
        ("ABS(-a)", [None, 1, None, 4, None]),
        ("CEIL(a / 3) - FLOOR(a / 3)", [None, 1, None, 1, None]),
        ("a / PERIOD(a)", [None, 1 / 60, None, 4 / 60, None]),
        ("a - AVG(a)", [None, -1.5, None, 1.5, None]),
        ("a / STDDEV(a)", [None, 1 / 1.5, None, 4 / 1.5, None]),
        ("b * DATAPOINT_COUNT(a)", [14] * 5),
        ("b * METRIC_COUNT(METRICS())", [14] * 5),
        ("TIME_SERIES(SUM(a) + MAX(b))", [12] * 5),
        ("MINUTE(a)", [0, 1, 2, 3, 4]),
        ("HOUR(a) + DAY(a)", [4] * 5),  # 1 January 1970 was a Thursday
    ],
)
def test_functions_of_one_series_do_what_the_guide_says(text: str, expected: Row) -> None:
    assert compute(text, a=[None, 1, None, 4, None], b=[7] * 5) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SUM([a, b])", [3, 3, None]),
        ("SUM(METRICS())", [3, 3, None]),
        ("AVG(METRICS())", [1.5, 1.5, None]),
        ("MIN([a, b])", [1, 3, None]),
        ("MAX([a, b])", [2, 3, None]),
        ("DATAPOINT_COUNT([a, b])", [2, 1, None]),
        ('SUM(METRICS("a"))', [1, 3, None]),
        ("SUM([METRICS('a'), METRICS('b')])", [3, 3, None]),
        ("SUM(100 / [a, b])", [150, 100 / 3, None]),
        ("SUM(-[a, b])", [-3, -3, None]),
        ("FIRST([b, a])", [2, None, None]),
        ("LAST([b, a])", [1, 3, None]),
    ],
)
def test_functions_of_an_array_give_one_series(text: str, expected: Row) -> None:
    assert compute(text, a=[1, 3, None], b=[2, None, None]) == pytest.approx(expected)


def test_arithmetic_with_an_array_gives_an_array() -> None:
    assert compute("METRICS() * 10", a=[1, 2], b=[3, None]) == [[10, 20], [30, None]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a +", "unexpected end"),
        ("a b", "unexpected 'b' at position 2"),
        ("(a", "unexpected end"),
        ("a $ b", r"unexpected '\$'"),
        ("FOO(a)", "function FOO is unknown"),
        ("ABS()", "0 argument"),
        ("IF(a)", "1 argument"),
        ("Abc", "unknown name 'Abc'"),
        ("METRICS(a)", "do not fit METRICS"),
        ("FILL(a, 1, 2)", "do not fit FILL"),
        ("[1, a]", "an array holds time series"),
        ("METRIC_COUNT(a)", "an array of time series is needed"),
        ("TIME_SERIES(a)", "a scalar is needed"),
        ("1 / 0", "divided by zero"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        compute(text, a=[1.0])


@given(
    st.recursive(
        st.integers(1, 9).map(str), lambda part: st.builds("({} {} {})".format, part, st.sampled_from("+-*"), part)
    )
)
def test_arithmetic_agrees_with_python(text: str) -> None:
    assert compute(text) == eval(text)
