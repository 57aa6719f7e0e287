from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.strategy import blue_green, canary, expand_strategy, linear

RISING = st.sets(st.integers(1, 99), max_size=6).map(lambda shares: [*sorted(shares), 100])


@given(RISING, st.integers(0, 10_000))
def test_a_canary_has_a_step_for_each_share_and_lasts_at_least_its_bakes(shares: list[int], seconds: int) -> None:
    strategy = canary(shares, bake=seconds)
    assert [step.share for step in strategy.steps] == shares
    assert strategy.minimum_duration == timedelta(seconds=seconds * len(shares))


@given(RISING)
def test_a_form_may_give_the_steps_as_text(shares: list[int]) -> None:
    assert canary(", ".join(map(str, shares))) == canary(shares)


def test_each_step_may_have_its_own_bake() -> None:
    strategy = canary([5, 100], bake=[60, timedelta(minutes=5)])
    assert [step.bake for step in strategy.steps] == [timedelta(minutes=1), timedelta(minutes=5)]
    assert canary("5,100", bake="60, 300") == strategy


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [10],
        [0, 100],
        [-5, 100],
        [10, 101],
        [50, 10, 100],
        [10, 10, 100],
        ["ten", 100],
        "10;100",
        "",
        None,
        [float("nan"), 100],
    ],
)
def test_wrong_steps_are_refused_by_name_and_value(steps: object) -> None:
    with pytest.raises(PlanError, match="steps=") as caught:
        canary(steps)  # type: ignore[arg-type]
    assert repr(steps) in str(caught.value)
    assert "rising" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86400), (" 7D ", 604800), ("1h30m", 5400), ("0.5h", 1800)]
)
def test_a_duration_may_have_units(text: str, seconds: int) -> None:
    assert canary([100], bake=text).minimum_duration == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "bake", ["h", "1h30", "-1h", "3w", "1e3s", "400d", -1, "soon", [1, 2], timedelta(seconds=-1), "1,2", float("nan")]
)
def test_wrong_bakes_are_refused_by_name(bake: object) -> None:
    with pytest.raises(PlanError, match="bake="):
        canary([10, 50, 100], bake=bake)  # type: ignore[arg-type]


@given(st.floats(1, 100))
def test_linear_steps_are_equal_but_for_the_last_which_is_what_is_left(size: float) -> None:
    shares = [step.share for step in linear(size).steps]
    assert shares[-1] == 100
    rises = [high - low for low, high in zip([0.0, *shares], shares, strict=False)]
    assert all(rise == pytest.approx(size) for rise in rises[:-1])
    assert 0 < rises[-1] < size + 0.001 + 1e-9  # a rest that no task's name could tell is no step of its own


def test_the_tenth_step_of_a_fifteen_minute_plan_comes_after_two_hours_and_a_quarter() -> None:
    strategy = linear(10, interval=timedelta(minutes=15))
    assert sum((step.bake for step in strategy.steps[:9]), timedelta()) == timedelta(hours=2, minutes=15)
    assert strategy.paced_by_clock


@pytest.mark.parametrize("step", [0, -1, 101, "much", None, float("nan")])
def test_wrong_linear_steps_are_refused_by_name(step: object) -> None:
    with pytest.raises(PlanError, match="step="):
        linear(step)  # type: ignore[arg-type]


def test_blue_green_is_one_step() -> None:
    strategy = blue_green(bake=60)
    assert [(step.share, step.bake) for step in strategy.steps] == [(100.0, timedelta(minutes=1))]
    with pytest.raises(PlanError, match="bake="):
        blue_green(bake=-1)


def test_a_strategy_is_given_by_its_name_and_options() -> None:
    assert expand_strategy({"name": "canary", "steps": "10,100", "bake": 5}) == canary([10, 100], bake=5)
    assert expand_strategy({"name": "linear", "step": "25", "interval": 60}) == linear(25, interval=60)


@pytest.mark.parametrize("options", [{}, {"name": "yolo"}, {"steps": [100]}, "canary", None])
def test_an_unknown_strategy_is_refused_with_those_there_are(options: object) -> None:
    with pytest.raises(PlanError, match="canary, linear, blue_green"):
        expand_strategy(options)  # type: ignore[arg-type]


def test_an_option_of_another_strategy_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match="interval=60"):
        expand_strategy({"name": "canary", "interval": 60})
