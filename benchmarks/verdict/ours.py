"""The product's comparison on made-up traffic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np

from airflow_sm_rollout.core.evidence.comparison import Finding, Tolerances, compare
from airflow_sm_rollout.core.evidence.periods import Period, Sample
from benchmarks.verdict.outcome import Outcome
from benchmarks.verdict.traffic import BAKE_MINUTES, BASELINE_MINUTES, Side, Traffic

BEGIN = datetime(2026, 1, 5, tzinfo=timezone.utc)
BAKE = timedelta(minutes=BAKE_MINUTES)
MINUTE = timedelta(minutes=1)


def judge(traffic: Traffic, tolerances: Tolerances) -> Outcome:
    """What is said of each run. A bake ends with the first verdict, so what is healthy first has passed."""
    harm, healthy = [], []
    for periods in as_periods(traffic):
        harmful_at, healthy_at = _decide(periods, tolerances)
        harm.append(harmful_at)
        healthy.append(healthy_at)
    return Outcome(np.array(harm), np.array(healthy))


def _decide(periods: list[Period], tolerances: Tolerances) -> tuple[float, float]:
    baseline, bake = periods[:BASELINE_MINUTES], periods[BASELINE_MINUTES:]
    said = compare(baseline, bake, tolerances, planned=BAKE)
    if said.verdict is Finding.HARM and said.decided_at:
        minute = round((said.decided_at - bake[0].start) / MINUTE)
        before = compare(baseline, bake[: minute - 1], tolerances, planned=BAKE)
        if before.verdict is Finding.CANNOT_TELL:
            return float(minute), np.nan
        said = before
    if said.decided_at is None:
        return np.nan, np.nan
    return np.nan, float(round((said.decided_at - bake[0].start) / MINUTE))


def as_periods(traffic: Traffic) -> Iterator[list[Period]]:
    """Each run's figures as the product reads them."""
    green, blue = _as_samples(traffic.green), _as_samples(traffic.blue)
    for run, known in enumerate(traffic.known.tolist()):
        yield [
            Period(
                BEGIN + minute * MINUTE,
                60,
                Sample(*blue[run][minute]) if knows_blue else None,
                Sample(*green[run][minute]) if knows_green else None,
            )
            for minute, (knows_blue, knows_green) in enumerate(known)
        ]


def _as_samples(side: Side) -> list[list[list[int]]]:
    counts = np.stack([side.requests, side.errors_5xx, side.errors_4xx], axis=-1)
    samples: list[list[list[int]]] = np.concatenate([counts, side.over], axis=-1).tolist()
    return samples
