"""Made-up traffic of blue and green, minute by minute, for many runs at once.

A run is an hour and more of blue alone, then a bake with both. What happens to both (drift over the day, bursts of errors or slowness) is
drawn once for a minute; what happens to one of them (noise of its own, retries in bunches) is drawn for each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict.happenings import Happenings, happen
from benchmarks.verdict.worlds import Cell, Effect, World

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SIGMA = 0.5
"""Standard deviation of the logarithm of blue's latency, the median being 1."""
QUANTILES = (0.50, 0.95, 0.99)
THRESHOLDS = SIGMA * np.array([0.0, 1.6448536, 2.3263479])
"""Logarithms of blue's quantiles."""
BASELINE_MINUTES = 90
FAR = THRESHOLDS[2] + np.log(2.0)


@dataclass(frozen=True)
class Side:
    """One variant's figures: arrays of runs x minutes, the last axis of ``over`` and ``latency`` being :data:`QUANTILES`.

    :param over_far: calls that took more than twice blue's 99th percentile.
    """

    requests: Counts
    errors_5xx: Counts
    errors_4xx: Counts
    over: Counts
    latency: Floats
    over_far: Counts

    @property
    def errors(self) -> Counts:
        """Calls that failed."""
        return self.errors_5xx + self.errors_4xx


@dataclass(frozen=True)
class Traffic:
    """Figures of all runs. In the baseline, the first :data:`BASELINE_MINUTES`, green's are zero.

    :param known: runs x minutes x (blue, green): whether there are figures.
    """

    blue: Side
    green: Side
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class _Shared:
    """What both variants meet, runs x minutes: factors on traffic and error rates, and what is added to the logarithm of latency."""

    traffic: Floats
    errors: Floats
    slowness: Floats


def generate(cell: Cell, runs: int, rng: np.random.Generator) -> Traffic:
    """Figures of ``runs`` independent runs of a cell."""
    world = cell.world
    minutes = BASELINE_MINUTES + cell.minutes
    shared = _draw_shared(world, (runs, minutes), rng)
    bake = np.arange(minutes) >= BASELINE_MINUTES
    share = np.where(bake, 0.0 if world.silent else cell.share, 0.0)
    expected = cell.requests * shared.traffic
    greens, blues = happen(world, np.arange(minutes) - BASELINE_MINUTES, runs, rng.spawn(1)[0])
    of_green = rng.poisson(expected * greens.traffic * share)
    green = _draw_side(world, cell.effect, of_green, shared, greens, is_green=True, rng=rng)
    of_blue = rng.poisson(expected * blues.traffic * (1 - share))
    blue = _draw_side(world, Effect(), of_blue, shared, blues, is_green=False, rng=rng)
    return Traffic(blue, green, _draw_known(world, (runs, minutes), rng))


def split_bake(traffic: Traffic, parts: int, rng: np.random.Generator) -> Traffic:
    """The bake alone, each minute in so many parts, every call in any of them: a bunch of errors is spread over its minute.

    ``latency`` stays the minute's.
    """
    known = np.repeat(traffic.known[:, BASELINE_MINUTES:], parts, axis=1)
    return Traffic(_split_side(traffic.blue, parts, rng), _split_side(traffic.green, parts, rng), known)


def some_runs(traffic: Traffic, runs: int) -> Traffic:
    """The first so many runs alone."""
    blue, green = (
        Side(**{each.name: getattr(side, each.name)[:runs] for each in fields(Side)})
        for side in (traffic.blue, traffic.green)
    )
    return Traffic(blue, green, traffic.known[:runs])


def _split_side(side: Side, parts: int, rng: np.random.Generator) -> Side:
    requests, errors_5xx, errors_4xx, over, latency = (
        counts[:, BASELINE_MINUTES:]
        for counts in (side.requests, side.errors_5xx, side.errors_4xx, side.over, side.latency)
    )
    calls = rng.multinomial(requests, [1 / parts] * parts)
    slow = [calls]
    for quantile in range(len(QUANTILES)):
        slow.append(_split_events(over[..., quantile], slow[-1], rng))
    far = _split_events(side.over_far[:, BASELINE_MINUTES:], slow[-1], rng.spawn(1)[0])
    runs = len(requests)
    return Side(
        requests=calls.reshape(runs, -1),
        errors_5xx=_split_events(errors_5xx, calls, rng).reshape(runs, -1),
        errors_4xx=_split_events(errors_4xx, calls, rng).reshape(runs, -1),
        over=np.stack([events.reshape(runs, -1) for events in slow[1:]], axis=-1),
        latency=np.repeat(latency, parts, axis=1),
        over_far=far.reshape(runs, -1),
    )


def _split_events(events: Counts, among: Counts, rng: np.random.Generator) -> Counts:
    """Events of calls that are already split, the last axis being the parts: drawn without replacement."""
    left, rest = events, among.sum(axis=-1)
    drawn = []
    for part in range(among.shape[-1]):
        calls = among[..., part]
        rest = rest - calls
        drawn.append(rng.hypergeometric(calls, rest, left))
        left = left - drawn[-1]
    return np.stack(drawn, axis=-1)


def _draw_shared(world: World, shape: tuple[int, int], rng: np.random.Generator) -> _Shared:
    runs, minutes = shape
    hour = rng.uniform(0, 24, (runs, 1)) + np.arange(minutes) / 60
    wave = world.drift * np.sin(2 * np.pi * hour / 24)
    errors, slowness = np.exp(wave), 0.06 * wave
    starts = rng.random(shape) < world.bursts
    length = rng.integers(1, 5, shape)
    strength = rng.random(shape)
    for delay in range(4):
        begun = np.roll(starts & (length > delay), delay, axis=1)
        begun[:, :delay] = False
        by = np.roll(strength, delay, axis=1)
        errors = np.where(begun, errors * world.burst_errors**by, errors)
        slowness = np.where(begun, slowness + np.log(world.burst_slowness) * by, slowness)
    return _Shared(np.exp(0.5 * wave), errors, slowness)


