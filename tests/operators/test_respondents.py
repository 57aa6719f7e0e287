"""A question is assigned to people by what the auth manager at work knows them by."""

from __future__ import annotations

import pytest

from airflow_sm_rollout import ApproveOperator, PlanError
from airflow_sm_rollout.operators.respondents import is_anybody_one_admin

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


def ask(*users: str) -> None:
    ApproveOperator(task_id="approve", endpoint_name="wine", gate={"assigned_users": list(users)}, step=0)


@pytest.mark.parametrize(
    ("manager", "users"), [(FAB, ("3", "12")), (SIMPLE, ("alice", "3")), (FAB, ()), ("their.Own", ("bob",))]
)
def test_users_that_can_answer_are_taken(manager: str, users: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    ask(*users)


@pytest.mark.parametrize("users", [("alice",), ("3", "alice"), ("3.0",)])
def test_names_that_nobody_could_answer_by_are_refused_with_what_to_write(
    users: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", FAB)
    with pytest.raises(PlanError, match=r"approval assigned_users='(alice|3\.0)' is not possible.*airflow users list"):
        ask(*users)


@pytest.mark.parametrize(
    ("manager", "all_admins", "expected"), [(SIMPLE, "True", True), (SIMPLE, "False", False), (FAB, "True", False)]
)
def test_only_without_a_login_anybody_is_anybody(
    manager: str, all_admins: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", all_admins)
    assert is_anybody_one_admin() is expected
