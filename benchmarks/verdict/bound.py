"""What nobody can do better: one look at minute 10, by somebody who knows which threshold is best for this very traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.verdict.cells import HARMS, Half
from benchmarks.verdict.traffic import BASELINE_MINUTES, Floats, generate
from benchmarks.verdict.worlds import Cell, Effect, World

RUNS = 2_000
LOOK = 10
HARMFUL_PASSES = 0.05
HEALTHY_PASSES = 0.95


@dataclass(frozen=True)
class Bound:
    """How far a threshold on green's error rate over blue's can part healthy greens from those with twice the errors.

    :param world: kind of traffic.
    :param healthy: share of the healthy ones that pass where 5 % of the harmful ones do.
    :param harmful: share of the harmful ones that pass where 95 % of the healthy ones do.
    """

    world: str
    healthy: float
    harmful: float

    def render(self) -> str:
        """A line of text."""
        return (
            f"bound      {self.world} at 6,000/min, one look at minute {LOOK} with the best threshold: passes "
            f"{100 * self.healthy:.0f} % of the healthy ones where 5 % of errors x2 pass; "
            f"to pass 95 % it would let {100 * self.harmful:.1f} % of errors x2 pass"
        )


def find_bounds(half: Half) -> list[Bound]:
    """The bounds of calm and of noisy traffic."""
    return [_find_bound(half, name) for name in ("clean", "real noise")]


def _find_bound(half: Half, name: str) -> Bound:
    world = half.worlds[name]
    healthy, harmful = _ratios(world, half.seed, ""), _ratios(world, half.seed, "errors x2")
    most = np.quantile(harmful, HARMFUL_PASSES)
    enough = np.quantile(healthy, HEALTHY_PASSES)
    return Bound(name, float((healthy < most).mean()), float((harmful < enough).mean()))


def _ratios(world: World, seed: int, harm: str) -> Floats:
    """Green's error rate over blue's in the same ten minutes, of many runs."""
    cell = Cell(harm, 6_000, 0.1, harmful=bool(harm), world=world, effect=HARMS.get(harm, Effect()))
    traffic = generate(cell, RUNS, np.random.default_rng([seed, bool(harm)]))
    minutes = np.s_[:, BASELINE_MINUTES : BASELINE_MINUTES + LOOK]
    green, blue = (
        side.errors_5xx[minutes].sum(axis=1) / side.requests[minutes].sum(axis=1)
        for side in (traffic.green, traffic.blue)
    )
    ratios: Floats = green / blue
    return ratios
