"""The map for contributors leads where it says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import FunctionType

import pytest

from airflow_sm_rollout import blue_green_rollout, canary_rollout, linear_rollout
from airflow_sm_rollout.core.plan import strategy

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "airflow_sm_rollout"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PATHS = sorted(set(re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.yaml|\.yml))`", TEXT)) - {"way.py"})


def test_the_map_names_enough_to_be_one() -> None:
    assert len(PATHS) > 30


@pytest.mark.parametrize("path", PATHS)
def test_every_place_on_the_map_exists(path: str) -> None:
    assert (PACKAGE / path).exists() or (ROOT / path).exists()


def test_every_folder_of_the_package_is_on_the_map() -> None:
    folders = {each.name for each in PACKAGE.iterdir() if each.is_dir() and not each.name.startswith("_")}
    assert [name for name in folders if f"`{name}/" not in TEXT] == []


def test_every_command_of_the_map_is_one_of_make() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"`make ([a-z-]+)`", TEXT)
    assert len(named) >= 5
    assert set(named) <= set(targets)


@pytest.mark.parametrize(
    ("group", "plan"),
    [
        (canary_rollout, strategy.canary),
        (linear_rollout, strategy.linear),
        (blue_green_rollout, strategy.blue_green),
    ],
)
def test_a_task_group_and_its_strategy_have_the_same_defaults(group: FunctionType, plan: FunctionType) -> None:
    """They stand in two places, as the map says."""
    of_group, of_plan = inspect.signature(group).parameters, inspect.signature(plan).parameters
    assert of_plan
    assert {name: of_group[name].default for name in of_plan} == {name: each.default for name, each in of_plan.items()}


def test_the_command_line_tells_the_same_default_bake_times() -> None:
    bakes = [inspect.signature(each).parameters["bake"].default for each in (strategy.canary, strategy.blue_green)]
    canary, blue_green = (f"{bake.total_seconds():g}" for bake in bakes)
    assert f"(default: {canary}, and {blue_green})" in (PACKAGE / "cli.py").read_text()
