"""Each option of a rollout with each of a pool of odd values: taken with its documented meaning, or a PlanError that names the option."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import PlanError, blue_green_rollout, canary_rollout, linear_rollout
from airflow_sm_rollout.operators.options import options_of
from airflow_sm_rollout.operators.snapshot import SnapshotOperator
from airflow_sm_rollout.task_arguments import known_arguments


class Failing:
    """An object that fails at whatever it is asked.

    :param at: the method that fails.
    """

    def __init__(self, at: str) -> None:
        def fail(*asked: object) -> None:
            raise RuntimeError(at)

        setattr(self, at, fail)
        self.__class__ = type(f"Failing{at}", (Failing,), {at: fail, "__hash__": object.__hash__})


ODD: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "zero": 0,
    "minus one": -1,
    "one and a half": 1.5,
    "a decimal": Decimal("12.5"),
    "a fraction": Fraction(1, 3),
    "a numpy float": np.float32(12.5),
    "a numpy integer": np.int64(60),
    "an empty text": "",
    "a blank": " ",
    "the text None": "None",
    "a text": "soon",
    "a number as text": " 60 ",
    "not a number": math.nan,
    "not a number as text": "nan",
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "enormous": 10**400,
    "enormous as text": "9" * 400,
    "enormous and negative": -1e300,
    "an empty list": [],
    "a list": [1, 2],
    "a list of odd things": [None, {}, "x"],
    "an empty dict": {},
    "a dict": {"a": 1},
    "a dict of odd keys": {1: 2},
    "a set": {1},
    "a date": date(2026, 1, 1),
    "a moment": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "a duration": timedelta(minutes=1),
    "a negative duration": timedelta(minutes=-1),
    "bytes": b"60",
    "another script": "шестьдесят",
    "another script's digits": "٦٠",
    "a class": int,
    "an object": object(),
    "a number beyond real ones": 1j,
    "a decimal that is no number": Decimal("sNaN"),
    "an array": np.array([10, 100]),
    "an empty array": np.array([]),
    "a numpy duration": np.timedelta64(5, "m"),
    "a numpy moment": np.datetime64("2026-01-01"),
    "what can't be compared": Failing("__eq__"),
    "what is neither true nor false": Failing("__bool__"),
    "what can't be written": Failing("__repr__"),
    "a list of what can't be written": [Failing("__repr__")],
}
GREEN: dict[str, Any] = {"endpoint_name": "wine", "model_name": "wine-v2"}
_AIRFLOWS = known_arguments()[0] | {"rollout", "strategy", "is_shadowed"}
_SHARED = (options_of(SnapshotOperator) - _AIRFLOWS) | {
    "approval",
    "validate",
    "shadow",
    "timeout",
    "poke_interval",
    "watch_after",
}
OPTIONS: dict[Callable[..., Any], set[str]] = {
    canary_rollout: {*_SHARED, "steps", "bake", "max_steps"},
    linear_rollout: {"step", "interval", "max_steps", "endpoint_name"},
    blue_green_rollout: {"bake", "endpoint_name", "drain", "traffic"},
}
NESTED: dict[str, tuple[str, ...]] = {
    "approval": ("before", "timeout", "on_timeout", "assigned_users", "notifiers"),
    "default_alarms": ("max_error_percent", "min_requests", "latency_factor"),
    "shadow": ("bake", "percent"),
    "validate": (
        "samples",
        "agrees_with",
        "min_agreement",
        "tolerance",
        "max_latency_ms",
        "content_type",
        "label_field",
    ),
    "limits": ("max_error_rate", "min_requests"),
    "tolerances": ("errors_5xx", "false_rollback", "warm_up_minutes"),
}
RELATED: dict[str, tuple[str, ...]] = {
    "model_package_arn": ("model_name",),
    "image": ("model_name", "model_data_url"),
    "label_field": ("samples",),
    "tolerances": ("a",),  # the member that is given
    "content_type": ("samples",),
}
"""Options that are refused together with others, by their name."""
_NEEDED: dict[str, dict[str, Any]] = {"shadow": {"bake": 60}, "validate": {"samples": "1"}}


def why_not(build: Callable[[], Any]) -> tuple[str, str]:
    """How a DAG file is refused: the option that is named, and all that is said; empty: it is not."""
    with warnings.catch_warnings(), DAG("odd", schedule=None):
        warnings.simplefilter("ignore")
        try:
            build()
        except PlanError as error:
            return error.option, str(error)
    return "", ""


@pytest.mark.parametrize(
    ("factory", "option"),
    [(factory, option) for factory, options in OPTIONS.items() for option in sorted(options)],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_an_odd_value_is_taken_or_refused_by_the_name_of_its_option(factory: Callable[..., Any], option: str) -> None:
    for name, value in ODD.items():
        named, said = why_not(lambda value=value: factory(**{**GREEN, option: value}))  # type: ignore[misc]
        names = {option, *NESTED.get(option, ()), *RELATED.get(option, ())}
        assert not said or named.rpartition(" ")[2] in names or named.partition(" ")[0] in names, f"{name}: {said}"
    print(f"{len(ODD)} values of {option} walked")


@pytest.mark.parametrize(
    ("option", "member"), [(option, member) for option, members in NESTED.items() for member in members]
)
def test_an_odd_member_is_taken_or_refused_by_its_name(option: str, member: str) -> None:
    for name, value in ODD.items():
        given = {**_NEEDED.get(option, {}), member: value}
        named, said = why_not(lambda given=given: canary_rollout(**GREEN, **{option: given}))  # type: ignore[misc]
        names = {member, option, *RELATED.get(member, ())}
        assert not said or {*named.replace(".", " ").split()} & names, f"{name}: {said}"


NUMBERS: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
    (canary_rollout, ("steps",)),
    (canary_rollout, ("bake",)),
    (canary_rollout, ("max_steps",)),
    (canary_rollout, ("drain",)),
    (canary_rollout, ("timeout",)),
    (canary_rollout, ("poke_interval",)),
    (linear_rollout, ("step",)),
    (linear_rollout, ("interval",)),
    (linear_rollout, ("max_steps",)),
    (blue_green_rollout, ("bake",)),
    *(
        (canary_rollout, (option, member))
        for option, members in {
            "approval": ("timeout",),
            "default_alarms": ("max_error_percent", "min_requests", "latency_factor"),
            "shadow": ("bake", "percent"),
            "validate": ("min_agreement", "tolerance", "max_latency_ms"),
            "limits": ("max_error_rate", "max_p99_ms", "min_requests"),
            "tolerances": ("false_rollback", "false_pass", "warm_up_minutes", "min_bake_minutes"),
        }.items()
        for member in members
    ),
]


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize(
    ("factory", "path"), NUMBERS, ids=lambda each: each.__name__ if callable(each) else ".".join(each)
)
def test_yes_and_no_are_no_numbers(factory: Callable[..., Any], path: tuple[str, ...], *, truth: bool) -> None:
    given: Any = truth
    for member in reversed(path[1:]):
        given = {**_NEEDED.get(path[0], {}), member: given}
    named, _ = why_not(lambda: factory(**{**GREEN, path[0]: given}))
    assert {path[0], path[-1]} & {*named.replace(".", " ").split()}
