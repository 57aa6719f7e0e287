"""``python -m benchmarks.verdict.table``: what is found with how much traffic, in bakes of which length.

It measures every cell, keeps the figures in ``found.json`` beside this file, and writes the first table of docs/evidence.md. With
``--render`` it writes the table from the figures that are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from airflow_sm_rollout.core.plan.tolerances import Tolerances
from benchmarks.verdict import ours
from benchmarks.verdict.cells import HELD_BACK
from benchmarks.verdict.traffic import generate
from benchmarks.verdict.worlds import Cell, Effect

CALLS = (60, 600, 6_000, 60_000)
BAKES = (10, 30, 60)
SHARE = 0.1
RUNS = 400
GOOD = "as good as blue"
GREENS = {
    "every call fails": Effect(points=1.0),
    "1 more of 100 calls fails": Effect(points=0.01),
    "twice as many calls fail": Effect(errors=2),
    "calls take 20 % longer": Effect(latency=1.2),
    "1 of 200 calls hangs": Effect(slow_path=0.005, slow_path_takes=300.0),
    GOOD: Effect(),
}
FIGURES = Path(__file__).with_name("found.json")
PAGE = Path(__file__).parents[2] / "docs" / "evidence.md"
BEGIN, END = "<!-- what is found: made by benchmarks/verdict/table.py -->", "<!-- end of what is found -->"

Found = Mapping[str, Mapping[str, float]]
"""By the name of a cell: shares of the rollouts that were taken back, and of those that were proven healthy."""


def name_of(green: str, calls: int, minutes: int) -> str:
    """A cell's."""
    return f"{green}, {calls} a minute, {minutes} minutes"


def measure_cell(green: str, calls: int, minutes: int, runs: int = RUNS) -> dict[str, float]:
    """What the comparison says of one kind of green, on the held-back half's traffic as it is."""
    cell = Cell(green, calls, SHARE, harmful=green != GOOD, world=HELD_BACK.real, effect=GREENS[green], minutes=minutes)
    rng = np.random.default_rng([HELD_BACK.seed, zlib.crc32(name_of(green, calls, minutes).encode())])
    said = ours.judge(generate(cell, runs, rng), Tolerances(), 60, rng)
    return {"found": round(said.rolled_back, 4), "proven": round(said.passed, 4)}


def measure_all() -> Found:
    """Every cell; takes some minutes."""
    found = {}
    for calls in CALLS:
        for minutes in BAKES:
            for green in GREENS:
                name = name_of(green, calls, minutes)
                found[name] = measure_cell(green, calls, minutes)
                print(name, found[name], flush=True)
    return found


def render(found: Found) -> str:
    """The table, in Markdown."""
    harms = [green for green in GREENS if green != GOOD]
    heads = ["calls a minute", "bake", *harms, "as good as blue: proven healthy", "taken back"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for calls in CALLS:
        for minutes in BAKES:
            of = {green: found[name_of(green, calls, minutes)] for green in GREENS}
            shares = [*(of[harm]["found"] for harm in harms), of[GOOD]["proven"], of[GOOD]["found"]]
            figures = " | ".join(_percent(share) for share in shares)
            lines.append(f"| {calls:,} | {minutes} min | {figures} |")
    return "\n".join(lines)


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def with_table(page: str, table: str) -> str:
    """A page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main(arguments: list[str]) -> None:
    """Measure, keep and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict.table", description=__doc__)
    parser.add_argument("--render", action="store_true", help="write the table from the figures that are kept")
    if not parser.parse_args(arguments).render:
        FIGURES.write_text(json.dumps(measure_all(), indent=1) + "\n")
    PAGE.write_text(with_table(PAGE.read_text(), render(json.loads(FIGURES.read_text()))))


if __name__ == "__main__":
    main(sys.argv[1:])
