"""What a look at green says, and when."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.comparison import METRICS, Comparison, Finding, Margin, Tolerances, compare
from airflow_sm_rollout.core.comparison.metric import GUARD_WEIGHTS, WEIGHTS, MetricEvidence
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.comparison.wording import format_percent
from airflow_sm_rollout.core.errors import PlanError

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
PLANNED = timedelta(minutes=30)
USUAL = (0.005, 0.01, 0.5, 0.05, 0.01, 0.0001)
"""Rates of the metrics, in their order."""
Rates = Callable[[int], tuple[float, ...]]


def usual(_: int) -> tuple[float, ...]:
    return USUAL


def failing(share: float, *, since: int = 0) -> Rates:
    return lambda minute: (share if minute >= since else USUAL[0], *USUAL[1:])


def samples(calls: int, rates: Rates, minutes: int, seconds: int) -> Iterator[Sample]:
    """The expected counts, whole: what is cut off is kept for the next period."""
    rest = [0.0] * (len(METRICS) + 1)
    for index in range(minutes * 60 // seconds):
        now = calls * seconds / 60
        wanted = [
            have + more
            for have, more in zip(rest, [now, *(now * rate for rate in rates(index * seconds // 60))], strict=True)
        ]
        counts = [math.floor(value + 1e-9) for value in wanted]
        rest = [value - count for value, count in zip(wanted, counts, strict=True)]
        yield Sample(*counts)


def bake(
    green: Rates = usual,
    *,
    blue: Rates = usual,
    calls: int = 6000,
    share: float = 0.1,
    minutes: int = 30,
    seconds: int = 60,
    begin: datetime = BEGIN,
) -> list[Period]:
    sides = zip(
        samples(round(calls * (1 - share)), blue, minutes, seconds),
        samples(round(calls * share), green, minutes, seconds),
        strict=True,
    )
    return [
        Period(begin + index * timedelta(seconds=seconds), seconds, of_blue, of_green)
        for index, (of_blue, of_green) in enumerate(sides)
    ]


def baseline(calls: int = 6000) -> list[Period]:
    return [
        replace(period, green=None)
        for period in bake(calls=calls, share=0.0, minutes=60, begin=BEGIN - timedelta(hours=1))
    ]


def look(periods: list[Period], calls: int = 6000, tolerances: Tolerances | None = None) -> Comparison:
    return compare(baseline(calls), periods, tolerances or Tolerances(), planned=PLANNED)


def minute_of(said: Comparison) -> float:
    assert said.decided_at is not None
    return (said.decided_at - BEGIN) / timedelta(minutes=1)


@pytest.mark.parametrize("seconds", [60, 10])
@pytest.mark.parametrize("calls", [60, 600, 6000])
@pytest.mark.parametrize("metric", ["errors_5xx", "errors_4xx"])
def test_a_model_that_fails_every_call_is_proven_harmful_within_two_periods(
    metric: str, calls: int, seconds: int
) -> None:
    rates = tuple(1.0 if each == metric else usual_rate for each, usual_rate in zip(METRICS, USUAL, strict=True))
    said = look(bake(lambda _: rates, calls=calls, seconds=seconds), calls)
    assert (said.verdict, said.culprit) == (Finding.HARM, metric)
    # At 60 calls a minute a period of 10 s has one call, and two failed calls are no proof of anything.
    if calls * seconds >= 600 * 10:
        assert minute_of(said) <= 2 * seconds / 60
    assert minute_of(said) <= 2


@pytest.mark.parametrize(("calls", "failed", "periods"), [(6, 6, 2), (9, 9, 2), (60, 60, 1)])
def test_where_errors_come_in_bunches_what_could_be_one_bunch_is_no_proof_but_two_in_a_row_are(
    calls: int, failed: int, periods: int
) -> None:
    """Blue's history has bunches of ten, one in twelve minutes."""
    before = [
        Period(BEGIN - timedelta(minutes=90 - minute), 60, Sample(60, 10 * (minute % 12 == 0), 0, 30, 3, 1), None)
        for minute in range(90)
    ]
    bad = [
        Period(
            BEGIN + timedelta(minutes=minute), 60, Sample(9 * calls, 0, 0, 27, 3, 1), Sample(calls, failed, 0, 3, 0, 0)
        )
        for minute in range(5)
    ]
    said = [compare(before, bad[:count], planned=PLANNED).verdict is Finding.HARM for count in range(1, 4)]
    assert said == [count >= periods for count in range(1, 4)]


