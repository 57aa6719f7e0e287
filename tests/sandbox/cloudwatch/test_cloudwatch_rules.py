from __future__ import annotations

import pytest

from airflow_sm_rollout.sandbox.cloudwatch.rules import RuleError, parse_rule

STATES = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA", "my alarm (1)": "ALARM"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALARM(a)", True),
        ("OK(a)", False),
        ('ALARM("a") AND OK("b") AND INSUFFICIENT_DATA(c)', True),
        ("ALARM(b) OR ALARM(a)", True),
        ("NOT ALARM(a)", False),
        ("NOT (ALARM(b) OR ALARM(c))", True),
        ("ALARM(b) AND ALARM(b) OR ALARM(a)", True),
        ("ALARM(b) AND (ALARM(b) OR ALARM(a))", False),
        ("NOT ALARM(b) AND ALARM(a)", True),
        ('ALARM("my alarm (1)")', True),
        ('ALARM("arn:aws:cloudwatch:us-east-1:123456789012:alarm:a")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:a)", True),
        ("TRUE", True),
        ("FALSE OR NOT FALSE", True),
    ],
)
def test_a_rule_holds_or_not(text: str, expected: bool) -> None:
    assert parse_rule(text).holds(STATES.__getitem__) is expected


def test_a_rule_knows_its_children_once_each_in_order() -> None:
    assert parse_rule('ALARM(b) OR (OK("a") AND ALARM(b))').children == ("b", "a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ALARM(a)",
        "ALARM(a) ALARM(b)",
        "ALARM(a) AND",
        "(ALARM(a)",
        "ALARM(a))",
        "alarm(a)",
        "ALARM()",
        "AND",
        "XOR",
    ],
)
def test_a_rule_that_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="AlarmRule"):
        parse_rule(text)


def test_a_rule_has_at_most_a_hundred_children() -> None:
    assert len(parse_rule(" OR ".join(f"ALARM(a{n})" for n in range(100))).children) == 100
    with pytest.raises(RuleError, match="100 child alarms"):
        parse_rule(" OR ".join(f"ALARM(a{n})" for n in range(101)))
