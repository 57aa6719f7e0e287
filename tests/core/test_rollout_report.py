from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.figures import (
    Figures,
    Point,
    choose_period,
    figures_from_dict,
    figures_to_dict,
    ringing_spans,
)
from airflow_sm_rollout.core.guardian import GuardianLook
from airflow_sm_rollout.core.outcome import Aftermath
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.report import Live, Report, build_report
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.traces import (
    APPROVAL,
    DID,
    EVIDENCE,
    FIGURES,
    NOTE,
    TaskTrace,
    plain_xcom,
    progress_of,
)

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
CONFIG = {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "fraud-v1"}]}
ROLLOUT = Rollout(
    "fraud",
    "0123abcd",
    {},
    START,
    Blue("fraud-config", CONFIG, "AllTraffic", 1.0, 2),
    Green(image="i", model_data_url="s3://models/new"),
    Plan(strategy=canary([25, 100], bake=60), alarms=("refused",), default_alarms=None),
)
QUESTION = {"before": 100.0, "asked_at": "12:02", "until": "13:02", "may_answer": "alice"}


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def trace(name: str, ended: float | None, state: str = "success", **xcoms: Any) -> TaskTrace:
    return TaskTrace(name, state, minute(0), minute(ended) if ended is not None else None, xcoms)


def points(*counts: tuple[float, float, float]) -> tuple[Point, ...]:
    return tuple(
        Point(minute(at).timestamp(), requests, 0, failures, 15.0, 18.0, 20.0) for at, requests, failures in counts
    )


FIGURES_SEEN = Figures(
    counted_at=minute(5),
    period_seconds=60,
    blue=points((0, 100, 0), (1, 75, 1), (2, 75, 0), (3, 100, 0)),
    green=points((1, 25, 13), (2, 25, 12)),
)
SHIFTED = trace("shift_25", 1, return_value={"share": 25, "state": "green has 25 %"}, **{NOTE: {"kind": "share"}})
PAUSED = Control("0123abcd", Wish.PAUSE, minute(1), "bob")
BAKED = trace("bake_25", 2, return_value={"verdict": "healthy", "reason": "quiet, 50 requests"})
HARMED = trace(
    "bake_25", 2, "failed", return_value={"verdict": "harmful", "reason": "37 is over 5"}, reason="37 is over 5."
)


def settled(outcome: str, figures: Figures | None = FIGURES_SEEN) -> TaskTrace:
    noted: dict[str, Any] = {NOTE: {"kind": "settled", "outcome": outcome}}
    return trace("settle", 5, **noted, **({FIGURES: figures_to_dict(figures)} if figures else {}))


def report(
    *tasks: TaskTrace, live: Live | None = None, rollout: Rollout = ROLLOUT, is_over: bool = False, **others: Any
) -> Report:
    return build_report("canary", rollout, tasks, live, is_over=is_over, **others)


def facts(*tasks: TaskTrace, live: Live | None = None) -> dict[str, str]:
    return dict(report(*tasks, live=live).facts)


def test_a_rollback_answers_every_question_from_what_its_tasks_have_left() -> None:
    told = facts(SHIFTED, HARMED, settled("as_before"))
    assert told["Which model"] == "fraud-0123abcd (green, from s3://models/new) in place of fraud-v1 (blue)"
    assert told["When"] == "2026-01-01 12:00:00 UTC to 2026-01-01 12:05:00 UTC, 5 min 0 s"
    assert told["How much traffic it had"] == "25 % from 12:01:00, then 0 % from 12:03:00 (UTC)"
    assert told["How many requests failed"].startswith(
        "25 of green's 50 (50 %); blue failed 1 of 350 (0.286 %) meanwhile"
    )
    assert told["What proved it"] == "37 is over 5"
    assert told["Who decided"] == "the rollout itself, by task bake_25"
    assert told["What serves now"] == "blue, fraud-v1 on config fraud-config, as before"


def test_the_outcome_is_one_sentence_with_its_reason() -> None:
    assert report(SHIFTED, HARMED, settled("as_before")).sentence == (
        "Rolled back: fraud-v1 serves all requests as before, because 37 is over 5."
    )
    assert (
        report(SHIFTED, BAKED, settled("promoted")).sentence == "Promoted: fraud-0123abcd serves all requests of fraud."
    )
    assert "sm-rollout rollback fraud" in report(SHIFTED, trace("settle", 5, "failed")).sentence


