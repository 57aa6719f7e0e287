"""What the best of all judges finds: it is told the law of the traffic and the harm, and takes back 1 % of the greens as good as blue.

That is the test of Neyman & Pearson (1933): the likelihood ratio of all that was seen, with the threshold that 1 % of the good greens reach
in this very traffic. Nobody finds more of just that harm at that level; and nobody who is not told it comes near where there is little to
see. The likelihood of a minute is that of its counts, integrated over what both variants meet and over each one's own noise; bunches of
errors are a power of it. Minutes are taken one by one, so it is a little less than could be found, and never more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.verdict.outcome import first_minute
from benchmarks.verdict.traffic import (
    BASELINE_MINUTES,
    FAR,
    SIGMA,
    THRESHOLDS,
    Floats,
    Side,
    Traffic,
    distribution,
    generate,
)
from benchmarks.verdict.worlds import Cell, Effect, World

LEVEL = 0.01
RUNS = 1_000
_NODES = 21
_KNOWN = 3.0
"""Errors that blue's usual rate counts for beside those of the minute."""
_LEAST, _MOST = 1e-9, 1 - 1e-9


@dataclass(frozen=True)
class Optimum:
    """What can be found of a cell's harm.

    :param found: share of the harmful greens, by the end of the bake.
    :param minutes: the median minute with which they are found where one may look after each; not a number: half of them never are.
    """

    found: float
    minutes: float


def find_optimum(cell: Cell, rng: np.random.Generator, runs: int = RUNS) -> Optimum:
    """What the best judge finds in a cell."""
    bad, good = (generate(each, runs, rng) for each in (cell, replace(cell, harmful=False, effect=Effect())))
    found = [_judge(*pair) for pair in zip(_read(good, cell), _read(bad, cell), strict=True)]
    minutes = [each.minutes for each in found if np.isfinite(each.minutes)]
    return Optimum(max(each.found for each in found), min(minutes, default=float("nan")))


def _read(traffic: Traffic, cell: Cell) -> Iterator[Floats]:
    """Log likelihood ratio of each minute of the bake, read in some ways: what is best for many errors is not for few."""
    known = traffic.known[:, BASELINE_MINUTES:].all(axis=-1)
    latency = _of_latency(traffic, cell)
    for power in _powers(cell.world):
        yield np.where(known, _of_errors(traffic, cell, power) + latency, 0.0)
    yield np.where(known, _of_calls(traffic, cell) + latency, 0.0)


def _powers(world: World) -> tuple[float, float]:
    sizes, chance = np.arange(1, len(world.bunches) + 1), np.array(world.bunches)
    return 1.0, float(sizes @ chance / (sizes**2 @ chance))


def _judge(good: Floats, bad: Floats) -> Optimum:
    """At the end, and at each minute on the way.

    :param good: runs x minutes of log likelihood ratios; so ``bad``.
    """
    good, bad = good.cumsum(axis=1), bad.cumsum(axis=1)
    found = bad[:, -1] > np.quantile(good[:, -1], 1 - LEVEL)
    first = first_minute(bad > np.quantile(good.max(axis=1), 1 - LEVEL))
    median = float(np.median(np.where(np.isnan(first), np.inf, first)))
    return Optimum(float(found.mean()), median if np.isfinite(median) else float("nan"))


def _of_errors(traffic: Traffic, cell: Cell, power: float) -> Floats:
    """Green's part of the errors of both, given how many these are: what both meet says nothing about that."""
    (n_green, x_green), (n_blue, x_blue) = (
        (side.requests[:, BASELINE_MINUTES:], side.errors_5xx[:, BASELINE_MINUTES:])
        for side in (traffic.green, traffic.blue)
    )
    base = (x_blue + _KNOWN) / (n_blue + _KNOWN / cell.world.rate_5xx)
    harmed = np.minimum(_harmed(base, cell.effect, cell.minutes), _MOST)
    odds = n_green * base, n_green * harmed
    spread = np.sqrt(2 * np.log1p(cell.world.own_noise**2))
    good, bad = (
        _log_mean(
            [
                _log_part(x_green, x_blue, green * np.exp(spread * z) / np.maximum(n_blue * base, _LEAST)) * power + w
                for z, w in _normal_nodes()
            ]
        )
        for green in odds
    )
    return bad - good


