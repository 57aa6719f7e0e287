"""How much processor time a look takes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import numpy as np

from airflow_sm_rollout.core.comparison.comparison import Tolerances, compare
from airflow_sm_rollout.core.comparison.periods import Period
from benchmarks.verdict import ours
from benchmarks.verdict.cells import HELD_BACK
from benchmarks.verdict.goals import Goal
from benchmarks.verdict.traffic import BASELINE_MINUTES, generate
from benchmarks.verdict.worlds import Cell

LOOKS = 20
NEVER = Tolerances(false_rollback=1e-6, false_pass=1e-6)
"""So that no look ends early."""


def measure_timings() -> list[Goal]:
    """The best of some looks at 500 minutes, and the mean of some replays of a day, times 1,000."""
    baseline, day = _history(1440)
    look = min(_time(baseline, day[:500]) for _ in range(LOOKS))
    replays = 1000 * sum(_time(baseline, day) for _ in range(LOOKS)) / LOOKS
    return [
        Goal("one look at 500 minutes under 20 ms", f"{1000 * look:.1f} ms", () if look < 0.020 else ("too slow",)),
        Goal("1,000 replays of a day under 60 s", f"{replays:.0f} s", () if replays < 60 else ("too slow",)),
    ]


def _history(minutes: int) -> tuple[list[Period], list[Period]]:
    cell = Cell("a day", 6_000, 0.1, harmful=False, world=HELD_BACK.real)
    runs = list(ours.as_periods(generate(cell, minutes // 30, np.random.default_rng(5))))
    bakes = [period for run in runs for period in run[BASELINE_MINUTES:]]
    return runs[0][:BASELINE_MINUTES], [
        replace(period, start=ours.BEGIN + timedelta(hours=2, minutes=minute)) for minute, period in enumerate(bakes)
    ]


def _time(baseline: list[Period], periods: list[Period]) -> float:
    begun = time.process_time()
    compare(baseline, periods, NEVER, planned=timedelta(days=1))
    return time.process_time() - begun
