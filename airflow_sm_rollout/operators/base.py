"""The loop of :mod:`airflow_sm_rollout.core.advance` in an Airflow task: which rollout, how to wait, how to fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseOperator

from airflow_sm_rollout.core.advance import SOON, Passing, advance
from airflow_sm_rollout.core.errors import PlanError, RolloutError
from airflow_sm_rollout.core.goals import Done, Goal, Hold
from airflow_sm_rollout.core.names import Names, derive_rollout_id, validate_endpoint_name
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.traces import DID
from airflow_sm_rollout.hooks.aws import AwsConnection
from airflow_sm_rollout.operators.links import LINKS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.aws.world import AwsWorld

HANDLE_VERSION = 1
_PATIENCE = 12
_T = TypeVar("_T")


class RolloutOperator(BaseOperator):
    """Base of the operators.

    Which rollout is meant, they learn from one of:

    * ``rollout``: the handle that :class:`~.snapshot.SnapshotOperator` or :class:`~.deploy_green.DeployGreenOperator` has returned;
    * ``endpoint_name``: then it is the one that this DAG run began (in the same task group), so that a rollback works when nothing has
      reached XCom.

    :param rollout: the handle, usually ``deploy.output`` (templated).
    :param endpoint_name: the endpoint (templated).
    :param timeout: when to give up, counted from the task's start: a timedelta or seconds.
    :param poke_interval: seconds between two looks. Below 6 the task waits in its worker instead of deferring.
    :param deferrable: wait in the triggerer, without a worker.
    :param aws_conn_id: Airflow connection to AWS.
    :param region_name: AWS region, by default the connection's.
    :param verify: TLS verification, see boto3.
    :param botocore_config: members of ``botocore.config.Config``.
    """

    template_fields: Sequence[str] = ("rollout", "endpoint_name", "aws_conn_id", "region_name")
    ui_color = "#dbe9f6"
    operator_extra_links = LINKS
    linked: str = "green_endpoint"
    """The member of a handle that names the endpoint which links lead to."""
    found: Rollout | None = None
    """The rollout that the task is about, as it was when the task began; ``None``: it was not read."""

    def __init__(
        self,
        *,
        rollout: Any = None,
        endpoint_name: str | None = None,
        timeout: DurationOption = timedelta(hours=2),
        poke_interval: float = 15.0,
        deferrable: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if rollout is None and endpoint_name is None:
            raise PlanError("rollout", rollout, "a rollout handle such as deploy.output, or give endpoint_name")
        if not poke_interval > 0:
            raise PlanError("poke_interval", poke_interval, "a number of seconds above 0")
        if endpoint_name is not None and not is_template(endpoint_name):
            validate_endpoint_name(endpoint_name)
        self.rollout = rollout
        self.endpoint_name = endpoint_name
        self.timeout = parse_duration("timeout", timeout)
        self.poke_interval = poke_interval
        self.deferrable = deferrable
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @property
    def connection(self) -> AwsConnection:
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)

    @cached_property
    def region(self) -> str:
        """The AWS region, for links; empty where nobody has said it."""
        return self.region_name or self.connection.region() or ""

    def reach(self, context: Context, goal: Goal, deadline: datetime | None = None) -> Done:
        """Go on toward a goal until it is reached; defers while AWS is busy, and is then called again by :meth:`resume`."""
        clients = self.connection.clients()
        names = self.identify(context, clients)
        world = self.world(names, clients)
        deadline = deadline or world.now() + self.timeout
        self.log.info("Wanted: %s (rollout %s of endpoint %s)", goal, names.rollout_id, names.endpoint)
        with diary(context) as note:
            return self._go_on(goal, world, deadline, note)

    def _go_on(self, goal: Goal, world: AwsWorld, deadline: datetime, note: Callable[[str], None]) -> Done:
        names = Names(world.endpoint_name, world.rollout_id)

        def tell(line: str) -> None:
            self.log.info("Now: %s", line)
            note(line)

        while True:
            step = advance(goal, names.rollout_id, world, deadline, tell)
            if isinstance(step, Done):
                self.log.info("Reached: %s", step.reason)
                return step
            if isinstance(step, Hold):
                deadline = world.now() + self.timeout  # a pause does not count
            self.log.info("Waiting: %s", step.reason)
            self._wait(names, goal, deadline)

    def resume(self, context: Context, event: dict[str, Any]) -> Any:
        """After a deferral: look again and go on, with the deadline of before."""
        return self.execute_until(context, datetime.fromisoformat(event["deadline"]))

    def execute(self, context: Context) -> Any:
        return self.execute_until(context, None)

    def execute_until(self, context: Context, deadline: datetime | None) -> Any:
        """:meth:`run_until`, whose failure leaves its reason in XCom ``reason`` and is not retried: a retry would meet the same."""
        return failing_with_reason(context, lambda: self.run_until(context, deadline))

    def run_until(self, context: Context, deadline: datetime | None) -> Any:
        """What the operator does.

        :raises RolloutError: if it can't.
        """
        raise NotImplementedError

    def world(self, names: Names, clients: Clients) -> AwsWorld:
        from airflow_sm_rollout.aws.world import AwsWorld

        return AwsWorld(clients, names.endpoint, names.rollout_id)

    def identify(self, context: Context, clients: Clients) -> Names:
        """Which rollout this task is about; see the class."""
        if self.rollout:
            return Names(self.rollout["endpoint_name"], self.rollout["rollout_id"])
        if not self.endpoint_name:
            raise PlanError(
                "rollout",
                self.rollout,
                "a rollout handle; the task that returns it has not run. Give endpoint_name too",
            )
        names = own_names(context, self.endpoint_name)
        record = self._read_record(clients, self.endpoint_name)
        if record is None or dict(record.owner) != describe_owner(context):
            return names
        self.found = record
        return record.names

    def handle(self) -> Mapping[str, Any]:
        """The handle that was given, or one of the rollout that was found; empty for none."""
        if self.rollout and isinstance(self.rollout, dict):
            return self.rollout
        return handle_of(self.found) if self.found else {}

    def recorded(self, context: Context) -> Rollout | None:
        """This task's rollout as it is recorded on AWS, with the frozen plan; ``None``: it is not in progress."""
        clients = self.connection.clients()
        names = self.identify(context, clients)
        record = self._read_record(clients, names.endpoint)
        return record if record is not None and record.rollout_id == names.rollout_id else None

    def _read_record(self, clients: Clients, endpoint_name: str) -> Rollout | None:
        from airflow_sm_rollout.aws.record import read_record

        return self.read_patiently(
            "could not read the rollout's record", lambda: read_record(clients.ssm, endpoint_name)
        )

    def read_patiently(self, what: str, read: Callable[[], _T]) -> _T:
        """Read from AWS outside the loop; see :func:`patiently`."""
        from airflow_sm_rollout.aws.world import translated_errors

        def translated() -> _T:
            with translated_errors(what):
                return read()

        return patiently(translated, self.log.info)

    def _wait(self, names: Names, goal: Goal, deadline: datetime) -> None:
        from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL

        if not self.deferrable or self.poke_interval < SHORTEST_DEFERRAL.total_seconds():
            time.sleep(self.poke_interval)
            return
        self._defer(names, goal, deadline)

    def _defer(self, names: Names, goal: Goal, deadline: datetime) -> NoReturn:
        from airflow_sm_rollout.triggers.converge import ConvergeTrigger, goal_to_dict

        trigger = ConvergeTrigger(
            endpoint_name=names.endpoint,
            rollout_id=names.rollout_id,
            goal=goal_to_dict(goal),
            deadline=deadline.isoformat(),
            poke_interval=self.poke_interval,
            connection=self.connection.as_dict(),
        )
        self.defer(trigger=trigger, method_name="resume")


