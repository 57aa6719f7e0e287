"""Editors and type checkers know the options of a rollout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_sm_rollout

ROOT = Path(__file__).parents[1]
PROGRAM = """
from airflow_sm_rollout import canary_rollout
canary_rollout(endpoint_name="wine", model_name="wine-v2", owner="risk", {})
"""


def check(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What mypy says of a user's DAG file."""
    (folder / "dag.py").write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(folder / "dag.py")],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_type_checker_knows_every_public_name(tmp_path: Path) -> None:
    names = [f"reveal_type(airflow_sm_rollout.{name})" for name in airflow_sm_rollout.__all__]
    told = check("import airflow_sm_rollout\n" + "\n".join(names), tmp_path).stdout
    assert (told.count("Revealed type"), told.count('"Any"')) == (len(names), 0)


@pytest.mark.parametrize(
    ("option", "is_right"),
    [("bake=60", True), ("tolerances=None", True), ("tolerance=None", False), ("alarms=7", False), ("pool=3", False)],
)
def test_a_type_checker_refuses_a_wrong_option(option: str, is_right: bool, tmp_path: Path) -> None:
    checked = check(PROGRAM.format(option), tmp_path)
    assert (checked.returncode == 0) == is_right, checked.stdout
    assert is_right or "dag.py:3: error" in checked.stdout
