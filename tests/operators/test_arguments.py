"""What becomes of Airflow's own arguments in a rollout's group: each one that the installed Airflow has."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, TaskGroup

from airflow_sm_rollout import PlanError, canary_rollout
from airflow_sm_rollout.task_arguments import FIXED, REACHES, STEPS_ONLY, known_arguments
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production, alarm_of, meanwhile

OPERATOR, GROUP = known_arguments()
REFUSED = {"dag", "default_args", "task_group", "task_id"}
"""Arguments of an operator that a group has no use for, except ``default_args``, which are the group's."""

GIVEN: dict[str, Any] = {
    "allow_nested_operators": False,
    "doc": "doc",
    "doc_json": "{}",
    "doc_md": "*doc*",
    "doc_rst": "doc",
    "doc_yaml": "a: b",
    "email": "a@example.com",
    "email_on_failure": False,
    "email_on_retry": False,
    "executor": "LocalExecutor",
    "executor_config": {"pod": 1},
    "inlets": [Asset("read")],
    "logger_name": "mine",
    "map_index_template": "{{ task.endpoint_name }}",
    "on_execute_callback": print,
    "on_failure_callback": print,
    "on_retry_callback": print,
    "on_skipped_callback": print,
    "on_success_callback": print,
    "owner": "risk",
    "pool": "sagemaker",
    "pool_slots": 2,
    "priority_weight": 9,
    "queue": "aws",
    "render_template_as_native_obj": True,
    "resources": {"cpus": 2},
    "run_as_user": "airflow",
    "sla": timedelta(hours=1),
    "weight_rule": "absolute",
}
ELSEWHERE: dict[str, Any] = {
    "depends_on_past": True,
    "do_xcom_push": False,
    "end_date": datetime(2020, 1, 1, tzinfo=timezone.utc),
    "execution_timeout": timedelta(seconds=1),
    "ignore_first_depends_on_past": True,
    "max_active_tis_per_dag": 1,
    "max_active_tis_per_dagrun": 1,
    "multiple_outputs": True,
    "outlets": [Asset("told")],
    "params": {"reason": "why"},
    "post_execute": print,
    "pre_execute": print,
    "retry_policy": object(),
    "start_date": datetime(2099, 1, 1, tzinfo=timezone.utc),
    "task_display_name": "all alike",
    "trigger_rule": "all_done",
    "wait_for_downstream": True,
    "wait_for_past_depends_before_skipping": True,
}
"""For each argument that the group fixes, a value that would be harmful."""

OF_THE_DAG = {"params", "start_date"}
"""What Airflow makes the DAG's own where it is in the DAG's ``default_args``."""

RETRIES: dict[str, Any] = {
    "max_retry_delay": timedelta(hours=3),
    "retries": 7,
    "retry_delay": timedelta(hours=2),
    "retry_exponential_backoff": True,
}
WHOLE: dict[str, Any] = {
    "endpoint_name": "wine",
    "model_name": "wine-v2",
    "approval": "before_full_traffic",
    "when_inconclusive": "ask",
    "validate": {"samples": "1"},
    "shadow": {"bake": 60},
}
"""A group with every kind of task."""


