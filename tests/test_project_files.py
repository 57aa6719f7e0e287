"""What others read of the project by machine (Airflow, its registry, GitHub, pre-commit) says what is so."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
import tomllib
import yaml
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger
from packaging.requirements import Requirement

import airflow_sm_rollout
from airflow_sm_rollout.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
INFO = get_provider_info()
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}


def classes(module: str, base: type) -> set[str]:
    """The public classes that a module defines."""
    found = inspect.getmembers(importlib.import_module(module), inspect.isclass)
    return {name for name, each in found if issubclass(each, base) and each.__module__ == module and name[0] != "_"}


def modules(kind: str) -> list[str]:
    [entry] = INFO[kind]
    names: list[str] = entry["python-modules"]
    return names


def test_what_the_provider_tells_has_the_form_that_airflow_wants() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)
    integrations = {each["integration-name"] for each in INFO["integrations"]}
    for kind in ("operators", "sensors", "triggers", "hooks"):
        assert {each["integration-name"] for each in INFO[kind]} == integrations


@pytest.mark.parametrize(
    ("kind", "base"), [("operators", BaseOperator), ("sensors", BaseOperator), ("triggers", BaseTrigger)]
)
def test_each_module_that_the_provider_tells_of_has_a_class_of_the_kind(kind: str, base: type) -> None:
    assert modules(kind)
    assert [module for module in modules(kind) if not classes(module, base)] == []


def test_each_public_operator_and_sensor_is_in_a_module_that_is_told() -> None:
    public = [getattr(airflow_sm_rollout, name) for name in airflow_sm_rollout.__all__ if name != "__version__"]
    operators = {each for each in public if inspect.isclass(each) and issubclass(each, BaseOperator)}
    told = {*modules("operators"), *modules("sensors")}
    assert len(operators) >= 12
    assert {each.__module__ for each in operators} == told


def test_the_hooks_that_are_told_can_be_imported() -> None:
    assert modules("hooks")
    assert all(importlib.import_module(module) for module in modules("hooks"))


def test_the_registry_shows_every_public_operator_sensor_and_task_group() -> None:
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())
    shown = {each["module"] for kind in ("operators", "sensors", "other") for each in registry[kind]}
    public = {name: getattr(airflow_sm_rollout, name) for name in airflow_sm_rollout.__all__ if name != "__version__"}
    wanted = {
        f"{each.__module__}.{name}"
        for name, each in public.items()
        if each.__module__.startswith(("airflow_sm_rollout.operators.", "airflow_sm_rollout.sensors."))
        or name.endswith("_rollout")
    }
    assert shown == wanted


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(name, step) for name, flow in WORKFLOWS.items() for job in flow["jobs"].values() for step in job["steps"]]


def test_a_change_must_pass_what_ci_runs_here() -> None:
    assert ".ci/run" in [step.get("run") for name, step in steps() if name == "ci.yml"]


def test_workflows_may_only_read_unless_a_job_says_more() -> None:
    assert {name: flow["permissions"] for name, flow in WORKFLOWS.items()} == {
        "ci.yml": {"contents": "read"},
        "release.yml": {"contents": "read"},
    }


def test_every_action_is_pinned_and_no_checkout_keeps_its_token() -> None:
    used = [step for _, step in steps() if "uses" in step]
    assert used
    assert [step["uses"] for step in used if not re.fullmatch(r"[\w/.-]+@(v\d+|release/v\d+)", step["uses"])] == []
    checkouts = [step for step in used if step["uses"].startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_workflows_put_nothing_into_a_shell_that_somebody_else_wrote() -> None:
    assert [step["run"] for _, step in steps() if "${{" in step.get("run", "")] == []


def test_ci_knows_every_version_of_the_matrix() -> None:
    [listed] = [step["env"] for _, step in steps() if "ALL" in step.get("env", {})]
    versions = re.findall(r'^    "(\S+)": "3\.\d+",$', (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    assert json.loads(listed["ALL"]) == versions
    assert set(json.loads(listed["SOME"])) < set(versions)


def test_before_a_commit_the_same_tools_run_as_in_the_tests() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    [ruff] = [each["rev"] for each in hooks if each["repo"].endswith("ruff-pre-commit")]
    assert ruff == f"v{pinned['ruff']}"


def sandbox_project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "distributions" / "sandbox" / "pyproject.toml").read_text())


def test_the_sandbox_is_a_distribution_of_the_same_version() -> None:
    project = sandbox_project()["project"]
    assert project["version"] == airflow_sm_rollout.__version__
    assert project["dependencies"] == [f"airflow-sm-rollout[sandbox]=={airflow_sm_rollout.__version__}"]


def test_each_part_of_the_package_is_in_one_distribution_and_the_demo_has_its_dags() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    included = sandbox_project()["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    left_out = {path.removeprefix("/") for path in wheel["exclude"]}
    assert {path.removeprefix("../../") for path in included} == left_out | {"dags"}
    assert all((ROOT / "distributions" / "sandbox" / path).is_dir() for path in included)


def test_no_code_for_production_needs_the_sandbox_to_be_imported() -> None:
    """Not even when a function runs, but in what is for development: the command line's local part and the pytest plugin."""
    local = {"cli_local.py", "pytest_plugin.py"}
    needing = {
        path.relative_to(ROOT / "airflow_sm_rollout").as_posix()
        for path in (ROOT / "airflow_sm_rollout").rglob("*.py")
        if re.search(r"^\s*(from|import) airflow_sm_rollout\.(sandbox|demo)\b", path.read_text(), re.MULTILINE)
    }
    assert {path for path in needing if not path.startswith(("sandbox/", "demo/"))} == local


@pytest.mark.parametrize("pins", sorted((ROOT / "tests" / "matrix").glob("*.txt")), ids=lambda pins: pins.stem)
def test_the_package_adds_nothing_to_an_airflow_that_is_supported(pins: Path) -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", pins.read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [Requirement(each) for each in project["dependencies"]]
    assert needed
    assert [str(each) for each in needed if not each.specifier.contains(pinned.get(each.name, "0"))] == []


def test_the_projects_page_has_its_addresses() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["urls"]) == {"Homepage", "Documentation", "Changelog", "Issues"}
