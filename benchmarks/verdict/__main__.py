"""``python -m benchmarks.verdict``: the table, and which promises hold."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from benchmarks.verdict.bound import find_bounds
from benchmarks.verdict.cells import HELD_BACK, TUNING, Half
from benchmarks.verdict.families import hard
from benchmarks.verdict.goals import judge_goals
from benchmarks.verdict.outcome import Outcome
from benchmarks.verdict.reach import beside_optimum, judge_reach
from benchmarks.verdict.rows import JUDGES, OURS, Row, measure
from benchmarks.verdict.timings import measure_timings
from benchmarks.verdict.worlds import Cell

QUICK = {
    "real noise",
    "no traffic",
    "cv 0.6, bunches of 10, cold start",
    "clean",
    "errors x5",
    "every call fails",
    "latency p50 +20 %",
}


def main(arguments: list[str]) -> None:
    """Judge the cells that were asked for, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict", description=__doc__)
    parser.add_argument("--half", choices=["held-back", "tuning"], default="held-back")
    parser.add_argument("--quick", action="store_true", help="some cells, fewer runs, less than a minute")
    parser.add_argument("--runs", type=int, default=200, help="of each harmful cell; harmless ones get twice as many")
    parser.add_argument("--only", default="", help="cells with this in their name")
    parser.add_argument("--share", type=float, help="cells with this share of green only: 0.1 or 0.05")
    parser.add_argument(
        "--seconds",
        type=int,
        choices=[60, 10],
        default=60,
        help="how often ours has figures; the others have them by the minute",
    )
    parser.add_argument(
        "--alone", action="store_true", help="without the other judges, which take nearly all of the time"
    )
    options = parser.parse_args(arguments)
    half = HELD_BACK if options.half == "held-back" else TUNING
    runs = 60 if options.quick else options.runs
    begun = time.perf_counter()
    rows = []
    print(_head(half))
    chosen = (cell for cell in _choose(half, quick=options.quick) if options.only in cell.name)
    cells = [cell for cell in chosen if options.share in (None, cell.share)]
    measured = measure(
        cells, seed=half.seed, runs=runs, harmless_runs=2 * runs, seconds=options.seconds, alone=options.alone
    )
    for row in measured:
        rows.append(beside_optimum(row, half.seed))
        print(_render(rows[-1]), flush=True)
    print()
    for line in [*judge_goals(rows), *judge_reach(rows), *find_bounds(half), *measure_timings()]:
        print(line.render())
    print(f"\n{len(rows)} cells in {time.perf_counter() - begun:.0f} s")


def _choose(half: Half, *, quick: bool) -> Iterator[Cell]:
    for cell in (*half.cells(), *hard(half)):
        if not quick or (cell.name in QUICK and cell.share == 0.1 and cell.requests in {600, 6_000}):
            yield cell


def _head(half: Half) -> str:
    return (
        f"Half: {half.name}. Rolled back % / median minute of each judge and of the optimum; ours as a part of that; "
        "passed % / by minute 10 % of ours.\n"
        f"{'cell':36}{'/min':>7} {'green':>5} "
        + "".join(f"{judge:>18}" for judge in JUDGES)
        + f"{'optimum':>14}{'part':>6}{'ours passes':>14}"
    )


def _render(row: Row) -> str:
    judged = "".join(f"{_render_outcome(row.outcomes.get(judge)):>18}" for judge in JUDGES)
    ours = row.outcomes[OURS]
    passed = f"{100 * ours.passed:.1f} / {100 * ours.passed_by(10):.0f}"
    kind = "harm" if row.cell.harmful else ""
    return f"{row.cell.name:36}{row.cell.requests:>7} {row.cell.share:>5.2f} {judged}{_render_optimum(row)}{passed:>14} {kind}"


def _render_optimum(row: Row) -> str:
    if row.optimum is None:
        return " " * 20
    found = row.optimum.found
    part = f"{row.ours.rolled_back / found:.2f}" if found else ""
    return f"{100 * found:.1f} / {row.optimum.minutes:.3g}".rjust(14) + part.rjust(6)


def _render_outcome(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    rolled_back = f"{100 * outcome.rolled_back:.1f}"
    return f"{rolled_back} / {outcome.median_harm:.3g}" if outcome.rolled_back else rolled_back


if __name__ == "__main__":
    main(sys.argv[1:])
