"""Where the pages are, for links and pictures in Airflow's UI."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import conf

PREFIX = "/sm-rollout"


def base_path() -> str:
    """The path that Airflow itself is served at, by ``[api] base_url``; empty for the root."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def tab_path(dag_id: str, run_id: str) -> str:
    """The tab on a DAG run."""
    return f"{base_path()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/plugin/rollout"


def group_name(task_id: str, map_index: int | None) -> str:
    """What the pages call the task group of a task; empty for none. Of a mapped group each run is one, such as ``each.canary [2]``."""
    group = task_id.rpartition(".")[0]
    return group if map_index is None or map_index < 0 else f"{group} [{map_index}]".lstrip()


def chart_path(dag_id: str, run_id: str, group: str) -> str:
    """Green's share over time as a picture.

    :param group: the rollout's task group, see :func:`group_name`; a run may have several.
    """
    run = f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return f"{base_path()}{PREFIX}/{run}/chart.svg?group={quote(group, safe='')}"


def run_path(dag_id: str, run_id: str) -> str:
    """A DAG run in Airflow's UI."""
    return f"{base_path()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def task_path(run: str, group: str, name: str) -> str:
    """A task of a rollout in Airflow's UI.

    :param run: the run's path, see :func:`run_path`.
    :param group: see :func:`group_name`.
    :param name: the task's name in its group.
    """
    prefix, _, index = group.removesuffix("]").partition(" [") if group.endswith("]") else (group, "", "")
    if group.startswith("["):  # a mapped rollout in no group
        prefix, index = "", group.strip("[]")
    task = quote(f"{prefix}.{name}".lstrip("."), safe="")
    return f"{run}/tasks/{task}" + (f"/mapped/{index}" if index else "")