def test_a_bunch_is_one_also_where_its_errors_are_in_several_short_periods() -> None:
    before = [
        Period(BEGIN - timedelta(minutes=90 - minute), 60, Sample(600, 20 * (minute % 6 == 0), 0, 300, 30, 6), None)
        for minute in range(90)
    ]

    def said(bad: int) -> Finding:
        """After so many periods of 10 s in which green's ten calls failed, and a good minute."""
        failed = [10] * bad + [0] * 6
        periods = [
            Period(
                BEGIN + timedelta(seconds=10 * number), 10, Sample(90, 0, 0, 45, 4, 1), Sample(10, count, 0, 5, 0, 0)
            )
            for number, count in enumerate(failed)
        ]
        return compare(before, periods, planned=PLANNED).verdict

    assert [said(1), said(2), said(12)] == [Finding.CANNOT_TELL, Finding.CANNOT_TELL, Finding.HARM]


def test_a_healthy_model_is_proven_healthy_by_the_end_of_the_least_bake() -> None:
    said = look(bake())
    assert said.verdict is Finding.HEALTHY
    assert minute_of(said) == 10
    assert said.health >= said.health_needed
    assert said.culprit is None


@pytest.mark.parametrize(
    ("silent", "figures"),
    [
        ("green without figures", lambda period: replace(period, green=None)),
        ("green without calls", lambda period: replace(period, green=Sample(0, 0, 0, 0, 0, 0))),
        ("blue without figures", lambda period: replace(period, blue=None)),
        ("blue without calls", lambda period: replace(period, blue=Sample(0, 0, 0, 0, 0, 0))),
    ],
)
def test_without_traffic_nothing_is_ever_told(silent: str, figures: Callable[[Period], Period]) -> None:
    said = look([figures(period) for period in bake(minutes=120)])
    assert said.verdict is Finding.CANNOT_TELL, silent
    assert (said.decided_at, said.green_requests, said.health) == (None, 0, 0)
    assert said.evidence == pytest.approx(1.0)
    assert "no calls in the same minutes" in said.sentence


def test_before_the_first_period_nothing_is_told() -> None:
    said = compare([], [], planned=PLANNED)
    assert (said.verdict, said.judged_until) == (Finding.CANNOT_TELL, None)


def test_few_calls_are_no_proof_of_health() -> None:
    said = look(bake(calls=60), 60)
    assert said.verdict is Finding.CANNOT_TELL
    assert "180 calls beside blue prove neither" in said.sentence


def test_a_metric_nobody_knows_is_not_healthy() -> None:
    blind = [
        replace(period, green=replace(period.green, over_p99=None))
        for period in bake(minutes=60)
        if period.green is not None
    ]
    said = look(blind)
    assert (said.verdict, said.health) == (Finding.CANNOT_TELL, 0)
    unknown = next(metric for metric in said.metrics if metric.metric == "over_p99")
    assert unknown.green is None


def test_periods_without_figures_say_nothing() -> None:
    full = bake(failing(0.02))
    holes = [replace(period, green=None) if index % 3 == 1 else period for index, period in enumerate(full)]
    kept = [period for period in holes if period.green is not None]
    assert replace(look(holes), judged_until=None) == replace(look(kept), judged_until=None)


def slow(*minutes: int) -> Rates:
    """As slow as new instances are, in these minutes."""
    return lambda minute: (*USUAL[:2], 0.95, 0.6, 0.3, 0.0001) if minute in minutes else USUAL


def test_a_cold_start_is_not_a_regression() -> None:
    assert look(bake(slow(*range(4)))).verdict is Finding.HEALTHY
    assert look(bake(slow(*range(4))), tolerances=Tolerances(warm_up_minutes=1)).verdict is Finding.HARM


def test_instances_that_come_later_warm_up_as_the_first_ones_do() -> None:
    later = bake(slow(*range(10, 14)))
    assert look(later).verdict is Finding.HARM
    # AWS lets them serve a little before anybody can have seen it.
    for seen_after in timedelta(), timedelta(seconds=50):
        renewed = [BEGIN + timedelta(minutes=10) + seen_after]
        said = compare(baseline(), later, planned=PLANNED, renewed=renewed)
        assert said.verdict is Finding.HEALTHY
    assert compare(baseline(), bake(slow(*range(10, 30))), planned=PLANNED, renewed=renewed).verdict is Finding.HARM


