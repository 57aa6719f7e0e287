"""Looks at AWS beside the pages: shared, bounded, and never waited for long."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from airflow_sm_rollout.core.report import Live
from airflow_sm_rollout.plugin import live
from airflow_sm_rollout.plugin.live import LiveReads
from airflow_sm_rollout.plugin.page import STATIC
from airflow_sm_rollout.plugin.reads import Found
from core.test_rollout_report import ROLLOUT, minute
from production import wait_until

ASKED = 200


@pytest.fixture
def open_door() -> Iterator[Event]:
    door = Event()
    yield door
    door.set()


def found(name: str) -> Found:
    return Found("canary", replace(ROLLOUT, rollout_id=name), (), {})


def seen(share: float) -> Live:
    return Live(minute(1), share, {}, None, None)


def test_what_was_looked_at_once_is_not_kept_for_ever() -> None:
    looks = LiveReads(lambda _: seen(10))
    for number in range(ASKED):
        assert looks.latest([found(str(number))]) == [seen(10)]
    assert len(looks._looks) < ASKED / 2
    assert len(looks._last) < ASKED / 2


def test_many_rollouts_in_a_run_are_waited_for_no_longer_than_one(open_door: Event) -> None:
    def read(_: Found) -> Live:
        open_door.wait()
        return seen(10)

    looks = LiveReads(read)
    began = time.monotonic()
    assert looks.latest([found(str(number)) for number in range(10)]) == [None] * 10
    assert time.monotonic() - began < 2 * live.WAIT_SECONDS


def test_a_look_that_fails_leaves_the_last_one_that_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FRESH_SECONDS", -1.0)
    answers = [seen(10)]
    looks = LiveReads(lambda _: answers.pop())
    assert looks.latest([found("a")]) == [seen(10)]
    assert looks.latest([found("a")]) == [seen(10)], "the second look has raised"


def test_a_fact_is_shown_at_the_next_question_which_comes_within_three_seconds() -> None:
    [every_ms] = re.findall(r"const EVERY_MS = (\d+);", (STATIC / "page.js").read_text())
    between_questions = int(every_ms) / 1000
    assert between_questions > live.FRESH_SECONDS, "a question begins a look"
    assert between_questions + live.WAIT_SECONDS < 3, "which is waited for"


def test_after_a_wish_the_next_question_is_a_new_look() -> None:
    answers = [seen(50), seen(10)]
    looks = LiveReads(lambda _: answers.pop())
    assert looks.latest([found("a")]) == looks.latest([found("a")]) == [seen(10)]
    looks.forget(found("a"))
    assert looks.latest([found("a")]) == [seen(50)]


def test_twenty_viewers_cost_one_look(open_door: Event) -> None:
    asked = []

    def read(found: Found) -> Live:
        asked.append(found)
        open_door.wait()
        return seen(10)

    looks = LiveReads(read)
    with ThreadPoolExecutor(20) as viewers:
        waiting = [viewers.submit(looks.latest, [found("a")]) for _ in range(20)]
        assert [each.result() for each in waiting] == [[None]] * 20
    open_door.set()
    assert wait_until(lambda: looks.latest([found("a")]) == [seen(10)])
    assert len(asked) == 1


def test_why_a_look_failed_is_told_and_forgotten_once_one_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FRESH_SECONDS", -1.0)
    answers: list[Live | Exception] = [seen(10), OSError("no route")]

    def read(_: Found) -> Live:
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    looks = LiveReads(read)
    assert looks.failure(found("a")) == ""
    assert looks.latest([found("a")]) == [None]
    assert looks.failure(found("a")) == "OSError: no route"
    assert looks.latest([found("a")]) == [seen(10)]
    assert looks.failure(found("a")) == ""
