"""Airflow's home is a directory of the test run's own, whichever test imports Airflow first; AWS is never anybody's account."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from production import AWS_ENVIRONMENT, Production, share_botocore_models

# On a busy machine nothing but the clock would fail these tests.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

HOME = Path(tempfile.mkdtemp(prefix="airflow-"))


def isolate() -> None:
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_"))]:
        del os.environ[name]
    (HOME / "dags").mkdir()
    os.environ.update(AWS_ENVIRONMENT)
    os.environ.update(
        AIRFLOW_HOME=str(HOME),
        AIRFLOW__CORE__DAGS_FOLDER=str(HOME / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )


# At import: Airflow reads its configuration when it is imported, which the next conftest may do.
isolate()
share_botocore_models()


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # xdist's own reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Airflow's processes take turns in two queues of about the same length; they take longest, so they begin.

    They wait more than they work: with a third queue, of all other tests, two cores are just busy.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    for item in slow:
        queue = "people" if item.path.parent.name == "browser" or item.path.name == "test_readme.py" else "processes"
        item.add_marker(pytest.mark.xdist_group(queue))
    items.sort(key=lambda item: item not in slow)


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[Production]:
    """A sandbox of the test's own, with the endpoint ``fraud``; AWS's endpoint URL leads to it."""
    production = Production(speed=600)
    monkeypatch.setenv("AWS_ENDPOINT_URL", production.server.url)
    production.put_endpoint("fraud")
    yield production
    production.close()