@pytest.mark.parametrize("metric", ["errors_5xx", "errors_4xx"])
@pytest.mark.parametrize("since", [0, 10])
def test_no_cold_start_explains_errors(metric: str, since: int) -> None:
    def failing_at_first(minute: int) -> tuple[float, ...]:
        rates = dict(zip(METRICS, USUAL, strict=True))
        return tuple({**rates, metric: 0.08}.values()) if since <= minute < since + 5 else USUAL

    said = compare(baseline(), bake(failing_at_first), planned=PLANNED, renewed=[BEGIN + timedelta(minutes=since)])
    assert (said.verdict, said.culprit) == (Finding.HARM, metric)
    assert said.decided_at is not None
    assert said.decided_at <= BEGIN + timedelta(minutes=since + 5)


@pytest.mark.parametrize(("calls", "latest"), [(6000, 10), (600, 25)])
def test_a_model_that_sometimes_fails_is_found_beside_one_that_never_does(calls: int, latest: float) -> None:
    def never(_: int) -> tuple[float, ...]:
        return (0.0, 0.0, *USUAL[2:])

    flawless = [
        replace(period, green=None) for period in bake(blue=never, calls=calls, begin=BEGIN - timedelta(hours=1))
    ]
    for green, culprit in ((0.01, 0.0), "errors_5xx"), ((0.0, 0.02), "errors_4xx"):
        worse = (*green, *USUAL[2:])
        said = compare(flawless, bake(lambda _, worse=worse: worse, blue=never, calls=calls), planned=PLANNED)
        assert (said.verdict, said.culprit) == (Finding.HARM, culprit)
        assert minute_of(said) <= latest
    assert compare(flawless, bake(never, blue=never), planned=PLANNED).verdict is Finding.HEALTHY


def test_a_burst_that_hits_both_is_not_greens_fault() -> None:
    def burst(minute: int) -> tuple[float, ...]:
        return (0.4, 0.2, 0.8, 0.5, 0.3, 0.0001) if 8 <= minute < 12 else USUAL

    assert look(bake(burst, blue=burst)).verdict is not Finding.HARM
    assert look(bake(burst)).culprit == "errors_5xx"


def test_an_outage_of_both_is_not_greens_fault() -> None:
    def outage(minute: int) -> tuple[float, ...]:
        return (1.0, 0.0, 0.5, 0.05, 0.01, 0.0001) if minute >= 6 else USUAL

    assert look(bake(outage, blue=outage)).verdict is not Finding.HARM
    assert look(bake(outage)).verdict is Finding.HARM


def test_a_late_onset_is_found() -> None:
    said = look(bake(failing(0.055, since=7), calls=600), 600)
    assert said.verdict is Finding.HARM
    assert 8 < minute_of(said) <= 16


def test_a_slow_leak_is_found() -> None:
    said = look(bake(lambda minute: (0.005 + 0.0017 * minute, *USUAL[1:])))
    assert (said.verdict, said.culprit) == (Finding.HARM, "errors_5xx")
    assert minute_of(said) <= 13


@pytest.mark.parametrize(
    ("rates", "culprit"),
    [
        ((0.005, 0.04, 0.5, 0.05, 0.01, 0.0001), "errors_4xx"),
        ((0.005, 0.01, 0.62, 0.05, 0.01, 0.0001), "over_p50"),
        ((0.005, 0.01, 0.5, 0.09, 0.01, 0.0001), "over_p95"),
        ((0.005, 0.01, 0.5, 0.05, 0.03, 0.0001), "over_p99"),
        ((0.005, 0.01, 0.5, 0.05, 0.01, 0.006), "over_twice_p99"),
    ],
)
def test_the_metric_that_is_worse_is_named(rates: tuple[float, ...], culprit: str) -> None:
    said = look(bake(lambda _: rates))
    assert (said.verdict, said.culprit) == (Finding.HARM, culprit)
    assert culprit == max(said.metrics, key=lambda metric: metric.evidence).metric


def test_a_difference_within_the_margin_is_never_harm() -> None:
    said = look(bake(lambda _: (0.0054, 0.0115, 0.515, 0.0545, 0.0112, 0.0001), calls=60_000, minutes=180), 60_000)
    assert said.verdict is Finding.HEALTHY


