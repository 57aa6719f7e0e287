"""Fixed limits: proven to be exceeded, kept, or nobody can tell."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.watch.breaches import (
    KpiLimit,
    ShareLimit,
    limit_errors,
    limit_slow_calls,
    scatter_of_errors,
    scatter_of_slow_calls,
)
from airflow_sm_rollout.core.watch.verdict import Verdict

REFUSED = {"m": Metric("Shop", "Refused")}
INDEPENDENT = Dispersion(1.0, 0.0)
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def history(*minutes: tuple[int, int]) -> list[Period]:
    """Blue's minutes before the rollout: calls and errors of each, as many slow ones."""
    return [
        Period(NOON - timedelta(minutes=number), 60, Sample(calls, events, 0, events, events, events), None)
        for number, (calls, events) in enumerate(minutes, 1)
    ]


@dataclass(frozen=True)
class Counts:
    """Green's calls period by period, and how many of them are events."""

    errors: tuple[tuple[int, int], ...] = ()
    slow: tuple[tuple[int, int], ...] = ()
    slow_gap: str = ""


@dataclass(frozen=True)
class Series:
    """A KPI's values period by period."""

    green: tuple[float | None, ...]
    blue: tuple[float | None, ...] | None = None


NO_CALLS = Counts()


def judge(
    limits: Limits,
    counts: Counts = NO_CALLS,
    *series: Series,
    is_over: bool = False,
    baseline: Sequence[Period] = (),
) -> tuple[Verdict, str]:
    """The one limit's judgement."""
    if limits.max_error_rate is not None:
        judgement = fold(limit_errors(limits.max_error_rate, baseline, 60), counts.errors).judge()
    elif limits.max_p99_ms is not None:
        judgement = fold(limit_slow_calls(limits.max_p99_ms, baseline, 60), counts.slow).judge(counts.slow_gap)
    else:
        [kpi], [values] = limits.kpis, series
        judged = KpiLimit(kpi)
        for green, blue in zip(values.green, values.blue or [None] * len(values.green), strict=True):
            judged.take(green, blue)
        judgement = judged.judge(is_over=is_over)
    return judgement.verdict, judgement.reason


def fold(limit: ShareLimit, counts: Iterable[tuple[int, int]]) -> ShareLimit:
    for calls, events in counts:
        limit.take(calls, events)
    return limit


def errors(*counts: tuple[int, int]) -> Counts:
    return Counts(errors=counts)


def slow(*counts: tuple[int, int], gap: str = "") -> Counts:
    return Counts(slow=counts, slow_gap=gap)


def test_many_calls_of_which_hardly_too_many_fail_are_not_called_few() -> None:
    found, reason = judge(Limits(max_error_rate=0.02), errors(*((100_000, 2030),) * 10), is_over=True)
    assert found is Verdict.INCONCLUSIVE
    assert reason.endswith("max_error_rate allows 2 %; that is no proof yet, it may be bad luck")


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        (errors((1000, 20)), Verdict.HEALTHY),
        (errors((1000, 80)), Verdict.HARMFUL),
        (errors((10, 8)), Verdict.HARMFUL),
        (errors((10, 1)), Verdict.INCONCLUSIVE),
        (errors((0, 0)), Verdict.INCONCLUSIVE),
        (errors(), Verdict.INCONCLUSIVE),
        (errors((4, 5)), Verdict.HARMFUL),
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
    assert judge(limits, slow((500, 5), (500, 5)))[0] is Verdict.HEALTHY
    assert judge(limits, slow((500, 30), (500, 30)))[0] is Verdict.HARMFUL
    assert judge(limits, slow((50, 1)))[0] is Verdict.INCONCLUSIVE


