"""Made-up traffic of blue and green, minute by minute, for many runs at once.

A run is an hour and more of blue alone, then a bake with both. What happens to both (drift over the day, bursts of errors or slowness) is
drawn once for a minute; what happens to one of them (noise of its own, retries in bunches) is drawn for each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SIGMA = 0.5
"""Standard deviation of the logarithm of blue's latency, the median being 1."""
QUANTILES = (0.50, 0.95, 0.99)
THRESHOLDS = SIGMA * np.array([0.0, 1.6448536, 2.3263479])
"""Logarithms of blue's quantiles."""
BASELINE_MINUTES = 90
BAKE_MINUTES = 30
ONE_BY_ONE = (1.0,)


@dataclass(frozen=True)
class World:
    """What traffic is like that has nothing to do with green.

    :param rate_5xx: share of calls that fail with 5XX, before all else; so ``rate_4xx``.
    :param own_noise: coefficient of variation of a variant's error rate from minute to minute, independent of the other's.
    :param own_slowness: standard deviation of the logarithm of a variant's latency from minute to minute, independent of the other's.
    :param bunches: probability of a bunch of 1, 2, 3, ... errors: a client that retries.
    :param bursts: probability that a burst begins in a minute; it lasts one to four and is the same for both.
    :param burst_errors: by how much it multiplies the error rate at most.
    :param burst_slowness: by how much it multiplies latency at most.
    :param drift: amplitude of the logarithm of the error rate over a day; traffic and latency follow with a part of it.
    :param cold_minutes: how long green is slow, and fails some more calls, from its first call on.
    :param gaps: share of minutes without figures for both or for green.
    :param silent: green gets no traffic at all.
    """

    rate_5xx: float = 0.005
    rate_4xx: float = 0.01
    own_noise: float = 0.0
    own_slowness: float = 0.0
    bunches: tuple[float, ...] = ONE_BY_ONE
    bursts: float = 0.0
    burst_errors: float = 10.0
    burst_slowness: float = 1.3
    drift: float = 0.0
    cold_minutes: int = 0
    gaps: float = 0.0
    silent: bool = False


@dataclass(frozen=True)
class Effect:
    """In what green differs from blue.

    :param errors: factor on its 5XX rate.
    :param points: added to its 5XX rate.
    :param onset: minute of the bake with which that begins.
    :param leak: added to its 5XX rate with each minute.
    :param latency: factor on its latency.
    :param tail: factor on its 99th percentile that leaves the median where it is.
    :param slow_path: share of calls that take three times as long.
    """

    errors: float = 1.0
    points: float = 0.0
    onset: int = 0
    leak: float = 0.0
    latency: float = 1.0
    tail: float = 1.0
    slow_path: float = 0.0


@dataclass(frozen=True)
class Cell:
    """One row of the benchmark.

    :param name: what is special about it.
    :param requests: a minute, both variants together.
    :param share: green's, 0 to 1.
    :param harmful: whether green should be rolled back.
    """

    name: str
    requests: int
    share: float
    harmful: bool
    world: World
    effect: Effect = Effect()

    def at(self, requests: int, share: float) -> Cell:
        """The same with other traffic."""
        return replace(self, requests=requests, share=share)


@dataclass(frozen=True)
class Side:
    """One variant's figures: arrays of runs x minutes, the last axis of ``over`` and ``latency`` being :data:`QUANTILES`."""

    requests: Counts
    errors_5xx: Counts
    errors_4xx: Counts
    over: Counts
    latency: Floats


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
    minutes = BASELINE_MINUTES + BAKE_MINUTES
    shared = _draw_shared(world, (runs, minutes), rng)
    bake = np.arange(minutes) >= BASELINE_MINUTES
    share = np.where(bake, 0.0 if world.silent else cell.share, 0.0)
    expected = cell.requests * shared.traffic
    green = _draw_side(world, cell.effect, rng.poisson(expected * share), shared, is_green=True, rng=rng)
    blue = _draw_side(world, Effect(), rng.poisson(expected * (1 - share)), shared, is_green=False, rng=rng)
    return Traffic(blue, green, _draw_known(world, (runs, minutes), rng))