def test_a_rollout_that_was_refused_is_not_called_rolled_back() -> None:
    note = {NOTE: {"kind": "refused"}}
    refused = trace("deploy_green", 1, "failed", reason="endpoint fraud is held by rollout 4567cdef.", **note)
    told = report(refused, settled("as_before", None))
    assert (told.outcome, told.sentence) == ("refused", "Not started: endpoint fraud is held by rollout 4567cdef.")
    assert dict(told.facts)["What serves now"] == "what served before: this rollout has changed nothing"
    shadow = trace("shadow", 1, **{NOTE: {"kind": "shadow", "percent": 50}})
    assert report(shadow, refused, settled("as_before", None)).outcome == "rolled_back"


def test_a_rollout_whose_settling_is_not_over_is_in_progress() -> None:
    for state in ("", "running", "deferred", "up_for_retry"):
        assert report(SHIFTED, trace("settle", None, state)).outcome == "running"
    assert report(SHIFTED).outcome == "running"


def after(aftermath: Aftermath | None, share: float = 0.0) -> Live:
    serving = "endpoint fraud is InService on config other"
    return Live(minute(30), share, {}, None, FIGURES_SEEN, aftermath, serving)


NEVER_SETTLED = trace("settle", 5, "failed", reason="could not delete: AccessDenied.")


def test_what_somebody_else_has_settled_since_is_told_as_aws_shows_it() -> None:
    told = report(SHIFTED, HARMED, NEVER_SETTLED, live=after(Aftermath.AS_BEFORE))
    assert told.outcome == "rolled_back"
    assert told.sentence == (
        "As before: fraud-v1 serves all requests of fraud, as AWS shows it; no task of this run has noted the end. "
        "The run ended because 37 is over 5."
    )
    assert dict(told.facts)["What serves now"] == "blue, fraud-v1 on config fraud-config, as before"
    assert dict(told.facts)["When"] == "since 2026-01-01 12:00:00 UTC; when it ended, no task has noted"
    assert [share for _, share in told.shares] == [25, 0]
    promoted = report(SHIFTED, NEVER_SETTLED, live=after(Aftermath.PROMOTED, 100.0))
    assert (promoted.outcome, promoted.sentence[:10]) == ("promoted", "Promoted: ")
    changed = report(SHIFTED, NEVER_SETTLED, live=after(Aftermath.CHANGED))
    assert changed.outcome == "not_settled"
    assert "nothing of the rollout is left" in changed.sentence
    assert dict(changed.facts)["What serves now"] == "endpoint fraud is InService on config other"


@pytest.mark.parametrize("live", [after(Aftermath.HELD, 25.0), None])
def test_what_nobody_has_settled_is_said_to_need_a_person(live: Live | None) -> None:
    told = report(SHIFTED, NEVER_SETTLED, live=live)
    assert told.outcome == "not_settled"
    assert told.sentence.startswith(
        "NOT SETTLED: endpoint fraud is InService" if live else "NOT SETTLED: the endpoint may"
    )
    assert "Run sm-rollout rollback fraud." in told.sentence


def test_a_rollout_without_a_task_that_settles_is_over_with_its_run() -> None:
    assert report(SHIFTED).outcome == "running"
    assert report(SHIFTED, live=after(Aftermath.PROMOTED, 100.0)).outcome == "running"
    assert report(SHIFTED, is_over=True).outcome == "not_settled"
    assert report(SHIFTED, live=after(Aftermath.PROMOTED, 100.0), is_over=True).outcome == "promoted"
    assert report(SHIFTED, settled("as_before"), live=after(Aftermath.PROMOTED), is_over=True).outcome == "rolled_back"


@pytest.mark.parametrize(
    ("key", "left"),
    [
        (APPROVAL, {"question": "of another version"}),
        (APPROVAL, {**QUESTION, "before": "some"}),
        (DID, [{"when": "12:00"}]),
        (EVIDENCE, {"metrics": [{"metric": "errors_5xx", "green": {"of": 1}}]}),
        (EVIDENCE, {"evidence": "much", "needed": 20}),
        (FIGURES, {"points": []}),
        (FIGURES, {**figures_to_dict(FIGURES_SEEN), "green": [["noon", 1, 0, 0, None, None, None]]}),
        (NOTE, {"kind": "shadow", "percent": "all"}),
        ("return_value", {"share": "most"}),
    ],
)
def test_what_another_version_has_left_is_named_and_the_rest_is_told(key: str, left: Any) -> None:
    strange = replace(settled("as_before"), xcoms={**settled("as_before").xcoms, key: left})
    odd = trace("odd", 2, **{"return_value": {"verdict": "healthy"}, key: left})
    told = report(SHIFTED, HARMED, odd, *([strange] if key == FIGURES else [settled("as_before")]))
    assert told.unread == tuple(f"XCom {key} of task {name}" for name in ("odd", "settle")[: 1 + (key == FIGURES)])
    assert told.outcome == "rolled_back"
    assert [task.name for task in told.tasks] == ["shift_25", "bake_25", "odd", "settle"]


