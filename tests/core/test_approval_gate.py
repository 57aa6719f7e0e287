from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.core.approval import (
    ApprovalGate,
    gate_behind_bakes,
    parse_gate,
    render_question,
    share_behind,
    validate_gate,
    validate_silence,
    why_nobody_is_asked,
)
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.traces import BakeTrace
from airflow_sm_rollout.core.traffic import TRAFFIC

UNTIL = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def test_full_traffic_is_what_is_asked_about_unless_said_otherwise() -> None:
    assert parse_gate("before_full_traffic") == ApprovalGate(before=100, timeout=timedelta(hours=24))
    assert parse_gate({"before": 50, "timeout": 60, "assigned_users": "alice"}) == ApprovalGate(
        50, timedelta(minutes=1), assigned_users=("alice",)
    )


@pytest.mark.parametrize(
    "wrong", ["now", {"befor": 50}, {"timeout": 0}, {"timeout": "soon"}, {"on_timeout": "shrug"}, 100, None]
)
def test_a_wrong_option_is_named_when_the_dag_file_is_read(wrong: Any) -> None:
    with pytest.raises(PlanError, match="approval"):
        parse_gate(wrong)


def test_a_question_that_would_never_be_asked_is_refused() -> None:
    validate_gate(ApprovalGate(50), canary([10, 50, 100]), TRAFFIC["variants"])
    with pytest.raises(PlanError, match="10, 50, 100"):
        validate_gate(ApprovalGate(40), canary([10, 50, 100]), TRAFFIC["variants"])
    with pytest.raises(PlanError, match="SageMaker shifts by itself"):
        validate_gate(ApprovalGate(), canary(), TRAFFIC["guardrails"])


def rollout_of(when_inconclusive: str) -> Rollout:
    config = {"ProductionVariants": [{"VariantName": "v", "ModelName": "old"}]}
    plan = Plan(canary([10, 50, 100]), evidence=Evidence(when_inconclusive=when_inconclusive))
    return Rollout("fraud", "0123abcd", {}, UNTIL, Blue("c", config, "v", 1, 1), Green("new"), plan)


@pytest.mark.parametrize("verdict", ["inconclusive", "harmful", "aborted", "watching", "", None])
def test_behind_a_bake_a_person_is_asked_unless_it_has_ended_healthy(verdict: str | None) -> None:
    assert why_nobody_is_asked(rollout_of("ask"), "bake_10", verdict, 1) == ""
    assert "bake_10 ended healthy" in why_nobody_is_asked(rollout_of("ask"), "bake_10", "healthy", 1)


@pytest.mark.parametrize("plan", ["fail", "extend", "go_on"])
def test_it_is_the_frozen_plan_that_asks_whatever_the_dag_file_says_by_now(plan: str) -> None:
    assert "leaves no bake to a person" in why_nobody_is_asked(rollout_of(plan), "bake_10", "inconclusive", 1)


def test_a_step_that_a_run_does_not_have_asks_nobody_and_one_that_left_no_verdict_does() -> None:
    assert "no such step" in why_nobody_is_asked(rollout_of("ask"), "bake_4", None, 4)
    for step in (0, 1, 2, 3, None):
        assert why_nobody_is_asked(rollout_of("ask"), "bake", None, step) == ""


def test_what_a_person_lets_go_on_is_the_next_step() -> None:
    gate = gate_behind_bakes({"before": 50, "timeout": 60, "assigned_users": "alice", "on_timeout": "approve"})
    assert [share_behind(rollout_of("ask"), step, gate) for step in (0, 1, 2, 3, None)] == [10, 50, 100, 100, 100]


def test_silence_never_approves_what_nobody_could_tell() -> None:
    asked = gate_behind_bakes({"before": 50, "timeout": 60, "assigned_users": "alice", "on_timeout": "approve"})
    assert asked == ApprovalGate(100, timedelta(minutes=1), "roll_back", ("alice",))
    assert gate_behind_bakes(None) == gate_behind_bakes("before_full_traffic") == ApprovalGate()
    with pytest.raises(PlanError, match="on_timeout"):
        validate_silence(ApprovalGate(on_timeout="approve"))


def test_the_question_shows_the_evidence_and_what_comes_from_outside_as_plain_text() -> None:
    config = {"ProductionVariants": [{"VariantName": "v", "ModelName": "*old*"}]}
    rollout = Rollout("fraud", "0123abcd", {}, UNTIL, Blue("c", config, "v", 1, 1), Green("<script>[x](y)"), Plan())
    rate = {"events": 3, "requests": 2000, "rate": 0.0015, "low": 0.0005, "high": 0.004}
    compared = {"sentence": "No harm.", "metrics": [{"metric": "errors_5xx", "green": rate, "blue": None}]}
    verdict = BakeTrace("bake_10", "healthy", "errors 0.1 % | blue 0.2 %", compared)
    text = render_question(
        ApprovalGate(assigned_users=("alice",)),
        rollout,
        [verdict],
        {"a_b_c": "OK"},
        UNTIL,
        chart="/chart.svg",
        tab="/tab",
    )
    assert r"\<script\>\[x\]\(y\)" in text
    assert r"\*old\*" in text
    assert "answered by alice, until 2026-01-01 12:00:00 UTC; after that everything is rolled back" in text
    assert r"**bake\_10: healthy.** errors 0\.1 % \| blue 0\.2 %" in text
    assert r"| errors 5xx | 0\.15 % \(3 of 2,000; 0\.05 to 0\.4 %\) | not known |" in text
    assert r"Alarms: a\_b\_c OK" in text
    assert "![green's share over time](/chart.svg)" in text
