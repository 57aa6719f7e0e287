"""Whole rollouts as task groups: wiring only.

A rollout's group is::

    snapshot >> deploy_green >> shift_10 >> bake_10 >> ... >> shift_100 >> bake_100 >> promote >> settle >> verdict

with ``approve_100`` before the step that a person is to approve, and ``ask_10`` behind ``bake_10`` and so on, if the plan asks a person
where nobody can tell.

``snapshot`` is a setup, ``settle`` is its teardown, and ``verdict`` a teardown, too. Each of these words is there for a reason that was
measured (docs/facts-airflow.md#a-rollback-that-always-comes):

* A rollback task with ``trigger_rule="one_failed"`` never runs when a person marks the DAG run failed; a teardown does.
* A rollback that succeeds makes the run green, though the rollout failed. So ``verdict`` fails unless green was promoted, and being a
  teardown with ``on_failure_fail_dagrun`` it decides the run's state.
* A teardown runs only if its setup succeeded, and setups should have no effects: so ``snapshot`` only reads. ``verdict`` is to run also
  where that has failed, so it is a teardown of no setup.

Tasks that follow the group in your DAG follow ``promote``, since Airflow leaves teardowns out of a group's end: they run only after a
promotion. A ``dagrun_timeout`` skips teardowns too, so a DAG that has one gets a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_sm_rollout.core.approval import ApprovalGate, gate_behind_bakes, parse_gate, validate_gate
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import parse_count, parse_mapping
from airflow_sm_rollout.core.plan.strategy import DurationOption, SharesOption, Step, parse_duration
from airflow_sm_rollout.core.traffic import DEFAULT, TRAFFIC, Traffic, parse_way
from airflow_sm_rollout.operators.base import AwsTask, RolloutTask, is_template
from airflow_sm_rollout.operators.deploy_green import DeployGreenOperator
from airflow_sm_rollout.operators.options import options_of
from airflow_sm_rollout.operators.planning import known_strategy
from airflow_sm_rollout.operators.promote import PromoteOperator
from airflow_sm_rollout.operators.settle import SettleOperator, VerdictOperator
from airflow_sm_rollout.operators.shadow_green import ShadowGreenOperator
from airflow_sm_rollout.operators.shift_weight import ShiftWeightOperator
from airflow_sm_rollout.operators.snapshot import SnapshotOperator
from airflow_sm_rollout.operators.validate_green import ValidateGreenOperator
from airflow_sm_rollout.operators.watch_promoted import WatchPromotedOperator
from airflow_sm_rollout.sensors.bake import BakeSensor
from airflow_sm_rollout.task_arguments import is_airflows, make_group
from airflow_sm_rollout.task_options import says_all_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from airflow_sm_rollout.task_options import RolloutOptions

# Every step can be done again, so a killed worker or a falsely failed deferral costs a retry, not the rollout. Errors of the rollout itself
# are not retried (the operators see to that), nor is a bake.
_RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=10)}
# The teardowns are retried in their own way, whatever is asked of the steps: an hour's pause is no time for an endpoint to wait in.
_TEARDOWN = {"retry_delay": timedelta(seconds=10), "retry_exponential_backoff": False, "max_retry_delay": None}
_SETTLE_RETRIES = 5
_WATCHED_AFTER = ("alarms", "limits", "measures", "monitoring_schedules")
_MOST_STEPS = 1000  # each step is two tasks at least
_SHIFT_BY_AWS = timedelta(hours=9)  # where it is known only when the DAG runs whether AWS shifts
_LOOP_OPTIONS = (
    "notifiers",
    "retries",
    "retry_delay",
    "retry_exponential_backoff",
    "max_retry_delay",
    "aws_conn_id",
    "region_name",
    "verify",
    "botocore_config",
    "poke_interval",
    "deferrable",
    "timeout",
)


@says_all_of
def canary_rollout(
    *,
    endpoint_name: str,
    steps: SharesOption = (10, 50, 100),
    bake: DurationOption | Sequence[DurationOption] = timedelta(minutes=10),
    max_steps: int | None = None,
    group_id: str = "canary",
    **options: Unpack[RolloutOptions],
) -> TaskGroup:
    """A canary: a small share first, more while green is healthy, then all; and always back to blue if anything goes wrong.

    :param endpoint_name: the endpoint (templated).
    :param steps: green's shares in percent, rising, the last one 100 (templated).
    :param bake: how long each share is watched: a timedelta, seconds, or one for each step (templated).
    :param max_steps: where ``steps`` is a template, the most steps that a run may ask for; the tasks are then called ``shift_1``,
        ``bake_1``, ..., and those that a run does not need do nothing.
    :param group_id: the task group's name.
    :param options: what to roll out (``model_name``, or ``model_package_arn``, or ``image`` and ``model_data_url``, ...), ``alarms``,
        ``tolerances``, ``limits`` and more: see :class:`~airflow_sm_rollout.operators.planning.PlanningOperator`; and how to reach AWS:
        :class:`~airflow_sm_rollout.operators.base.ConvergeOperator`. ``approval`` asks a person before a step:
        ``"before_full_traffic"``, or
        a mapping such as ``{"before": 50, "timeout": 3600, "assigned_users": ["alice"]}``; see
        :class:`~airflow_sm_rollout.core.approval.ApprovalGate`. ``when_inconclusive="ask"`` puts a task ``ask_N`` behind each bake, which
        asks only if nobody could tell at its end: the same people, for as long. ``validate`` asks green before it has traffic: the
        options of :class:`~airflow_sm_rollout.operators.validate_green.ValidateGreenOperator`, such as
        ``{"samples": "s3://bucket/samples.jsonl", "agrees_with": "blue", "min_agreement": 0.98}``. ``shadow`` copies live traffic to green
        first, such as ``{"bake": 600, "percent": 50}``; see :class:`~airflow_sm_rollout.operators.shadow_green.ShadowGreenOperator`.
        ``watch_after="24h"`` watches on after the promotion, while tasks behind the group run, and undoes it where green does harm: see
        :class:`~airflow_sm_rollout.operators.watch_promoted.WatchPromotedOperator`.
        ``keep_blue="1h"`` keeps blue's instances for the beginning of that, so that the way back is one change.
        ``notifiers`` are told how it goes: an Airflow notifier, a list, or a mapping of events; see
        :mod:`~airflow_sm_rollout.operators.notices`.
    :raises PlanError: when the DAG file is read, naming the option.
    """
    strategy = {"name": "canary", "steps": steps, "bake": bake}
    return _rollout(group_id, endpoint_name, strategy, _step_labels("steps", steps, strategy, max_steps), {**options})


@says_all_of
def linear_rollout(
    *,
    endpoint_name: str,
    step: float | str = 10,
    interval: DurationOption = timedelta(minutes=15),
    max_steps: int | None = None,
    group_id: str = "linear",
    **options: Unpack[RolloutOptions],
) -> TaskGroup:
    """The same share more at fixed intervals, by the clock; a person may pause it, and let it go on, at any moment.

    :param endpoint_name: the endpoint (templated).
    :param step: how much more green gets each time, in percent (templated).
    :param interval: between two steps: a timedelta or seconds (templated).
    :param max_steps: where ``step`` is a template, the most steps that a run may need.
    :param group_id: the task group's name.
    :param options: as for :func:`canary_rollout`.
    :raises PlanError: when the DAG file is read, naming the option.
    """
    strategy = {"name": "linear", "step": step, "interval": interval}
    return _rollout(group_id, endpoint_name, strategy, _step_labels("step", step, strategy, max_steps), {**options})


@says_all_of
def blue_green_rollout(
    *,
    endpoint_name: str,
    bake: DurationOption = timedelta(minutes=30),
    group_id: str = "blue_green",
    **options: Unpack[RolloutOptions],
) -> TaskGroup:
    """Green beside blue, then all traffic at once; blue stays at full capacity through the bake, and the way back is one change.

    :param endpoint_name: the endpoint (templated).
    :param bake: how long green is watched before blue goes: a timedelta or seconds (templated).
    :param group_id: the task group's name.
    :param options: as for :func:`canary_rollout`.
    :raises PlanError: when the DAG file is read, naming the option.
    """
    return _rollout(group_id, endpoint_name, {"name": "blue_green", "bake": bake}, ["100"], {**options})


def _rollout(
    group_id: str, endpoint_name: str, strategy: dict[str, Any], labels: Sequence[str], options: dict[str, Any]
) -> TaskGroup:
    if endpoint_name is None:
        raise PlanError("endpoint_name", endpoint_name, "the name of an endpoint that serves now")
    traffic = _known_traffic(options)
    loop = {**_RETRIES, **_patience_with(traffic), **{name: options[name] for name in _LOOP_OPTIONS if name in options}}
    gates = _gates(options["approval"], strategy, labels, traffic) if options.get("approval") else {}
    asks = gate_behind_bakes(options.get("approval")) if options.get("when_inconclusive") == "ask" else None
    with make_group(group_id, options) as group:
        snapshot = SnapshotOperator(
            task_id="snapshot",
            endpoint_name=endpoint_name,
            **_for_planning(options),
            **_taken_by(SnapshotOperator, loop),
            strategy=strategy,
            is_shadowed=bool(options.get("shadow")),
        )
        snapshot.is_setup = True
        # With guardrails and CodeDeploy AWS takes the steps itself, inside the promotion; tasks that are there all the same do nothing.
        labels = [] if traffic and traffic.is_shifted_by_aws else labels
        steps = _steps(labels, {"rollout": snapshot.output, **loop}, gates, asks)
        shadow = _shadow(options, {"rollout": snapshot.output, **loop}, asks)
        settle = _wire_rollout(
            snapshot, endpoint_name, shadow, [*_validation(options, snapshot.output, loop), *steps], loop
        )
        _watch_after(options, snapshot, settle, loop)
    _warn_of_dagrun_timeout(group)
    return group


def _patience_with(traffic: Traffic | None) -> dict[str, timedelta]:
    """How long a task waits where AWS takes the steps, or may do so."""
    longest = traffic.longest_shift if traffic is not None else _SHIFT_BY_AWS
    return {"timeout": longest} if longest else {}


def _for_planning(options: dict[str, Any]) -> dict[str, Any]:
    others = (*_LOOP_OPTIONS, "approval", "validate", "shadow", "watch_after")
    return {name: value for name, value in options.items() if name not in others and not is_airflows(name)}


def _taken_by(operator: type[AwsTask | VerdictOperator], loop: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the group's options that the operator takes."""
    return {name: value for name, value in loop.items() if name in options_of(operator)}


