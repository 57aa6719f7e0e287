"""Who may answer a question, by what Airflow's auth managers compare."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_sm_rollout.core.errors import PlanError

_YES = ("true", "t", "1", "yes")


def refuse_unknowable(users: Sequence[str]) -> None:
    """Check the users that a question is assigned to.

    FAB compares a user's number in its database, and so refuses everybody, admins too, where names are given (tried with FAB 3.6 and 3.8).
    The simple auth manager compares the name that a user logs in by.

    :raises PlanError: for one that the auth manager at work knows nobody by.
    """
    named = [user for user in users if not user.isdecimal()]
    if named and "fab" in _auth_manager().lower():
        allowed = (
            "with FAB, Airflow's users by their numbers, such as '3', or nobody could answer. "
            "`airflow users list` shows them in its column id, and so does the address of a user's page below Security > List Users"
        )
        raise PlanError("approval assigned_users", named[0], allowed)


def is_anybody_one_admin() -> bool:
    """Whether Airflow asks for no login: everybody is one admin then, who may answer any question."""
    from airflow.providers.common.compat.sdk import conf

    simple = "simple" in _auth_manager().lower()
    return simple and str(conf.get("core", "simple_auth_manager_all_admins", fallback="False")).lower() in _YES


def _auth_manager() -> str:
    from airflow.providers.common.compat.sdk import conf

    return str(conf.get("core", "auth_manager", fallback="") or "")