def split_bake(traffic: Traffic, parts: int, rng: np.random.Generator) -> Traffic:
    """The bake alone, each minute in so many parts, every call in any of them: a bunch of errors is spread over its minute.

    ``latency`` stays the minute's.
    """
    known = np.repeat(traffic.known[:, BASELINE_MINUTES:], parts, axis=1)
    return Traffic(_split_side(traffic.blue, parts, rng), _split_side(traffic.green, parts, rng), known)


def _split_side(side: Side, parts: int, rng: np.random.Generator) -> Side:
    requests, errors_5xx, errors_4xx, over, latency = (
        counts[:, BASELINE_MINUTES:]
        for counts in (side.requests, side.errors_5xx, side.errors_4xx, side.over, side.latency)
    )
    calls = rng.multinomial(requests, [1 / parts] * parts)
    slow = [calls]
    for quantile in range(len(QUANTILES)):
        slow.append(_split_events(over[..., quantile], slow[-1], rng))
    runs = len(requests)
    return Side(
        requests=calls.reshape(runs, -1),
        errors_5xx=_split_events(errors_5xx, calls, rng).reshape(runs, -1),
        errors_4xx=_split_events(errors_4xx, calls, rng).reshape(runs, -1),
        over=np.stack([events.reshape(runs, -1) for events in slow[1:]], axis=-1),
        latency=np.repeat(latency, parts, axis=1),
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
    world: World, effect: Effect, requests: Counts, shared: _Shared, *, is_green: bool, rng: np.random.Generator
) -> Side:
    minute = np.arange(requests.shape[1]) - BASELINE_MINUTES
    cold = np.clip(1 - minute / world.cold_minutes, 0, 1) if is_green and world.cold_minutes else np.zeros(minute.size)
    acting = minute >= effect.onset
    added = np.where(acting, effect.points, 0.0) + effect.leak * np.clip(minute, 0, None) + 0.02 * cold
    factor = np.where(acting, effect.errors, 1.0)
    noise = shared.errors * _noise(world.own_noise, requests.shape, rng)
    slowness = shared.slowness + rng.normal(0, world.own_slowness, requests.shape) + np.log1p(2 * cold)
    over, latency = _draw_latency(requests, slowness, _distribution(effect), rng)
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


def _distribution(effect: Effect) -> tuple[Floats, Floats]:
    """Logarithms of latency, and how probable it is to be below: the median stays, the tail grows with the fourth power."""
    z = np.linspace(-8, 8, 4001)
    log_latency = SIGMA * z + np.log(effect.latency) + np.log(effect.tail) * (np.clip(z, 0, None) / 2.3263479) ** 4
    below = np.array([NormalDist().cdf(value) for value in z])
    if effect.slow_path:
        slow = np.interp(log_latency - np.log(3), log_latency, below, left=0.0)
        below = (1 - effect.slow_path) * below + effect.slow_path * slow
    return log_latency, below


def _draw_latency(
    requests: Counts, slowness: Floats, distribution: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[Counts, Floats]:
    """Calls over blue's quantiles, and the sample's own quantiles."""
    log_latency, below = distribution
    chance = [1 - np.interp(threshold - slowness, log_latency, below) for threshold in THRESHOLDS]
    over_p50 = rng.binomial(requests, chance[0])
    over_p95 = rng.binomial(over_p50, np.clip(chance[1] / chance[0], 0, 1))
    over_p99 = rng.binomial(over_p95, np.clip(chance[2] / chance[1], 0, 1))
    return np.stack([over_p50, over_p95, over_p99], axis=-1), np.stack(
        [_draw_quantile(requests, q, slowness, distribution, rng) for q in QUANTILES], axis=-1
    )


def _draw_quantile(
    requests: Counts, quantile: float, slowness: Floats, distribution: tuple[Floats, Floats], rng: np.random.Generator
) -> Floats:
    """The ``ceil(q n)``-th smallest of n latencies; its rank's probability is Beta distributed. No calls: not a number."""
    calls = np.maximum(requests, 1)
    rank = np.ceil(quantile * calls)
    drawn = np.exp(np.interp(rng.beta(rank, calls - rank + 1), distribution[1], distribution[0]) + slowness)
    return np.where(requests > 0, drawn, np.nan)