def test_latencies_that_are_missing_make_a_p99_inconclusive_but_hide_no_harm() -> None:
    limits, gap = Limits(max_p99_ms=250), "CloudWatch has no latencies of green since 12:03:00 UTC"
    told = judge(limits, slow((1000, 10), gap=gap))
    assert told == (Verdict.INCONCLUSIVE, f"{gap}, and max_p99_ms=250 allows 1 %")
    assert judge(limits, slow(gap=gap)) == told
    assert judge(limits, slow((1000, 60), gap=gap))[0] is Verdict.HARMFUL


def test_what_was_proven_stays_so_with_the_figures_that_proved_it() -> None:
    limits = Limits(max_error_rate=0.02)
    proven = judge(limits, errors((100, 40)))
    assert proven[0] is Verdict.HARMFUL
    assert judge(limits, errors((100, 40), *[(1000, 0)] * 50)) == proven


def bunched(calls: int, size: int, limit: float) -> list[tuple[float, int]]:
    """How probable how many errors are of clients that make so many calls each, all of which fail or none."""
    clients = calls // size
    return [
        (math.comb(clients, failing) * limit**failing * (1 - limit) ** (clients - failing), failing * size)
        for failing in range(clients + 1)
    ]


def expectation(calls: int, size: int, limit: float, dispersion: Dispersion) -> float:
    """Of the evidence against a green that is just at its limit."""
    return sum(
        chance * math.exp(fold(ShareLimit("", limit, "", dispersion, 60), [(calls, events)]).log_evidence)
        for chance, events in bunched(calls, size, limit)
    )


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("calls", [1, 7, 40])
def test_the_proof_expects_no_evidence_where_the_share_is_just_at_its_limit(limit: float, calls: int) -> None:
    assert expectation(calls, 1, limit, INDEPENDENT) == pytest.approx(1.0)


@given(st.integers(1, 12), st.integers(1, 10), st.sampled_from([0.01, 0.02, 0.1, 0.6]), st.floats(0, 1))
def test_retries_of_a_call_that_fails_are_no_proofs_of_their_own(
    clients: int, size: int, limit: float, noise: float
) -> None:
    assert expectation(clients * size, size, limit, Dispersion(float(size), noise)) <= 1 + 1e-9


def test_without_knowing_of_bunches_their_evidence_would_not_be_fair() -> None:
    assert expectation(40, 10, 0.02, INDEPENDENT) > 100


