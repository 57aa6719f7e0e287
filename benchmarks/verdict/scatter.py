"""How counts scatter, of many runs at once: :mod:`airflow_sm_rollout.core.comparison.dispersion` on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_sm_rollout.core.comparison import dispersion
from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from benchmarks.verdict.traffic import Floats


@dataclass(frozen=True)
class Scatter:
    """A :class:`Dispersion` of each run, or of each metric and run."""

    bunching: Floats
    own_noise: Floats

    @classmethod
    def stack(cls, each: Sequence[Scatter]) -> Scatter:
        """Several metrics' as one."""
        return cls(np.stack([one.bunching for one in each]), np.stack([one.own_noise for one in each]))

    def rows(self, rows: Sequence[int]) -> Scatter:
        """Those of some metrics."""
        return Scatter(self.bunching[rows], self.own_noise[rows])


def estimate(
    calls: Floats,
    events: Floats,
    known: NDArray[np.bool_],
    floor: Dispersion,
    *,
    bunched: bool,
    unknown: Dispersion | None = None,
) -> Scatter:
    """From blue's baseline, runs x minutes.

    :param bunched: whether what is above the floor is taken for bunches, or for noise.
    """
    calls = np.where(known, calls, 0)
    order = np.argsort(calls == 0, axis=1, kind="stable")
    calls, events = np.take_along_axis(calls, order, axis=1), np.take_along_axis(events, order, axis=1)
    events = np.where(calls > 0, np.minimum(events, np.inf), 0)
    minutes = (calls > 0).sum(axis=1)
    square, expected, is_pair = _pairs(calls, events)
    told = (minutes >= dispersion._FEWEST) & is_pair.any(axis=1)
    mean = events.sum(axis=1) / np.maximum(minutes, 1)
    ratio = _ratio(square, expected, is_pair, mean)
    mean, ratio = np.where(told, np.maximum(mean, 1e-12), 1.0), np.where(told, ratio, 1.0)
    assumed = unknown or floor
    if bunched:
        seen = np.maximum(ratio - floor.own_noise**2 * mean, dispersion._BUNCHED_AT_LEAST * ratio)
        bunching = np.clip(seen, floor.bunching, max(floor.bunching, dispersion._LARGEST_BUNCH))
        noise = np.maximum(floor.own_noise, np.sqrt(np.maximum(0.0, (ratio - bunching) / mean)))
    else:
        rate = events.sum(axis=1) / np.maximum(calls.sum(axis=1), 1)
        bunching = np.full(mean.shape, floor.bunching)
        noise = np.maximum(floor.own_noise, np.sqrt(np.maximum(0.0, ratio - floor.bunching * (1 - rate)) / mean))
    return Scatter(np.where(told, bunching, assumed.bunching), np.where(told, noise, assumed.own_noise))


def _pairs(calls: Floats, events: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Squared differences of neighbours, what is expected of them, and which there are."""
    (n, after), (x, x_after) = (calls[:, :-1], calls[:, 1:]), (events[:, :-1], events[:, 1:])
    is_pair = (n > 0) & (after > 0) & ((x > 0) | (x_after > 0))
    n, after = np.maximum(n, 1), np.maximum(after, 1)
    rate = (x + x_after) / (n + after)
    return (x / n - x_after / after) ** 2, np.where(is_pair, rate * (1 / n + 1 / after), 1.0), is_pair


def _ratio(square: Floats, expected: Floats, is_pair: NDArray[np.bool_], mean: Floats) -> Floats:
    """Variance to mean."""
    quotient = np.where(is_pair, square / expected, 0.0)
    pairs = np.maximum(is_pair.sum(axis=1), 1)
    scale = quotient.sum(axis=1) / pairs
    for _ in range(dispersion._ROUNDS):
        clipped = np.minimum(quotient, dispersion._CLIPPED * scale[:, None])
        scale = clipped.sum(axis=1) / pairs / dispersion._CLIPPED_MEAN
    kept = is_pair & (square <= dispersion._EDGE * np.maximum(scale, 1.0)[:, None] * expected)
    of_each = np.where(kept, quotient, 0.0).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    of_sums = np.where(kept, square, 0.0).sum(axis=1) / np.maximum(np.where(kept, expected, 0.0).sum(axis=1), 1e-300)
    ratio: Floats = np.where(mean >= dispersion._MANY, of_each, of_sums)
    return ratio
