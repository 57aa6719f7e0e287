"""Airflow's own API server in this process, with its login and its permissions, on the database that the tests' DAG runs are in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operators.conftest import airflow_database  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Here, where Airflow runs in this process, only our own warnings are errors."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings("error:::airflow_sm_rollout"))


@pytest.fixture(scope="session")
def api(airflow_database: None) -> Iterator[TestClient]:  # noqa: F811
    """Airflow's API server with the plugin, to which nobody has logged in."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with TestClient(create_app("core"), raise_server_exceptions=True) as client:
        yield client


@pytest.fixture
def login(api: TestClient) -> Callable[[str], dict[str, str]]:
    """``login(role)``: headers of a user who has this role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def headers(role: str) -> dict[str, str]:
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"a {role}", role=role.upper()))
        return {"Authorization": f"Bearer {token}"}

    return headers


@pytest.fixture
def pages(api: TestClient, login: Callable[[str], dict[str, str]]) -> Callable[..., str]:
    """``pages(path)``: a page of the plugin's as a viewer gets it."""

    def get(path: str) -> str:
        answer = api.get(f"/sm-rollout{path}", headers=login("viewer"))
        assert answer.status_code == 200, answer.text
        return answer.text

    return get
