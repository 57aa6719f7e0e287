"""``python -m benchmarks.verdict.held``: how often, and how long, a bake is held at whose end a green as good as blue looks worse."""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator
from datetime import timedelta
from statistics import fmean

import numpy as np

from airflow_sm_rollout.core.comparison.comparison import Course, Finding, Tolerances
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.watch.policy import tolerances_in
from benchmarks.verdict.cells import HELD_BACK
from benchmarks.verdict.families import breaking, harmless
from benchmarks.verdict.ours import BEGIN, MINUTE, as_periods
from benchmarks.verdict.traffic import BASELINE_MINUTES, generate, split_bake
from benchmarks.verdict.worlds import BAKE_MINUTES, Cell

BAKES = (3, 10)
SECONDS = 10
LONGEST = Tolerances().warm_up + Tolerances().min_bake


def main(arguments: list[str]) -> None:
    """Play every family, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict.held", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of each family")
    parser.add_argument("--only", default="", help="families with this in their name")
    options = parser.parse_args(arguments)
    print("Held at the end of a bake, % of bakes; seconds that this adds, in the mean of all.")
    print(f"{'family':38}{'/min':>6}" + "".join(f"{f'{bake} min':>16}" for bake in BAKES))
    for kind, cells in {"harmless": harmless, "breaking": breaking}.items():
        chosen = (each for each in cells(HELD_BACK) if each.minutes == BAKE_MINUTES and options.only in each.name)
        rows = [_play(cell, options.runs) for cell in chosen]
        for number, bake in enumerate(BAKES) if rows else ():
            shares, seconds = zip(*(row[number] for row in rows), strict=True)
            print(
                f"-- {kind}, {bake} min: {100 * fmean(shares):.1f} % held, {fmean(seconds):.0f} s in the mean",
                flush=True,
            )


def _play(cell: Cell, runs: int) -> list[tuple[float, float]]:
    rng = np.random.default_rng([zlib.crc32(cell.name.encode()), cell.requests, round(1000 * cell.share)])
    traffic = generate(cell, runs, rng)
    baselines = [periods[:BASELINE_MINUTES] for periods in as_periods(traffic)]
    bakes = as_periods(split_bake(traffic, 60 // SECONDS, rng), SECONDS, BEGIN + BASELINE_MINUTES * MINUTE)
    held = [list(_hold(*each)) for each in zip(baselines, bakes, strict=True)]
    row = [(fmean(each > 0 for each in waits), fmean(waits)) for waits in zip(*held, strict=True)]
    told = "".join(f"{f'{100 * share:.0f} % / {seconds:.0f} s':>16}" for share, seconds in row)
    print(f"{cell.name:38}{cell.requests:>6}{told}", flush=True)
    return row


def _hold(baseline: list[Period], periods: list[Period]) -> Iterator[float]:
    """Seconds for which bakes of each length are held."""
    for bake in BAKES:
        tolerances = tolerances_in(Tolerances(), bake * MINUTE, SECONDS)
        course = Course(baseline, tolerances, planned=3 * bake * MINUTE)
        held = timedelta()
        for period in periods:
            course.take(period)
            if period.end < periods[0].start + bake * MINUTE:
                continue
            said = course.conclude()
            if said.verdict is Finding.HARM or not said.suspect or held >= LONGEST:
                break
            held += timedelta(seconds=SECONDS)
        yield held.total_seconds()


if __name__ == "__main__":
    main(sys.argv[1:])