def tasks(dag_args: dict[str, Any] | None = None, around: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    """The group's tasks, and last of all a plain one beside them that is given the same of Airflow's arguments."""
    plain = {name: value for name, value in options.items() if name in OPERATOR}
    dag = DAG("d", schedule=None, default_args=dag_args or {})
    with warnings.catch_warnings(), dag, TaskGroup("outer", default_args=around or {}):
        warnings.simplefilter("ignore")  # some of Airflow's own arguments are on their way out
        canary_rollout(**{**WHOLE, **options})
        EmptyOperator(task_id="plain", **plain)
    return list(dag.tasks)


def held(task: Any, name: str) -> Any:
    """What a task has of an argument, where it has anything."""
    kept = {"pre_execute": "_pre_execute_hook", "post_execute": "_post_execute_hook"}
    value = getattr(task, kept.get(name, name), None)
    return value.dump().get("reason") if name == "params" else value


def test_every_argument_of_the_installed_airflow_has_its_place() -> None:
    places = [REACHES, STEPS_ONLY, frozenset(FIXED), REFUSED]
    twice = [name for place in places for name in place if sum(name in other for other in places) != 1]
    missing = OPERATOR - frozenset().union(*places)
    print(f"{len(OPERATOR)} arguments of BaseOperator and {len(GROUP)} of TaskGroup walked")
    assert (sorted(missing), twice) == ([], [])


def test_the_values_that_are_tried_are_those_of_every_argument() -> None:
    assert (set(GIVEN), set(ELSEWHERE), set(RETRIES)) == (set(REACHES), set(FIXED), set(STEPS_ONLY))


@pytest.mark.parametrize("name", sorted(REACHES & OPERATOR))
@pytest.mark.parametrize("whence", ["group", "dag_args", "around", "default_args"])
def test_what_says_how_tasks_run_reaches_every_task(name: str, whence: str) -> None:
    given = {name: GIVEN[name]}
    built = tasks(**(given if whence == "group" else {whence: given}))
    assert len(built) > 15
    wanted = held(built[-1], name)
    assert [task.task_id for task in built if held(task, name) != wanted] == []


@pytest.mark.parametrize("name", sorted(FIXED.keys() & OPERATOR))
@pytest.mark.parametrize("whence", ["dag_args", "around", "default_args"])
def test_what_safety_hangs_on_is_not_taken_from_default_arguments(name: str, whence: str) -> None:
    *with_it, plain = tasks(**{whence: {name: ELSEWHERE[name]}})
    *without, _ = tasks()
    assert whence == "default_args" or held(plain, name) != held(without[0], name), "the value is one that is noticed"
    if whence == "dag_args" and name in OF_THE_DAG:
        return
    assert {task.task_id: held(task, name) for task in with_it} == {task.task_id: held(task, name) for task in without}


NOT_YET = {"retry_policy"} - OPERATOR  # Airflow has it since 3.3


@pytest.mark.parametrize("name", sorted((FIXED.keys() - NOT_YET) | (REFUSED - {"default_args"}) | {"prefix_group_id"}))
def test_what_safety_hangs_on_is_refused_where_it_is_given_to_the_group(name: str) -> None:
    with pytest.raises(PlanError, match=f"^{name}=.* is not possible: left out: ") as refusal:
        tasks(**{name: ELSEWHERE.get(name, False)})
    assert refusal.value.option == name


@pytest.mark.parametrize("whence", ["group", "dag_args"])
def test_the_teardowns_are_retried_soon_and_often_whatever_is_asked_of_the_steps(whence: str) -> None:
    built = tasks(**(RETRIES if whence == "group" else {whence: RETRIES}))
    by_name = {task.task_id.rpartition(".")[2]: task for task in built}
    settle, verdict, shift = by_name["settle"], by_name["verdict"], by_name["shift_10"]
    assert (settle.retries, settle.retry_delay, settle.max_retry_delay) == (5, timedelta(seconds=10), None)
    assert (verdict.retry_delay, verdict.max_retry_delay) == (timedelta(seconds=10), None)
    assert not settle.retry_exponential_backoff
    assert not verdict.retry_exponential_backoff
    assert shift.max_retry_delay == timedelta(hours=3)
    if whence == "group":
        assert (shift.retries, shift.retry_delay) == (7, timedelta(hours=2))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("doc_md", "*why*"),
        ("group_display_name", "Wine"),
        ("tooltip", "of wine"),
        ("ui_color", "#fff"),
        ("ui_fgcolor", "#111"),
    ],
)
def test_what_is_about_the_group_is_the_groups(name: str, value: str) -> None:
    if name not in GROUP:
        assert name == "doc_md", "only this one came with a later Airflow"
        return
    with DAG("d", schedule=None):
        assert getattr(canary_rollout(**WHOLE, **{name: value}), name) == value


def test_two_groups_of_one_name_may_get_a_number() -> None:
    with DAG("d", schedule=None) as dag:
        canary_rollout(**WHOLE)
        canary_rollout(**{**WHOLE, "endpoint_name": "beer"}, add_suffix_on_collision=True)
    assert {"canary.settle", "canary__1.settle"} <= set(dag.task_ids)


HANGS_AFTER_SECONDS = 300
"""A run takes 20 s on a machine that has nothing else to do."""


class Stuck(BaseException):
    """A run does not end; no exception of a task's, which Airflow would swallow."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """End what the block does when it takes longer: ``dag.test`` waits for ever for a task that is never to run."""

    def stop(*_: object) -> None:
        raise Stuck

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_the_run_after_one_that_was_rolled_back_goes_its_way_though_tasks_depend_on_the_past(
    run: Callable[[DAG], Ended], production: Production, has_traffic: Callable[[], bool]
) -> None:
    past = {"depends_on_past": True, "wait_for_downstream": True}
    with DAG("on_the_past", schedule=None, default_args=past) as dag:
        canary_rollout(
            endpoint_name="fraud",
            image=IMAGE,
            model_data_url=GOOD,
            steps=[25, 100],
            bake=1,
            alarms=[alarm_of("fraud")],
            default_alarms=None,
            limits={"min_requests": 0},
            poke_interval=0.2,
        )
    with (
        within(HANGS_AFTER_SECONDS),
        meanwhile(has_traffic, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "37 refused")),
    ):
        assert run(dag).state == "failed"
    production.set_alarm(alarm_of("fraud"), "OK")
    with within(HANGS_AFTER_SECONDS):
        assert run(dag).state == "success"
    assert production.belongings("fraud")["records"] == []