def _known_traffic(options: dict[str, Any]) -> Traffic | None:
    """The way to split traffic; ``None``: it is known only when the DAG runs."""
    given = options.get("traffic", DEFAULT), options.get("shift_by")
    return None if any(map(is_template, given)) else TRAFFIC[parse_way(*given)]


def _gates(
    option: object, strategy: dict[str, Any], labels: Sequence[str], traffic: Traffic | None
) -> dict[int, ApprovalGate]:
    """Before which steps a person may have to be asked: where the shares are known only when the DAG runs, before any."""
    gate = parse_gate(option)
    by_aws = traffic is not None and traffic.is_shifted_by_aws
    if by_aws or not is_template([strategy.get("steps"), strategy.get("step")]):
        validate_gate(gate, known_strategy(strategy), traffic)
        return {labels.index(Step(gate.before, timedelta()).label): gate}
    return dict.fromkeys(range(len(labels)), gate)


def _wire_rollout(
    snapshot: Any, endpoint_name: str, before: Sequence[Any], steps: Sequence[Any], loop: dict[str, Any]
) -> Any:
    """Returns the task that settles the rollout."""
    rollout = snapshot.output
    deploying = _taken_by(DeployGreenOperator, loop)
    if before:
        deploying.pop("notifiers", None)  # green as a shadow has told that it started
    deploy = DeployGreenOperator(task_id="deploy_green", rollout=rollout, **deploying)
    promote = PromoteOperator(task_id="promote", rollout=rollout, **_taken_by(PromoteOperator, loop))
    # These two know the rollout by endpoint and run, not by XCom: nothing may have reached XCom when they are needed.
    watched = [task.task_id for task in (*before, deploy, *steps, promote)]
    settle = SettleOperator(
        task_id="settle",
        endpoint_name=endpoint_name,
        snapshot_task_id=snapshot.task_id,
        watched_task_ids=watched,
        **{**_taken_by(SettleOperator, loop), **_TEARDOWN, "retries": _SETTLE_RETRIES},
    ).as_teardown(setups=snapshot)
    verdict = VerdictOperator(
        task_id="verdict",
        snapshot_task_id=snapshot.task_id,
        settle_task_id=settle.task_id,
        watched_task_ids=watched,
        **{**_taken_by(VerdictOperator, loop), **_TEARDOWN, "retries": 1},
    ).as_teardown(on_failure_fail_dagrun=True)
    chain = [snapshot, *before, deploy, *steps, promote, settle, verdict]
    for upstream, downstream in pairwise(chain):
        upstream >> downstream
    return settle


