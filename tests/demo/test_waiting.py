"""The demo waits for a run while it moves on, however long that takes, and for one that stands still not for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, count, repeat
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_rollout.demo import watched_run
from airflow_sm_rollout.demo.scripts import find_script
from airflow_sm_rollout.demo.watched_run import RunStandsStill, WatchedRun

PATIENCE = 100.0


class Clock:
    """Seconds that only a look at the run lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += PATIENCE / 4


class Seen(WatchedRun):
    """A run of which only its end is asked for."""

    def _look(self, states: Mapping[str, str]) -> Any:
        return None

    def _sum_up(self, state: str, ended_at: float) -> Any:
        return state, ended_at


def watched(monkeypatch: pytest.MonkeyPatch, run_states: Iterator[str], task_states: Iterator[dict[str, str]]) -> Seen:
    monkeypatch.setattr(watched_run, "time", Clock())
    monkeypatch.setattr(watched_run, "take_inventory", lambda *_: None)
    airflow = SimpleNamespace(
        trigger=lambda *_: "monday", run_state=lambda *_: next(run_states), task_states=lambda *_: next(task_states)
    )
    progress = SimpleNamespace(show=lambda _: None, end_line=lambda: None)
    session = SimpleNamespace(client=lambda _: None)
    stage: Any = SimpleNamespace(session=session, endpoint_name="wine", airflow=airflow, progress=progress, front=None)
    return Seen(stage, "good", replace(find_script("canary", "variants"), patience_seconds=PATIENCE), {})


def test_a_run_whose_tasks_move_on_is_waited_for_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = ({"bake": f"{number // 3}"} for number in count())
    run = watched(monkeypatch, chain(repeat("running", 100), ["success"]), moving)
    assert run.follow() == ("success", 25 * PATIENCE)  # type: ignore[comparison-overlap]


def test_a_run_that_stands_still_is_given_up_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = chain(({"bake": str(number)} for number in range(10)), repeat({"bake": "stuck"}))
    with pytest.raises(
        RunStandsStill, match="run monday is still running, and none of its tasks has moved on for 100 s"
    ):
        watched(monkeypatch, repeat("running"), moving).follow()