def test_what_is_left_that_can_be_read_is_not_called_unread() -> None:
    asked = trace("approve_100", 1, **{APPROVAL: {**QUESTION, "weather": "fine"}})
    told = report(asked, SHIFTED, HARMED, settled("as_before"))
    assert told.unread == ()
    assert told.approvals[0].may_answer == "alice"


SHADOWED = trace("shadow", 1, **{NOTE: {"kind": "shadow", "percent": 50.0}})


def test_a_shadow_is_told_and_its_copies_are_no_requests() -> None:
    told = report(SHADOWED, trace("bake_shadow", None, "deferred"))
    assert told.sentence == (
        "In progress: fraud-0123abcd is a shadow: it answers copies of 50 % of the requests, and nobody gets its answers."
    )
    assert dict(told.facts)["How much traffic it had"] == (
        "copies of 50 % of the requests from 12:01:00, as a shadow; then none yet"
    )
    seen = replace(FIGURES_SEEN, shadow=points((0, 200, 7)))
    deployed = trace("deploy_green", 2, return_value={"green_variant": "model-0123abcd"})
    later = report(SHADOWED, deployed, replace(SHIFTED, ended_at=minute(3)), settled("as_before", seen))
    assert later.figures == seen
    facts = dict(later.facts)
    assert facts["How much traffic it had"].startswith(
        "copies of 50 % of the requests from 12:01:00 to 12:02:00, as a shadow; then 25 % from 12:03:00"
    )
    assert "25 of green's 50" in facts["How many requests failed"]
    assert facts["How many requests failed"].endswith("; as a shadow 7 of 200 copies")
    assert "has 0 % of the requests" in report(SHADOWED, deployed).sentence


def test_the_comparison_so_far_is_shown_while_more_is_to_come() -> None:
    found = {"sentence": "Green had 40 calls, too few to tell."}
    assert report(SHIFTED, comparison=found).comparison == found
    assert report(SHIFTED, settled("promoted"), comparison=found).comparison is None


def test_half_of_the_way_to_a_proof_is_the_root_of_the_evidence_that_it_needs() -> None:
    compared = {"evidence": math.sqrt(20), "needed": 20.0, "health": 0.2, "health_needed": 20.0}
    assert list(progress_of(compared)) == [
        ("Proof that green is worse", 0.5, "4.47 of 20"),
        ("Proof that it is not", 0.0, "0.2 of 20"),
    ]
    assert next(progress_of({**compared, "evidence": 900}))[1:] == (1.0, "900 of 20")
    assert list(progress_of({"sentence": "of another version"})) == []


def test_the_plan_is_laid_where_green_first_had_traffic() -> None:
    assert report(SHIFTED).planned == ((minute(1), 25), (minute(2), 100), (minute(3), 100))
    assert report().planned[0] == (minute(0), 25)
    live = Live(minute(7), 0.0, {}, None, None)
    assert report(SHADOWED, live=live).planned[0] == (minute(7), 25)
    assert report(SHIFTED, live=live).planned[0] == (minute(1), 25)


def test_the_real_share_ends_with_greens_last_request_not_with_the_tidying_up() -> None:
    assert report(SHIFTED, HARMED, settled("as_before")).shares == ((minute(1), 25), (minute(3), 0))
    assert report(SHIFTED, HARMED, settled("as_before", None)).shares == ((minute(1), 25), (minute(5), 0))


def test_what_aws_says_now_counts_where_more_is_to_come() -> None:
    live = Live(minute(1.5), 25.0, {"refused": "OK"}, PAUSED, FIGURES_SEEN)
    running = report(SHIFTED, live=live)
    assert running.shares[-1] == (minute(1.5), 25)
    assert (running.alarms, running.control) == ({"refused": "OK"}, "paused by bob at 12:01:00 UTC")
    assert running.figures == FIGURES_SEEN
    assert facts(SHIFTED)["How many requests failed"] == "not known: CloudWatch was not read"


def test_who_guards_it_is_told_while_more_is_to_come() -> None:
    live = replace(after(None), guardian=GuardianLook("night-watch", minute(29.5)))
    assert report(SHIFTED, live=live).guarded == "guarded by night-watch, last look 30 s ago"
    assert report(SHIFTED, settled("as_before"), live=live).guarded == ""
    assert report(SHIFTED, live=after(None)).guarded == ""


def test_figures_that_lack_green_are_not_told_as_no_failures() -> None:
    blind = replace(FIGURES_SEEN, green=())
    assert facts(SHIFTED, HARMED, settled("as_before", blind))["How many requests failed"].startswith("none counted: ")


