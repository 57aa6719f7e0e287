"""Nothing can be won, on average, by betting against a green that is on the line: all of the guarantees rest on that."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.bets import (
    FIRST_STAKE,
    Capital,
    Count,
    HarmTest,
    LineTest,
    SplitTest,
)
from airflow_sm_rollout.core.comparison.deadline import Hedge
from airflow_sm_rollout.core.comparison.dispersion import Dispersion, estimate_bunching, estimate_noise
from airflow_sm_rollout.core.comparison.health import HealthTest

INDEPENDENT = Dispersion(1.0, 0.0)
DEFAULT = Dispersion(1.25, 0.25)
BLUE_RATES = (0.002, 0.02, 0.1, 0.3)


def binomial(calls: int, rate: float) -> list[float]:
    return [math.comb(calls, k) * rate**k * (1 - rate) ** (calls - k) for k in range(calls + 1)]


def expectation(
    n_green: int, n_blue: int, green: float, blue: float, capital: Callable[[Count, Count], float]
) -> float:
    """Of what a capital of 1 becomes in one period, over all outcomes."""
    return sum(
        chance_green * chance_blue * capital((n_green, x_green), (n_blue, x_blue))
        for (x_green, chance_green), (x_blue, chance_blue) in itertools.product(
            enumerate(binomial(n_green, green)), enumerate(binomial(n_blue, blue))
        )
        if chance_green * chance_blue > 1e-12
    )


def only(odds: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """All on one alternative."""
    return (odds, 1.0), (odds, 0.0)


def split_capital(
    ratio: float, odds: float, dispersion: Dispersion, blue_rate: float
) -> Callable[[Count, Count], float]:
    def capital(green: Count, blue: Count) -> float:
        test = HarmTest(ratio, 0.0, dispersion, only(odds))
        test.bet(green, blue, blue_rate, 0.01, 1.0)
        return test.evidence

    return capital


def line_capital(
    ratio: float, points: float, odds: float | None, dispersion: Dispersion, blue_rate: float, boldness: float = 1.0
) -> Callable[[Count, Count], float]:
    """:param odds: ``None``: bets on health, as boldly as ``boldness`` says."""
    test = LineTest(ratio, points, dispersion)

    def capital(green: Count, blue: Count) -> float:
        meeting = test.meet(green[0], blue[0], blue_rate, 1.0)
        if meeting is None:
            return 1.0
        on_health = meeting.line - boldness * (meeting.line - blue_rate)
        target = on_health if odds is None else meeting.above(odds)
        return math.exp(meeting.log_factor(green[1], blue[1], target))

    return capital


@pytest.mark.parametrize("dispersion", [INDEPENDENT, DEFAULT])
@pytest.mark.parametrize("guess", [0.5, 1, 2])
@pytest.mark.parametrize(("n_green", "n_blue"), [(12, 40), (20, 20)])
def test_splitting_events_wins_nothing_against_a_green_like_blue(
    n_green: int, n_blue: int, guess: float, dispersion: Dispersion
) -> None:
    for blue, odds in itertools.product(BLUE_RATES, (1.4, 3.5, 12)):
        capital = split_capital(1.0, odds, dispersion, guess * blue)
        assert expectation(n_green, n_blue, blue, blue, capital) <= 1 + 1e-9


@pytest.mark.parametrize("ratio", [1.1, 1.6, 3.0])
def test_splitting_events_wins_nothing_against_a_green_on_the_opened_line(ratio: float) -> None:
    for blue, guess, odds in itertools.product((0.002, 0.02, 0.1), (0.5, 1, 2), (1.4, 3.5)):
        rate = blue * guess
        opened = SplitTest(ratio, 0.0, INDEPENDENT)._open_ratio(20, rate)
        capital = split_capital(ratio, odds, INDEPENDENT, rate)
        assert expectation(20, 40, opened * blue, blue, capital) <= 1 + 1e-9


@pytest.mark.parametrize("dispersion", [INDEPENDENT, DEFAULT])
@pytest.mark.parametrize(
    ("ratio", "points", "odds"),
    [(3.0, 0.05, 3.0), (3.0, 0.05, 50.0), (1.5, 0.003, None), (1.0, 0.08, None), (2.0, 0.02, None)],
)
def test_a_line_wins_nothing_against_a_green_on_it(
    ratio: float, points: float, odds: float | None, dispersion: Dispersion
) -> None:
    for blue, guess, boldness in itertools.product(BLUE_RATES, (0.5, 1, 2), (0.1, 0.5, 1)):
        capital = line_capital(ratio, points, odds, dispersion, guess * blue, boldness)
        assert expectation(15, 40, ratio * blue + points, blue, capital) <= 1 + 1e-9


@pytest.mark.parametrize(("green", "odds"), [(0.02, None), (0.6, 3.0)])
def test_a_line_wins_on_the_side_it_bets_on(green: float, odds: float | None) -> None:
    capital = line_capital(3.0, 0.05, odds, INDEPENDENT, 0.02)
    assert expectation(20, 60, green, 0.02, lambda g, b: math.log(capital(g, b))) > 0.05


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("calls", [6_000, 60_000])
def test_noise_of_each_variants_own_wins_next_to_nothing(calls: int, share: float) -> None:
    """Both rates a quarter up or down from minute to minute, of so many calls that chance hardly matters."""
    n_green, n_blue = round(calls * share), round(calls * (1 - share))

    def mean(dispersion: Dispersion) -> float:
        capital = split_capital(1.0, 1.7, dispersion, 0.05)
        swings = [
            capital((n_green, round(n_green * 0.05 * up_green)), (n_blue, round(n_blue * 0.05 * up_blue)))
            for up_green, up_blue in itertools.product((0.75, 1.25), repeat=2)
        ]
        return sum(swings) / len(swings)

    # The damping is an approximation; the margin, which is open at such traffic, makes up for the rest.
    assert mean(Dispersion(1.0, 0.25)) <= 1.1
    if n_green >= 3_000:
        assert mean(INDEPENDENT) > 2


def test_what_a_period_tells_is_the_distance_to_the_line_in_standard_deviations() -> None:
    meeting = LineTest(1.5, 0.003, INDEPENDENT).meet(600, 5400, 0.005, 1.0)
    assert meeting
    deviation = math.sqrt(0.0105 * 0.9895 / 600 + 1.5**2 * 0.005 * 0.995 / 5400)
    assert meeting.tells == pytest.approx(((0.0105 - 0.005) / deviation) ** 2)


@pytest.mark.parametrize(("odds", "green"), [(2.0, 0.13), (None, 0.02)])
def test_no_other_point_of_the_line_is_much_nearer_to_what_is_bet_on(odds: float | None, green: float) -> None:
    """The capital grows as fast as green is far from the line: the least divergence (Grünwald, de Heide & Koolen 2024)."""
    n_green, n_blue, blue = 40, 40, 0.02

    def divergence(rate: float, other: float) -> float:
        return rate * math.log(rate / other) + (1 - rate) * math.log((1 - rate) / (1 - other))

    nearest = min(
        n_green * divergence(green, 1.5 * b / 1000 + 0.04) + n_blue * divergence(blue, b / 1000) for b in range(1, 300)
    )
    capital = line_capital(1.5, 0.04, odds, INDEPENDENT, blue)
    growth = expectation(n_green, n_blue, green, blue, lambda g, b: math.log(capital(g, b)))
    assert 0.9 * nearest < growth < 1.001 * nearest


def test_a_line_never_bets_on_its_other_side() -> None:
    """The nearest point of the line may be beyond the green that is bet on, where hardly anything is known of blue."""
    capital = line_capital(1.0, 0.3, 1.3, INDEPENDENT, 0.01)
    assert expectation(100, 10, 0.0, 0.01, capital) == pytest.approx(1)


def test_six_failed_calls_against_a_calm_blue_are_most_of_a_proof() -> None:
    factors = LineTest(3.0, 0.05, DEFAULT).log_factors((6, 6), (54, 0), 0.005, (4.0, 100.0), 1.0)
    assert factors[1] > 7.5


def test_a_bunch_of_errors_counts_no_more_than_its_size_allows() -> None:
    """Three errors each time: in bunches, the evidence is that of a third of the errors one by one."""

    def bunched(capital: Callable[[Count, Count], float]) -> Callable[[Count, Count], float]:
        return lambda green, blue: capital((3 * green[0], 3 * green[1]), (3 * blue[0], 3 * blue[1]))

    for blue in (0.005, 0.02, 0.1):
        fair = split_capital(1.0, 3.5, Dispersion(3.0, 0.0), 0.02)
        naive = split_capital(1.0, 3.5, INDEPENDENT, 0.02)
        assert expectation(15, 30, blue, blue, bunched(fair)) <= 1 + 1e-9
        assert expectation(15, 30, blue, blue, bunched(naive)) > 1


@given(
    x_green=st.integers(0, 600),
    x_blue=st.integers(0, 5400),
    blue_rate=st.floats(1e-6, 0.97),
    minutes=st.sampled_from([1 / 6, 1, 5]),
)
def test_any_figures_leave_a_finite_capital(x_green: int, x_blue: int, blue_rate: float, minutes: float) -> None:
    harm = HarmTest(1.1, 0.0005, DEFAULT, ((1.7, 0.4), (3.5, 0.6)))
    harm.bet((600, x_green), (5400, x_blue), blue_rate, 0.03, minutes)
    assert 0 < harm.evidence < math.exp(2.5 * max(minutes, 0.5)) + 1
    line = LineTest(3.0, 0.05, DEFAULT)
    for factor in line.log_factors((600, x_green), (5400, x_blue), blue_rate, (3.0, 50.0), minutes):
        assert math.isfinite(factor)
    health = HealthTest(line, 20.0, 10.0, stake=0.85)
    for _ in range(50):
        health.bet((600, x_green), (5400, x_blue), blue_rate, minutes)
        assert 0 <= health.evidence <= 201


@pytest.mark.parametrize(("minutes", "most"), [(1 / 6, 1.25), (1.0, 2.5), (2.0, 5.0)])
def test_no_period_alone_is_proof(minutes: float, most: float) -> None:
    harm = HarmTest(1.1, 0.0005, INDEPENDENT, only(3.5))
    harm.bet((600, 600), (5400, 30), 0.005, 0.0, minutes)
    assert harm.evidence == pytest.approx(FIRST_STAKE * math.exp(most) + 1 - FIRST_STAKE)


def test_one_error_counts_the_same_in_a_short_period_as_in_a_long_one() -> None:
    evidence = []
    for minutes in (1 / 6, 1.0):
        harm = HarmTest(1.1, 0.0005, DEFAULT, only(3.5))
        harm.bet((10, 1), (90, 0), 0.005, 0.0, minutes)
        evidence.append(harm.evidence)
    assert evidence[0] == pytest.approx(evidence[1], rel=0.15)


@given(st.lists(st.floats(0.01, 1.0), max_size=50))
def test_capital_is_neither_made_nor_lost_by_waiting(shares: Sequence[float]) -> None:
    capital = Capital((0.3, 0.7))
    for share in shares:
        capital.multiply(share, (0.0, 0.0))
    assert capital.total == pytest.approx(1.0)


def test_a_late_onset_needs_not_make_up_for_what_was_lost_before() -> None:
    capital = Capital((1.0, 0.0))
    for _ in range(15):
        capital.multiply(1 / 30, (-2.0, 0.0))
    for _ in range(5):
        capital.multiply(1 / 30, (2.0, 0.0))
    assert capital.total > 10
    assert math.exp(-2.0 * 15 + 2.0 * 5) < 1e-8


def draw(seed: int, mean: float, size: int, minutes: int = 200) -> list[tuple[int, int]]:
    """Counts of 6,000 calls a minute with bunches of one size, without any library's random numbers: Poisson by inversion."""
    state = seed
    counts = []
    for _ in range(minutes):
        state = (1103515245 * state + 12345) % 2**31
        position, bunches, chance = state / 2**31, 0, math.exp(-mean / size)
        cumulative = chance
        while cumulative < position:
            bunches += 1
            chance *= mean / size / bunches
            cumulative += chance
        counts.append((6000, bunches * size))
    return counts


