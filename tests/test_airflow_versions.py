"""Which versions of Airflow this package works on, and what it says on another one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_sm_rollout.airflow_versions import require_supported


@pytest.mark.parametrize("version", ["3.1.0", "3.1.8", "3.2.1", "3.3.2", "3.3.0rc1", "3.10.0"])
def test_airflow_from_3_1_on_is_supported(version: str) -> None:
    require_supported(version)


@pytest.mark.parametrize("version", ["2.11.0", "3.0.6", "4.0.0"])
def test_another_airflow_is_refused_with_the_versions_that_can(version: str) -> None:
    with pytest.raises(ImportError, match=f"works with Airflow 3.1 and later 3.x; this is Airflow {version}"):
        require_supported(version)


def test_an_operator_says_so_when_it_is_imported() -> None:
    program = "import airflow; airflow.__version__ = '2.11.0'\nfrom airflow_sm_rollout import canary_rollout"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ImportError: airflow_sm_rollout works with Airflow 3.1 and later 3.x" in ran.stderr
