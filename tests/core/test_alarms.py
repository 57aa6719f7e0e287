from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.plan.evidence import WHEN_INCONCLUSIVE
from airflow_sm_rollout.core.watch.judge import Signs, conclude
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
END = START + timedelta(minutes=10)
SHIFTED = START - timedelta(minutes=1)
BAKE = Watch(START, END, SHIFTED, min_requests=20)
QUIET = Alarm("errors", "OK", "2.1 % <= 5 %", START - timedelta(minutes=5))


def judge(*alarms: Alarm, requests: float | None = 100, now: datetime = END) -> tuple[Verdict, str]:
    judgement = conclude(BAKE, Signs(alarms, requests), now)
    return judgement.verdict, judgement.reason


def test_quiet_alarms_and_enough_requests_to_the_end_are_healthy() -> None:
    assert judge(QUIET)[0] is Verdict.HEALTHY


def test_a_healthy_bake_tells_what_was_watched_and_how_much_of_it() -> None:
    slow = Judgement(Verdict.HEALTHY, "Green did well.")
    assert judge(QUIET, requests=1_234_567)[1] == "alarm errors quiet to the end of the bake, 1,234,567 requests"
    assert judge(requests=20)[1] == "no harm seen (no alarm is watched) to the end of the bake, 20 requests"
    both = conclude(BAKE, Signs([QUIET], 30, judgements=[slow, slow]), END).reason
    assert both == "alarm errors quiet to the end of the bake, 30 requests; Green did well; Green did well"


def test_before_the_end_quiet_alarms_prove_nothing_yet() -> None:
    verdict, reason = judge(QUIET, requests=None, now=END - timedelta(seconds=30))
    assert verdict is Verdict.WATCHING
    assert "30 s" in reason


@given(st.integers(0, 1200))
def test_an_alarm_is_harm_at_any_moment_and_names_itself_and_its_figures(second: int) -> None:
    ringing = Alarm("errors", "ALARM", "37.5 was greater than 5.0", START + timedelta(seconds=1))
    verdict, reason = judge(QUIET, ringing, now=START + timedelta(seconds=second))
    assert verdict is Verdict.HARMFUL
    assert "errors" in reason
    assert "37.5" in reason
    assert "before green had traffic" not in reason


def test_an_alarm_that_rang_before_green_had_traffic_is_said_to_be_stale() -> None:
    verdict, reason = judge(Alarm("errors", "ALARM", "old trouble", SHIFTED - timedelta(seconds=1)))
    assert verdict is Verdict.HARMFUL
    assert "before green had traffic" in reason


def test_an_alarm_between_the_shift_and_the_bake_is_about_green() -> None:
    assert "before green" not in judge(Alarm("errors", "ALARM", "fresh", SHIFTED + timedelta(seconds=1)))[1]


def test_a_flap_between_two_looks_is_harm() -> None:
    verdict, reason = judge(Alarm("errors", "OK", "8 % > 5 %", END, flapped_at=START + timedelta(minutes=3)))
    assert verdict is Verdict.HARMFUL
    assert "12:03:00" in reason


def test_an_alarm_that_was_deleted_is_not_healthy() -> None:
    verdict, reason = judge(Alarm("errors", "MISSING"))
    assert verdict is Verdict.HARMFUL
    assert "does not exist" in reason


def test_no_data_is_not_healthy() -> None:
    assert judge(QUIET, Alarm("latency", "INSUFFICIENT_DATA", "no datapoints"))[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("requests", "verdict"), [(0, Verdict.INCONCLUSIVE), (19, Verdict.INCONCLUSIVE), (20, Verdict.HEALTHY)]
)
def test_too_little_traffic_is_not_healthy(requests: int, verdict: Verdict) -> None:
    assert judge(QUIET, requests=requests)[0] is verdict


ALARMS = st.builds(
    Alarm,
    name=st.just("a"),
    state=st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA", "MISSING"]),
    since=st.none() | st.just(START),
    flapped_at=st.none() | st.just(START),
)


