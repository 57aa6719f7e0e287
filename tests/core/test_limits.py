"""Fixed limits: proven to be exceeded, kept, or nobody can tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.evidence.limits import (
    Counts,
    Kpi,
    Limits,
    Metric,
    Series,
    judge_limits,
    log_evidence,
    parse_limits,
)
from airflow_sm_rollout.core.evidence.plan import Evidence
from airflow_sm_rollout.core.verdict import Verdict

REFUSED = {"m": Metric("Shop", "Refused")}


NO_CALLS = Counts()


def judge(limits: Limits, counts: Counts = NO_CALLS, *series: Series, is_over: bool = False) -> tuple[Verdict, str]:
    [judgement] = judge_limits(limits, counts, series, is_over)
    return judgement.verdict, judgement.reason


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        (Counts(1000, 20), Verdict.HEALTHY),
        (Counts(1000, 80), Verdict.HARMFUL),
        (Counts(10, 8), Verdict.HARMFUL),
        (Counts(10, 1), Verdict.INCONCLUSIVE),
        (Counts(0, 0), Verdict.INCONCLUSIVE),
    ],
)
def test_an_error_rate_above_its_limit_is_harmful_when_it_is_proven_and_no_calls_are_no_proof(
    counts: Counts, verdict: Verdict
) -> None:
    found, reason = judge(Limits(max_error_rate=0.02), counts)
    assert found is verdict
    assert "max_error_rate" in reason


def test_p99_is_within_its_limit_when_at_most_one_call_in_a_hundred_takes_longer() -> None:
    limits = Limits(max_p99_ms=250)
    assert judge(limits, Counts(1000, 0, 10))[0] is Verdict.HEALTHY
    assert judge(limits, Counts(1000, 0, 60))[0] is Verdict.HARMFUL
    assert judge(limits, Counts(50, 0, 1))[0] is Verdict.INCONCLUSIVE
    assert judge(limits, Counts(1000, 0, None))[0] is Verdict.INCONCLUSIVE


def test_three_periods_in_a_row_beyond_a_kpis_limit_are_harm_also_where_better_ones_have_followed() -> None:
    limits = Limits(kpis=(Kpi("refusals", REFUSED, at_most=5),))
    verdict, reason = judge(limits, NO_CALLS, Series((1.0, 6.0, 7.0, 8.0, 2.0, 1.0, 1.0)))
    assert verdict is Verdict.HARMFUL
    assert "6, 7, 8 in 3 periods in a row" in reason
    assert judge(limits, NO_CALLS, Series((6.0, 7.0, 1.0, 8.0, 9.0)), is_over=False)[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("calls", [1, 7, 40])
def test_the_proof_expects_no_evidence_where_the_share_is_just_at_its_limit(limit: float, calls: int) -> None:
    expectation = sum(
        math.comb(calls, events)
        * limit**events
        * (1 - limit) ** (calls - events)
        * math.exp(log_evidence(events, calls, limit))
        for events in range(calls + 1)
    )
    assert expectation == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "is_over", "verdict"),
    [
        ((1.0, 1.0, 1.0), False, Verdict.HEALTHY),
        ((9.0, 9.0), False, Verdict.INCONCLUSIVE),
        ((1.0, 9.0, 9.0, 9.0), False, Verdict.HARMFUL),
        ((9.0, 9.0), True, Verdict.HARMFUL),
        ((), True, Verdict.INCONCLUSIVE),
    ],
)
def test_a_kpi_is_harmful_after_three_periods_beyond_its_limit_or_in_the_mean_at_the_end(
    values: tuple[float, ...], is_over: bool, verdict: Verdict
) -> None:
    found, reason = judge(
        Limits(kpis=(Kpi("refusals", REFUSED, at_most=5),)), NO_CALLS, Series(values), is_over=is_over
    )
    assert found is verdict
    assert "refusals" in reason


def test_a_kpi_relative_to_blue_says_nothing_where_blue_has_no_figures() -> None:
    limits = Limits(kpis=(Kpi("caught", REFUSED, at_least=0.9, relative_to_blue=True),))
    assert judge(limits, NO_CALLS, Series((8.0, 8.0, 8.0), (10.0, 10.0, 10.0)))[0] is Verdict.HARMFUL
    assert judge(limits, NO_CALLS, Series((8.0, 8.0, 9.5), (8.0, 8.0, 10.0)))[0] is Verdict.HEALTHY
    assert judge(limits, NO_CALLS, Series((8.0,), (None,)))[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("option", "build"),
    [
        ("max_error_rate", lambda: parse_limits({"max_error_rate": 2})),
        ("max_p99_ms", lambda: parse_limits({"max_p99_ms": 0})),
        ("min_requests", lambda: parse_limits({"min_requests": -1})),
        ("limits", lambda: parse_limits({"max_eror_rate": 0.1})),
        ("kpis", lambda: parse_limits({"kpis": [{"label": "refusals"}]})),
        ("at_most", lambda: Kpi("refusals", REFUSED)),
        ("metrics", lambda: Kpi("refusals", {"Refused": REFUSED["m"]}, at_most=1)),
        ("dimensions", lambda: Metric("Shop", "Refused", dimensions={"Model": "{modle}"})),
        ("expression", lambda: Kpi("refusals", {**REFUSED, "n": REFUSED["m"]}, at_most=1)),
        ("period_seconds", lambda: Kpi("refusals", REFUSED, at_most=1, period_seconds=90)),
        ("when_inconclusive", lambda: Evidence(when_inconclusive="hope")),
        ("end_early", lambda: Evidence(tolerances=None, end_early=True)),
        ("require_proof", lambda: Evidence(tolerances=None, require_proof=True)),
        ("metric_seconds", lambda: Evidence(metric_seconds=45)),
    ],
)
def test_a_limit_that_is_not_possible_is_refused_by_its_name(option: str, build: Callable[[], Any]) -> None:
    with pytest.raises(PlanError) as refusal:
        build()
    assert refusal.value.option == option
