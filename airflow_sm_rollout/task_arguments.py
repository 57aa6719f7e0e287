"""What becomes of Airflow's own arguments in a rollout's task group: one table.

An argument of Airflow's ``BaseOperator`` may be given to a group, or come from the ``default_args`` of its DAG or of a task group around
it. It then

* **reaches** every task of the group, or
* is **fixed** by the group, because safety hangs on it. A value that comes from ``default_args`` is passed over: those are for all tasks of
  a DAG. One that is given to the group itself is refused with the reason when the DAG file is read. Or it
* reaches the **steps** only: the tasks that are never retried, and the teardowns, have their own.

Arguments of Airflow's ``TaskGroup`` go to the group.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk import BaseOperator, TaskGroup

from airflow_sm_rollout.argument_values import refuse_misfit
from airflow_sm_rollout.core.errors import PlanError

REACHES = frozenset(
    {
        "allow_nested_operators",
        "doc",
        "doc_json",
        "doc_md",
        "doc_rst",
        "doc_yaml",
        "email",
        "email_on_failure",
        "email_on_retry",
        "executor",
        "executor_config",
        "inlets",
        "logger_name",
        "map_index_template",
        "on_execute_callback",
        "on_failure_callback",
        "on_retry_callback",
        "on_skipped_callback",
        "on_success_callback",
        "owner",
        "pool",
        "pool_slots",
        "priority_weight",
        "queue",
        "render_template_as_native_obj",
        "resources",
        "run_as_user",
        "sla",
        "weight_rule",
    }
)
"""Arguments that every task of the group gets."""

STEPS_ONLY = frozenset({"retries", "retry_delay", "retry_exponential_backoff", "max_retry_delay"})
"""How tasks are retried. Bakes and questions never are, and ``settle`` and ``verdict`` are in a way of their own."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """An argument that the group fixes.

    :param value: what every task gets.
    :param why: why nobody else may set it, and what to do instead, as a half sentence.
    """

    value: Any
    why: str


_OTHER_RUNS = (
    "left out: the run after one that was rolled back would stop halfway, with green unwatched. max_active_runs=1 of the "
    "DAG keeps runs apart"
)
_ITS_DAGS = "left out: a rollout's tasks run when their DAG's runs do"
_WAITING_GREEN = "left out: a task of one rollout would wait for another's, with green unwatched. pool and max_active_runs bound work"
_MAY_STOP = "left out: what it raises would keep settle from rolling back. on_execute_callback and on_success_callback may raise"

FIXED: Mapping[str, Fixed] = {
    "depends_on_past": Fixed(False, _OTHER_RUNS),
    "ignore_first_depends_on_past": Fixed(False, _OTHER_RUNS),
    "wait_for_past_depends_before_skipping": Fixed(False, _OTHER_RUNS),
    "wait_for_downstream": Fixed(False, _OTHER_RUNS),
    "start_date": Fixed(None, _ITS_DAGS),
    "end_date": Fixed(None, _ITS_DAGS),
    "max_active_tis_per_dag": Fixed(None, _WAITING_GREEN),
    "max_active_tis_per_dagrun": Fixed(None, _WAITING_GREEN),
    "params": Fixed(
        {}, "left out: what a run is given are its DAG's params, and the fields of a question's form are its own"
    ),
    "pre_execute": Fixed(None, _MAY_STOP),
    "post_execute": Fixed(None, _MAY_STOP),
    "trigger_rule": Fixed(
        "all_success",
        "left out: with another rule a step would run though the one before has failed. Put a task with that rule before the group",
    ),
    "execution_timeout": Fixed(
        None,
        "left out: Airflow would end a rollback in the middle, and it bounds no deferral. Use timeout, which bounds each step",
    ),
    "retry_policy": Fixed(
        None, "left out: only the rollout knows what may be tried again. Use retries and retry_delay"
    ),
    "do_xcom_push": Fixed(True, "left out: the tasks hand the rollout to each other by XCom"),
    "multiple_outputs": Fixed(False, "left out: the tasks hand the rollout to each other as one XCom"),
    "outlets": Fixed(
        None,
        "left out: each task would tell of a new model before green is promoted. Give outlets to a task behind the group",
    ),
    "task_display_name": Fixed(None, "left out: all tasks would have one name. Use group_display_name"),
}
"""Arguments that every task of the group gets at this value, whatever ``default_args`` say."""

_OWN = {
    "dag": "left out: make the group inside the DAG's with block",
    "task_id": "left out: the group names its tasks. group_id names the group",
    "task_group": "left out: make the group inside the other one's with block, or give parent_group",
    "prefix_group_id": "left out: the tasks find each other by the group's name",
}
_OF_THE_GROUP = frozenset(
    {
        "add_suffix_on_collision",
        "default_args",
        "doc_md",
        "group_display_name",
        "parent_group",
        "tooltip",
        "ui_color",
        "ui_fgcolor",
    }
)


_GROUP_ID = re.compile(r"[\w-]{1,200}")  # as Airflow takes them


def known_arguments() -> tuple[frozenset[str], frozenset[str]]:
    """The arguments that the installed Airflow's ``BaseOperator`` has, and those of its ``TaskGroup``."""
    operator, group = (
        frozenset(inspect.signature(each.__init__).parameters) - {"self", "kwargs"}
        for each in (BaseOperator, TaskGroup)
    )
    return operator, group


def is_airflows(name: str) -> bool:
    """Whether an option of a group is Airflow's, and not the rollout's; :data:`STEPS_ONLY` are of both."""
    return name in REACHES or name in FIXED or name in _OWN or name in _OF_THE_GROUP


def make_group(group_id: str, options: Mapping[str, Any]) -> TaskGroup:
    """An empty group, whose tasks get Airflow's arguments as the table says.

    :param options: the group's options; those that are not Airflow's are passed over.
    :raises PlanError: for an argument that the group fixes, naming it.
    """
    if not isinstance(group_id, str) or not _GROUP_ID.fullmatch(group_id):
        raise PlanError("group_id", group_id, "1 to 200 letters, digits, dashes and underscores")
    if not isinstance(options.get("default_args") or {}, Mapping):
        raise PlanError("default_args", options["default_args"], "a mapping of arguments, such as {'owner': 'risk'}")
    of_operators, of_groups = known_arguments()
    for name, value in options.items():
        refuse_misfit(name, value)
        _refuse_fixed(name, value)
    given = {name: options[name] for name in _OF_THE_GROUP & of_groups if name in options}
    reaching = {name: value for name, value in options.items() if name in REACHES}
    fixed = {name: each.value for name, each in FIXED.items() if name in of_operators}
    default_args = {**(options.get("default_args") or {}), **reaching, **fixed}
    group = TaskGroup(group_id, **{**given, "default_args": default_args})
    for name, value in {**group.dag.default_args, **group.default_args}.items():
        refuse_misfit(name, value)
    return group


def _refuse_fixed(name: str, value: object) -> None:
    if name in _OWN:
        raise PlanError(name, value, _OWN[name])
    if name in FIXED and value != FIXED[name].value:
        raise PlanError(name, value, FIXED[name].why)
