"""Each state of the Rollout screen says where the rollout stands, why, what to do, and offers what is possible."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from airflow_sm_rollout.core.comparison.comparison import compare
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.core.rollout import Phase
from airflow_sm_rollout.core.screen.log import Event, as_markdown
from airflow_sm_rollout.core.screen.proof import last_comparison, proofs_of
from airflow_sm_rollout.core.screen.state import State, buttons_of
from airflow_sm_rollout.core.screen.stepper import way_by_share
from airflow_sm_rollout.plugin.address import task_path
from airflow_sm_rollout.plugin.page import render_file, render_list, render_rollouts
from airflow_sm_rollout.plugin.reads import Row
from screen.made import ROLLOUT, STATES, Made, compared, minute, wished


def page_of(shown: Made, *, may_edit: bool = True) -> str:
    return render_rollouts(
        [shown.report],
        "",
        "canary",
        "manual__1",
        may_edit=may_edit,
        now=shown.now,
        run_url="/dags/canary/runs/manual__1",
    )


def section(page: str, label: str) -> str:
    """A section's text."""
    found = re.search(rf'aria-label="{label}">(.*?)</section>', page, re.DOTALL)
    assert found is not None
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


@pytest.mark.parametrize("state", STATES)
def test_the_header_the_reason_and_the_buttons_fit_the_state(state: str) -> None:
    shown = STATES[state]()
    page = page_of(shown)
    [chip] = re.findall(r'<span class="chip \w+" role="status">([^<]*)</span>', page)
    assert chip == shown.chip
    assert tuple(re.findall(r"data-wish.*?>([^<]+)</button>", page)) == shown.buttons
    why = section(page, "Why, and what to do")
    for words in shown.told:
        assert words in why
    assert "What to do:" in why
    assert "data-wish" not in page_of(shown, may_edit=False)


def test_every_button_says_what_follows() -> None:
    for control in (None, wished(Wish.PAUSE, 9)):
        state = State.PAUSED if control else State.BAKING
        for button in buttons_of(ROLLOUT, state, control, 10.0):
            assert len(button.follows.split()) > 8
    follows = {button.label: button.follows for button in buttons_of(ROLLOUT, State.BAKING, None, 10.0)}
    assert follows["Abort"].startswith("All requests return to wine-v1")
    assert "keeps its 10 %" in follows["Pause"]


@pytest.mark.parametrize(
    ("control", "phase", "labels"),
    [
        (wished(Wish.PROMOTE, 9), Phase.FORWARD, ["Pause", "Abort"]),
        (wished(Wish.GO_ON, 9), Phase.FORWARD, ["Pause", "Promote", "Abort"]),
    ],
)
def test_what_was_asked_already_is_not_offered(control: Control, phase: Phase, labels: list[str]) -> None:
    assert [button.label for button in buttons_of(ROLLOUT, State.BAKING, control, 10.0)] == labels


@pytest.mark.parametrize("state", [state for state in State if state.is_over or state is State.ROLLING_BACK])
def test_what_is_over_or_going_back_has_no_buttons(state: State) -> None:
    assert list(buttons_of(ROLLOUT, state, None, 10.0)) == []


def test_what_goes_back_says_so_before_any_task_has_said_why() -> None:
    from screen.made import DEPLOYED, REST, coming, live, shifted, show, watching

    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming(*REST)]
    cause = show(*tasks, live=live(12, 10, phase=Phase.ROLLING_BACK)).cause
    assert cause.head == "Rolling back: wine-v1 gets all requests back."
    assert cause.plain == "wine-0123abcd has 10 % of the requests."


def test_a_rollback_that_is_just_over_has_an_end_before_its_task_has_one() -> None:
    from screen.made import REST, coming, live, settled, show

    settling = replace(settled("as_before", 15), ended_at=None, state="running")
    told = show(settling, *coming(*REST[-1:]), live=live(15.2, 0))
    assert told.ended_at == minute(15.2)
    assert dict(told.facts)["When"].endswith("08:15:12 UTC, 15 min 12 s")


def test_an_abort_shows_as_rolling_back_before_any_task_has_heard_of_it() -> None:
    baking = STATES["baking"]().report
    assert baking.state is State.BAKING
    from screen.made import DEPLOYED, REST, coming, live, shifted, show, watching

    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming(*REST)]
    aborted = show(*tasks, live=live(12, 10, wished(Wish.ABORT, 11)))
    assert (aborted.state, aborted.buttons) == (State.ROLLING_BACK, ())


