"""Whose rollout a task is about, as Airflow tells it; see :mod:`airflow_sm_rollout.core.owner`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_sm_rollout.core.names import Names, validate_endpoint_name
from airflow_sm_rollout.core.owner import Owner, own_id

if TYPE_CHECKING:
    from airflow.sdk import Context

_NOBODYS = re.compile(r"(localhost|127\..*|0\.0\.0\.0|::1)?")  # addresses that any Airflow may have


def describe_owner(context: Context, begun_by: str | None = None) -> dict[str, str]:
    """Who drives a rollout, as its record has it.

    :param begun_by: the task that begins the rollout, where that is known and another one: its group counts, then.
    """
    ti = context["ti"]
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "group_id": (begun_by or ti.task_id).rpartition(".")[0],
        "map_index": str(_group_index(context)),
        "environment": environment(),
        "task_id": ti.task_id,
        "try_number": str(ti.try_number),
        "task_instance": str(ti.id),
    }


def names_of(owner: Owner, endpoint_name: str) -> Names:
    """Names of the rollout that an owner makes of an endpoint: the same in every task and every try.

    :raises PlanError: for no name of an endpoint.
    """
    return Names(validate_endpoint_name(endpoint_name), own_id(endpoint_name, owner))


def environment() -> str:
    """This Airflow, by the address that its web pages have for everybody; empty where it has none."""
    from airflow.configuration import conf

    address = urlsplit(str(conf.get("api", "base_url", fallback="") or ""))
    return "" if _NOBODYS.fullmatch(address.hostname or "") else f"{address.netloc}{address.path}".rstrip("/").lower()


def _group_index(context: Context) -> int:
    """Which run of its mapped task group a task is in. A task that is mapped by itself begins one rollout of each endpoint all the same."""
    task: Any = context["task"]
    index = context["ti"].map_index
    return -1 if index is None or task.get_closest_mapped_task_group() is None else index
