"""Every rule is needed: with any one of them taken out, some scenario of this folder fails. So none is there for show, and none of the
scenarios passes by not looking."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from airflow_sm_rollout.core.variants.way import VARIANTS
from convergence import test_canary, test_exits


def scenarios() -> Iterator[Callable[[], object]]:
    """The tests of this folder that walk a rollout, once for each of their parameters."""
    for module in (test_canary, test_exits):
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                yield from expand(test)


def expand(test: Callable[..., object]) -> Iterator[Callable[[], object]]:
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    choices = [[named(mark.args[0], values) for values in mark.args[1]] for mark in marks]
    for chosen in itertools.product(*choices):
        yield partial(test, **{name: value for each in chosen for name, value in each.items()})


def named(names: Any, values: Any) -> dict[str, Any]:
    split = names if isinstance(names, tuple) else (names,)
    return dict(zip(split, values if isinstance(names, tuple) else (values,), strict=True))


SCENARIOS = list(scenarios())
MUTANTS = [(goal, index) for goal, rules in VARIANTS.rules.items() for index in range(len(rules))]


def name_of(goal: type, index: int) -> str:
    rule = VARIANTS.rules[goal][index]
    return f"{goal.__name__}-{index}-{rule.__name__.strip('_')}"


@pytest.mark.parametrize(("goal", "index"), MUTANTS, ids=[name_of(*mutant) for mutant in MUTANTS])
def test_without_any_one_rule_a_scenario_fails(goal: type, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = VARIANTS.rules[goal]
    monkeypatch.setitem(VARIANTS.rules, goal, rules[:index] + rules[index + 1 :])  # type: ignore[arg-type]
    for scenario in SCENARIOS:
        try:
            scenario()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it was noticed
            return
    pytest.fail("no scenario noticed that the rule is gone")