@pytest.mark.parametrize(("mean", "size"), [(3, 10), (10, 5), (60, 10), (60, 20)])
def test_bunching_is_found_in_the_baseline(mean: float, size: int) -> None:
    estimated = [estimate_bunching(draw(seed, mean, size), DEFAULT).bunching for seed in range(1, 12)]
    # The default noise of its own is taken off.
    expected = size - DEFAULT.own_noise**2 * mean
    assert sorted(estimated)[5] == pytest.approx(expected, rel=0.35)


def test_a_calm_baseline_is_never_believed_to_be_calmer_than_the_default() -> None:
    assert estimate_bunching([(6000, 30)] * 60, DEFAULT) == DEFAULT
    assert estimate_noise([(6000, 300)] * 60, DEFAULT) == DEFAULT
    assert estimate_bunching([(6000, 30)] * 5, DEFAULT) == DEFAULT
    assert estimate_bunching([], DEFAULT) == DEFAULT
    assert estimate_noise([(0, 0)] * 60, DEFAULT) == DEFAULT


def test_bursts_and_drift_are_not_taken_for_dispersion() -> None:
    calm = draw(3, 30, 1)
    drifting = [(calls, round(events * (1 + index / 100))) for index, (calls, events) in enumerate(calm)]
    bursting = [(calls, events * (20 if 50 <= index < 54 else 1)) for index, (calls, events) in enumerate(calm)]
    for counts in (calm, drifting, bursting):
        assert estimate_bunching(counts, INDEPENDENT).bunching < 2