def _watch_after(options: dict[str, Any], snapshot: Any, settle: Any, loop: dict[str, Any]) -> None:
    """A teardown, so that tasks behind the group don't wait for it; and beside ``verdict``, as only a run's leaves decide its state."""
    duration = options.get("watch_after")
    _check_keeping(options.get("keep_blue"), duration)
    if not duration:
        return
    if not is_template(duration):
        duration = parse_duration("watch_after", duration)
        if not duration:
            raise PlanError("watch_after", options["watch_after"], "left out, or above 0")
    nothing_watches = options.get("default_alarms", True) is None and not any(map(options.get, _WATCHED_AFTER))
    if nothing_watches:
        allowed = f"left out, or give {', '.join(_WATCHED_AFTER)} or default_alarms: nobody would be watching"
        raise PlanError("watch_after", duration, allowed)
    watch = WatchPromotedOperator(
        task_id="watch_after",
        rollout=snapshot.output,
        duration=duration,
        settle_task_id=settle.task_id,
        **{**_taken_by(WatchPromotedOperator, loop), **_TEARDOWN, "retries": _SETTLE_RETRIES},
    ).as_teardown(setups=snapshot, on_failure_fail_dagrun=True)
    settle >> watch


def _check_keeping(keep_blue: Any, watch_after: Any) -> None:
    """Blue is kept warm for a watch, which takes it away in the end."""
    if not keep_blue:
        return
    if not watch_after:
        raise PlanError("keep_blue", keep_blue, "left out, or given with watch_after: nobody would take blue away")
    is_known = not is_template(watch_after)
    if is_known and parse_duration("keep_blue", keep_blue) > parse_duration("watch_after", watch_after):
        raise PlanError("keep_blue", keep_blue, f"at most watch_after, which is {watch_after}")


