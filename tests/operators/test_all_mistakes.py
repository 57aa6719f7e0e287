"""All mistakes of a plan are said at once, wherever the plan is read."""

from __future__ import annotations

import itertools
import pickle
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import (
    DeployGreenOperator,
    PlanError,
    SnapshotOperator,
    blue_green_rollout,
    canary_rollout,
    linear_rollout,
)

GREEN: dict[str, Any] = {"endpoint_name": "wine", "model_name": "wine-v2"}
WRONG: dict[str, tuple[Any, str]] = {
    "alarms": ([7], "alarms"),
    "default_alarms": ({"latency_factor": 0.5}, "latency_factor"),
    "drain": ("soon", "drain"),
    "endpoint_name": ("wi_ne", "endpoint_name"),
    "environment": (["A"], "environment"),
    "extend_by": (-1, "extend_by"),
    "guardian": ("yes please", "guardian"),
    "image": ("repo/green:2", "model_name and image"),
    "instance_type": (7, "instance_type"),
    "limits": ({"max_eror_rate": 0.02}, "limits"),
    "metric_seconds": (7, "metric_seconds"),
    "monitoring_schedules": ([None], "monitoring_schedules"),
    "on_drift": ("ignore", "on_drift"),
    "require_approved": ("maybe", "require_approved"),
    "tolerances": ({"errors_5xx": "much"}, "errors_5xx"),
    "traffic": ("dice", "traffic"),
    "when_inconclusive": ("hope", "when_inconclusive"),
    "model_nam": ("wine-v3", "model_nam"),
}
"""A value of each option that is refused, and the name under which it is."""
OF_GROUPS = {
    "approval": ({"before": 12}, "approval before"),
    "poke_interval": (0, "poke_interval"),
    "shadow": ({"percent": 50}, "shadow"),
    "timeout": (-5, "timeout"),
    "trigger_rule": ("all_done", "trigger_rule"),
    "validate": ({"samples": "{no json"}, "samples"),
}
OF_STRATEGIES: dict[Callable[..., Any], dict[str, tuple[Any, str]]] = {
    canary_rollout: {"steps": ([50, 10], "steps"), "bake": ("10 min", "bake")},
    linear_rollout: {"step": (101, "step"), "interval": (-1, "interval")},
    blue_green_rollout: {"bake": (-1, "bake")},
}


def operator(kind: Any) -> Callable[..., Any]:
    return lambda **options: kind(task_id="task", **options)


BUILDERS: dict[str, tuple[Callable[..., Any], dict[str, tuple[Any, str]]]] = {
    **{each.__name__: (each, {**WRONG, **OF_GROUPS, **wrong}) for each, wrong in OF_STRATEGIES.items()},
    "SnapshotOperator": (operator(SnapshotOperator), WRONG),
    "DeployGreenOperator": (operator(DeployGreenOperator), {**WRONG, "timeout": (-5, "timeout")}),
}


def mistakes(build: Callable[..., Any], options: Mapping[str, Any]) -> PlanError:
    with warnings.catch_warnings(), DAG("wrong", schedule=None) as dag:
        warnings.simplefilter("ignore")
        with pytest.raises(PlanError) as refusal:
            build(**{**GREEN, **options})
    assert all(task.dag is dag for task in dag.tasks)
    return refusal.value


def named(error: PlanError) -> set[str]:
    return {name for each in (error, *error.others) for name in each.option.split(" and ")}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_pair_of_mistakes_is_said_at_once(name: str) -> None:
    build, wrong = BUILDERS[name]
    pairs = list(itertools.combinations(sorted(wrong), 2))
    silent = {}
    for pair in pairs:
        said = mistakes(build, {option: wrong[option][0] for option in pair})
        wanted = {member for option in pair for member in wrong[option][1].split(" and ")}
        if not named(said) >= wanted:
            silent[pair] = str(said)
    assert silent == {}
    print(f"{len(pairs)} pairs walked")


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("seed", range(4))
def test_any_number_of_mistakes_is_said_at_once(name: str, seed: int) -> None:
    build, wrong = BUILDERS[name]
    chance = random.Random(seed)
    chosen = chance.sample(sorted(wrong), len(wrong) if seed == 0 else chance.randint(3, len(wrong)))
    said = mistakes(build, {option: wrong[option][0] for option in chosen})
    assert named(said) >= {member for option in chosen for member in wrong[option][1].split(" and ")}, said
    assert str(said).startswith(f"{1 + len(said.others)} options are wrong: (1) ")


@pytest.mark.parametrize("name", BUILDERS)
def test_one_mistake_is_said_by_itself(name: str) -> None:
    build, wrong = BUILDERS[name]
    for option, (value, by_name) in wrong.items():
        said = mistakes(build, {option: value})
        assert (said.option, said.others) == (by_name, ()), said


def test_several_mistakes_go_through_a_pickle_as_one_does() -> None:
    said = mistakes(canary_rollout, {"bake": "10 min", "traffic": "dice"})
    assert str(pickle.loads(pickle.dumps(said))) == str(said)


def test_what_templates_render_to_is_read_whole_too() -> None:
    rendered = {"alarms": [7], "drain": "soon", "environment": ["A"], "traffic": "dice"}
    with DAG("rendered", schedule=None):
        snapshot = SnapshotOperator(task_id="snapshot", **GREEN, **dict.fromkeys(rendered, "{{ params.it }}"))
    for option, value in rendered.items():
        setattr(snapshot, option, value)
    with pytest.raises(PlanError) as refusal:
        snapshot.read_options()
    assert named(refusal.value) == rendered.keys()
