"""Green's calls against the share it was given: a split that is kept is hardly ever called broken, and a broken one soon is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.routing import FALSE_ALARM, RoutingTest, log_ratio

MINUTES = 60


def bursty(calls: float, rng: np.random.Generator) -> Iterator[int]:
    """Calls of each minute: noise, and bursts of up to twenty times as many."""
    for _ in range(MINUTES):
        burst = rng.uniform(1, 20) if rng.random() < 0.1 else 1.0
        yield int(rng.poisson(calls * burst * rng.lognormal(0, 0.5)))


def minute_of_alarm(test: RoutingTest, shares: Iterator[tuple[int, int]]) -> int | None:
    """When a test finds the split broken, by each minute's calls of green and blue; ``None``: never."""
    for minute, (green, blue) in enumerate(shares, 1):
        test.take(green, blue, 1.0)
        if test.describe():
            return minute
    return None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.sampled_from([0.1, 0.5, 1 / 1.5, 1.5, 4.0]), st.floats(0.01, 1))
def test_a_bet_on_a_split_that_is_kept_is_never_favourable(calls: int, edge: float, odds: float, power: float) -> None:
    binomial = [math.comb(calls, x) * edge**x * (1 - edge) ** (calls - x) for x in range(calls + 1)]
    each = [chance * math.exp(power * log_ratio(calls, x, edge, odds)) for x, chance in enumerate(binomial)]
    assert sum(each) <= 1 + 1e-9


@pytest.mark.parametrize("calls", [5, 60, 600, 20_000])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_a_split_that_is_kept_is_called_broken_less_than_once_in_10_000(share: float, calls: int) -> None:
    # So rare an event is not waited for: traffic is drawn with other odds, and each alarm weighs as much less as it is
    # less probable with those that were given (importance sampling). Drawn as given, there is none in so few runs.
    rng, runs = np.random.default_rng([7, calls, int(100 * share)]), 60
    for odds in (0.5, 1.0, 2.0):
        drawn = odds * share / (1 - share + odds * share)
        chances = []
        for _ in range(runs):
            test, weight = RoutingTest(share, 1.0, MINUTES), 0.0
            for both in bursty(calls, rng):
                green = int(rng.binomial(both, drawn))
                weight -= log_ratio(both, green, share, odds)
                test.take(green, both - green, 1.0)
                if test.describe():
                    chances.append(math.exp(weight))
                    break
        assert sum(chances) / runs <= FALSE_ALARM
        assert odds != 1.0 or not chances


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("calls", [600, 6_000, 60_000])
def test_figures_that_are_not_whole_break_no_split(share: float, calls: int) -> None:
    rng = np.random.default_rng([8, calls])
    for _ in range(50):
        counted = [
            [int(rng.binomial(calls * part, 1 - 0.3 * rng.random())) for part in (share, 1 - share)]
            for _ in range(MINUTES)
        ]
        assert minute_of_alarm(RoutingTest(share, 1.05, MINUTES), iter(map(tuple, counted))) is None


@pytest.mark.parametrize(
    ("real", "calls", "by"), [(0.07, 600, 30), (0.07, 6_000, 12), (0.0, 60, 8), (0.2, 600, 6), (1.0, 20, 8)]
)
def test_a_broken_split_is_seen(real: float, calls: int, by: int) -> None:
    rng = np.random.default_rng(9)
    test = RoutingTest(0.1, 1.05, MINUTES)
    seen = minute_of_alarm(test, ((int(calls * real), calls - int(calls * real)) for _ in range(MINUTES)))
    assert seen is not None
    assert seen <= by
    assert "Clients don't follow the split: green got" in test.describe()
    drawn = ((g := int(rng.binomial(calls, real)), calls - g) for _ in range(MINUTES))
    assert minute_of_alarm(RoutingTest(0.1, 1.05, MINUTES), drawn) is not None


def test_no_single_minute_breaks_a_split_whatever_it_was_like() -> None:
    test = RoutingTest(0.1, 1.05, 10)
    test.take(0, 1_000_000, 1.0)
    assert not test.describe()
    for _ in range(9):
        test.take(0, 0, 1.0)
    assert not test.describe()
