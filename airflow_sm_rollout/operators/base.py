"""The loop of :mod:`airflow_sm_rollout.core.advance` in an Airflow task: which rollout, how to wait, how to fail."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from airflow.sdk import BaseOperator

from airflow_sm_rollout.core.advance import Passing, advance
from airflow_sm_rollout.core.errors import DeadlinePassed, PlanError, RefusedByAws, RolloutGaveUp
from airflow_sm_rollout.core.goals import (
    Again,
    AsBefore,
    Done,
    Goal,
    Hold,
    OnlyGreen,
    Wait,
    pause_after,
    seconds_expected,
)
from airflow_sm_rollout.core.names import Names, validate_endpoint_name
from airflow_sm_rollout.core.owner import is_own
from airflow_sm_rollout.core.plan.options import parse_flag, parse_number
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.rhythm import EVERY, next_look
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.hooks.aws import AwsConnection
from airflow_sm_rollout.operators.handle import handle_of, read_handle
from airflow_sm_rollout.operators.leaving import diary, failing_with_reason, note_calls
from airflow_sm_rollout.operators.links import LINKS, leave_link
from airflow_sm_rollout.operators.options import defers_by_default, parse_verify, refuse_what_is_not_taken
from airflow_sm_rollout.operators.owner import describe_owner, names_of
from airflow_sm_rollout.operators.patience import patiently
from airflow_sm_rollout.operators.retries import saying_when_next

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.aws.world import AwsWorld

log = logging.getLogger(__name__)

_PATIENCE = timedelta(minutes=5)
_T = TypeVar("_T")


class AwsTask(BaseOperator):
    """Base of all tasks: how to reach AWS, and which options there are.

    :param aws_conn_id: Airflow connection to AWS (templated).
    :param region_name: AWS region, by default the connection's (templated).
    :param verify: TLS verification, see boto3 (templated).
    :param botocore_config: members of ``botocore.config.Config``.
    """

    template_fields: Sequence[str] = ("aws_conn_id", "region_name", "verify")
    not_taken: ClassVar[Mapping[str, str]] = {}
    """Options that somebody may expect of this operator, each with why it takes none. With ``retries`` among them Airflow makes none,
    whatever the DAG's default arguments say.
    """

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_what_is_not_taken(type(self), kwargs)
        never = {"retries": 0} if "retries" in self.not_taken else {}
        super().__init__(**{**kwargs, **never})
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @property
    def connection(self) -> AwsConnection:
        return AwsConnection(self.aws_conn_id, self.region_name, parse_verify(self.verify), self.botocore_config)

    @property
    def patience(self) -> timedelta:
        """How long what says nothing about this task is waited out before it begins: AWS that can't be reached, or does not know us."""
        return _PATIENCE

    def clients(self) -> Clients:
        """AWS's clients. That they can't be made just now, as no role can be assumed, is waited out."""
        return self.read_patiently("could not reach AWS", self.connection.clients)

    def read_patiently(self, what: str, read: Callable[[], _T]) -> _T:
        """Read from AWS outside the loop; see :func:`~.patience.patiently`."""
        from airflow_sm_rollout.aws.world import translated_errors

        def translated() -> _T:
            with translated_errors(what):
                return read()

        return patiently(translated, self.patience, self.log.warning)


