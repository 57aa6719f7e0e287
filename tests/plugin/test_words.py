"""What the tab says, and does not say, beside what a report holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_rollout.core.traces import EVIDENCE
from airflow_sm_rollout.plugin.page import render_rollouts
from core.test_rollout_report import ROLLOUT, SHIFTED, minute, report, trace

COMPARED: dict[str, Any] = {"sentence": "Green had 40 calls, too few to tell."}


def page(*tasks: Any, **options: Any) -> str:
    shown = report(*tasks, **options)
    return render_rollouts([shown], "", "dag", "run", may_edit=False, now=minute(5))


@pytest.mark.parametrize(("traffic", "is_for_people_alone"), [("variants", False), ("guardrails", True)])
def test_a_comparison_that_nothing_heeds_is_said_to_be_for_people(traffic: str, is_for_people_alone: bool) -> None:
    rollout = replace(ROLLOUT, plan=replace(ROLLOUT.plan, traffic=traffic))
    told = page(SHIFTED, rollout=rollout, comparison=COMPARED)
    assert COMPARED["sentence"] in told
    assert ("AWS shifts by itself and heeds alarms alone" in told) == is_for_people_alone


def test_a_verdict_is_not_told_twice() -> None:
    verdict = {"verdict": "healthy", "reason": "alarm quiet; Green had 40 calls, too few to tell"}
    baked = trace("bake_25", 2, return_value=verdict, **{EVIDENCE: COMPARED})
    assert page(baked).partition("<h2>Verdicts</h2>")[2].partition("<h2>")[0].count("Green had 40 calls") == 1
    short = trace("bake_25", 2, return_value={"verdict": "healthy", "reason": "quiet"}, **{EVIDENCE: COMPARED})
    assert "<p>Green had 40 calls" in page(short)
