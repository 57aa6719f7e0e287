"""Fixed alarms on green, as rollouts are commonly guarded by them. One that has not rung by the end passes."""

from __future__ import annotations

import numpy as np

from airflow_sm_rollout.core.plan.alarms import IN_A_ROW, TIMES_BLUES, AlarmDefaults
from benchmarks.verdict.outcome import Outcome, first_minute
from benchmarks.verdict.traffic import BASELINE_MINUTES, Counts, Floats, Traffic
from benchmarks.verdict.worlds import BAKE_MINUTES


def every_call_fails(traffic: Traffic) -> Outcome:
    """The alarm of AWS's guide: the average of Invocation5XXErrors is 1 in one minute."""
    return _ring(_error_rate(traffic) >= 1.0)


def five_percent_or_slow(traffic: Traffic) -> Outcome:
    """More than 5 % of the calls fail, or the 99th percentile is twice blue's, in two minutes one after the other."""
    usual = np.nanmedian(traffic.blue.latency[:, :BASELINE_MINUTES, 2], axis=1, keepdims=True)
    bad = (_error_rate(traffic) > 0.05) | (np.nan_to_num(traffic.green.latency[:, BASELINE_MINUTES:, 2]) > 2 * usual)
    return _ring(bad & np.pad(bad, ((0, 0), (1, 0)))[:, :-1])


def of_the_rollout(traffic: Traffic) -> Outcome:
    """The alarms that a rollout makes itself, at their defaults, on figures by the minute.

    :mod:`airflow_sm_rollout.aws.own_alarms` puts the same into metric math, and a test of its holds that it rings so.
    """
    defaults = AlarmDefaults()
    failing, slow = (
        _excess([getattr(side, name) for side in (traffic.green, traffic.blue)], traffic, defaults, known_before)
        for name, known_before in (("errors", True), ("over_far", False))
    )
    bad = np.stack([failing > defaults.max_error_percent, slow > defaults.max_slow_percent])
    in_a_row = np.stack([np.pad(bad, ((0, 0), (0, 0), (late, 0)))[..., : bad.shape[-1]] for late in range(IN_A_ROW)])
    rung = in_a_row.all(axis=0).any(axis=0)
    return Outcome(first_minute(rung), np.where(rung.any(axis=1), np.nan, float(rung.shape[1])))


def _excess(bad: list[Counts], traffic: Traffic, defaults: AlarmDefaults, known_before: bool) -> Floats:
    """By how many percent of green's calls the bad ones are more than three times blue's share.

    :param bad: green's and blue's.
    :param known_before: whether the rollout has noted blue's worst minute before it.
    """
    of_green, of_blue = bad
    served = traffic.blue.requests >= defaults.min_requests
    share = np.where(served, of_blue / np.maximum(traffic.blue.requests, 1), 0.0)
    worst = share[:, :BASELINE_MINUTES].max(axis=1, keepdims=True) if known_before else 0.0
    bake = np.s_[:, BASELINE_MINUTES:]
    usual = np.where((served & traffic.known[..., 0])[bake], share[bake], worst)
    excess = 100 * (of_green[bake] / np.maximum(traffic.green.requests[bake], 1) - TIMES_BLUES * usual)
    tells = traffic.known[..., 1][bake] & (of_green[bake] >= defaults.min_bad_requests)
    return np.where(tells, excess, 0.0)


def _error_rate(traffic: Traffic) -> np.ndarray:
    requests = traffic.green.requests[:, BASELINE_MINUTES:]
    known = traffic.known[:, BASELINE_MINUTES:, 1]
    return np.where(known, traffic.green.errors_5xx[:, BASELINE_MINUTES:] / np.maximum(requests, 1), 0.0)


def _ring(bad: np.ndarray) -> Outcome:
    return Outcome(first_minute(bad), np.where(bad.any(axis=1), np.nan, BAKE_MINUTES))
