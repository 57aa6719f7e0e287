"""The product's comparison on made-up traffic.

Many runs are judged on arrays (:mod:`~benchmarks.verdict.many`), and some of them by the product itself, which must say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np

from airflow_sm_rollout.core.comparison.comparison import Finding, Tolerances, compare
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from benchmarks.verdict import many
from benchmarks.verdict.outcome import Outcome
from benchmarks.verdict.traffic import BASELINE_MINUTES, Side, Traffic, some_runs, split_bake

BEGIN = datetime(2026, 1, 5, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
CHECKED = 4
"""Runs of each cell that the product judges too; of a bake that takes days, one."""


class Differs(AssertionError):
    """The product says something else than the arrays do."""


def judge(
    traffic: Traffic, tolerances: Tolerances, seconds: int, rng: np.random.Generator, *, steps: int | None = None
) -> Outcome:
    """What is said of each run at the end of its bake, which goes on when green is proven healthy, as it does where nothing is set.

    :param seconds: how often there are figures in the bake, 60 or a part of it.
    :param rng: for the time in its minute at which each call was.
    :param steps: minutes between two steps at which green gets new instances, which a rollout knows of itself; ``None``: it gets none.
    """
    bake = split_bake(traffic, 60 // seconds, rng)
    judged = many.judge(traffic, bake, tolerances, seconds, steps=steps)
    checked = CHECKED if bake.known.shape[1] <= 600 else 1
    exactly = judge_exactly(some_runs(traffic, checked), some_runs(bake, checked), tolerances, seconds, steps=steps)
    for ours, theirs in ((judged.harm, exactly.harm), (judged.healthy, exactly.healthy)):
        if not np.allclose(ours[:checked], theirs, equal_nan=True):
            raise Differs(f"the arrays say {ours[:checked]}, the product {theirs}")
    return judged


def judge_exactly(
    traffic: Traffic, bake: Traffic, tolerances: Tolerances, seconds: int, *, steps: int | None = None
) -> Outcome:
    """What the product itself says of each run; the arguments are those of :func:`benchmarks.verdict.many.judge`."""
    baselines = (periods[:BASELINE_MINUTES] for periods in as_periods(traffic))
    bakes = as_periods(bake, seconds, BEGIN + BASELINE_MINUTES * MINUTE)
    decided = [_decide(baseline, each, tolerances, steps) for baseline, each in zip(baselines, bakes, strict=True)]
    return Outcome(*np.array(decided).T)


def _decide(
    baseline: list[Period], bake: list[Period], tolerances: Tolerances, steps: int | None
) -> tuple[float, float]:
    planned = bake[-1].end - bake[0].start
    renewed = [bake[0].start + minute * MINUTE for minute in range(0, planned // MINUTE, steps)] if steps else []
    said = compare(baseline, bake, tolerances, planned=planned, renewed=renewed)
    if said.decided_at is None:
        return np.nan, np.nan
    decided = (said.decided_at - bake[0].start) / MINUTE
    return (decided, np.nan) if said.verdict is Finding.HARM else (np.nan, decided)


def as_periods(traffic: Traffic, seconds: int = 60, begin: datetime = BEGIN) -> Iterator[list[Period]]:
    """Each run's figures as the product reads them."""
    green, blue = _as_samples(traffic.green), _as_samples(traffic.blue)
    for run, known in enumerate(traffic.known.tolist()):
        yield [
            Period(
                begin + index * timedelta(seconds=seconds),
                seconds,
                Sample(*blue[run][index]) if knows_blue else None,
                Sample(*green[run][index]) if knows_green else None,
            )
            for index, (knows_blue, knows_green) in enumerate(known)
        ]


def _as_samples(side: Side) -> list[list[list[int]]]:
    counts = np.stack([side.requests, side.errors_5xx, side.errors_4xx], axis=-1)
    samples: list[list[list[int]]] = np.concatenate([counts, side.over, side.over_far[..., None]], axis=-1).tolist()
    return samples