def _draw_known(world: World, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    missing = rng.random(shape) < world.gaps
    blue_too = rng.random(shape) < 0.5
    return np.stack([~(missing & blue_too), ~missing], axis=-1)


def _draw_side(
    world: World,
    effect: Effect,
    requests: Counts,
    shared: _Shared,
    happened: Happenings,
    *,
    is_green: bool,
    rng: np.random.Generator,
) -> Side:
    minute = np.arange(requests.shape[1]) - BASELINE_MINUTES
    cold = np.clip(1 - minute / world.cold_minutes, 0, 1) if is_green and world.cold_minutes else np.zeros(minute.size)
    acting = minute >= effect.onset
    added = np.where(acting, effect.points, 0.0) + effect.leak * np.clip(minute, 0, None) + happened.failing
    factor = np.where(acting, effect.errors, 1.0)
    noise = shared.errors * _noise(world.own_noise, requests.shape, rng)
    slowness = (
        shared.slowness + rng.normal(0, world.own_slowness, requests.shape) + np.log1p(2 * cold) + happened.slowness
    )
    over, latency, over_far = _draw_latency(requests, slowness, happened.paused, distribution(effect), rng)
    return Side(
        requests=requests,
        errors_5xx=_draw_errors(requests, world.rate_5xx * factor * noise, added, world.bunches, rng),
        errors_4xx=_draw_errors(
            requests,
            world.rate_4xx * shared.errors * _noise(world.own_noise, requests.shape, rng),
            added * 0,
            world.bunches,
            rng,
        ),
        over=over,
        latency=latency,
        over_far=over_far,
    )


def _noise(cv: float, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Log-normal factors with mean 1."""
    spread = np.sqrt(np.log1p(cv**2))
    return rng.lognormal(-(spread**2) / 2, spread, shape)


def _draw_errors(
    requests: Counts, rate: Floats, added: Floats, bunches: tuple[float, ...], rng: np.random.Generator
) -> Counts:
    """Errors that come in bunches at ``rate``, and ``added`` ones that come one by one."""
    sizes = np.arange(1, len(bunches) + 1)
    chance = np.array(bunches)
    mean = float(sizes @ chance)
    number = rng.binomial(requests, np.clip(rate / mean, 0, 1))
    errors = rng.multinomial(number, chance) @ sizes if len(bunches) > 1 else number
    errors = np.minimum(errors, requests)
    return errors + rng.binomial(requests - errors, np.broadcast_to(np.clip(added, 0, 1), requests.shape))


def distribution(effect: Effect) -> tuple[Floats, Floats]:
    """Logarithms of latency, and how probable it is to be below: the median stays, the tail grows with the fourth power."""
    z = np.linspace(-8, 8, 4001)
    log_latency = SIGMA * z + np.log(effect.latency) + np.log(effect.tail) * (np.clip(z, 0, None) / 2.3263479) ** 4
    below = np.array([NormalDist().cdf(value) for value in z])
    if effect.slowest:
        share, takes = effect.slowest
        log_latency = log_latency + np.where(below > 1 - share, np.log(takes), 0.0)
    if effect.slow_path:
        slow = np.interp(log_latency - np.log(effect.slow_path_takes), log_latency, below, left=0.0)
        below = (1 - effect.slow_path) * below + effect.slow_path * slow
    return log_latency, below


def _draw_latency(
    requests: Counts, slowness: Floats, paused: Floats, distribution: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[Counts, Floats, Counts]:
    """Calls over blue's quantiles, the sample's own quantiles (without pauses), and calls over twice blue's 99th percentile."""

    def above(threshold: float) -> Floats:
        ordinary = 1 - np.interp(threshold - slowness, log_latency, below)
        if not paused.any():
            return ordinary
        slow: Floats = 1 - np.interp(threshold - slowness - np.log(10), log_latency, below)
        return (1 - paused) * ordinary + paused * slow

    log_latency, below = distribution
    chance = [above(threshold) for threshold in THRESHOLDS]
    over_p50 = rng.binomial(requests, chance[0])
    over_p95 = rng.binomial(over_p50, np.clip(chance[1] / chance[0], 0, 1))
    over_p99 = rng.binomial(over_p95, np.clip(chance[2] / chance[1], 0, 1))
    over_far = rng.spawn(1)[0].binomial(over_p99, np.clip(above(FAR) / chance[2], 0, 1))
    quantiles = [_draw_quantile(requests, q, slowness, distribution, rng) for q in QUANTILES]
    return np.stack([over_p50, over_p95, over_p99], axis=-1), np.stack(quantiles, axis=-1), over_far


def _draw_quantile(
    requests: Counts, quantile: float, slowness: Floats, distribution: tuple[Floats, Floats], rng: np.random.Generator
) -> Floats:
    """The ``ceil(q n)``-th smallest of n latencies; its rank's probability is Beta distributed. No calls: not a number."""
    calls = np.maximum(requests, 1)
    rank = np.ceil(quantile * calls)
    drawn = np.exp(np.interp(rng.beta(rank, calls - rank + 1), distribution[1], distribution[0]) + slowness)
    return np.where(requests > 0, drawn, np.nan)