class RolloutTask(AwsTask):
    """Base of the tasks of a rollout.

    Which rollout is meant, they learn from one of:

    * ``rollout``: the handle that :class:`~.snapshot.SnapshotOperator` or :class:`~.deploy_green.DeployGreenOperator` has returned;
    * ``endpoint_name``: then it is the one that this DAG run began, in the same task group or in one inside it, so that a rollback works
      when nothing has reached XCom. Beside ``rollout`` it is for when that is empty, and means the group of the task that makes the handle.

    :param rollout: the handle, usually ``deploy.output`` (templated).
    :param endpoint_name: the endpoint (templated).
    """

    template_fields: Sequence[str] = ("rollout", "endpoint_name", *AwsTask.template_fields)
    ui_color = "#dbe9f6"
    operator_extra_links = LINKS
    linked: ClassVar[str] = "green_endpoint"
    """The member of a handle that names the endpoint which links lead to."""
    looks_inside: ClassVar[bool] = True
    """Whether, told no more than an endpoint, the task is about a rollout of a task group inside its own, too."""

    def __init__(self, *, rollout: Any = None, endpoint_name: str | None = None, **kwargs: Any) -> None:
        refuse_what_is_not_taken(type(self), {"rollout": rollout})
        super().__init__(**kwargs)
        self.rollout = rollout
        self.endpoint_name = endpoint_name
        self._begun_by = getattr(getattr(rollout, "operator", None), "task_id", None)  # the task that makes the handle
        if rollout is None and endpoint_name is None:
            self.meet_no_rollout()
        if endpoint_name is not None and not is_template(endpoint_name):
            validate_endpoint_name(endpoint_name)

    def meet_no_rollout(self) -> None:
        """What follows if neither says which rollout is meant: a ``PlanError``, unless the task needs none."""
        raise PlanError("rollout", self.rollout, "a rollout handle such as deploy.output, or give endpoint_name")

    def execute(self, context: Context) -> Any:
        return self.execute_until(context, None)

    def execute_until(self, context: Context, deadline: datetime | None) -> Any:
        """:meth:`run_until`, whose failure leaves its reason in XCom ``reason`` and is not retried: a retry would meet the same."""
        with saying_when_next(self, context):
            return failing_with_reason(context, lambda: self.run_until(context, deadline))

    def run_until(self, context: Context, deadline: datetime | None) -> Any:
        """What the operator does.

        :param deadline: of a goal that the task has begun to drive toward, before it was deferred.
        :raises RolloutError: if it can't.
        """
        raise NotImplementedError

    def identify(self, context: Context, clients: Clients) -> Names:
        """Which rollout this task is about; see the class. Links lead there from now on."""
        if self.rollout:
            handle = read_handle(self.rollout)
            self.link(context, handle)
            return Names(handle["endpoint_name"], handle["rollout_id"])
        if not self.endpoint_name:
            raise PlanError(
                "rollout",
                self.rollout,
                "a rollout handle; the task that returns it has not run. Give endpoint_name too",
            )
        asking = describe_owner(context, self._begun_by)
        names = names_of(asking, self.endpoint_name)
        record = self._read_record(clients, self.endpoint_name)
        if record is None or not is_own(record, asking, looks_inside=self.looks_inside and self._begun_by is None):
            self.link(context, {})
            return names
        self.link(context, handle_of(record))
        return record.names

    def link(self, context: Context, handle: Mapping[str, Any], to: str | None = None) -> None:
        """Let the task's links lead to the rollout's endpoint.

        :param handle: the rollout's; empty: none is known.
        :param to: the member of the handle that names the endpoint, by default :attr:`linked`.
        """
        name = str(handle.get("endpoint_name") or self.endpoint_name or "")
        endpoint = str(handle.get(to or self.linked) or name)
        leave_link(context, region=self.connection.region(), endpoint=endpoint, name=name)

    def recorded(self, context: Context) -> Rollout | None:
        """This task's rollout as it is recorded on AWS, with the frozen plan; ``None``: it is not in progress."""
        clients = self.clients()
        names = self.identify(context, clients)
        record = self._read_record(clients, names.endpoint)
        return record if record is not None and record.rollout_id == names.rollout_id else None

    def _read_record(self, clients: Clients, endpoint_name: str) -> Rollout | None:
        from airflow_sm_rollout.aws.record import read_record

        return self.read_patiently(
            "could not read the rollout's record", lambda: read_record(clients.ssm, endpoint_name)
        )


class WaitingTask(RolloutTask):
    """Base of the tasks that look again and again.

    :param poke_interval: seconds between two looks at most; see :mod:`~airflow_sm_rollout.core.rhythm`.
    :param deferrable: wait in the triggerer, without a worker. By default so, unless the environment of Airflow has
        ``AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE`` set to false.
    """

    def __init__(self, *, poke_interval: float = EVERY, deferrable: bool | None = None, **kwargs: Any) -> None:
        refuse_what_is_not_taken(type(self), {"deferrable": deferrable})
        super().__init__(**kwargs)
        allowed = "a number of seconds above 0"
        self.poke_interval = parse_number("poke_interval", poke_interval, allowed, lambda number: 0 < number < math.inf)
        self.deferrable = defers_by_default() if deferrable is None else parse_flag("deferrable", deferrable)