def test_a_shift_that_was_killed_in_the_middle_has_given_green_traffic_all_the_same() -> None:
    told = facts(trace("shift_25", 2, "failed"), settled("as_before"))
    assert told["How much traffic it had"] == "50 requests; which share of all that was, no task has noted"


def test_while_sagemaker_shifts_by_itself_nothing_is_claimed_about_shares() -> None:
    by_sagemaker = replace(ROLLOUT, plan=replace(ROLLOUT.plan, traffic="guardrails"))
    told = report(trace("promote", None, "deferred"), rollout=by_sagemaker)
    assert told.sentence == "In progress: SageMaker shifts the requests to fraud-0123abcd by its guardrails."
    assert dict(told.facts)["How much traffic it had"] == "not known: SageMaker shifts by itself"
    assert dict(told.facts)["What serves now"] == "blue and green, as SageMaker shifts the requests"
    assert [share for _, share in told.planned] == [25, 100, 100]


def test_who_approved_did_not_decide_what_harm_did_later() -> None:
    approved = trace("approve_25", 1, **{APPROVAL: {**QUESTION, "answer": "approved", "by": "bob", "at": "12:01"}})
    decided = facts(approved, SHIFTED, HARMED, settled("as_before"))["Who decided"]
    assert decided == "bob approved 100 % at 12:01; the rollout itself, by task bake_25"
    assert facts(approved, SHIFTED, settled("promoted"))["Who decided"] == "bob approved 100 % at 12:01"


def test_people_and_their_notes_are_named() -> None:
    open_question = trace("approve_100", None, "deferred", **{APPROVAL: QUESTION})
    assert "in task approve_100, until 13:02" in report(SHIFTED, BAKED, open_question).sentence
    answer = {**QUESTION, "answer": "rejected", "by": "bob", "at": "12:03", "note": "not today"}
    rejected = trace("approve_100", 3, "failed", reason="bob rejected 100 %", **{APPROVAL: answer})
    assert (
        facts(SHIFTED, BAKED, rejected, settled("as_before"))["Who decided"]
        == "bob rejected 100 % at 12:03 (not today)"
    )


def test_a_task_tells_its_part_and_a_bake_its_comparison() -> None:
    compared = trace("bake_25", 2, return_value={"verdict": "healthy", "reason": "r"}, evidence={"sentence": "s"})
    shifted = replace(SHIFTED, xcoms={**SHIFTED.xcoms, DID: [{"at": "12:00:30", "what": "set weights"}]})
    told = report(shifted, compared)
    assert (told.tasks[0].sentence, told.tasks[0].did) == ("green has 25 %", (("12:00:30", "set weights"),))
    assert told.verdicts[0].comparison == {"sentence": "s"}


def test_calls_of_aws_are_told_by_operation_over_all_tasks_and_their_triggers() -> None:
    deployed = trace("deploy_green", 1.0, calls={"DescribeEndpoint": 3, "UpdateEndpoint": 1})
    baked = trace(
        "bake_10", 4.0, calls={"DescribeAlarms": 1}, calls_awaited={"DescribeAlarms": 9, "DescribeEndpoint": 8}
    )
    spoilt = trace("bake_50", 5.0, calls={"DescribeAlarms": "some"})
    told = facts(deployed, baked, spoilt)["How often it asked AWS"]
    assert told == "22 calls: DescribeEndpoint 11, DescribeAlarms 10, UpdateEndpoint 1"
    assert "How often it asked AWS" not in facts(trace("deploy_green", 1.0))


def test_what_a_trigger_has_left_is_read_as_it_was_meant() -> None:
    assert plain_xcom(json.dumps({"verdict": "harmful"})) == {"verdict": "harmful"}
    assert plain_xcom('"a reason"') == "a reason"
    assert plain_xcom("[37.0 is no JSON") == "[37.0 is no JSON"
    assert plain_xcom(25) == 25


def test_figures_survive_their_json() -> None:
    ringing = replace(FIGURES_SEEN, rang={"refused": ((1.0, 2.0), (3.0, None))})
    assert figures_from_dict(json.loads(json.dumps(figures_to_dict(ringing)))) == ringing


def test_periods_are_the_finest_that_cloudwatch_still_has() -> None:
    assert choose_period(10, START, START + timedelta(hours=3)) == 10
    assert choose_period(10, START, START + timedelta(hours=4)) == 60
    assert choose_period(60, START, START + timedelta(minutes=5)) == 60
    assert choose_period(10, START, START + timedelta(days=10)) == 840


def test_an_alarm_rings_until_it_leaves_the_state() -> None:
    assert ringing_spans([(1, True), (2, False), (3, False), (4, True)]) == ((1, 2), (4, None))