def _of_calls(traffic: Traffic, cell: Cell) -> Floats:
    """Green's errors alone, with a rate that is known: all there is where blue hardly ever has an error in the same minute."""
    calls, errors = traffic.green.requests[:, BASELINE_MINUTES:], traffic.green.errors_5xx[:, BASELINE_MINUTES:]
    base = np.full(calls.shape, cell.world.rate_5xx)
    harmed = np.minimum(_harmed(base, cell.effect, cell.minutes), _MOST)
    return errors * np.log(harmed / base) + (calls - errors) * (np.log1p(-harmed) - np.log1p(-base))


def _harmed(base: Floats, effect: Effect, minutes: int) -> Floats:
    """Green's error rate where blue's is ``base``."""
    minute = np.arange(minutes)
    acting = minute >= effect.onset
    factor, added = np.where(acting, effect.errors, 1.0), np.where(acting, effect.points, 0.0)
    harmed: Floats = base * factor + added + effect.leak * minute
    return harmed


def _log_part(x_green: Floats, x_blue: Floats, odds: Floats) -> Floats:
    return x_green * np.log(np.maximum(odds, _LEAST)) - (x_green + x_blue) * np.log1p(odds)


def _of_latency(traffic: Traffic, cell: Cell) -> Floats:
    """Green's calls between blue's quantiles, given how slow blue is in that minute."""
    if _is_as_fast(cell.effect):
        return np.zeros((traffic.known.shape[0], cell.minutes))
    green, blue = (_between(side) for side in (traffic.green, traffic.blue))
    calls = np.maximum(blue.sum(axis=-1), 1)
    half = np.clip(1 - blue[..., 0] / calls, 0.5 / (calls + 1), 1 - 0.5 / (calls + 1))
    slowness = SIGMA * _normal_quantile(half)
    spread = np.sqrt(2 * cell.world.own_slowness**2 + (1.25 * SIGMA) ** 2 / calls)
    good, bad = [], []
    for deviation, likely in _normal_nodes():
        meets = slowness + spread * deviation
        good.append((green * np.log(_chances(Effect(), meets))).sum(axis=-1) + likely)
        bad.append((green * np.log(_chances(cell.effect, meets))).sum(axis=-1) + likely)
    return _log_mean(bad) - _log_mean(good)


def _is_as_fast(effect: Effect) -> bool:
    return replace(effect, errors=1.0, points=0.0, onset=0, leak=0.0) == Effect()


def _between(side: Side) -> Floats:
    """Calls up to blue's median, and so on up to those over twice its 99th percentile."""
    over = np.concatenate([side.requests[..., None], side.over, side.over_far[..., None]], axis=-1)
    return (over - np.concatenate([over[..., 1:], 0 * over[..., :1]], axis=-1))[:, BASELINE_MINUTES:].astype(float)


def _chances(effect: Effect, slowness: Floats) -> Floats:
    log_latency, below = distribution(effect)
    edges = [np.interp(edge - slowness, log_latency, below) for edge in (*THRESHOLDS, FAR)]
    steps = np.diff(np.stack([0 * slowness, *edges, 0 * slowness + 1], axis=-1), axis=-1)
    return np.clip(steps, _LEAST, None)


def _normal_nodes() -> list[tuple[float, float]]:
    """Deviations, and the logarithm of how likely each is."""
    return [(float(z), float(-(z**2) / 2)) for z in np.linspace(-4, 4, _NODES)]


def _normal_quantile(chance: Floats) -> Floats:
    z = np.linspace(-6, 6, 6001)
    density = np.exp(-(z**2) / 2)
    return np.interp(chance, (density.cumsum() - density / 2) / density.sum(), z)


def _log_mean(parts: list[Floats]) -> Floats:
    stacked = np.stack(parts)
    most = stacked.max(axis=0)
    mean: Floats = most + np.log(np.exp(stacked - most).mean(axis=0))
    return mean
