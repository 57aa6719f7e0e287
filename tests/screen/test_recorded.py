"""The Rollout screen tells recorded rollouts rightly, and the recording still is what the plugin's API answers."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from html import unescape
from typing import Any

import pytest

from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.core.screen.proof import last_comparison
from screen.made import STATES as MADE
from screen.record import RECORDINGS
from screen.recorded import ALIKE, REPORT, STATES, answer_of, page_of, report_of

REPORTED = sorted(path.stem for path in RECORDINGS.glob("*.json") if path.stem != "refused")
AGAIN = "record the states anew: PYTHONPATH=.:tests python -m screen.record"


def section(page: str, label: str) -> str:
    found = re.search(rf'aria-label="{label}">(.*?)</section>', page, re.DOTALL)
    assert found is not None
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


def test_each_state_is_recorded_and_nothing_else() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.json")} == {*STATES, *(state for pair in ALIKE for state in pair)}


@pytest.mark.parametrize("state", REPORTED)
def test_the_recording_is_what_the_api_would_answer_today(state: str) -> None:
    recorded = answer_of(state)["report"]
    assert json.loads(REPORT.dump_json(report_of(state))) == recorded, AGAIN
    assert set(recorded) == {each.name for each in fields(Report)}, AGAIN


@pytest.mark.parametrize("member", [each.name for each in fields(Report)])
def test_a_recording_without_a_member_is_noticed(member: str) -> None:
    recorded: dict[str, Any] = dict(answer_of("baking")["report"])
    del recorded[member]
    try:
        report = REPORT.validate_python(recorded)
    except ValueError:
        return
    assert json.loads(REPORT.dump_json(report)) != recorded


def test_what_is_recorded_has_all_that_the_screen_can_show() -> None:
    reports = [report_of(state) for state in REPORTED]
    assert all(report.figures and report.figures.blue for report in reports)
    assert {len(report.figures.green) > 2 for report in reports if report.figures} == {True, False}
    assert all(
        last_comparison(report_of(state).comparison, ()) for state in ("baking", "paused", "waiting for a person")
    )
    assert any(span for span in (report_of("rolled back by an alarm").figures.rang).values())  # type: ignore[union-attr]
    kinds = {event.kind for report in reports for event in report.events}
    assert kinds >= {"person", "alarm", "verdict"}


@pytest.mark.parametrize("state", STATES)
def test_the_header_the_reason_and_the_buttons_fit_the_state(state: str) -> None:
    page, shown = page_of(state), STATES[state]
    [chip] = re.findall(r'<span class="chip \w+" role="status">([^<]*)</span>', page)
    assert chip == shown.chip
    assert tuple(re.findall(r"data-wish.*?>([^<]+)</button>", page)) == shown.buttons
    why = section(page, "Why, and what to do")
    for words in (*shown.told, "What to do:"):
        assert words in why
    assert "data-wish" not in page_of(state, may_edit=False)


def test_each_alarm_tells_when_it_rings_and_its_last_value() -> None:
    page = page_of("baking")
    lanes = re.findall(r'<figure class="lane">\s*<figcaption>(.*?)</figcaption>', page, re.DOTALL)
    told = [unescape(re.sub(r"<[^>]+>", "", lane)) for lane in lanes]
    assert len(told) == len(report_of("baking").alarms) == 3
    assert all("; rings when" in each for each in told)
    assert sum("; last " in each for each in told) >= 2
    assert "Threshold Crossed" not in re.sub(r"<details.*?</details>", "", "".join(lanes), flags=re.DOTALL)


def test_where_aws_is_out_of_reach_the_last_figures_stay_and_it_says_so() -> None:
    page = page_of("offline")
    assert "AWS can't be reached" in re.sub("&#39;", "'", page)
    assert 'class="green"' in page


def test_the_states_that_are_made_for_single_questions_are_recorded_too() -> None:
    assert set(MADE) - {"loading"} <= set(STATES)
