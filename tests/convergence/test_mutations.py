"""Every rule is needed: with any one of them taken out, some scenario of this folder fails. So none is there for show, and none of the
scenarios passes by not looking.

Only a scenario in which a rule decides something can notice that it is gone, so just those are run again for it, the shortest first.
"""

from __future__ import annotations

import inspect
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache, partial, wraps
from types import ModuleType
from typing import Any

import pytest

from airflow_sm_rollout.core.goals import Decision
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.table import WAYS
from airflow_sm_rollout.core.way import Rule
from convergence import (
    test_blue_deleted_behind_green,
    test_canary,
    test_components,
    test_deploy_rollout,
    test_drift,
    test_exits,
    test_function_deleted,
    test_guardrails,
    test_judges_alarm,
    test_kept_warm,
    test_lambda_rollout,
    test_live_drift,
    test_live_refusals,
    test_live_rollback,
    test_live_rollout,
    test_live_shares,
    test_lost_record,
    test_scaling,
    test_shadow,
    test_undo,
    test_way_back,
)
from convergence.lab import Lab

SCENARIO_MODULES: dict[str, tuple[ModuleType, ...]] = {
    "variants": (
        test_canary,
        test_shadow,
        test_exits,
        test_scaling,
        test_drift,
        test_way_back,
        test_lost_record,
        test_undo,
        test_kept_warm,
    ),
    "endpoints": (
        test_live_rollout,
        test_live_shares,
        test_live_rollback,
        test_live_drift,
        test_live_refusals,
        test_blue_deleted_behind_green,
        test_scaling,
        test_drift,
        test_undo,
        test_kept_warm,
    ),
    "lambda": (test_lambda_rollout, test_function_deleted),
    "codedeploy": (test_deploy_rollout, test_function_deleted),
    "components": (test_components,),
    "guardrails": (test_guardrails, test_judges_alarm, test_scaling, test_drift, test_way_back, test_undo),
}
SAME = {"lambda": ("endpoints",), "codedeploy": ("lambda", "endpoints")}
"""Ways that have rules of others. Those are taken out there."""
Mutant = tuple[str, type, int]  # a way to split traffic, a goal, the index of a rule
Scenario = Callable[[], object]


def scenarios(traffic: str) -> Iterator[Scenario]:
    """The tests of this folder that walk a rollout by that way, once for each of their parameters."""
    for module in SCENARIO_MODULES[traffic]:
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and test.__module__ == module.__name__:
                yield from expand(test)


def expand(test: Callable[..., object]) -> Iterator[Scenario]:
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    choices = [[named(mark.args[0], values) for values in mark.args[1]] for mark in marks]
    for chosen in itertools.product(*choices):
        yield partial(test, **{name: value for each in chosen for name, value in each.items()})


def named(names: Any, values: Any) -> dict[str, Any]:
    split = names if isinstance(names, tuple) else (names,)
    return dict(zip(split, values if isinstance(names, tuple) else (values,), strict=True))


def noting(rule: Rule, note: Callable[[], None]) -> Rule:
    """The rule, which notes each time that it decides."""

    @wraps(rule)
    def noted(goal: Any, rollout: Rollout, seen: Observation) -> Decision | None:
        decision = rule(goal, rollout, seen)
        if decision is not None:
            note()
        return decision

    return noted


@cache
def deciding(traffic: str) -> dict[tuple[type, int], list[Scenario]]:
    """For each rule the scenarios in which it decides something, from the one with the fewest decisions on."""
    rules = WAYS[traffic].rules
    found: dict[tuple[type, int], list[tuple[int, int, Scenario]]] = defaultdict(list)
    for number, scenario in enumerate(scenarios(traffic)):
        decided: list[tuple[type, int]] = []
        with pytest.MonkeyPatch.context() as patch:
            for goal, each in rules.items():
                noted = [noting(rule, partial(decided.append, (goal, index))) for index, rule in enumerate(each)]
                patch.setitem(rules, goal, tuple(noted))  # type: ignore[arg-type]
            scenario()
        for key in set(decided):
            found[key].append((len(decided), number, scenario))
    return {
        key: [scenario for *_, scenario in sorted(scored, key=lambda each: each[:2])] for key, scored in found.items()
    }


MUTANTS: list[Mutant] = [
    (traffic, goal, index)
    for traffic in SCENARIO_MODULES
    for goal, rules in WAYS[traffic].rules.items()
    for index in range(len(rules))
    if not any(rules[index] in WAYS[other].rules[goal] for other in SAME.get(traffic, ()))
]


def name_of(traffic: str, goal: type, index: int) -> str:
    rule = WAYS[traffic].rules[goal][index]
    return f"{traffic}-{goal.__name__}-{index}-{rule.__name__.strip('_')}"


def of_one_way(mutant: Mutant) -> Any:
    """One process does all of a way's, so that its scenarios are looked through once."""
    return pytest.param(*mutant, id=name_of(*mutant), marks=pytest.mark.xdist_group(f"mutants-{mutant[0]}"))


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize(("traffic", "goal", "index"), [of_one_way(mutant) for mutant in MUTANTS])
def test_without_any_one_rule_a_scenario_fails(
    traffic: str, goal: type, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = deciding(traffic).get((goal, index), [])
    # Without a rule a rollback may go round in circles to its deadline, at each of its looks.
    monkeypatch.setattr(Lab.reach, "__defaults__", (timedelta(hours=1),))
    rules = WAYS[traffic].rules[goal]
    monkeypatch.setitem(WAYS[traffic].rules, goal, rules[:index] + rules[index + 1 :])  # type: ignore[arg-type]
    for scenario in able:
        try:
            scenario()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it was noticed
            return
    pytest.fail(f"none of the {len(able)} scenarios in which the rule decides noticed that it is gone")