def _steps(
    labels: Sequence[str], loop: dict[str, Any], gates: dict[int, ApprovalGate], asks: ApprovalGate | None
) -> list[RolloutTask]:
    tasks: list[RolloutTask] = []
    for index, label in enumerate(labels):
        baked = [task.task_id for task in tasks if isinstance(task, BakeSensor)]
        if index in gates:
            tasks.append(_approve(label, gates[index], step=index, evidence_task_ids=baked, **loop))
        tasks.append(ShiftWeightOperator(task_id=f"shift_{label}", step=index, **_taken_by(ShiftWeightOperator, loop)))
        tasks.append(BakeSensor(task_id=f"bake_{label}", step=index, **_taken_by(BakeSensor, loop)))
        if asks is not None:
            tasks.append(_ask(tasks[-1], asks, step=index + 1, evidence_task_ids=baked, **loop))
    return tasks


def _shadow(options: dict[str, Any], loop: dict[str, Any], asks: ApprovalGate | None) -> list[RolloutTask]:
    if not options.get("shadow"):
        return []
    shadow = parse_mapping("shadow", options["shadow"], 'a mapping such as {"bake": 600, "percent": 50}')
    if shadow.get("bake") is None:
        raise PlanError("shadow", shadow, 'how long it is watched, such as {"bake": 600}')
    if not is_template(shadow["bake"]):
        parse_duration("shadow bake", shadow["bake"])
    traffic = _known_traffic(options)
    if traffic is not None and not traffic.has_shadow:
        raise PlanError("shadow", shadow, f"traffic='variants': with {traffic.name!r} green can't be a shadow of blue")
    watch = BakeSensor(task_id="bake_shadow", duration=shadow.pop("bake"), **_taken_by(BakeSensor, loop))
    asking = [_ask(watch, asks, step=0, **loop)] if asks is not None else []
    return [ShadowGreenOperator(task_id="shadow", **_taken_by(ShadowGreenOperator, loop), **shadow), watch, *asking]