def test_a_burst_is_not_taken_for_dispersion_where_events_are_few() -> None:
    bursting = [
        (calls, events * (30 if 50 <= index < 54 else 1)) for index, (calls, events) in enumerate(draw(3, 3, 1))
    ]
    assert estimate_bunching(bursting, INDEPENDENT).bunching < 2


@settings(max_examples=30)
@given(noise=st.floats(0.2, 0.5))
def test_noise_of_slow_calls_is_found_in_the_baseline(noise: float) -> None:
    alternating = [(10_000, round(500 * (1 + noise * (1 if index % 2 else -1)))) for index in range(100)]
    found = estimate_noise(alternating, Dispersion(1.0, 0.1)).own_noise
    assert 0.8 * noise < found < 2 * noise


def history(size: int) -> list[tuple[int, int]]:
    """90 minutes of 6,000 calls of which 30 fail on average, in bunches."""
    return draw(5, 30, size, 90)


def test_health_is_bet_on_with_what_history_shows_where_it_shows_something() -> None:
    calm, unknown = Dispersion(1.0, 0.15), Dispersion(1.25, 0.25)
    assert estimate_bunching(history(1), calm, unknown=unknown).bunching < 1.25
    assert estimate_bunching(history(10), calm, unknown=unknown).bunching > 5
    assert estimate_bunching([(6000, 0)] * 90, calm, unknown=unknown) == unknown


