"""What the user counts: which measures there may be, and how green is judged by them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from airflow_sm_rollout.core.comparison.mean import Sums
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Metric
from airflow_sm_rollout.core.plan.measures import (
    CloudWatch,
    Function,
    Mean,
    Measure,
    Prometheus,
    Sql,
    fill,
    parse_measures,
)
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.measured import MeasureJudge
from airflow_sm_rollout.core.watch.policy import judged_tolerances, level_of
from airflow_sm_rollout.core.watch.rows import Counted, Malformed, Question, counts_in
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
SQL = Sql("warehouse", "SELECT 1")
MEASURE = Measure("orders that fail", SQL)
SECONDS = Mean(low=0, high=10, tolerated=0.1)
TOKENS = Mean(low=0, high=100, tolerated=1, worse="lower")
BLUE = Blue("config", {}, "AllTraffic", 1.0, 1)


def rollout_with(*measures: Measure, **evidence: Any) -> Rollout:
    plan = Plan(canary([10, 100], bake=1800), evidence=Evidence(measures=measures, **evidence))
    return Rollout("fraud", "0badcafe", {}, NOON, BLUE, Green(model_name="fraud-v2"), plan, green_traffic_since=NOON)


def judged(
    periods: Sequence[Counted], measure: Measure = MEASURE, *, share: float = 10.0, **evidence: Any
) -> MeasureJudge:
    rollout = rollout_with(measure, **evidence)
    watch = Watch(NOON, NOON + 30 * MINUTE, NOON, 0, rollout=rollout, judges_evidence=True, share=share)
    judge = MeasureJudge(measure, watch, rollout)
    for period in periods:
        judge.take(period)
    return judge


def minutes(count: int, green: Any, blue: Any, *, first: int = 0) -> list[Counted]:
    return [Counted(NOON + number * MINUTE, 60, green, blue) for number in range(first, first + count)]


def verdicts(judge: MeasureJudge, unknown: str = "") -> list[Verdict]:
    return [each.verdict for each in judge.judge(unknown)]


BEFORE = minutes(60, None, (900, 9), first=-60)
CALM = minutes(10, (100, 1), (900, 9))
WORSE = minutes(10, (100, 8), (900, 9))


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"label": " "}, "label"),
        ({"source": "SELECT 1"}, "source"),
        ({"source": {"kind": "oracle"}}, "source"),
        ({"source": {"kind": "sql", "conn_id": "warehouse"}}, "source"),
        ({"source": {"kind": "sql", "con_id": "warehouse"}}, "source"),
        ({"at_most": 0}, "at_most"),
        ({"at_most": 1}, "at_most"),
        ({"at_most": "2 %"}, "at_most"),
        ({"compared": False}, "at_most"),
        ({"compared": "perhaps"}, "compared"),
        ({"margin": None}, "margin"),
        ({"margin": {"ratios": 2}}, "margin"),
        ({"margin": 1.2}, "margin"),
        ({"period_seconds": 90}, "period_seconds"),
        ({"period_seconds": 0}, "period_seconds"),
        ({"period_seconds": True}, "period_seconds"),
        ({"source": CloudWatch({"m": Metric("Shop", "Failed")}, "m", "m"), "period_seconds": 10}, "period_seconds"),
        ({"final_after": -1}, "final_after"),
        ({"timeout": 0}, "timeout"),
        ({"lable": "orders"}, "measures"),
        ({"mean": {"low": 1, "high": 1, "tolerated": 0.1}}, "high"),
        ({"mean": {"low": 0, "high": 1, "tolerated": 0}}, "tolerated"),
        ({"mean": {"low": 0, "high": 1, "tolerated": 1}}, "tolerated"),
        ({"mean": {"low": 0, "high": math.inf, "tolerated": 1}}, "high"),
        ({"mean": {"low": 0, "high": 1, "tolerated": 0.1, "worse": "slower"}}, "worse"),
        ({"mean": 7}, "mean"),
        ({"mean": SECONDS, "at_most": 0.1}, "at_most"),
        ({"mean": SECONDS, "compared": False, "at_most": 0.1}, "at_most"),
        ({"mean": SECONDS, "source": Prometheus("orders", "a", "b")}, "mean"),
    ],
)
def test_a_measure_that_there_can_not_be_is_refused_by_the_name_of_its_member(given: Any, option: str) -> None:
    with pytest.raises(PlanError) as refused:
        parse_measures([{"label": "orders", "source": SQL, **given}])
    assert refused.value.option == option


@pytest.mark.parametrize("metrics", [{}, {"M": Metric("Shop", "Failed")}, {"m": {"name": "Failed"}}, ["m"]])
def test_metrics_of_no_identifier_are_refused(metrics: Any) -> None:
    with pytest.raises(PlanError):
        CloudWatch(metrics, "m", "m")


@pytest.mark.parametrize("function", [lambda: [1], partial(print), "print", "shop.counts", 7])
def test_a_function_that_no_worker_could_import_is_refused(function: Any) -> None:
    with pytest.raises(PlanError, match="function"):
        Function(function)


def test_a_function_is_kept_as_where_it_is() -> None:
    assert Function(fill).function == "airflow_sm_rollout.core.plan.measures:fill"


@pytest.mark.parametrize("value", ["x'; DROP TABLE orders; --", 'v"', "a b", "\n"])
def test_a_name_that_could_end_a_quotation_is_not_put_into_a_query(value: str) -> None:
    with pytest.raises(PlanError):
        fill("SELECT '{green_model}'", {"green_model": value})


def test_only_known_placeholders_are_filled() -> None:
    assert fill('sum(x{model="{model}"}) {other}', {"model": "wine-v2"}) == 'sum(x{model="wine-v2"}) {other}'


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        (CALM, [Verdict.HEALTHY]),
        (WORSE, [Verdict.HARMFUL]),
        (minutes(10, (100, 0), (900, 300)), [Verdict.HEALTHY]),
        (minutes(1, (10, 1), (90, 0)), [Verdict.WATCHING]),
        (minutes(10, (0, 0), (900, 9)), [Verdict.WATCHING]),
    ],
    ids=["as good", "worse", "better", "too few to tell", "nobody comes to green"],
)
def test_green_is_compared_with_blue(periods: list[Counted], expected: list[Verdict]) -> None:
    assert verdicts(judged([*BEFORE, *periods])) == expected


def test_harm_stays_proven_and_is_told_with_its_figures() -> None:
    judge = judged([*BEFORE, *WORSE, *minutes(20, (100, 0), (900, 9), first=10)])
    [told] = judge.judge("it has not answered for 40 s")
    assert told.verdict is Verdict.HARMFUL
    assert "orders that fail: " in told.reason
    assert "less than 0.3 % chance to be a coincidence" in told.reason


@pytest.mark.parametrize(
    ("green", "expected"), [((100, 1), Verdict.HEALTHY), ((100, 3), Verdict.INCONCLUSIVE), ((100, 20), Verdict.HARMFUL)]
)
def test_a_limit_is_judged_by_itself(green: Any, expected: Verdict) -> None:
    measure = replace(MEASURE, at_most=0.02, compared=False)
    assert verdicts(judged([*BEFORE, *minutes(10, green, None)], measure)) == [expected]


@pytest.mark.parametrize(
    "measure", [MEASURE, replace(MEASURE, at_most=0.02), replace(MEASURE, at_most=0.02, compared=False)]
)
@pytest.mark.parametrize(
    ("periods", "unknown", "why"),
    [
        (CALM, "it has not answered for 40 s", "it has not answered for 40 s"),
        ([*CALM[:5], *minutes(5, None, (900, 9), first=5)], "", "no rows of green since 12:05:00 UTC"),
        (minutes(10, None, (900, 9)), "", "no rows of green in this bake"),
        ([*minutes(4, None, (900, 9)), *CALM[4:]], "", "no rows of green for 4 of the 10 minutes"),
    ],
)
def test_what_is_not_known_is_never_healthy(measure: Measure, periods: Any, unknown: str, why: str) -> None:
    told = list(judged([*BEFORE, *periods], measure).judge(unknown))
    assert {each.verdict for each in told} == {Verdict.INCONCLUSIVE}
    assert all(why in each.reason for each in told)


def test_blue_is_needed_only_where_it_serves_beside_green() -> None:
    limited, periods = replace(MEASURE, at_most=0.05), [*BEFORE, *minutes(10, (1000, 10), None)]
    assert Verdict.INCONCLUSIVE in verdicts(judged(periods, limited, share=10.0))
    assert verdicts(judged(periods, limited, share=100.0)) == [Verdict.HEALTHY]


def test_proof_is_wanted_of_each_measure_where_the_plan_wants_it() -> None:
    few = minutes(3, (10, 0), (90, 1))
    assert verdicts(judged([*BEFORE, *few])) == [Verdict.WATCHING]
    assert verdicts(judged([*BEFORE, *few], require_proof=True)) == [Verdict.INCONCLUSIVE]
    assert judged([*BEFORE, *few]).is_unproven
    assert not judged([*BEFORE, *CALM]).is_unproven


@pytest.mark.parametrize("compared", [0, 1, 3])
@pytest.mark.parametrize("tolerances", [Tolerances(), Tolerances(false_rollback=0.05), None])
def test_the_level_of_all_together_is_what_the_plan_allows(compared: int, tolerances: Tolerances | None) -> None:
    limited = replace(MEASURE, at_most=0.02, compared=False)
    evidence = Evidence(measures=(*[MEASURE] * compared, limited), tolerances=tolerances)
    of_calls, of_each = level_of(evidence)
    whole = (tolerances or Tolerances()).false_rollback
    assert of_calls + compared * of_each == pytest.approx(whole)
    judged_by = judged_tolerances(evidence)
    assert (judged_by and judged_by.false_rollback) == (of_calls if tolerances else None)


def scattered(rng: random.Random, rate: float, trials: int, bunch: int) -> tuple[int, int]:
    """Trials of which the events come in bunches."""
    events = bunch * sum(rng.random() < rate / bunch for _ in range(trials))
    return trials, min(events, trials)


@pytest.mark.parametrize("bunch", [1, 5])
def test_a_green_that_is_as_good_as_blue_is_hardly_ever_called_worse(bunch: int) -> None:
    """0.3 % are allowed; of 300, five or more would come with a chance of 0.3 %."""
    rng = random.Random(11)
    harmful = 0
    for _ in range(300):
        rates = [0.02 * rng.choice((0.5, 1, 1, 2)) for _ in range(90)]
        periods = [
            Counted(
                NOON + (number - 60) * MINUTE,
                60,
                scattered(rng, rate, 20, bunch) if number >= 60 else None,
                scattered(rng, rate, 180, bunch),
            )
            for number, rate in enumerate(rates)
        ]
        harmful += Verdict.HARMFUL in verdicts(judged(periods, replace(MEASURE, at_most=0.06)))
    assert harmful < 5


def valued(mean: Mean, center: float, spread: float, count: int) -> Any:
    """Sums of as many values, half of them above the center and half below."""
    values = [center - spread, center + spread] * (count // 2)
    return mean.scaled(len(values), sum(values), sum(value * value for value in values))


@pytest.mark.parametrize(
    ("mean", "green", "blue", "expected"),
    [
        (SECONDS, 2.0, 2.0, Verdict.HEALTHY),
        (SECONDS, 2.5, 2.0, Verdict.HARMFUL),
        (SECONDS, 1.0, 2.0, Verdict.HEALTHY),
        (TOKENS, 40.0, 40.0, Verdict.HEALTHY),
        (TOKENS, 35.0, 40.0, Verdict.HARMFUL),
        (TOKENS, 50.0, 40.0, Verdict.HEALTHY),
    ],
    ids=["as fast", "slower", "faster", "as many tokens", "fewer", "more"],
)
def test_means_are_compared_and_told_in_their_own_unit(
    mean: Mean, green: float, blue: float, expected: Verdict
) -> None:
    measure = Measure("values", SQL, mean=mean)
    before = minutes(60, None, valued(mean, blue, 0.2 * blue, 900), first=-60)
    periods = minutes(20, valued(mean, green, 0.2 * green, 100), valued(mean, blue, 0.2 * blue, 900))
    [told] = judged([*before, *periods], measure).judge("")
    assert told.verdict is expected
    assert f"values: {green:g} in the mean of green's " in told.reason
    assert f"; {blue:g} in the mean of blue's " in told.reason


def rows_of(**sums: Any) -> list[Counted]:
    question = Question(NOON, NOON + MINUTE, 60, NAMES, {**NAMES, "model": "fraud-v1"}, SECONDS)
    return counts_in([{"period": NOON, "variant": "green", **sums}], question)


NAMES = {"variant": "AllTraffic", "model": "fraud-v2", "endpoint": "fraud"}


def test_sums_are_read_as_values_between_0_and_1() -> None:
    [period] = rows_of(count=2, total=6.0, squares=20.0)
    assert period.green == Sums(2, pytest.approx(0.6), pytest.approx(0.2))


@pytest.mark.parametrize(
    ("sums", "why"),
    [
        ({"count": 2, "total": 6}, "no column squares"),
        ({"count": 2.5, "total": 6, "squares": 20}, "no sums"),
        ({"count": 2, "total": None, "squares": 20}, "no sums"),
        ({"count": 2, "total": math.nan, "squares": 20}, "no sums"),
        ({"count": 2, "total": 25, "squares": 313}, "no values from 0 to 10"),
        ({"count": 2, "total": -1, "squares": 1}, "no values from 0 to 10"),
        ({"count": 2, "total": 6, "squares": 10}, "no values from 0 to 10"),
        ({"count": 2, "total": 6, "squares": 90}, "no values from 0 to 10"),
    ],
)
def test_sums_that_no_values_have_are_no_answer(sums: Any, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        rows_of(**sums)
