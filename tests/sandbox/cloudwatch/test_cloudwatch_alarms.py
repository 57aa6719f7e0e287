"""How an alarm judges: the tables of the user guide, and the words recorded on AWS."""

from __future__ import annotations

import pytest

from airflow_sm_rollout.sandbox.cloudwatch.alarms import (
    Criteria,
    Datapoint,
    State,
    decide_state,
    describe_reason,
    minimum_samples,
    render_reason,
)

END = 1_700_000_100
OK, ALARM, NO_DATA, KEEP = State.OK, State.ALARM, State.INSUFFICIENT_DATA, None
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def make_criteria(m: int | None = None, n: int = 3, missing: str = "missing", period: int = 60) -> Criteria:
    return Criteria(period, n, m, 10.0, "GreaterThanThreshold", missing)


def read_row(row: str, criteria: Criteria) -> list[Datapoint]:
    """The guide's notation, newest on the right: 0 is fine, X breaches, - is missing."""
    marks = row.split()[::-1]
    points = [
        Datapoint(END - (age + 1) * criteria.period, 11.0 if mark == "X" else 9.0, 1.0)
        for age, mark in enumerate(marks)
        if mark != "-"
    ]
    return points[: criteria.periods]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0 - X - X", (OK, OK, OK, OK)),
        ("0 - - - -", (OK, OK, OK, OK)),
        ("- - - - -", (NO_DATA, KEEP, ALARM, OK)),
        ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        ("- - X - -", (ALARM, KEEP, ALARM, OK)),
    ],
)
def test_three_of_three_follow_the_guides_table(row: str, expected: tuple[State | None, ...]) -> None:
    rules = [make_criteria(missing=treatment) for treatment in TREATMENTS]
    assert tuple(decide_state(rule, read_row(row, rule), END) for rule in rules) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        ("0 - X - -", (OK, OK, ALARM, OK)),
        ("- - - - 0", (OK, OK, ALARM, OK)),
        ("- - - X -", (ALARM, KEEP, ALARM, OK)),
    ],
)
def test_two_of_three_follow_the_guides_table(row: str, expected: tuple[State | None, ...]) -> None:
    rules = [make_criteria(m=2, missing=treatment) for treatment in TREATMENTS]
    assert tuple(decide_state(rule, read_row(row, rule), END) for rule in rules) == expected


@pytest.mark.parametrize("row", ["- - - - X", "- - - X -"])
def test_a_lone_young_breaching_datapoint_is_no_alarm_yet(row: str) -> None:
    rule = make_criteria()
    assert decide_state(rule, read_row(row, rule), END) is KEEP


@pytest.mark.parametrize(
    ("period", "periods", "expected"),
    [(60, 1, 6), (900, 1, 3), (300, 3, 5), (10, 3, 15)],
)
def test_the_evaluation_range_is_what_was_documented_or_recorded(period: int, periods: int, expected: int) -> None:
    assert make_criteria(n=periods, period=period).evaluation_range == expected


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", [False, False, True]),
        ("GreaterThanOrEqualToThreshold", [False, True, True]),
        ("LessThanThreshold", [True, False, False]),
        ("LessThanOrEqualToThreshold", [True, True, False]),
    ],
)
def test_each_comparison_breaches_on_its_side(comparison: str, breaching: list[bool]) -> None:
    rule = Criteria(60, 1, None, 10.0, comparison)
    assert [rule.breaches(Datapoint(0, value)) for value in (9.0, 10.0, 11.0)] == breaching


@pytest.mark.parametrize(("percentile", "expected"), [(99, 1000), (90, 100), (50, 20), (10, 100), (0, float("inf"))])
def test_a_percentile_needs_the_documented_number_of_samples(percentile: float, expected: float) -> None:
    assert minimum_samples(percentile) == expected


def test_too_few_samples_keep_the_state() -> None:
    rule = Criteria(60, 1, None, 10.0, "GreaterThanThreshold", minimum_samples=100)
    assert decide_state(rule, [Datapoint(0, 50.0, 99.0)], 60) is KEEP
    assert decide_state(rule, [Datapoint(0, 50.0, 100.0)], 60) is ALARM