def test_no_way_to_stake_wins_anything_against_a_green_on_the_line() -> None:
    """All outcomes of three periods, after each of which the stake is chosen anew."""

    def expected(outcomes: Sequence[tuple[int, int]], chance: float) -> float:
        health = HealthTest(LineTest(1.5, 0.1, INDEPENDENT), 5.0, 3.0, stake=0.85)
        for number, (x_green, x_blue) in enumerate(outcomes):
            if number == 1:
                health.stake_all()
            health.bet((3, x_green), (5, x_blue), 0.2, 1.0)
        if len(outcomes) == 3:
            return chance * health.evidence
        return sum(
            expected([*outcomes, (x_green, x_blue)], chance * chance_green * chance_blue)
            for (x_green, chance_green), (x_blue, chance_blue) in itertools.product(
                enumerate(binomial(3, 1.5 * 0.2 + 0.1)), enumerate(binomial(5, 0.2))
            )
        )

    assert 0.8 < expected([], 1.0) <= 1 + 1e-9


def bet_on_health(seed: int, deadline: float, minutes: int = 10) -> float:
    """Evidence after ten minutes of a healthy green with 600 of 6,000 calls a minute, of which one in 200 fails."""
    health = HealthTest(LineTest(1.5, 0.003, Dispersion(1.25, 0.15)), 20.0, deadline, stake=1.0)
    for (_, x_green), (_, x_blue) in zip(draw(seed, 3, 1, minutes), draw(seed + 50_000, 27, 1, minutes), strict=True):
        health.bet((600, x_green), (5400, x_blue), 0.005, 1.0)
    return health.evidence


