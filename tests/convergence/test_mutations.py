"""Every rule is needed: with any one of them taken out, some scenario of this folder fails. So none is there for show, and none of the
scenarios passes by not looking."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from airflow_sm_rollout.core.converge import WAYS
from convergence import test_canary, test_endpoints_way, test_exits, test_guardrails

SCENARIO_MODULES: dict[str, tuple[ModuleType, ...]] = {
    "variants": (test_canary, test_exits),
    "endpoints": (test_endpoints_way,),
    "guardrails": (test_guardrails,),
}


def scenarios(traffic: str) -> Iterator[Callable[[], object]]:
    """The tests of this folder that walk a rollout by that way, once for each of their parameters."""
    for module in SCENARIO_MODULES[traffic]:
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


SCENARIOS = {traffic: list(scenarios(traffic)) for traffic in SCENARIO_MODULES}
MUTANTS = [
    (traffic, goal, index)
    for traffic in SCENARIO_MODULES
    for goal, rules in WAYS[traffic].rules.items()
    for index in range(len(rules))
]


def name_of(traffic: str, goal: type, index: int) -> str:
    rule = WAYS[traffic].rules[goal][index]
    return f"{traffic}-{goal.__name__}-{index}-{rule.__name__.strip('_')}"


@pytest.mark.parametrize(("traffic", "goal", "index"), MUTANTS, ids=[name_of(*mutant) for mutant in MUTANTS])
def test_without_any_one_rule_a_scenario_fails(
    traffic: str, goal: type, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = WAYS[traffic].rules[goal]
    monkeypatch.setitem(WAYS[traffic].rules, goal, rules[:index] + rules[index + 1 :])  # type: ignore[arg-type]
    for scenario in SCENARIOS[traffic]:
        try:
            scenario()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it was noticed
            return
    pytest.fail("no scenario noticed that the rule is gone")