@contextmanager
def diary(context: Context) -> Iterator[Callable[[str], None]]:
    """Takes lines on what the task does, and leaves them at the block's end in XCom :data:`~airflow_sm_rollout.core.traces.DID`, behind
    those from before a deferral.
    """
    lines: list[dict[str, str]] = []

    def note(line: str) -> None:
        lines.append({"at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "what": line})

    try:
        yield note
    finally:
        if lines:
            ti = context["ti"]
            before = left_by(context, ti.task_id, DID) or []
            ti.xcom_push(key=DID, value=[*before, *lines])


def patiently(read: Callable[[], _T], tell: Callable[[str], None]) -> _T:
    """Read something; errors that pass by themselves are waited out for a while, so that a throttled read does not cost a rollout.

    :raises Passing: if it has not passed after about a minute.
    """
    for _ in range(_PATIENCE):
        try:
            return read()
        except Passing as error:
            tell(f"Waiting: {error}")
            time.sleep(SOON.total_seconds())
    return read()


def failing_with_reason(context: Context, run: Callable[[], Any]) -> Any:
    """Run; an error of the rollout becomes a failure without retries, and its text the XCom ``reason``."""
    try:
        return run()
    except RolloutError as error:
        context["ti"].xcom_push(key="reason", value=str(error))
        raise AirflowFailException(str(error)) from error


def is_template(value: object) -> bool:
    """Whether a value is known only when the task runs: a Jinja template, another task's output, or the argument of a mapped task group."""
    return callable(getattr(value, "resolve", None)) or any(mark in str(value) for mark in ("{{", "{%"))


def own_names(context: Context, endpoint_name: str) -> Names:
    """Names of the rollout that this DAG run and task group make of an endpoint: the same in every task and every try."""
    validate_endpoint_name(endpoint_name)
    ti = context["ti"]
    group = ti.task_id.rpartition(".")[0]
    return Names(endpoint_name, derive_rollout_id(endpoint_name, ti.dag_id, ti.run_id, group))


def left_by(context: Context, task_id: str, key: str = "return_value") -> Any:
    """What another task of the rollout has left in XCom; in a mapped task group, the one of the same run of it."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=ti.map_index)


def describe_owner(context: Context) -> dict[str, str]:
    """Who drives a rollout, as its record has it."""
    ti = context["ti"]
    return {"dag_id": ti.dag_id, "run_id": ti.run_id}


def handle_of(rollout: Rollout) -> dict[str, Any]:
    """What tasks hand to each other: which rollout, and what a person wants to see at a glance. All else is in the record on AWS."""
    return {
        "version": HANDLE_VERSION,
        "endpoint_name": rollout.endpoint_name,
        "rollout_id": rollout.rollout_id,
        "green_variant": rollout.green_variant,
        "green_model": rollout.green_model_name,
        "green_endpoint": rollout.green_endpoint_name,
        "blue_config": rollout.blue.config_name,
        "blue_endpoint": rollout.blue_endpoint_name,
        "alarms": list(rollout.watched_alarms),
    }
