"""Every judge on every cell."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from airflow_sm_rollout.core.comparison.comparison import Tolerances
from benchmarks.verdict import alarms, kayenta, ours
from benchmarks.verdict.optimum import Optimum
from benchmarks.verdict.outcome import Outcome
from benchmarks.verdict.traffic import Traffic, generate
from benchmarks.verdict.worlds import Cell

CAREFUL = 3.2
"""Quantile of the confidence of 99.86 %, at which Kayenta rolls back 1 % of the harmless ones at most.

That is so on the tuning half at 600 and 6,000 a minute.
"""
OURS = "ours"
KAYENTA = "Kayenta"
KAYENTA_WARM = "Kayenta, warm-up"
KAYENTA_CAREFUL = "Kayenta, 99.86 %"
ALARM = "5 % alarm"
AWS_ALARM = "AWS's alarm"
JUDGES = (OURS, KAYENTA, KAYENTA_WARM, KAYENTA_CAREFUL, ALARM, AWS_ALARM)


@dataclass(frozen=True)
class Row:
    """A cell and what each judge said of its runs.

    :param seconds: how often ours had figures.
    :param optimum: what can be found of its harm; ``None``: nobody has asked.
    """

    cell: Cell
    outcomes: dict[str, Outcome]
    seconds: int = 60
    optimum: Optimum | None = None

    @property
    def ours(self) -> Outcome:
        """What the product says."""
        return self.outcomes[OURS]


def measure(
    cells: Iterable[Cell], *, seed: int, runs: int, harmless_runs: int, seconds: int = 60, alone: bool = False
) -> Iterator[Row]:
    """Judge cells, each from a seed of its own, so that it is the same whichever others are judged.

    :param runs: of each harmful cell.
    :param harmless_runs: of each harmless one, where what is looked for is rare.
    :param seconds: how often ours has figures; the others always have them by the minute.
    :param alone: without the others, which take nearly all of the time.
    """
    tolerances = Tolerances()
    warm_up = round(tolerances.warm_up_minutes)
    for cell in cells:
        seeds = [seed, zlib.crc32(cell.name.encode()), cell.requests, round(1000 * cell.share)]
        rng = np.random.default_rng(seeds)
        traffic = generate(cell, runs if cell.harmful else harmless_runs, rng)
        outcomes = {OURS: ours.judge(traffic, tolerances, seconds, rng)}
        yield Row(cell, outcomes if alone else {**outcomes, **_others(traffic, warm_up)}, seconds)


def _others(traffic: Traffic, warm_up: int) -> dict[str, Outcome]:
    warm, careful = kayenta.judge(traffic, warm_up, (kayenta.CONFIDENCE_98, CAREFUL))
    return {
        KAYENTA: kayenta.judge(traffic, 0)[0],
        KAYENTA_WARM: warm,
        KAYENTA_CAREFUL: careful,
        ALARM: alarms.five_percent_or_slow(traffic),
        AWS_ALARM: alarms.every_call_fails(traffic),
    }