def test_many_slow_calls_are_judged_by_their_own_scatter() -> None:
    """Of calls over the median half are events: taken for rare ones, they would seem to scatter twice as much."""
    assert minute_of(look(bake(lambda _: (0.005, 0.01, 0.62, 0.05, 0.01, 0.0001), calls=600), 600)) <= 14


def test_where_only_time_is_missing_to_call_green_healthy_that_is_said() -> None:
    said = look(bake(calls=60_000, minutes=9), 60_000)
    assert (said.verdict, said.health > said.health_needed) == (Finding.CANNOT_TELL, True)
    assert "prove neither" not in said.sentence
    assert "look as good as blue's, but green has not been beside blue for long enough in this bake" in said.sentence


def test_nothing_is_healthy_while_it_looks_harmful() -> None:
    said = look(bake(failing(0.0125, since=7), calls=60_000, minutes=10), 60_000)
    assert said.health > said.health_needed
    assert said.needed > said.evidence > 1
    assert said.verdict is Finding.CANNOT_TELL


def test_harm_after_health_is_harm() -> None:
    periods = bake(failing(0.06, since=15), minutes=40)
    assert look(periods[:15]).verdict is Finding.HEALTHY
    assert look(periods).verdict is Finding.HARM


def test_health_has_to_be_proven_again_by_each_steps_own_bake() -> None:
    periods = bake(minutes=40)
    step = BEGIN + timedelta(minutes=20)
    early = compare(baseline(), periods[:25], planned=PLANNED, since=step)
    assert early.verdict is Finding.CANNOT_TELL
    assert minute_of(compare(baseline(), periods, planned=PLANNED, since=step)) == 30


def test_many_short_periods_say_what_few_long_ones_say() -> None:
    long, short = (look(bake(failing(0.03), calls=600, seconds=seconds), 600) for seconds in (60, 10))
    assert long.verdict is short.verdict is Finding.HARM
    assert minute_of(short) == pytest.approx(minute_of(long), abs=2)


def test_without_a_baseline_harm_and_health_can_still_be_told() -> None:
    for rates, verdict in ((usual, Finding.HEALTHY), (failing(0.05), Finding.HARM)):
        assert compare([], bake(rates), planned=PLANNED).verdict is verdict


def test_dispersion_is_that_of_minutes_also_where_periods_are_shorter() -> None:
    def restless(minute: int) -> tuple[float, ...]:
        return (0.002 if minute % 2 else 0.008, *USUAL[1:])

    long, short = (
        MetricEvidence("errors_5xx", Tolerances(), bake(blue=restless, seconds=seconds, minutes=60)).dispersion
        for seconds in (60, 10)
    )
    assert short.bunching == pytest.approx(long.bunching, rel=0.05)
    assert long.bunching > 5


def test_more_events_than_calls_are_as_many_as_calls() -> None:
    def fail(events: int) -> list[Period]:
        return [replace(period, green=Sample(600, events, 6, 300, 30, 6)) for period in bake()]

    assert look(fail(700)) == look(fail(600))


def test_all_capital_is_bet_on_something() -> None:
    assert sum(WEIGHTS.values()) + sum(GUARD_WEIGHTS.values()) == pytest.approx(1.0)
    assert tuple(WEIGHTS) == METRICS