class ConvergeOperator(WaitingTask):
    """Base of the operators that drive the endpoint toward a goal. With a ``poke_interval`` below 6 they wait in their worker.

    :param timeout: when to give up, counted from the task's start: a timedelta or seconds.
    """

    refusals = 0
    """How often in a row AWS has refused what leads back, by now."""

    def __init__(self, *, timeout: DurationOption = timedelta(hours=2), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.timeout = parse_duration("timeout", timeout)
        if not self.timeout:
            raise PlanError(
                "timeout", timeout, "above 0: a way back that is given no time leaves green with its traffic"
            )

    @property
    def patience(self) -> timedelta:
        """As long as for the goal itself: a way back does not end because it could not begin."""
        return self.timeout

    def reach(self, context: Context, goal: Goal, deadline: datetime | None = None, names: Names | None = None) -> Done:
        """Go on toward a goal until it is reached; defers while AWS is busy, and is then called again by :meth:`resume`.

        :param names: the rollout's, where the task need not find out which one is meant.
        """
        from airflow_sm_rollout.aws.world import utc_now

        clients = self.clients()
        deadline = deadline or utc_now() + self.timeout
        with diary(context) as note:
            names = names or self._identify_for(goal, context, clients, deadline, note)
            self.log.info("Wanted: %s (rollout %s of endpoint %s)", goal, names.rollout_id, names.endpoint)
            return self._go_on(goal, self.world(names, clients), deadline, note)

    def _identify_for(
        self, goal: Goal, context: Context, clients: Clients, deadline: datetime, note: Callable[[str], None]
    ) -> Names:
        """Which rollout is meant. On the way back no answer of AWS ends the task before its deadline, not even one about the record."""
        from airflow_sm_rollout.aws.world import utc_now

        while True:
            try:
                return self.identify(context, clients)
            except (RefusedByAws, Passing) as error:
                if not isinstance(goal, AsBefore) or not self.endpoint_name:
                    raise
                if utc_now() >= deadline:
                    late = f"not reached by {deadline.isoformat(timespec='seconds')}: {goal}"
                    raise DeadlinePassed(f"{late}; {error}") from error
                note(str(error))
                refused = Again(str(error), self.refusals + 1)
                asking = describe_owner(context, self._begun_by)
                self._wait_for(refused, names_of(asking, self.endpoint_name), goal, deadline)

    def _go_on(self, goal: Goal, world: AwsWorld, deadline: datetime, note: Callable[[str], None]) -> Done:
        from airflow_sm_rollout.aws.guardian import SIGNS
        from airflow_sm_rollout.aws.watch import Lookout
        from airflow_sm_rollout.hooks.outside import OUTSIDE

        names, lookout = Names(world.endpoint_name, world.rollout_id), Lookout(world)

        def tell(line: str) -> None:
            SIGNS.leave_of(world.record, world.clients)
            self.log.info("Now: %s", line)
            note(line)

        while True:
            step = advance(goal, names.rollout_id, world, deadline, tell, refusals=self.refusals)
            if isinstance(step, Done):
                self.log.info("Reached: %s", step.reason)
                if not isinstance(goal, (AsBefore, OnlyGreen)):
                    SIGNS.leave_last(world.clients, names.endpoint)
                return step
            SIGNS.leave_of(world.record, world.clients)
            if isinstance(step, Hold):
                deadline = world.now() + self.timeout  # a pause does not count
            if isinstance(step, Again):
                note(step.reason)
            self._wait_for(step, names, goal, deadline)
            OUTSIDE.look_up()
            if not isinstance(goal, AsBefore):
                lookout.heed()

    def resume(self, context: Context, event: Any) -> Any:
        """After a deferral: look again and go on, with the deadline of before."""
        if not isinstance(event, Mapping):
            return failing_with_reason(context, lambda: self._meet_harm(context))
        note_calls(context, event.get("calls") or {})
        self.refusals = event.get("refusals", 0)
        return self.execute_until(context, datetime.fromisoformat(event["deadline"]))

    def _meet_harm(self, context: Context) -> NoReturn:
        """Only in ``dag.test()``, which lets no trigger end its task: judge what the trigger has judged."""
        from airflow_sm_rollout.aws.watch import Lookout

        clients = self.clients()
        world = self.world(self.identify(context, clients), clients)
        self.read_patiently("could not read the rollout's record", world.read_record)
        Lookout(world).heed()
        raise RolloutGaveUp("green did harm while this waited")

    def world(self, names: Names, clients: Clients) -> AwsWorld:
        from airflow_sm_rollout.aws.world import AwsWorld

        return AwsWorld(clients, names.endpoint, names.rollout_id)

    def _wait_for(self, step: Wait | Hold | Again, names: Names, goal: Goal, deadline: datetime) -> None:
        from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL

        self.refusals = step.refusals if isinstance(step, Again) else 0
        expected = seconds_expected(step)
        pause = max(next_look(goal, 0.0, expected, self.poke_interval), pause_after(self.refusals).total_seconds())
        self.log.info("Waiting: %s%s", step.reason, f"; tried again in {pause:g} s" if self.refusals else "")
        if not self.deferrable or max(self.poke_interval, pause) < SHORTEST_DEFERRAL.total_seconds():
            time.sleep(pause)
            return
        self._defer(names, goal, deadline, expected)

    def _defer(self, names: Names, goal: Goal, deadline: datetime, expected: float) -> NoReturn:
        from airflow_sm_rollout.triggers.converge import ConvergeTrigger, goal_to_dict

        trigger = ConvergeTrigger(
            endpoint_name=names.endpoint,
            rollout_id=names.rollout_id,
            goal=goal_to_dict(goal),
            deadline=deadline.isoformat(),
            poke_interval=self.poke_interval,
            connection=self.connection.as_dict(),
            refusals=self.refusals,
            expected=expected,
        )
        self.defer(trigger=trigger, method_name="resume")


def is_template(value: object) -> bool:
    """Whether a value is known only when the task runs: a Jinja template, another task's output, or the argument of a mapped task group."""
    return callable(getattr(value, "resolve", None)) or any(mark in str(value) for mark in ("{{", "{%"))
