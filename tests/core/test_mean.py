"""The test of means: fair or worse whatever the values are, and it finds what it is for."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.mean import MeanEvidence, MeanTest, Sums, scatter

PROOF = 100.0
Draw = Callable[[random.Random], float]


def sums_of(values: Sequence[float]) -> Sums:
    return Sums(len(values), sum(values), sum(value * value for value in values))


def expectation(line: float, green: Sequence[tuple[float, float]], blue: Sequence[tuple[float, float]]) -> float:
    """Of what a first period of two values of green and three of blue makes of a capital of 1, over all outcomes.

    :param green: values and their probabilities; so ``blue``.
    """
    whole = 0.0
    for outcome in itertools.product(*[green] * 2, *[blue] * 3):
        test = MeanTest(line, (0.02, 0.1, 0.4), [Sums(100, 50.0, 30.0)] * 12)
        values = [value for value, _ in outcome]
        test.take(sums_of(values[:2]), sums_of(values[2:]))
        whole += math.exp(test.log_evidence) * math.prod(chance for _, chance in outcome)
    return whole


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(0.2, 0.8), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_on_the_line_no_period_is_favourable_whatever_the_values_are(
    line: float, blue_mean: float, green_spread: float, blue_spread: float
) -> None:
    """Two values around each mean, from none to the widest that there may be."""
    green_mean = blue_mean + line

    def around(mean: float, spread: float) -> list[tuple[float, float]]:
        low, high = mean * (1 - spread), mean + (1 - mean) * spread
        chance = (mean - low) / (high - low) if high > low else 1.0
        return [(low, 1 - chance), (high, chance)]

    assert expectation(line, around(green_mean, green_spread), around(blue_mean, blue_spread)) <= 1 + 1e-9


def evidence(rng: random.Random, green: Draw, blue: Draw, *, tolerated: float = 0.02) -> tuple[float, float]:
    """The largest evidence of harm, and of health, at any look."""
    before = [sums_of([blue(rng) for _ in range(45)]) for _ in range(20)]
    test, harm, health = MeanEvidence(tolerated, before), 0.0, 0.0
    for _ in range(40):
        test.take(sums_of([green(rng) for _ in range(10)]), sums_of([blue(rng) for _ in range(45)]))
        harm, health = max(harm, test.harm), max(health, test.health)
    return harm, health


def clipped(mean: float, deviation: float) -> Draw:
    return lambda rng: min(max(rng.gauss(mean, deviation), 0.0), 1.0)


def heavy(scale: float) -> Draw:
    """A hundredth of it lies at the bound."""
    return lambda rng: 1.0 if rng.random() < 0.01 else scale * rng.random()


@pytest.mark.parametrize(
    ("green", "blue"),
    [(clipped(0.5, 0.1), clipped(0.5, 0.1)), (clipped(0.52, 0.1), clipped(0.5, 0.1)), (heavy(0.2), heavy(0.2))],
    ids=["as good", "just as much worse as is tolerated", "wild values"],
)
def test_a_green_that_is_not_worse_than_tolerated_is_hardly_ever_called_so(green: Draw, blue: Draw) -> None:
    """1 % are allowed; of 100, five or more would come with a chance of 0.4 %."""
    rng = random.Random(5)
    assert sum(evidence(rng, green, blue)[0] >= PROOF for _ in range(100)) < 5


@pytest.mark.parametrize(
    ("green", "blue"), [(clipped(0.6, 0.1), clipped(0.5, 0.1)), (heavy(0.4), heavy(0.2))], ids=["plain", "wild values"]
)
def test_a_green_that_is_worse_by_far_is_found(green: Draw, blue: Draw) -> None:
    rng = random.Random(6)
    assert sum(evidence(rng, green, blue)[0] >= PROOF for _ in range(20)) >= 19


def test_a_green_as_good_as_blue_is_proven_so_and_one_on_the_healthy_line_hardly_ever() -> None:
    """5 % are allowed; of 60, nine or more would come with a chance of 0.3 %."""
    rng = random.Random(8)
    blue = clipped(0.5, 0.1)
    assert sum(evidence(rng, blue, blue)[1] >= 20 for _ in range(20)) >= 19
    assert sum(evidence(rng, clipped(0.54, 0.1), blue)[1] >= 20 for _ in range(60)) < 9


def test_values_that_come_in_bunches_make_evidence_count_less() -> None:
    rng = random.Random(7)
    alone = [sums_of([rng.random() for _ in range(100)]) for _ in range(200)]
    bunched = [sums_of([value for value in (rng.random() for _ in range(20)) for _ in range(5)]) for _ in range(200)]
    assert scatter(alone) < 1.4
    assert 3.5 < scatter(bunched) < 7
