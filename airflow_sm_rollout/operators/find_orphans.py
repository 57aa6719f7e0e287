"""Finds rollouts that nobody drives any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.orphans import Run, why_orphaned
from airflow_sm_rollout.core.owner import Owner, is_elsewhere
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.operators.base import AwsTask, is_template
from airflow_sm_rollout.operators.handle import handle_of
from airflow_sm_rollout.operators.leaving import failing_with_reason
from airflow_sm_rollout.operators.owner import environment

if TYPE_CHECKING:
    from airflow.sdk import Context

_LIVE_STATES = ["queued", "running"]
_OVER = ("success", "failed", "skipped", "upstream_failed", "removed")


class FindOrphansOperator(AwsTask):
    """Finds the rollouts whose DAG run or whose task ``settle`` is over, or whose run is gone: after a ``dagrun_timeout``, which skips even
    teardowns, or a lost Airflow database.

    It changes nothing; expand a :class:`~.rollback.RollbackOperator` over what it returns. A rollout whose run is queued or running is left
    alone. So is one of a run that this Airflow does not know, for a while: it may be another Airflow's on the same AWS account. Where there
    is another, name the ``endpoints`` that are yours.

    Needs ``ssm:GetParametersByPath`` on ``/sm-rollout`` beside what a rollback of each endpoint needs (``sm-rollout iam-policy ENDPOINT``).

    :param endpoints: only those whose names match, with ``*`` and ``?`` as in file names (templated).
    :param unknown_after: how much older than its plan takes a rollout must be whose DAG run this Airflow does not know: a timedelta or
        seconds (templated).
    :param max_age: how old one must be to count as orphaned even if its run is running, as that of a paused DAG; ``None``: it never does
        (templated).
    :return: the rollouts' handles, each with ``why``.
    """

    template_fields: Sequence[str] = ("endpoints", "unknown_after", "max_age", *AwsTask.template_fields)
    ui_color = "#e6e6e6"

    def __init__(
        self,
        *,
        endpoints: str = "*",
        unknown_after: DurationOption = timedelta(days=1),
        max_age: DurationOption | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, age in (("unknown_after", unknown_after), ("max_age", max_age)):
            if age is not None and not is_template(age):
                parse_duration(name, age)
        self.endpoints = endpoints
        self.unknown_after = unknown_after
        self.max_age = max_age

    def execute(self, context: Context) -> list[dict[str, Any]]:
        orphans: list[dict[str, Any]] = failing_with_reason(context, lambda: self._find(context))
        return orphans

    def _find(self, context: Context) -> list[dict[str, Any]]:
        from airflow_sm_rollout.aws.world import utc_now

        # The runs are asked after the records are read: one that ends in between has settled, and its rollback finds nothing to do.
        found = list(self._in_progress())
        asked_at = utc_now()
        judged = [(rollout, self._why(context, rollout, asked_at)) for rollout in found]
        for rollout, why in judged:
            state = f"is orphaned: {why}" if why else "is left alone"
            self.log.info("Endpoint %s: %s %s", rollout.endpoint_name, rollout.describe_owner(), state)
        return [{**handle_of(rollout), "why": why} for rollout, why in judged if why]

    def _in_progress(self) -> Iterator[Rollout]:
        records = self.read_patiently("could not read the rollouts' records", self._read_records)
        for endpoint_name, record in records.items():
            if not fnmatchcase(endpoint_name, self.endpoints):
                continue
            if isinstance(record, RolloutError):
                self.log.warning("Endpoint %s is left alone: %s", endpoint_name, record)
            else:
                yield record

    def _read_records(self) -> dict[str, Rollout | RolloutError]:
        from airflow_sm_rollout.aws.record import read_records

        return read_records(self.connection.clients().ssm)

    def _why(self, context: Context, rollout: Rollout, now: datetime) -> str:
        unknown_after = parse_duration("unknown_after", self.unknown_after)
        max_age = None if self.max_age is None else parse_duration("max_age", self.max_age)
        run = _ask_airflow(context, rollout)
        return why_orphaned(rollout, run, now, unknown_after=unknown_after, max_age=max_age)


def _ask_airflow(context: Context, rollout: Rollout) -> Run:
    dag_id, run_id = rollout.owner.get("dag_id"), rollout.owner.get("run_id")
    if not dag_id or not run_id:
        return Run.UNKNOWN
    if is_elsewhere(rollout.owner, environment()):
        return Run.UNKNOWN
    count = context["ti"].get_dr_count
    if count(dag_id=dag_id, run_ids=[run_id], states=_LIVE_STATES):
        return Run.LEFT if _is_settle_over(context, rollout.owner) else Run.ALIVE
    return Run.OVER if count(dag_id=dag_id, run_ids=[run_id]) else Run.UNKNOWN


def _is_settle_over(context: Context, owner: Owner) -> bool:
    """Whether the task that is to end a rollout in a task group of ours is over; the rest of its run may go on for days."""
    group, index = owner.get("group_id"), int(owner.get("map_index", -1))
    if not group or not str(owner.get("task_id")).endswith(".snapshot"):
        return False  # begun by a single operator, whose run may end it by any task
    settle = f"{group}.settle"
    found = context["ti"].get_task_states(
        dag_id=owner["dag_id"], run_ids=[owner["run_id"]], task_ids=[settle], map_index=index
    )
    states = found.get(owner["run_id"], {})
    return len(states) == 1 and all(state in _OVER for state in states.values())
