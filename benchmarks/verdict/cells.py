"""The rows of the benchmark: kinds of harm, kinds of harmless traffic and harmless difference, in two halves.

Parameters were chosen on the first half only; the second has other seeds and other worlds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.verdict.worlds import Cell, Effect, World

RETRIES = (0.7, 0.2, 0.1)
"""Bunches up to three: mean square over mean 1.7."""
BUNCHES_OF_TEN = (0.0,) * 9 + (1.0,)

HARMS = {
    "errors x2": Effect(errors=2),
    "errors x5": Effect(errors=5),
    "errors +1 point": Effect(points=0.01),
    "errors +10 points": Effect(points=0.10),
    "every call fails": Effect(points=1.0),
    "+5 points from minute 7": Effect(points=0.05, onset=7),
    "slow leak, +0.17 points a minute": Effect(leak=0.0017),
    "latency p50 +20 %": Effect(latency=1.2),
    "latency p99 +50 %": Effect(tail=1.5),
    "5 % of calls on a slow path": Effect(slow_path=0.05),
}
DIFFERENCES = {
    "errors x1.05": Effect(errors=1.05),
    "errors +0.03 points": Effect(points=0.0003),
    "half the errors": Effect(errors=0.5),
    "latency +1 %": Effect(latency=1.01),
    "latency p99 +3 %": Effect(tail=1.03),
    "20 % faster": Effect(latency=0.8),
}


@dataclass(frozen=True)
class Half:
    """Seeds and worlds of one half.

    :param real: traffic as it is: noise of each variant's own, retries, bursts and drift.
    """

    name: str
    seed: int
    real: World
    requests: tuple[int, ...] = (60, 600, 6_000, 60_000)
    shares: tuple[float, ...] = (0.10, 0.05)

    @property
    def worlds(self) -> dict[str, World]:
        """Kinds of harmless traffic."""
        clean = World(rate_5xx=self.real.rate_5xx, rate_4xx=self.real.rate_4xx)
        real = self.real
        return {
            "clean": clean,
            "real noise": real,
            "shared bursts": replace(clean, bursts=0.08, burst_errors=30, burst_slowness=1.6),
            "overdispersion, own noise cv 0.4": replace(real, own_noise=0.4),
            "own noise cv 0.6": replace(real, own_noise=0.6),
            "retries in bunches of 10": replace(real, bunches=BUNCHES_OF_TEN),
            "drift over the day": replace(clean, drift=1.2),
            "cold start of 4 minutes": replace(real, cold_minutes=4),
            "gaps": replace(real, gaps=0.3),
            "cv 0.6, bunches of 10, cold start": replace(real, own_noise=0.6, bunches=BUNCHES_OF_TEN, cold_minutes=4),
            "no traffic": replace(real, silent=True),
        }

    def cells(self) -> Iterator[Cell]:
        """Every row at every traffic and share."""
        kinds = [Cell(name, 0, 0, harmful=False, world=world) for name, world in self.worlds.items()]
        kinds += [
            Cell(name, 0, 0, harmful=False, world=self.real, effect=effect) for name, effect in DIFFERENCES.items()
        ]
        kinds += [Cell(name, 0, 0, harmful=True, world=self.real, effect=effect) for name, effect in HARMS.items()]
        for kind in kinds:
            for share in self.shares:
                yield from (kind.at(requests, share) for requests in self.requests)


TUNING = Half(
    "tuning",
    seed=11,
    real=World(
        rate_5xx=0.004,
        rate_4xx=0.012,
        own_noise=0.22,
        own_slowness=0.018,
        bunches=(0.75, 0.17, 0.08),
        bursts=0.02,
        drift=0.4,
    ),
)
HELD_BACK = Half(
    "held back",
    seed=77,
    real=World(
        rate_5xx=0.005, rate_4xx=0.01, own_noise=0.25, own_slowness=0.02, bunches=RETRIES, bursts=0.03, drift=0.6
    ),
)
