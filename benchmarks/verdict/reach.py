"""How near the product comes to what the best of all judges finds, and whether what was promised of that holds."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.verdict.goals import Goal, name_of
from benchmarks.verdict.optimum import find_optimum
from benchmarks.verdict.rows import Row

OF_ALL = 0.94
OF_THE_OPTIMUM = {
    ("errors x2", 6_000): 0.92,
    ("errors +1 point", 6_000): 0.92,
    ("latency p99 +50 %", 600): 0.96,
    ("slow leak, +0.17 points a minute", 600): 0.95,
}
"""Of how much of what can be found at a share of 10 %."""
FOUND = {("1 of 200 calls hangs", 6_000): 0.99, ("slowest 0.9 % 20 times slower", 600): 0.75}
FEW_CALLS, TIMES_AS_LONG = 20, 1.2
WRONGLY_PROVEN = 0.01


def beside_optimum(row: Row, seed: int) -> Row:
    """A row with what can be found of its harm, if there is any."""
    if not row.cell.harmful:
        return row
    rng = np.random.default_rng([seed, zlib.crc32(row.cell.name.encode()), row.cell.requests])
    return replace(row, optimum=find_optimum(row.cell, rng))


def judge_reach(rows: Sequence[Row]) -> list[Goal]:
    """The goals of which these rows tell something."""
    harmful = [row for row in rows if row.cell.harmful and row.optimum]
    at_tenth = {(row.cell.name, row.cell.requests): row for row in harmful if row.cell.share == 0.1}
    goals = [_mean(harmful)] if harmful else []
    goals += [_part(at_tenth[key], least) for key, least in OF_THE_OPTIMUM.items() if key in at_tenth]
    goals += [_found(at_tenth[key], least) for key, least in FOUND.items() if key in at_tenth]
    few = [row for row in harmful if row.cell.requests <= FEW_CALLS]
    if few:
        goals.append(_soon(few))
    if harmful:
        goals.append(_wrongly_proven(harmful))
    return goals


def _mean(rows: Sequence[Row]) -> Goal:
    ours, optimum = (
        float(np.mean(found)) for found in ([row.ours.rolled_back for row in rows], [_optimum(row) for row in rows])
    )
    return _least(f"mean detection {OF_ALL:g} of the optimum", ours / optimum, OF_ALL, f"{ours:.3f} of {optimum:.3f}")


def _part(row: Row, least: float) -> Goal:
    ours, optimum = row.ours.rolled_back, _optimum(row)
    promise = f"{name_of(row)}: {least:g} of the optimum"
    return _least(promise, ours / max(optimum, 1e-9), least, f"{100 * ours:.1f} % of {100 * optimum:.1f} %")


def _found(row: Row, least: float) -> Goal:
    found = row.ours.rolled_back
    return _least(f"{name_of(row)}: found in {100 * least:g} %", found, least, f"{100 * found:.1f} %")


def _least(promise: str, reached: float, least: float, figures: str) -> Goal:
    return Goal(promise, f"{reached:.3f} ({figures})", () if reached >= least else (f"{reached:.3f}, not {least:g}",))


def _soon(rows: Sequence[Row]) -> Goal:
    figures, late = [], []
    for row in rows:
        ours, optimum = row.ours.caught(0.5), row.optimum.minutes if row.optimum else float("nan")
        figures.append(f"{row.cell.requests}/min {ours:g} of {optimum:g}")
        if not ours <= TIMES_AS_LONG * optimum:
            late.append(f"{name_of(row)}: {ours:g} minutes, the optimum {optimum:g}")
    promise = f"few calls that all fail: found in {TIMES_AS_LONG:g} times the optimum's minutes (medians)"
    return Goal(promise, ", ".join(figures), tuple(late))


def _wrongly_proven(rows: Sequence[Row]) -> Goal:
    rates = [row.ours.passed for row in rows]
    wrong = [f"{name_of(row)}: {100 * row.ours.passed:.1f} %" for row in rows if row.ours.passed > WRONGLY_PROVEN]
    promise = f"a harmful green is proven healthy in {100 * WRONGLY_PROVEN:g} % at most"
    return Goal(promise, f"worst {100 * max(rates):.1f} %, mean {100 * float(np.mean(rates)):.2f} %", tuple(wrong))


def _optimum(row: Row) -> float:
    return row.optimum.found if row.optimum else 0.0
