"""Whose a rollout is: the DAG run that drives it, where in that run, and in which Airflow.

What the record says of its owner, by these names, each as text:

* ``dag_id``, ``run_id``: the DAG run.
* ``group_id``: the task group of the task that began it, empty outside of any; ``map_index``: which run of that group, -1: not mapped.
* ``environment``: the Airflow, as far as it is known; two of them on one AWS account may have DAG runs of the same names.
* ``task_id``, ``try_number``, ``task_instance``: the task that began it, and in which try. Airflow gives each try a new instance and a
  higher number, so one of no higher number and another instance is of another DAG run: one of the same name, whose DAG was deleted since.
* ``undone_by``, ``undo_note``: who undoes the rollout after its promotion, and why.

Records of earlier versions say the first two alone; whose such a record is, its rollout's id says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_sm_rollout.core.names import derive_rollout_id

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Rollout

Owner = Mapping[str, str]
_UNMAPPED = "-1"
_RUN = ("dag_id", "run_id")


def own_id(endpoint_name: str, owner: Owner) -> str:
    """The id of the rollout that an owner begins of an endpoint."""
    mapped = (f"[{owner['map_index']}]",) if owner["map_index"] != _UNMAPPED else ()
    elsewhere = (f"in {owner['environment']}",) if owner["environment"] else ()
    return derive_rollout_id(endpoint_name, owner["dag_id"], owner["run_id"], owner["group_id"], *mapped, *elsewhere)


def is_own(record: Rollout, asking: Owner, *, looks_inside: bool = False) -> bool:
    """Whether a recorded rollout is the one that somebody drives.

    :param asking: who asks; says all there is to say.
    :param looks_inside: whether a rollout that a group inside the asking task's has begun is its, too.
    """
    recorded = record.owner
    if not is_of_run(recorded, asking):
        return False
    if "group_id" not in recorded:
        former = derive_rollout_id(record.endpoint_name, asking["dag_id"], asking["run_id"], asking["group_id"])
        return record.rollout_id == former or (looks_inside and not asking["group_id"])
    if recorded["group_id"] == asking["group_id"]:
        return recorded.get("map_index", _UNMAPPED) == asking["map_index"]
    return looks_inside and _is_inside(recorded["group_id"], asking["group_id"]) and asking["map_index"] == _UNMAPPED


def is_of_run(recorded: Owner, asking: Owner) -> bool:
    """Whether a record names this DAG run, whichever of its tasks."""
    named = all(recorded.get(each) and recorded.get(each) == asking.get(each) for each in _RUN)
    return named and not is_elsewhere(recorded, asking.get("environment", ""))


def is_elsewhere(recorded: Owner, environment: str) -> bool:
    """Whether a record is another Airflow's; where one of the two is not known, nobody can tell, and it is not."""
    theirs = recorded.get("environment", "")
    return bool(theirs and environment) and theirs != environment


def is_of_run_that_is_gone(recorded: Owner, asking: Owner) -> bool:
    """Whether a record is of an earlier DAG run of the same name: this task has not been tried often enough to have begun it."""
    instance = recorded.get("task_instance")
    if not instance or recorded.get("task_id") != asking.get("task_id"):
        return False
    return instance != asking["task_instance"] and int(asking["try_number"]) <= int(recorded["try_number"])


def describe_owner(owner: Owner) -> str:
    """Who it is, in a few words for a person."""
    said = dict(owner)
    group, environment = said.get("group_id", ""), said.get("environment", "")
    mapped = said.get("map_index", _UNMAPPED)
    undoing = [f"undo by {said['undone_by']}"] if said.get("undone_by") else []
    for name in (
        "group_id",
        "map_index",
        "environment",
        "task_id",
        "try_number",
        "task_instance",
        "undone_by",
        "undo_note",
    ):
        said.pop(name, None)
    told = undoing + [f"{name} {value}" for name, value in said.items()]
    told += [f"group {group}" + (f"[{mapped}]" if mapped != _UNMAPPED else "")] if group else []
    return ", ".join(told + ([f"Airflow {environment}"] if environment else [])) or "somebody"


def _is_inside(group_id: str, outer: str) -> bool:
    return not outer or group_id.startswith(f"{outer}.")
