"""Runs the rollouts and prints the table."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.side_by_side.arms import ARMS
from benchmarks.side_by_side.world import CALLS_A_SECOND, GREENS, HARMLESS, HORIZON, World


@dataclass(frozen=True)
class Ended:
    """How one rollout went.

    :param harmed: requests that green harmed, in percent of those that all at once would have harmed in half an hour.
    :param lasted: seconds from the first of them to the last.
    :param peak: the most that green got of the calls of a minute, in percent.
    """

    promoted: bool
    harmed: float
    lasted: float
    peak: float
    seconds: float
    calls: Counter[str]
    refused: int


def run(arm: str, green: str, bake: int, seed: int) -> Ended:
    """Roll one green out by one arm."""
    world = World(green, seed)
    promoted = ARMS[arm](world, bake)
    seconds, calls = world.clock - world.started, list(world.sandbox.calls)
    harmed = world.harmed
    at_once = HORIZON * CALLS_A_SECOND * (len(harmed) / max(1, len(world.on_green)))
    return Ended(
        promoted,
        100 * len(harmed) / at_once if harmed else 0.0,
        harmed[-1] - harmed[0] if harmed else 0.0,
        world.peak(),
        seconds,
        Counter(call.operation for call in calls),
        sum(call.error_code is not None for call in calls),
    )


def render(green: str, ends: Sequence[Ended]) -> str:
    """One cell."""
    back, mean = sum(not each.promoted for each in ends), len(ends)
    if green in HARMLESS:
        seconds, calls = (
            sum(values) / mean for values in zip(*((e.seconds, e.calls.total()) for e in ends), strict=True)
        )
        return f"{back} of {mean} back; {seconds:,.0f} s, {calls:.0f} calls, {sum(e.refused for e in ends)} refused"
    if not back:
        return "missed"
    stopped = [each for each in ends if not each.promoted]
    each = zip(*((e.harmed, e.lasted, e.peak) for e in stopped), strict=True)
    harmed, lasted, peak = (sum(values) / back for values in each)
    return f"{back} of {mean}: {harmed:.1f} %; {lasted:,.0f} s; at {peak:.0f} %"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and print the table as it grows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--bake", type=int, default=180, help="seconds at each share")
    parser.add_argument("--runs", type=int, default=1, help="rollouts of each cell")
    parser.add_argument("--arms", default="; ".join(ARMS), help="some of them, with semicolons between")
    parser.add_argument("--greens", default="; ".join(GREENS), help="some of them, with semicolons between")
    options = parser.parse_args(arguments)
    arms = [each.strip() for each in options.arms.split(";")]
    print("| green | " + " | ".join(arms) + " |\n|---|" + "---|" * len(arms), flush=True)
    for green in (each.strip() for each in options.greens.split(";")):
        cells = [render(green, [run(arm, green, options.bake, seed) for seed in range(options.runs)]) for arm in arms]
        print(f"| {green} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