def point(value: float, at: int) -> Datapoint:
    return Datapoint(at, value, 1.0)


AT = 1_525_501_680  # 05/05/18 06:28:00


@pytest.mark.parametrize(
    ("rule", "state", "points", "reason"),
    [
        (
            make_criteria(n=1),
            ALARM,
            [point(11.0, AT)],
            "Threshold Crossed: 1 datapoint [11.0 (05/05/18 06:28:00)] was greater than the threshold (10.0).",
        ),
        (
            make_criteria(n=2),
            OK,
            [point(0.0, AT), point(1.0, AT - 60)],
            (
                "Threshold Crossed: 2 datapoints [0.0 (05/05/18 06:28:00), 1.0 (05/05/18 06:27:00)] were not greater than "
                "the threshold (10.0)."
            ),
        ),
        (
            make_criteria(m=1, n=1),
            ALARM,
            [point(99.5, AT)],
            (
                "Threshold Crossed: 1 out of the last 1 datapoints [99.5 (05/05/18 06:28:00)] was greater than the "
                "threshold (10.0) (minimum 1 datapoint for OK -> ALARM transition)."
            ),
        ),
        (
            make_criteria(m=3, n=3),
            OK,
            [point(2.0, AT), point(3.0, AT - 60), point(11.0, AT - 120)],
            (
                "Threshold Crossed: 2 out of the last 3 datapoints [2.0 (05/05/18 06:28:00), 3.0 (05/05/18 06:27:00)] were "
                "not greater than the threshold (10.0) (minimum 1 datapoint for ALARM -> OK transition)."
            ),
        ),
        (
            make_criteria(m=1, n=20, missing="notBreaching"),
            ALARM,
            [point(613.0, AT)],
            (
                "Threshold Crossed: 1 out of the last 20 datapoints [613.0 (05/05/18 06:28:00)] was greater than the "
                "threshold (10.0) and 19 missing datapoints were treated as [NonBreaching] (minimum 1 datapoint for "
                "OK -> ALARM transition)."
            ),
        ),
        (
            make_criteria(n=1, missing="notBreaching"),
            OK,
            [],
            (
                "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
                "[NonBreaching]."
            ),
        ),
        (
            make_criteria(n=2, missing="breaching"),
            ALARM,
            [],
            (
                "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as "
                "[Breaching]."
            ),
        ),
        (
            make_criteria(n=3, missing="breaching"),
            ALARM,
            [point(11.0, AT)],
            (
                "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as "
                "[Breaching]."
            ),
        ),
        (make_criteria(n=1), NO_DATA, [], "Insufficient Data: 1 datapoint was unknown."),
        (make_criteria(n=5), NO_DATA, [], "Insufficient Data: 5 datapoints were unknown."),
    ],
)
def test_reasons_are_worded_as_recorded_on_aws(
    rule: Criteria, state: State, points: list[Datapoint], reason: str
) -> None:
    assert render_reason(rule, state, points) == reason


def test_reason_data_lists_recent_datapoints_oldest_first_and_evaluated_ones_newest_first() -> None:
    rule = Criteria(60, 3, None, 10.0, "GreaterThanThreshold", statistic="Sum", unit="Count")
    document = describe_reason(rule, [point(2.0, END - 60), point(1.0, END - 180)], END, END + 5.25)
    assert document == {
        "version": "1.0",
        "queryDate": "2023-11-14T22:15:05.250+0000",
        "startDate": "2023-11-14T22:12:00.000+0000",
        "unit": "Count",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [1.0, 2.0],
        "threshold": 10.0,
        "evaluatedDatapoints": [
            {"timestamp": "2023-11-14T22:14:00.000+0000", "sampleCount": 1.0, "value": 2.0},
            {"timestamp": "2023-11-14T22:13:00.000+0000"},
            {"timestamp": "2023-11-14T22:12:00.000+0000", "sampleCount": 1.0, "value": 1.0},
        ],
    }
    assert list(document) == [
        "version",
        "queryDate",
        "startDate",
        "unit",
        "statistic",
        "period",
        "recentDatapoints",
        "threshold",
        "evaluatedDatapoints",
    ]
