"""Fixed alarms on green, as rollouts are commonly guarded by them. One that has not rung by the end passes."""

from __future__ import annotations

import numpy as np

from benchmarks.verdict.outcome import Outcome, first_minute
from benchmarks.verdict.traffic import BASELINE_MINUTES, Traffic
from benchmarks.verdict.worlds import BAKE_MINUTES


def every_call_fails(traffic: Traffic) -> Outcome:
    """The alarm of AWS's guide: the average of Invocation5XXErrors is 1 in one minute."""
    return _ring(_error_rate(traffic) >= 1.0)


def five_percent_or_slow(traffic: Traffic) -> Outcome:
    """More than 5 % of the calls fail, or the 99th percentile is twice blue's, in two minutes one after the other."""
    usual = np.nanmedian(traffic.blue.latency[:, :BASELINE_MINUTES, 2], axis=1, keepdims=True)
    bad = (_error_rate(traffic) > 0.05) | (np.nan_to_num(traffic.green.latency[:, BASELINE_MINUTES:, 2]) > 2 * usual)
    return _ring(bad & np.pad(bad, ((0, 0), (1, 0)))[:, :-1])


def _error_rate(traffic: Traffic) -> np.ndarray:
    requests = traffic.green.requests[:, BASELINE_MINUTES:]
    known = traffic.known[:, BASELINE_MINUTES:, 1]
    return np.where(known, traffic.green.errors_5xx[:, BASELINE_MINUTES:] / np.maximum(requests, 1), 0.0)


def _ring(bad: np.ndarray) -> Outcome:
    return Outcome(first_minute(bad), np.where(bad.any(axis=1), np.nan, BAKE_MINUTES))