def test_a_failed_task_promises_no_rollback_where_no_task_settles() -> None:
    from screen.made import DEPLOYED, SLOW, baked, coming, live, shifted, show

    harmed = [*DEPLOYED, shifted(10, 4.6), baked(10, 5.5, "harmful", SLOW)]
    assert show(*harmed, live=live(16, 10)).state is State.BAKING
    assert show(*harmed, *coming("settle"), live=live(16, 10)).state is State.ROLLING_BACK


def test_the_way_tells_what_is_behind_what_is_now_and_when_the_next_comes() -> None:
    way = STATES["baking"]().report.way
    assert [(stop.name, stop.state) for stop in way.stops] == [
        ("Deploy", "done"),
        ("10 %", "now"),
        ("50 %", "ahead"),
        ("100 %", "ahead"),
        ("Promote", "ahead"),
    ]
    assert (way.next, way.next_at, way.ends_at) == ("green gets 50 %", minute(15.5), minute(35.5))
    paused = STATES["paused"]().report.way
    assert (paused.next, paused.next_at) == ("green gets 50 %", None)


def test_a_pause_moves_the_next_step_and_the_end() -> None:
    from screen.made import DEPLOYED, REST, coming, live, shifted, show, watching

    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming(*REST)]
    resumed = replace(wished(Wish.GO_ON, 9), paused_before=timedelta(minutes=3))
    way = show(*tasks, live=live(12, 10, resumed)).way
    assert (way.next_at, way.ends_at) == (minute(18.5), minute(38.5))


def test_a_question_is_said_to_come_before_what_it_is_about() -> None:
    assert STATES["waiting for a person"]().report.way.next == "green gets 100 %, if a person approves"
    from screen.made import DEPLOYED, coming, live, shifted, show, watching

    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming("approve_50", "shift_50", "bake_50")]
    assert show(*tasks, live=live(12, 10)).way.next == "a person is asked"


def row(endpoint: str, outcome: str, at: float, sentence: str = "") -> Row:
    return Row("dag", f"{endpoint}-{at}", endpoint, f"{endpoint}-v2", "canary", minute(at), outcome, 0.0, sentence)


def test_the_list_is_sorted_by_trouble_and_then_by_age() -> None:
    rows = [row("a", "promoted", 9), row("b", "running", 8), row("c", "rolled_back", 7), row("d", "not_settled", 6)]
    page = render_list(rows, "", "", "", minute(10))
    assert re.findall(r"/runs/(\w)-", page.partition("<tbody>")[2])[::2] == ["d", "b", "a", "c"]


def test_a_line_of_the_list_has_the_whole_reason_only_where_one_asks_for_it() -> None:
    page = render_list([row("a", "rolled_back", 1, "because " + "of this " * 40)], "", "", "", minute(10))
    [shown] = re.findall(r'<td class="cause"[^>]*>([^<]*)', page)
    assert len(shown) <= 100
    assert shown.endswith("…")
    assert "of this " * 39 in page


def test_the_last_ten_rollouts_of_the_same_endpoint_are_at_hand() -> None:
    shown = STATES["promoted"]()
    rows = [
        row("wine", "promoted", 5),
        *(row("wine", "rolled_back", -9 - number) for number in range(12)),
        row("beer", "promoted", -1),
    ]
    page = render_rollouts([shown.report], "/p", "canary", "run", may_edit=False, now=shown.now, rows=rows)
    earlier = page.partition("Earlier rollouts of wine")[2]
    assert re.findall(r"/p/dags/dag/runs/wine-(-\d+)", earlier) == [str(number) for number in range(-9, -19, -1)]
    assert "beer" not in earlier


def test_a_rolled_back_way_stops_where_it_turned_and_missed_the_rest() -> None:
    states = [stop.state for stop in STATES["rolled back by an alarm"]().report.way.stops]
    assert states == ["done", "stopped", "missed", "missed", "missed"]
    assert {stop.state for stop in STATES["promoted"]().report.way.stops} == {"done"}


@pytest.mark.parametrize(
    ("share", "at", "states"),
    [
        (0.0, 3, ["now", "ahead", "ahead", "ahead", "ahead"]),
        (10.0, 6, ["done", "now", "ahead", "ahead", "ahead"]),
        (50.0, 17, ["done", "done", "now", "ahead", "ahead"]),
        (100.0, 28, ["done", "done", "done", "now", "ahead"]),
    ],
)
def test_the_way_can_be_told_by_the_share_alone(share: float, at: float, states: list[str]) -> None:
    way = way_by_share(ROLLOUT, share, minute(at), timedelta(), is_held=False)
    assert [stop.state for stop in way.stops] == states
    assert way.next_at == (minute(at + 10) if share else None)
    assert way_by_share(ROLLOUT, share, minute(at), timedelta(), is_held=True).next_at is None