@given(st.lists(ALARMS, max_size=4), st.none() | st.integers(0, 40), st.integers(-60, 900))
def test_only_what_is_quiet_to_the_end_is_ever_healthy(alarms: list[Alarm], requests: int | None, second: int) -> None:
    verdict, reason = judge(*alarms, requests=requests, now=START + timedelta(seconds=second))
    assert reason
    if verdict is Verdict.HEALTHY:
        assert second >= 600
        assert all(alarm.state == "OK" and alarm.flapped_at is None for alarm in alarms)
        assert requests is None or requests >= 20


def judged(*judgements: Judgement, now: datetime = END, is_proven: bool = False, **changes: object) -> Judgement:
    bake = replace(BAKE, **changes)  # type: ignore[arg-type]
    return conclude(bake, Signs([QUIET], 100, None, judgements, is_proven), now)


UNSURE = Judgement(Verdict.INCONCLUSIVE, "refusals: there are no figures")
NOBODY_CAN_TELL = replace(UNSURE, reason=f"nobody can tell whether green is healthy: {UNSURE.reason}")
HARM = Judgement(Verdict.HARMFUL, "green failed 53 of 214 calls")
NOTHING_YET = Judgement(Verdict.WATCHING, "too little to tell a difference")


@pytest.mark.parametrize("second", [0, 599, 600])
def test_harm_that_anything_has_proven_ends_a_bake_at_any_moment(second: int) -> None:
    found = judged(NOTHING_YET, UNSURE, HARM, now=START + timedelta(seconds=second))
    assert found == HARM
    assert not found.passes


def test_where_nobody_can_tell_at_the_end_a_bake_fails_unless_the_plan_says_otherwise() -> None:
    assert judged(UNSURE, now=END - timedelta(seconds=1)).verdict is Verdict.WATCHING
    assert judged(UNSURE) == NOBODY_CAN_TELL
    assert not judged(UNSURE).passes
    tolerated = judged(UNSURE, when_inconclusive="go_on")
    assert (tolerated.verdict, tolerated.passes) == (Verdict.INCONCLUSIVE, True)
    assert "refusals" in tolerated.reason


def test_a_person_is_asked_only_where_a_task_is_there_to_ask() -> None:
    asked = judged(UNSURE, when_inconclusive="ask", asked_in="canary.ask_10")
    assert (asked.verdict, asked.passes) == (Verdict.INCONCLUSIVE, True)
    assert asked.reason == f"{NOBODY_CAN_TELL.reason}. Task canary.ask_10 asks a person"
    alone = judged(UNSURE, when_inconclusive="ask")
    assert (alone.verdict, alone.passes) == (Verdict.INCONCLUSIVE, False)
    assert "no AskOperator is all that follows" in alone.reason


@given(st.sampled_from(WHEN_INCONCLUSIVE), st.sampled_from(["", "ask_10"]), st.booleans())
def test_harm_is_left_to_nobody(when_inconclusive: str, asked_in: str, is_proven: bool) -> None:
    found = judged(UNSURE, HARM, is_proven=is_proven, when_inconclusive=when_inconclusive, asked_in=asked_in)
    assert found == HARM


def test_an_extended_bake_ends_once_somebody_can_tell_or_its_extension_is_over() -> None:
    minutes = {"extension": timedelta(minutes=5)}
    waiting = judged(UNSURE, now=END + timedelta(minutes=4), **minutes)
    assert waiting.verdict is Verdict.WATCHING
    assert "60 s" in waiting.reason
    assert judged(NOTHING_YET, now=END + timedelta(minutes=4), **minutes).verdict is Verdict.HEALTHY
    assert judged(UNSURE, now=END + timedelta(minutes=5), **minutes) == NOBODY_CAN_TELL


def test_a_bake_ends_early_only_where_the_plan_allows_it_and_only_on_proof_of_health() -> None:
    early = START + timedelta(minutes=2)
    assert judged(now=early, is_proven=True).verdict is Verdict.WATCHING
    assert judged(now=early, ends_early=True).verdict is Verdict.WATCHING
    assert judged(now=early, is_proven=True, ends_early=True).verdict is Verdict.HEALTHY
    assert judged(UNSURE, now=early, is_proven=True, ends_early=True).verdict is Verdict.WATCHING
