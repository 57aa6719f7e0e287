"""``python -m benchmarks.verdict.defaults``: a rollout that sets nothing, its own alarms included, on traffic beyond the halves."""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from airflow_sm_rollout.core.plan.tolerances import Tolerances
from benchmarks.verdict import alarms, ours
from benchmarks.verdict.cells import HELD_BACK, TUNING, Half
from benchmarks.verdict.families import breaking, hard, harmless
from benchmarks.verdict.outcome import whichever
from benchmarks.verdict.traffic import generate
from benchmarks.verdict.worlds import Cell

KINDS: dict[str, Callable[[Half], Iterator[Cell]]] = {"harmless": harmless, "breaking": breaking, "hard": hard}


def main(arguments: list[str]) -> None:
    """Judge every family, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict.defaults", description=__doc__)
    parser.add_argument("--half", choices=["held-back", "tuning"], default="held-back")
    parser.add_argument("--runs", type=int, default=1000, help="of each family")
    parser.add_argument("--only", default="", help="families with this in their name")
    parser.add_argument(
        "--alarms-only", action="store_true", help="without the comparison, which takes nearly all of the time"
    )
    options = parser.parse_args(arguments)
    half = HELD_BACK if options.half == "held-back" else TUNING
    print(f"Half: {half.name}. Taken back, % / median minute; passed as proven healthy, %.")
    print(f"{'family':38}{'/min':>6} {'green':>5}  {'alarms':>12}{'comparison':>14}{'both':>14}{'proven':>8}")
    for kind, cells in KINDS.items():
        worst = [_judge(cell, half, options) for cell in cells(half) if options.only in cell.name]
        if worst:
            figure = min(worst) if kind == "hard" else max(worst)
            print(f"-- {kind}: {'least' if kind == 'hard' else 'worst'} {100 * figure:.1f} %\n", flush=True)


def _judge(cell: Cell, half: Half, options: argparse.Namespace) -> float:
    seeds = [half.seed, zlib.crc32(cell.name.encode()), cell.requests, round(1000 * cell.share)]
    rng = np.random.default_rng(seeds)
    traffic = generate(cell, options.runs, rng)
    by_alarm = together = alarms.of_the_rollout(traffic)
    said = [_tell(by_alarm.rolled_back, by_alarm.median_harm)]
    if not options.alarms_only:
        compared = ours.judge(traffic, Tolerances(), 60, rng, steps=cell.world.steps)
        together = whichever(compared, by_alarm)
        said += [_tell(each.rolled_back, each.median_harm) for each in (compared, together)]
        said.append(f"{100 * together.passed:.1f}")
    widths = (12, 14, 14, 8)
    figures = "".join(f"{text:>{width}}" for text, width in zip(said, widths, strict=False))
    print(f"{cell.name:38}{cell.requests:>6} {cell.share:>5.2f}  {figures}", flush=True)
    return together.rolled_back


def _tell(share: float, minute: float) -> str:
    return f"{100 * share:.1f} / {minute:.3g}" if share else "0.0"


if __name__ == "__main__":
    main(sys.argv[1:])
