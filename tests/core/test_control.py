from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.control import Control, Wish, control_from_json, control_to_json, next_control
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.watch.judge import Signs, conclude
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def wish(kind: Wish, minute: float, before: Control | None = None) -> Control:
    return next_control(before, Control("id", kind, START + timedelta(minutes=minute), by="alice"))


@given(st.sampled_from(Wish), st.floats(0, 1e6), st.text())
def test_a_wish_reads_back_as_what_was_written(kind: Wish, seconds: float, note: str) -> None:
    control = Control("id", kind, START, note=note, paused_before=timedelta(seconds=int(seconds)))
    assert control_from_json(control_to_json(control)) == control


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 1}', '{"version": 2, "wish": "pause"}'])
def test_what_is_no_wish_is_refused(text: str) -> None:
    with pytest.raises(RolloutError):
        control_from_json(text)


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=8))
def test_the_time_paused_is_the_sum_of_all_pauses(minutes: list[float]) -> None:
    control, now, paused = None, 0.0, 0.0
    for number, duration in enumerate(minutes):
        control = wish(Wish.GO_ON if number % 2 else Wish.PAUSE, now, control)
        now += duration
        paused += 0 if number % 2 else duration
    assert control is not None
    assert control.paused(START + timedelta(minutes=now)).total_seconds() == pytest.approx(paused * 60, abs=0.01)


def test_only_a_pause_is_resumed_and_nothing_follows_an_abort() -> None:
    with pytest.raises(RolloutError, match="not paused"):
        wish(Wish.GO_ON, 1)
    with pytest.raises(RolloutError, match="already"):
        wish(Wish.PAUSE, 2, wish(Wish.PAUSE, 1))
    for kind in Wish:
        with pytest.raises(RolloutError, match="aborted by alice"):
            wish(kind, 2, wish(Wish.ABORT, 1))


def judge(minute: float, control: Control | None, *alarms: Alarm) -> tuple[Verdict, str]:
    watch = Watch(START, START + timedelta(minutes=10), START, min_requests=0)
    judgement = conclude(watch, Signs(alarms, 100, control), START + timedelta(minutes=minute))
    return judgement.verdict, judgement.reason


def test_a_paused_bake_goes_on_watching_and_is_longer_by_the_pause() -> None:
    paused = wish(Wish.PAUSE, 5)
    verdict, reason = judge(60, paused)
    assert verdict is Verdict.WATCHING
    assert "paused by alice at 12:05:00 UTC" in reason
    resumed = wish(Wish.GO_ON, 60, paused)
    assert judge(64.9, resumed)[0] is Verdict.WATCHING
    assert judge(65.1, resumed)[0] is Verdict.HEALTHY


@pytest.mark.parametrize("kind", Wish)
def test_harm_is_harm_whatever_a_person_wishes(kind: Wish) -> None:
    control = Control("id", kind, START)
    assert judge(1, control, Alarm("errors", "ALARM", "bad", START + timedelta(seconds=1)))[0] is Verdict.HARMFUL


def test_an_abort_ends_the_bake_with_its_author_and_a_promotion_cuts_it_short() -> None:
    assert judge(1, wish(Wish.ABORT, 1)) == (Verdict.ABORTED, "the rollout was aborted by alice at 12:01:00 UTC")
    assert judge(1, wish(Wish.PROMOTE, 1))[0] is Verdict.HEALTHY
