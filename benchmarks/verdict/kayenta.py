"""Kayenta's judge, from the description of its default one and its public source: peeked at each minute, all runs of a cell at once.

For each metric the values of green's minutes are compared with those of blue's by a Mann-Whitney test with confidence 98 %: green is *High*
when the interval's lower end of the Hodges-Lehmann shift lies above a quarter of its estimate. (The interval is that of the normal
approximation, without its correction for ties.) Missing values are left out. Every metric is critical, so that one *High* fails the canary,
as does a critical metric without values: that is how Kayenta sees most. A canary that has not failed by the end passes.
"""

from __future__ import annotations

import numpy as np

from benchmarks.verdict.outcome import Outcome, first_minute
from benchmarks.verdict.traffic import BASELINE_MINUTES, Floats, Side, Traffic

CONFIDENCE_98 = 2.3263479
TOLERANCE = 0.25
FEWEST = 5
"""Values of each side: with fewer the interval of 98 % has no end."""


def judge(traffic: Traffic, warm_up: int, quantiles: tuple[float, ...] = (CONFIDENCE_98,)) -> list[Outcome]:
    """Outcomes with each of several confidence levels.

    :param warm_up: minutes left out at the start.
    :param quantiles: of the standard normal, one for each level.
    """
    blue, green = (_values(side, traffic.known[..., index]) for index, side in enumerate((traffic.blue, traffic.green)))
    runs, minutes, metrics = green.shape
    failed = np.zeros((len(quantiles), runs, minutes), dtype=bool)
    for minute in range(warm_up + FEWEST - 1, minutes):
        for metric in range(metrics):
            window = (slice(None), slice(warm_up, minute + 1), metric)
            failed[:, :, minute] |= _high(green[window], blue[window], quantiles)
    nothing = np.isnan(green[:, warm_up:]).all(axis=1).any(axis=-1) | np.isnan(blue[:, warm_up:]).all(axis=1).any(
        axis=-1
    )
    failed[:, :, -1] |= nothing
    return [Outcome(first_minute(level), np.where(level.any(axis=-1), np.nan, minutes)) for level in failed]


def _values(side: Side, known: np.ndarray) -> Floats:
    """Runs x minutes of the bake x metrics: error rates, and latency's quantiles."""
    requests = np.where(known & (side.requests > 0), side.requests, np.nan)
    with np.errstate(invalid="ignore"):
        rates = np.stack([side.errors_5xx / requests, side.errors_4xx / requests], axis=-1)
    latency = np.where(known[..., None], side.latency, np.nan)
    return np.concatenate([rates, latency], axis=-1)[:, BASELINE_MINUTES:]


def _high(green: Floats, blue: Floats, quantiles: tuple[float, ...]) -> np.ndarray:
    """Levels x runs: whether green's values are High."""
    differences = np.sort((green[:, :, None] - blue[:, None, :]).reshape(len(green), -1), axis=1)
    n, m = (np.isfinite(values).sum(axis=1) for values in (green, blue))
    pairs = n * m
    enough = (n >= FEWEST) & (m >= FEWEST)
    rows = np.arange(len(green))
    estimate = (
        differences[rows, np.clip((pairs - 1) // 2, 0, None)] / 2 + differences[rows, np.clip(pairs // 2, 0, None)] / 2
    )
    spread = np.sqrt(pairs * (n + m + 1) / 12)
    high = []
    for quantile in quantiles:
        index = np.floor(pairs / 2 - quantile * spread).astype(int)
        lowest = differences[rows, np.clip(index, 0, None)]
        high.append(enough & (index >= 0) & (lowest > TOLERANCE * np.abs(estimate)))
    return np.array(high)