def test_an_alarms_reason_is_told_in_plain_words_with_units_and_blue_beside_and_raw_on_demand() -> None:
    cause = STATES["rolled back by an alarm"]().report.cause
    assert "Threshold Crossed" not in cause.plain
    assert "Threshold Crossed" in cause.raw
    assert "longer than 74 ms (2 x blue's p99 before, 37 ms)" in cause.plain
    assert re.search(r"green failed \d+ of \d+ \([\d.]+ %\), p99 up to 98.8 ms; blue failed", cause.plain)
    assert cause.task == "bake_10"


def test_the_log_has_wishes_answers_alarms_changes_and_verdicts_in_order() -> None:
    promoted = STATES["promoted"]().report.events
    said = [f"{event.who}: {event.what}" for event in promoted]
    assert "alice: asked to pause (lunch)" in said
    assert "task deploy_green: create model wine-0123abcd" in said
    assert [event.at for event in promoted] == sorted(event.at for event in promoted)
    rejected = STATES["rolled back by a person"]().report.events
    assert ("bob", "rejected 100 % (release freeze)") in [(event.who, event.what) for event in rejected]
    rang = STATES["rolled back by an alarm"]().report.events
    assert any(event.kind == "alarm" and event.at == minute(12.5) for event in rang)


def test_a_wish_that_airflow_and_aws_both_know_is_told_once() -> None:
    from screen.made import DEPLOYED, live, show

    paused = wished(Wish.PAUSE, 10, "lunch")
    from airflow_sm_rollout.core.screen.log import Wished

    logged = (Wished(minute(9.9), "alice", "pause", "lunch"), Wished(minute(5), "bob", "pause"))
    shown = show(*DEPLOYED, live=live(12, 10, paused), wishes=logged)
    assert [event.who for event in shown.events if event.kind == "person"] == ["bob", "alice"]


def test_nothing_breaks_out_of_a_cell_of_the_markdown() -> None:
    text = as_markdown("a\n# b", [("q", "x\ny")], [Event(minute(1), "bo|b", "no\n| no", "person")])
    assert text.splitlines() == [
        "## a # b",
        "",
        "- **q:** x y",
        "",
        "| When (UTC) | Who | What |",
        "| --- | --- | --- |",
        "| 2026-11-28 08:01:00 | bo\\|b | no \\| no |",
    ]


def test_the_minutes_to_a_proof_are_those_it_then_takes() -> None:
    from screen.made import Period, Sample

    def period(number: int, failed: int) -> Period:
        return Period(minute(number), 60, Sample(540, 1, 0, 270, 27, 5), Sample(60, failed, 0, 30, 3, 1))

    history = [Period(minute(number), 60, Sample(600, 1, 0, 300, 30, 6), None) for number in range(-60, 0)]
    periods = [period(number, 3) for number in range(30)]
    until = next(
        number
        for number in range(1, 30)
        if compare(history, periods[:number], planned=timedelta(minutes=20)).evidence > 5
    )
    harm, _ = proofs_of(compare(history, periods[:until], planned=timedelta(minutes=20)))
    proven = next(
        number
        for number in range(until, 40)
        if compare(history, periods[:number], planned=timedelta(minutes=20)).evidence >= harm.needed
    )
    assert harm.minutes is not None
    assert abs(harm.minutes - (proven - until)) <= 2
    assert f"about {-(-harm.minutes // 1):.0f} min to proof" in harm.describe()


def test_evidence_that_does_not_grow_promises_no_proof() -> None:
    found = last_comparison(compared(12), ())
    assert found is not None
    flat = replace(found, track=tuple(replace(mark, evidence=2.0, health=0.5) for mark in found.track))
    assert [proof.minutes for proof in proofs_of(replace(flat, evidence=2.0))] == [None, None]


def test_a_comparison_of_another_version_is_skipped() -> None:
    report: Report = STATES["waiting for a person"]().report
    assert last_comparison({"sentence": "of another version"}, report.verdicts) == last_comparison(
        None, report.verdicts
    )


def test_the_saved_file_needs_nothing_from_anywhere() -> None:
    shown = STATES["promoted"]()
    page = render_file([shown.report], "manual__1", now=shown.now)
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+", page) == []
    assert re.findall(r"<(?:link|img|iframe|script src)", page) == []
    assert "data-wish=" not in page
    assert "Promoted" in page


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("canary", "/r/tasks/canary.bake_10"),
        ("", "/r/tasks/bake_10"),
        ("each.canary [2]", "/r/tasks/each.canary.bake_10/mapped/2"),
        ("[2]", "/r/tasks/bake_10/mapped/2"),
    ],
)
def test_a_link_leads_to_the_task_also_in_a_mapped_group(group: str, path: str) -> None:
    assert task_path("/r", group, "bake_10") == path
