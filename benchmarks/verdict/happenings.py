"""What happens to made-up traffic beyond noise, bursts and drift: incidents, new payloads, variants that change by themselves.

Drawn apart from everything else, so that a world without them is the same with and without this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.verdict.worlds import World

Floats = NDArray[np.float64]
NEW_INSTANCE_MINUTES = 3
SHIFTED_AT, FASTER_AT = 12, 10
_REMEMBERED = 0.93
"""Correlation of a wandering instance's slowness from one minute to the next: half of it is forgotten after ten."""


@dataclass(frozen=True)
class Happenings:
    """Runs x minutes.

    :param traffic: factor on calls.
    :param failing: share of calls that fail besides.
    :param slowness: added to the logarithm of latency.
    :param paused: share of calls that take ten times as long.
    """

    traffic: Floats
    failing: Floats
    slowness: Floats
    paused: Floats


def happen(
    world: World, minute: NDArray[np.int64], runs: int, rng: np.random.Generator
) -> tuple[Happenings, Happenings]:
    """What happens to green and to blue.

    :param minute: of the bake, negative before it.
    """
    both = _to_both(world, minute)
    green, blue = (_with_own(world, both, runs, instances, rng) for instances in (1, world.instances))
    green.slowness[:] += _newness(world, minute)
    blue.slowness[:] -= np.where(minute >= FASTER_AT, np.log(world.blue_faster), 0.0)
    return green, blue


def _to_both(world: World, minute: NDArray[np.int64]) -> Happenings:
    nothing = np.zeros(minute.size)
    traffic = nothing + 1.0
    failing, slowness = nothing.copy(), np.where(minute >= SHIFTED_AT, np.log(world.shift), 0.0)
    if world.stops is not None:
        traffic[minute >= world.stops] = 0.0
    if world.incident:
        begin, length, share, factor = world.incident
        meets = (minute >= begin) & (minute < begin + length)
        failing, slowness = np.where(meets, share, failing), slowness + np.where(meets, np.log(factor), 0.0)
    return Happenings(traffic, failing, slowness, nothing)


def _with_own(world: World, both: Happenings, runs: int, instances: int, rng: np.random.Generator) -> Happenings:
    shape = (runs, both.traffic.size)
    published = 1 - world.partial * rng.random(shape) if world.partial else np.ones(shape)
    slowness = both.slowness + _wander(world.wander / np.sqrt(instances), shape, rng)
    paused = rng.binomial(instances, world.pauses, shape) / instances * 0.1 if world.pauses else np.zeros(shape)
    return Happenings(both.traffic * published, np.broadcast_to(both.failing, shape), slowness, paused)


def _wander(spread: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    wandered = np.zeros(shape)
    if spread:
        steps = rng.normal(0, spread, shape)
        wandered[:, 0] = steps[:, 0]
        for at in range(1, shape[1]):
            wandered[:, at] = _REMEMBERED * wandered[:, at - 1] + np.sqrt(1 - _REMEMBERED**2) * steps[:, at]
    return wandered


def _newness(world: World, minute: NDArray[np.int64]) -> Floats:
    """Of green's instances, and of its cache."""
    slowness = np.zeros(minute.size)
    if world.steps is not None:
        slowness += np.where((minute >= 0) & (minute % world.steps < NEW_INSTANCE_MINUTES), np.log(2.0), 0.0)
    if world.warming:
        slowness += np.where(minute >= 0, np.log1p(0.5 * np.clip(1 - minute / world.warming, 0, 1)), 0.0)
    return slowness
