"""Each of Airflow's own arguments times odd values: it is taken, or refused by its name when the DAG file is read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import PlanError, SnapshotOperator, canary_rollout
from airflow_sm_rollout.argument_values import KINDS
from airflow_sm_rollout.task_arguments import REACHES, STEPS_ONLY, known_arguments
from operators.test_arguments import GIVEN, RETRIES

OPERATOR, GROUP = known_arguments()
AIRFLOWS_ALONE = {"inlets"}
"""Airflow takes anything for it, and so do we."""
ODD: tuple[Any, ...] = (
    *(None, True, False, 7, -1, 0, 2.5, math.nan, math.inf, 10**30, 10**5000, Decimal("2.5")),
    *("", "x", "None", "a b/\0", "x" * 10_000, "{{ params.x }}", "überall ✓", b"x"),
    *(np.float32(2.5), np.int64(7), np.array([1, 2]), np.array([]), np.timedelta64(5, "m"), Fraction(1, 3)),
    *([], ["x"], [7], (), ("a",), {}, {"a": 1}, {1, 2}, object(), print, lambda context: None),
    *(timedelta(seconds=-1), timedelta.max, date(2026, 1, 1), datetime(2026, 1, 1)),  # noqa: DTZ001 - odd on purpose
)
CALLBACKS = [name for name in KINDS if name.endswith("_callback")]
LONGEST = 700  # characters that a person reads


def group_with(**given: Any) -> None:
    with warnings.catch_warnings(), DAG("d", schedule=None):
        warnings.simplefilter("ignore")
        canary_rollout(endpoint_name="wine", model_name="wine-v2", **given)


def task_with(**given: Any) -> None:
    with warnings.catch_warnings(), DAG("d", schedule=None):
        warnings.simplefilter("ignore")
        SnapshotOperator(task_id="snapshot", endpoint_name="wine", model_name="wine-v2", **given)


def test_every_argument_that_reaches_tasks_or_the_group_has_its_values() -> None:
    of_the_group = GROUP & {"add_suffix_on_collision", "group_display_name", "tooltip", "ui_color", "ui_fgcolor"}
    assert KINDS.keys() == (REACHES | STEPS_ONLY | of_the_group | {"parent_group"}) - AIRFLOWS_ALONE


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (make, name)
        for make in (group_with, task_with)
        for name in sorted(KINDS)
        if make is group_with or name in OPERATOR
    ],
)
def test_an_odd_value_is_taken_or_refused_by_the_arguments_name(name: str, make: Callable[..., None]) -> None:
    refused = [error for odd in ODD if (error := refusal(make, name, odd))]
    print(f"{len(ODD)} values of {name} walked, {len(refused)} refused")
    assert {error.option for error in refused} == {name}
    assert max(len(str(error)) for error in refused) < LONGEST
    assert len(refused) > len(ODD) / 3


def refusal(make: Callable[..., None], name: str, value: Any) -> PlanError | None:
    try:
        make(**{name: value})
    except PlanError as error:
        return error
    return None


@pytest.mark.parametrize("name", sorted(KINDS.keys() & {**GIVEN, **RETRIES}.keys()))
def test_what_an_argument_is_for_is_taken(name: str) -> None:
    group_with(**{name: {**GIVEN, **RETRIES}[name]})
    group_with(default_args={name: {**GIVEN, **RETRIES}[name]})


@pytest.mark.parametrize(("name", "least"), [("pool_slots", 1), ("retries", 0), ("retries", 1), ("priority_weight", 1)])
def test_a_count_may_be_as_small_as_airflow_takes_it(name: str, least: int) -> None:
    group_with(**{name: least})


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("odd", [7, "print", ["print"], [print, None], {"on": print}], ids=str)
def test_a_callback_that_nobody_could_call_is_refused_wherever_it_is_given(name: str, odd: Any) -> None:
    for given in ({name: odd}, {"default_args": {name: odd}}):
        with pytest.raises(PlanError, match=name):
            group_with(**given)


def test_a_misfit_among_the_dags_default_arguments_is_refused_by_its_name() -> None:
    with (
        pytest.raises(PlanError, match="pool_slots='many'"),
        DAG("d", schedule=None, default_args={"pool_slots": "many"}),
    ):
        canary_rollout(endpoint_name="wine", model_name="wine-v2")


def test_all_misfits_are_said_at_once_beside_those_of_the_rollouts_own() -> None:
    with pytest.raises(PlanError) as caught:
        group_with(pool=7, retries="often", traffic="sideways")
    assert {caught.value.option, *(each.option for each in caught.value.others)} == {"pool", "retries", "traffic"}