def _validation(options: dict[str, Any], rollout: Any, loop: dict[str, Any]) -> list[RolloutTask]:
    if not options.get("validate"):
        return []
    traffic = _known_traffic(options)
    if traffic is not None and traffic.launches_with_shift:
        allowed = f"another way to split traffic: with {traffic.name} SageMaker launches green with the shift, so it can't be asked before"
        raise PlanError("validate", options["validate"], allowed)
    validate = parse_mapping(
        "validate", options["validate"], 'a mapping such as {"samples": "s3://bucket/samples.jsonl"}'
    )
    if "samples" not in validate:
        raise PlanError("validate", validate, "what is asked, such as {'samples': 's3://bucket/samples.jsonl'}")
    return [
        ValidateGreenOperator(
            task_id="validate", rollout=rollout, **{**_taken_by(ValidateGreenOperator, loop), **validate}
        )
    ]


def _approve(label: str, gate: ApprovalGate, **options: Any) -> RolloutTask:
    # Imported here: a DAG that asks nobody needs no Airflow that can ask.
    from airflow_sm_rollout.operators.approval import ApproveOperator

    return ApproveOperator(task_id=f"approve_{label}", gate=gate, **_taken_by(ApproveOperator, options))


def _ask(bake: RolloutTask, gate: ApprovalGate, **options: Any) -> RolloutTask:
    from airflow_sm_rollout.operators.ask import AskOperator

    name = bake.task_id.rpartition(".")[2].replace("bake_", "ask_", 1)
    return AskOperator(task_id=name, bake_task_id=bake.task_id, gate=gate, **_taken_by(AskOperator, options))


def _step_labels(option: str, value: object, strategy: dict[str, Any], max_steps: int | None) -> list[str]:
    """Each step's part of its tasks' names: its share, or its number where shares are known only when the DAG runs.

    :param option: the option that the shares follow from, with its ``value``.
    """
    if not is_template(value):
        if max_steps is not None:
            raise PlanError(
                "max_steps", max_steps, f"left out: {option} is no template, and says how many steps there are"
            )
        return [step.label for step in known_strategy(strategy).steps]
    allowed = f"how many steps a run may ask for at most, from 1 to {_MOST_STEPS}, since {option} is a template"
    count = parse_count("max_steps", max_steps, allowed, least=1)
    if count > _MOST_STEPS:
        raise PlanError("max_steps", max_steps, allowed)
    return [str(number) for number in range(1, count + 1)]


def _warn_of_dagrun_timeout(group: TaskGroup) -> None:
    dag = getattr(group, "dag", None)
    if dag is not None and getattr(dag, "dagrun_timeout", None):
        warnings.warn(
            f"DAG {dag.dag_id} sets dagrun_timeout={dag.dagrun_timeout}: when it strikes, Airflow skips teardowns, so nothing rolls back. "
            "Leave it out; the operators' timeout bounds each step",
            stacklevel=4,
        )