def test_a_green_at_its_limit_whose_clients_retry_as_blues_did_is_hardly_ever_called_harmful() -> None:
    chance = random.Random(7)

    def minute(calls: int) -> tuple[int, int]:
        return calls, 10 * sum(chance.random() < 0.02 for _ in range(calls // 10))

    called = {True: 0, False: 0}
    for _ in range(60):
        baseline = history(*[minute(600) for _ in range(60)])
        counts = errors(*[minute(60) for _ in range(30)])
        for knows in called:
            found, _ = judge(Limits(max_error_rate=0.02), counts, baseline=baseline if knows else ())
            called[knows] += found is Verdict.HARMFUL
    assert called[True] <= 1
    assert called[False] >= 10


def test_blues_history_tells_how_errors_and_slow_calls_scatter_and_calm_ones_are_not_trusted_too_far() -> None:
    calm, bursts = history(*[(600, 6)] * 30), history(*[(600, 0), (600, 40), (600, 0), (600, 0)] * 8)
    assert scatter_of_errors(calm) == scatter_of_errors([]) == Dispersion(1.25, 0.25)
    assert scatter_of_errors(bursts).bunching > 10
    assert scatter_of_slow_calls(calm) == scatter_of_slow_calls([]) == Dispersion(1.0, 0.12)
    assert scatter_of_slow_calls(bursts).own_noise > 1


KPI = Limits(kpis=(Kpi("refusals", REFUSED, at_most=5),))


def test_three_periods_in_a_row_beyond_a_kpis_limit_are_harm_also_where_better_ones_have_followed() -> None:
    verdict, reason = judge(KPI, NO_CALLS, Series((1.0, 6.0, 7.0, 8.0, 2.0, 1.0, 1.0)))
    assert verdict is Verdict.HARMFUL
    assert "6, 7, 8 in 3 periods in a row" in reason
    assert judge(KPI, NO_CALLS, Series((6.0, 7.0, 1.0, 8.0, 9.0)), is_over=False)[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("values", "is_over", "verdict"),
    [
        ((1.0, 1.0, 1.0), False, Verdict.HEALTHY),
        ((9.0, 9.0), False, Verdict.INCONCLUSIVE),
        ((1.0, 9.0, 9.0, 9.0), False, Verdict.HARMFUL),
        ((9.0, 9.0), True, Verdict.HARMFUL),
        ((9.0, None, 9.0), True, Verdict.HARMFUL),
        ((1.0, None, 1.0, None, None), True, Verdict.HEALTHY),
        ((), True, Verdict.INCONCLUSIVE),
        ((None, None), True, Verdict.INCONCLUSIVE),
    ],
)
def test_a_kpi_is_harmful_after_three_periods_beyond_its_limit_or_in_the_mean_at_the_end(
    values: tuple[float | None, ...], is_over: bool, verdict: Verdict
) -> None:
    found, reason = judge(KPI, NO_CALLS, Series(values), is_over=is_over)
    assert found is verdict
    assert "refusals" in reason


def test_a_kpi_that_was_well_and_has_no_figures_any_more_is_not_healthy() -> None:
    assert judge(KPI, NO_CALLS, Series((1.0,) * 6 + (None,) * 3))[0] is Verdict.HEALTHY
    told = judge(KPI, NO_CALLS, Series((1.0,) * 6 + (None,) * 4))
    assert told == (Verdict.INCONCLUSIVE, "refusals: there are no figures of green in the last 4 of 10 periods")
    assert judge(KPI, NO_CALLS, Series((9.0,) * 2 + (None,) * 4), is_over=True)[0] is Verdict.HARMFUL


def relative(green: tuple[float | None, ...], blue: tuple[float | None, ...], **limits: float) -> tuple[Verdict, str]:
    kpi = Kpi("caught", REFUSED, relative_to_blue=True, **(limits or {"at_least": 0.9}))  # type: ignore[arg-type]
    return judge(Limits(kpis=(kpi,)), NO_CALLS, Series(green, blue), is_over=True)


def test_a_kpi_relative_to_blue_says_nothing_where_blue_has_no_figures() -> None:
    assert relative((8.0, 8.0, 8.0), (10.0, 10.0, 10.0))[0] is Verdict.HARMFUL
    assert relative((8.0, 8.0, 9.5), (8.0, 8.0, 10.0))[0] is Verdict.HEALTHY
    assert relative((8.0,), (None,))[0] is Verdict.INCONCLUSIVE
    assert relative((8.0,) * 6, (8.0, 8.0) + (None,) * 4)[0] is Verdict.INCONCLUSIVE


def test_periods_in_which_blue_had_0_count_in_the_mean() -> None:
    assert relative((5.0, 5.0, 1.0, 5.0), (0.0, 0.0, 1.0, 0.0), at_most=1.2)[0] is Verdict.HARMFUL


def test_a_blue_of_which_all_figures_are_0_has_no_factor_and_the_reason_says_what_to_set() -> None:
    verdict, reason = relative((0.5, 0.0), (0.0, 0.0), at_most=1.2)
    assert verdict is Verdict.INCONCLUSIVE
    assert reason.startswith(
        "caught was 0.25 of green and 0 of blue in the mean of 2 periods; at most 1.2 times blue's"
    )
    assert "without relative_to_blue" in reason
    assert relative((0.0, 0.0), (0.0, 0.0), at_most=1.2)[0] is Verdict.HEALTHY
    assert relative((0.5, 0.0), (0.0, 0.0), at_least=0.9)[0] is Verdict.HEALTHY
    assert relative((-0.5, 0.0), (0.0, 0.0), at_least=0.9)[0] is Verdict.INCONCLUSIVE
