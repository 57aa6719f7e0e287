"""The options of a rollout's task group with their types: editors complete them, and type checkers refuse what is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial, wraps
from itertools import chain
from typing import Any, ParamSpec, TypedDict, cast

from airflow.sdk import TaskGroup

from airflow_sm_rollout.core.approval import ApprovalGate
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.measures import Measure
from airflow_sm_rollout.core.plan.strategy import DurationOption
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.operators.mistakes import refuse_unknown, saying_all
from airflow_sm_rollout.task_arguments import known_arguments

_P = ParamSpec("_P")
_Callback = Callable[[Any], Any] | Sequence[Callable[[Any], Any]] | None


class AirflowOptions(TypedDict, total=False):
    """Airflow's own, which reach the group or all of its tasks; see :mod:`~airflow_sm_rollout.task_arguments`."""

    add_suffix_on_collision: bool
    allow_nested_operators: bool
    default_args: dict[str, Any] | None
    doc: str | None
    doc_json: str | None
    doc_md: str | None
    doc_rst: str | None
    doc_yaml: str | None
    email: str | Sequence[str] | None
    email_on_failure: bool
    email_on_retry: bool
    executor: str | None
    executor_config: dict[str, Any] | None
    group_display_name: str
    inlets: Any
    logger_name: str | None
    map_index_template: str | None
    max_retry_delay: timedelta | float | None
    on_execute_callback: _Callback
    on_failure_callback: _Callback
    on_retry_callback: _Callback
    on_skipped_callback: _Callback
    on_success_callback: _Callback
    owner: str
    parent_group: Any
    pool: str | None
    pool_slots: int
    priority_weight: int
    queue: str
    render_template_as_native_obj: bool | None
    resources: dict[str, Any] | None
    retries: int
    retry_delay: timedelta | float
    retry_exponential_backoff: bool | float
    run_as_user: str | None
    sla: timedelta | None
    tooltip: str
    ui_color: str
    ui_fgcolor: str
    weight_rule: str


class RolloutOptions(AirflowOptions, total=False):
    """What to roll out, how it is watched, and how to reach AWS."""

    alarms: str | Sequence[str] | None
    alias: str | None
    approval: ApprovalGate | Mapping[str, Any] | str | None
    aws_conn_id: str | None
    botocore_config: dict[str, Any] | None
    capacity: str
    default_alarms: AlarmDefaults | Mapping[str, Any] | bool | None
    deferrable: bool
    delete_blue: bool
    deployment: Deploying | Mapping[str, Any] | str | None
    drain: DurationOption
    dry_run: bool
    end_early: bool
    environment: Mapping[str, str | float] | Sequence[str] | str | None
    execution_role_arn: str | None
    extend_by: DurationOption
    function: str | None
    guardian: str | None
    image: str | None
    instance_type: str | None
    keep_blue: DurationOption | None
    limits: Limits | Mapping[str, Any] | None
    measures: Measure | Mapping[str, Any] | Sequence[Measure | Mapping[str, Any]] | None
    metric_seconds: int | None
    model_data_url: Any
    model_name: Any
    model_package_arn: Any
    monitoring_schedules: str | Sequence[str]
    notifiers: Any
    on_drift: str
    poke_interval: float
    region_name: str | None
    require_approved: bool
    require_proof: bool
    shift_by: str | None
    shadow: Mapping[str, Any] | None
    timeout: DurationOption
    tolerances: Tolerances | Mapping[str, Any] | None
    traffic: str
    validate: Mapping[str, Any] | None
    variable: str | None
    verify: bool | str | None
    watch_after: DurationOption | None
    when_inconclusive: str


def says_all_of(factory: Callable[_P, TaskGroup]) -> Callable[_P, TaskGroup]:
    """Let a factory say all mistakes of its options at once."""
    known = {*RolloutOptions.__optional_keys__, *RolloutOptions.__required_keys__, *chain(*known_arguments())}

    def build(*args: Any) -> TaskGroup:
        *positional, options = args
        refuse_unknown(factory, options, known)
        return cast("Callable[..., TaskGroup]", factory)(*positional, **options)

    @wraps(factory)
    def made(*args: _P.args, **options: _P.kwargs) -> TaskGroup:
        return saying_all(partial(build, *args), options)

    return made