def counts(calls: int) -> st.SearchStrategy[Sample | None]:
    most = st.integers(0, calls // 3)
    known = st.builds(Sample, st.integers(calls // 2, calls), most, most, most, most, most)
    return st.one_of(known, known, st.none())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(counts(60), counts(500)), min_size=1, max_size=40), st.floats(0.001, 0.2))
def test_what_was_decided_at_a_look_stays_decided_at_every_later_one(
    figures: list[tuple[Sample | None, Sample | None]], level: float
) -> None:
    tolerances = Tolerances(false_rollback=level, false_pass=0.4, min_bake_minutes=3, warm_up_minutes=2)
    periods = [
        Period(BEGIN + index * timedelta(minutes=1), 60, blue, green) for index, (green, blue) in enumerate(figures)
    ]
    looks = [compare([], periods[:count], tolerances, planned=PLANNED) for count in range(len(periods) + 1)]
    for before, after in itertools.pairwise(looks):
        if before.verdict is Finding.HARM:
            assert after == before
        elif before.verdict is Finding.HEALTHY:
            assert after.verdict is Finding.HARM or after.decided_at == before.decided_at
        if after.verdict is Finding.HARM and before.verdict is not Finding.HARM:
            assert after.decided_at == after.judged_until
            assert after.evidence >= after.needed > before.evidence


@pytest.mark.parametrize("periods", [[], bake(minutes=3), bake(), bake(failing(0.3))])
def test_a_comparison_survives_json(periods: list[Period]) -> None:
    said = look(periods)
    assert Comparison.from_dict(json.loads(json.dumps(said.as_dict()))) == said


def test_harm_is_told_in_plain_words_with_the_figures() -> None:
    said = look(bake(failing(0.25), calls=600), 600)
    assert said.sentence == (
        "Green failed 30 of 120 calls (25 %, at least 17.4 %); blue in the same minutes 5 of 1,080 (0.46 %). "
        "That is worse than tolerated, with less than 1 % chance to be a coincidence."
    )


def test_slow_calls_are_told_of_without_a_word_of_percentiles() -> None:
    said = look(bake(lambda _: (0.005, 0.01, 0.5, 0.05, 0.1, 0.0001)))
    assert said.culprit == "over_p99"
    assert said.sentence.startswith("Green was slower than 99 % of blue's usual calls in ")


def test_doubt_is_told_with_what_is_missing() -> None:
    said = look(bake(failing(0.03), calls=600)[:6], 600)
    assert said.verdict is Finding.CANNOT_TELL
    assert f"Evidence of harm: {said.evidence:.3g}, where 100 is proof" in said.sentence
    assert "Green failed 10 of 360 calls" in said.sentence


def test_health_is_told_with_the_rates() -> None:
    assert "it failed 0.5 % of them, blue 0.5 %" in look(bake()).sentence


def test_rates_come_with_an_interval_around_them() -> None:
    often_far = (*USUAL[:5], 0.01)
    for metric in look(bake(lambda _: (0.03, *often_far[1:]), blue=lambda _: often_far)).metrics:
        for rate in (metric.green, metric.blue):
            assert rate is not None
            assert 0 <= rate.low < rate.rate < rate.high <= 1


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.0024, "0.24 %"), (0.017, "1.7 %"), (0.25, "25 %"), (0.248, "24.8 %"), (1.0, "100 %")],
)
def test_percentages_have_the_digits_that_matter(share: float, text: str) -> None:
    assert format_percent(share) == text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"false_rollback": 0}, "false_rollback"),
        ({"false_pass": 0.9}, "false_pass"),
        ({"warm_up_minutes": -1}, "warm_up_minutes"),
        ({"min_bake_minutes": "ten"}, "min_bake_minutes"),
        ({"false_rollback": float("nan")}, "false_rollback"),
        ({"false_rollback": True}, "false_rollback"),
        ({"errors_5xx": {"ratio": 0.5}}, "errors_5xx.ratio"),
        ({"errors_5xx": {"healthy_ratio": 1.0}}, "errors_5xx.healthy_ratio"),
        ({"over_p99": {"points": 0.1}}, "over_p99.healthy_points"),
        ({"over_p99": {"percent": 3}}, "over_p99"),
        ({"over_p99": 3}, "over_p99"),
        ({"latency": {}}, "latency"),
    ],
)
def test_a_tolerance_that_is_not_possible_is_refused_by_its_name(options: dict[str, object], named: str) -> None:
    with pytest.raises(PlanError) as refused:
        Tolerances.from_dict(options)
    assert refused.value.option == named


def test_tolerances_survive_json_and_may_be_given_in_part() -> None:
    given_in_part = Tolerances.from_dict({"false_rollback": 0.02, "errors_5xx": {"ratio": 1.2}})
    default = Tolerances().errors_5xx
    assert given_in_part.errors_5xx == replace(default, ratio=1.2)
    assert Tolerances.from_dict(json.loads(json.dumps(given_in_part.as_dict()))) == given_in_part


def test_a_margin_has_to_be_one() -> None:
    with pytest.raises(PlanError, match="errors_4xx"):
        Tolerances(errors_4xx=(1.0, 0.0, 1.0, 0.0))  # type: ignore[arg-type]
    assert Tolerances(errors_4xx=Margin(1.5, 0, 2, 0)).errors_4xx.points == 0
