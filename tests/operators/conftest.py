"""An empty DAG, a database, and an endpoint to run a rollout on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from operators.dag_runs import Ended, run_dag
from production import Production

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Here, where Airflow runs in this process, only our own warnings are errors."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings("error:::airflow_sm_rollout"))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture
def dag(request: pytest.FixtureRequest) -> DAG:
    """An empty DAG that is called as the test."""
    return DAG(re.sub(r"\W+", "_", request.node.name), schedule=None)


@pytest.fixture
def run(airflow_database: None) -> Callable[[DAG], Ended]:
    """``run(dag)``: the whole DAG, to its end."""
    return run_dag


@pytest.fixture
def before(production: Production) -> dict[str, Any]:
    """The endpoint as it is before the test's rollout."""
    return production.describe("fraud")


@pytest.fixture
def has_traffic(production: Production) -> Callable[[], bool]:
    """``has_traffic()``: whether green has any."""
    return lambda: production.shares("fraud").green > 0
