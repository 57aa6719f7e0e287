"""What green's answers to real samples must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.validation import Answer, Case, Checks, Report, parse_cases, validate_answers

CSV = "amount,country,fraud\n12,DE,0\n99,FR,1\n"


def test_json_lines_are_samples_whose_labels_are_not_sent() -> None:
    text = '{"amount": 12, "fraud": 0}\n\n{"amount": 99, "fraud": 1}\n'
    cases = parse_cases(text, "application/json", "fraud", has_header=False)
    assert cases == [Case('{"amount": 12}', 0), Case('{"amount": 99}', 1)]
    assert parse_cases("[1, 2]", "application/json", None, has_header=False) == [Case("[1, 2]")]


def test_csv_rows_are_samples_with_the_header_where_there_is_one() -> None:
    named = parse_cases(CSV, "text/csv", "fraud", has_header=True)
    assert named == [Case("amount,country\n12,DE\n", "0"), Case("amount,country\n99,FR\n", "1")]
    bare = parse_cases("0,12,DE\n1,99,FR\n", "text/csv", 0, has_header=False)
    assert bare == [Case("12,DE\n", "0"), Case("99,FR\n", "1")]


@pytest.mark.parametrize(
    ("text", "content_type", "label"),
    [
        ("", "application/json", None),
        ("{no json", "application/json", None),
        ('{"amount": 1}', "application/json", "fraud"),
        ("1,2\n", "text/csv", 5),
        ("1,2\n", "text/csv", "fraud"),
    ],
)
def test_samples_that_are_none_are_refused(text: str, content_type: str, label: str | int | None) -> None:
    with pytest.raises(PlanError, match=r"^samples="):
        parse_cases(text, content_type, label, has_header=False)


def judge(green: list[Any], blue: list[Any] | None = None, labels: list[Any] | None = None, **checks: Any) -> Report:
    cases = [Case(f'{{"n": {number}}}', label) for number, label in enumerate(labels or [None] * len(green))]
    answers = [each if isinstance(each, Answer) else Answer(each, 0.01) for each in green]
    of_blue = None if blue is None else [each if isinstance(each, Answer) else Answer(each) for each in blue]
    return validate_answers(cases, answers, of_blue, Checks(**checks))


def test_every_call_must_succeed_and_the_report_of_those_that_did_not_is_bounded() -> None:
    assert judge([{"p": 1}] * 3).passes
    report = judge([{"p": 1}, *[Answer(error="ModelError: " + 1000 * "x")] * 40], most_reported=5)
    assert not report.passes
    assert report.sentence.startswith("40 of 41 samples")
    assert [complaint.number for complaint in report.complaints] == [2, 3, 4, 5, 6]
    assert len(str(judge([{"p": 1000 * "x"}], schema=["q"]).as_dict())) < 1500


def raises(answer: Any) -> bool:
    raise ValueError("not a probability")


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ({"schema": ["p", "q"]}, "lacks q"),
        ({"schema": lambda answer: answer["p"] > 1}, "the schema said no"),
        ({"schema": raises}, "ValueError: not a probability"),
        ({"check": lambda sample, answer: answer["p"] == sample["n"] + 1}, "the check said no"),
        ({"max_latency_ms": 5}, "10 ms"),
    ],
)
def test_a_wrong_answer_does_not_pass_and_the_sentence_says_why(checks: dict[str, Any], told: str) -> None:
    report = judge([{"p": 0}], **checks)
    assert not report.passes
    assert told in report.sentence


def test_a_right_answer_passes_all_of_these_checks() -> None:
    checks = {"schema": ["p"], "check": lambda sample, answer: answer["p"] == sample["n"], "max_latency_ms": 20}
    assert judge([{"p": 0}, {"p": 1}], **checks).passes


def test_one_slow_call_in_twenty_is_no_slow_model() -> None:
    calls = [Answer({"p": 1}, 0.9), *[Answer({"p": 1}, 0.01)] * 19]
    assert judge(calls, max_latency_ms=20).passes
    assert not judge([*calls, Answer({"p": 1}, 0.9)], max_latency_ms=20).passes


def test_green_must_agree_with_blue_where_blue_answers() -> None:
    blue = [{"p": 0.50}, {"p": 0.70}, Answer(error="ModelError"), {"p": 0.10}]
    green = [{"p": 0.51}, {"p": 0.70}, {"p": 0.99}, {"p": 0.90}]
    within = {"agrees_with": "blue", "prediction": "p", "tolerance": 0.05}
    report = judge(green, blue, **within)
    assert not report.passes
    assert "66.67 % of 3 samples" in report.sentence
    assert [(each.number, each.answer, each.expected) for each in report.complaints] == [(4, "0.9", "0.1")]
    assert judge(green, blue, min_agreement=0.6, **within).passes
    assert not judge(green[2:3], blue[2:3], **within).passes  # nothing to compare with is no agreement


def test_green_must_be_right_where_labels_are_known() -> None:
    answers = [{"predictions": ["0"]}, {"predictions": ["1"]}]
    right = {"agrees_with": "labels", "prediction": "predictions.0"}
    assert judge(answers, labels=["0", 1.0], **right).passes
    assert not judge(answers, labels=["0", "0"], **right).passes
    assert not judge([{"wrong": 1}], labels=["0"], **right).passes


@pytest.mark.parametrize(
    ("option", "build"),
    [
        ("agrees_with", lambda: Checks(agrees_with="me")),
        ("min_agreement", lambda: Checks(min_agreement=98)),
        ("tolerance", lambda: Checks(tolerance=-1)),
        ("max_latency_ms", lambda: Checks(max_latency_ms=0)),
        ("schema", lambda: Checks(schema="predictions")),
    ],
)
def test_a_check_that_is_not_possible_is_refused_by_its_name(option: str, build: Callable[[], Any]) -> None:
    with pytest.raises(PlanError) as refusal:
        build()
    assert refusal.value.option == option