def test_a_stake_that_knows_its_deadline_meets_it_more_often_than_the_one_that_grows_fastest() -> None:
    seeds = range(1, 20_000, 37)
    # A deadline that is over by the first period, and the next, are near enough for the largest stake.
    by_deadline, fastest = (
        sum(bet_on_health(seed, deadline) >= 20 for seed in seeds) / len(seeds) for deadline in (10.0, 1e-6)
    )
    assert by_deadline > 0.97
    assert fastest < by_deadline - 0.03


def test_capital_that_is_enough_is_not_heaped_up() -> None:
    health = HealthTest(LineTest(1.5, 0.003, DEFAULT), 20.0, 10.0, stake=0.85)
    assert health.evidence == 1
    health.stake_all()
    for _ in range(2_000):
        health.bet((60_000, 300), (540_000, 2_700), 0.005, 1.0)
    assert 20 <= health.evidence <= 200
    bad_minutes = 0
    while health.evidence >= 20:
        health.bet((60_000, 900), (540_000, 2_700), 0.005, 1.0)
        bad_minutes += 1
    assert bad_minutes <= 10


@pytest.mark.parametrize("points", [0.0, 0.5])
def test_odds_chosen_by_a_deadline_win_nothing_against_a_green_on_the_line(points: float) -> None:
    """All outcomes of three periods, after each of which the odds are chosen anew; by splitting events, and by the line."""

    def expected(outcomes: Sequence[tuple[int, int]], chance: float) -> float:
        test = HarmTest(1.0, points, INDEPENDENT, only(3.5), Hedge(20.0, INDEPENDENT))
        for x_green, x_blue in outcomes:
            test.bet((3, x_green), (5, x_blue), 0.2, 1 / 3, 1.0)
        if len(outcomes) == 3:
            return chance * test.evidence
        return sum(
            expected([*outcomes, (x_green, x_blue)], chance * chance_green * chance_blue)
            for (x_green, chance_green), (x_blue, chance_blue) in itertools.product(
                enumerate(binomial(3, 0.2 + points)), enumerate(binomial(5, 0.2))
            )
        )

    assert 0.7 < expected([], 1.0) <= 1 + 1e-9


def bet_on_harm(planned: int, minutes: int) -> Hedge:
    """What a bet by a deadline has become of a green with twice blue's errors, so many minutes on."""
    hedge = Hedge(1000.0, DEFAULT)
    test = HarmTest(1.1, 0.0005, DEFAULT, only(3.5), hedge)
    for (_, x_green), (_, x_blue) in zip(draw(7, 6, 1, minutes), draw(8, 27, 1, minutes), strict=True):
        test.bet((600, x_green), (5400, x_blue), 0.005, 1 / planned, 1.0)
    return hedge


def test_harm_is_proven_by_the_end_of_the_plan_and_not_lost_again_after_it() -> None:
    assert bet_on_harm(30, 10).total < 1000
    assert bet_on_harm(30, 30).total > 900
    assert bet_on_harm(30, 45).total > 900
