"""AWS as the loop's world: reads for each goal just what its decision needs, and does what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws import cloudwatch
from airflow_sm_rollout.aws.answers import moment_of
from airflow_sm_rollout.aws.blue import config_of
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.clock import MACHINE, Clock, listening
from airflow_sm_rollout.aws.codedeploy import read_deployments
from airflow_sm_rollout.aws.control import control_of
from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe, if_found, meaning_of
from airflow_sm_rollout.aws.front import read_front
from airflow_sm_rollout.aws.kept import Kept
from airflow_sm_rollout.aws.listed import read_names
from airflow_sm_rollout.aws.live import live_name, read_pointer, read_pointer_of
from airflow_sm_rollout.aws.own_alarms import read_unlike
from airflow_sm_rollout.aws.parameters import pointer_of, read_parameters
from airflow_sm_rollout.aws.perform import perform
from airflow_sm_rollout.aws.queue import read_backlogs
from airflow_sm_rollout.aws.record import read_record, record_of
from airflow_sm_rollout.aws.scaling import read_scaling
from airflow_sm_rollout.aws.serving import read_endpoint, read_named, read_what_serves
from airflow_sm_rollout.aws.soon import ask_soon
from airflow_sm_rollout.aws.whole import read
from airflow_sm_rollout.core.actions import (
    Action,
    CreateConfig,
    CreateModel,
    CreateRecord,
    DeleteAlarms,
    DeleteConfig,
    DeleteModel,
    PutAlarms,
    UpdateRecord,
)
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.converge import is_decided_by_pointer, needs
from airflow_sm_rollout.core.errors import NotThere, RefusedByAws, RolloutGaveUp
from airflow_sm_rollout.core.found import is_used, why_other_config, why_other_model
from airflow_sm_rollout.core.goals import (
    AsBefore,
    Goal,
    GreenDeployed,
    GreenShadowed,
    GreenShare,
    OnlyGreen,
    heeds_wishes,
)
from airflow_sm_rollout.core.names import Names, pointer_name
from airflow_sm_rollout.core.observation import Alarm, Endpoint, Observation
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Rollout

_STEPS_FOLLOW, _AT_ONCE = timedelta(seconds=10), timedelta(seconds=3)
_NOTED, _LISTED = ("what is noted",), "a list"
_MAKE_NOTHING = (CreateRecord, UpdateRecord, PutAlarms, DeleteAlarms)
_CHANGE_NO_ENDPOINT = (*_MAKE_NOTHING, CreateModel, CreateConfig, DeleteConfig, DeleteModel)
_BLUE_TELLS = 3.0  # seconds, in which SageMaker has to say that blue is gone, while clients wait for the way back
_T = TypeVar("_T")


def utc_now() -> datetime:
    """AWS's time, as far as the answers that this process has had tell it."""
    return MACHINE.now()


class AwsWorld:
    """One endpoint, its rollout and their surroundings on AWS.

    :param clients: boto3 clients.
    :param endpoint_name: the endpoint.
    :param rollout_id: whose rollout it is; another's surroundings are not read.
    :param now: the machine's clock; what is compared is AWS's time, as its answers tell it.
    :ivar record: the rollout as it was last read; ``None``: it is not in progress, or was not looked at yet.
    """

    def __init__(
        self, clients: Clients, endpoint_name: str, rollout_id: str, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.clients = clients
        self.endpoint_name = endpoint_name
        self.rollout_id = rollout_id
        self.record: Rollout | None = None
        self._clock = MACHINE if now is utc_now else Clock(now)
        self._kept = Kept(self._clock.now)
        self._has_acted = False
        self._known: set[str] = set()
        self._seen: Rollout | None = None

    def now(self) -> datetime:
        """AWS's time. Where no answer has told it yet, AWS is asked something."""
        if not self._clock.has_heard:
            with listening(self._clock), suppress(*AWS_ERRORS):
                read_record(self.clients.ssm, self.endpoint_name)
        return self._clock.now()

    def is_past(self, deadline: datetime) -> bool:
        """See :class:`~airflow_sm_rollout.core.advance.World`."""
        return self._clock.now() >= deadline

    def read_record(self) -> Rollout | None:
        """Whoever holds the endpoint, by the record."""
        return self._take(read_record(self.clients.ssm, self.endpoint_name))

    def _take(self, record: Rollout | None) -> Rollout | None:
        self.record = record if record is not None and record.rollout_id == self.rollout_id else None
        self._seen = self.record or self._seen
        return record

    def _read_noted(self, goal: Goal) -> tuple[Rollout | None, Control | None, Mapping[str, Any]]:
        """The record, what is wished, and the live pointer as a parameter, in one call. Where no wish counts nothing is asked that could be
        denied.
        """
        if not heeds_wishes(goal):
            return self.read_record(), None, {}
        names = Names(self.endpoint_name, self.rollout_id)
        asked = names.record, names.control, names.pointer
        found = self._read_once(_NOTED, lambda: read_parameters(self.clients.ssm, asked))
        record = self._take(record_of(found[names.record], names.record) if names.record in found else None)
        wished = control_of(found[names.control], names.control, self.rollout_id) if names.control in found else None
        return record, wished, found

    def _read_once(self, asked: tuple[str, ...], read: Callable[[], _T]) -> _T:
        """What one step has read and not changed, the step that follows at once does not read again."""
        return self._kept.read(asked, read, _AT_ONCE)

    def observe(self, goal: Goal) -> Observation:
        """See :class:`~airflow_sm_rollout.core.advance.World`."""
        if isinstance(goal, AsBefore):
            self._kept.forget()  # at its end all has to be as before, whatever was deleted a moment ago
        if not self._has_acted or isinstance(goal, OnlyGreen):
            # Who looks again without having done anything waits for something new. And that green is promoted is said of what stands now.
            self._kept.forget(_may_change)
        self._has_acted = False
        with translated_errors("could not look"), listening(self._clock):
            record, control, found = self._read_noted(goal)
            planned = None if isinstance(goal, GreenShare) else goal.rollout
            rollout = record or planned
            if rollout is None or rollout.rollout_id != self.rollout_id:
                pointer = self._pointer_in(found, goal)
                endpoint = self._read_unheld(pointer, rollout)
                return Observation(self._clock.now(), endpoint, record, pointer=pointer)
            pointer = self._read_pointer(rollout, found, goal)
            if record is not None and self._is_pointer_all(goal, rollout, pointer):
                return Observation(
                    self._clock.now(), None, record, control=control, pointer=pointer, is_pointer_all=True
                )
            return replace(self._observe_needed(goal, rollout, record, pointer), control=control)

    def _read_unheld(self, pointer: Pointer | None, other: Rollout | None) -> Endpoint | None:
        """What serves where no record of this rollout is, told as this process has last seen the rollout."""
        known, name = self._seen or other, live_name(pointer, self.endpoint_name)
        if known is not None:
            return read_what_serves(self.clients.sagemaker, name, known)
        return read_named(self.clients.sagemaker, name)

    def _is_pointer_all(self, goal: Goal, rollout: Rollout, pointer: Pointer | None) -> bool:
        """Whether clients can be sent back to blue before anything else is known. What AWS does not tell at once keeps nobody on green."""
        if not is_decided_by_pointer(goal, rollout, pointer):
            return False
        if not isinstance(goal, AsBefore):
            return True
        try:
            blue = ask_soon(lambda: read_endpoint(self.clients.sagemaker, rollout.blue_endpoint_name), _BLUE_TELLS)
        except (*AWS_ERRORS, TimeoutError):
            return True
        return blue is not None and blue.answers

    def _pointer_in(self, found: Mapping[str, Any], goal: Goal) -> Pointer | None:
        if not heeds_wishes(goal):
            return read_pointer(self.clients.ssm, self.endpoint_name)
        name = pointer_name(self.endpoint_name)
        return pointer_of(found[name], name) if name in found else None

    def _read_pointer(self, rollout: Rollout, found: Mapping[str, Any], goal: Goal) -> Pointer | None:
        if rollout.plan.function is not None or not rollout.traffic.has_pointer:
            return read_pointer_of(self.clients, rollout, self._clock.now())
        return self._pointer_in(found, goal)

    def _read_endpoint(self, name: str, goal: Goal, rollout: Rollout) -> Endpoint | None:
        """An endpoint of the rollout's own is looked for, until it has been seen, in a way in which it is no error that there is none."""
        is_awaited = isinstance(goal, GreenDeployed) and name not in self._known
        if is_awaited and self.rollout_id in name and not self._is_listed("DescribeEndpoint", name):
            return None
        found = self._read_once(
            ("DescribeEndpoint", name), lambda: read_what_serves(self.clients.sagemaker, name, rollout)
        )
        self._known |= {name} if found else set()
        return found

    def _observe_needed(
        self, goal: Goal, rollout: Rollout, record: Rollout | None, pointer: Pointer | None
    ) -> Observation:
        two = rollout.traffic.has_pointer
        endpoint = self._read_endpoint(rollout.blue_endpoint_name, goal, rollout)
        green_endpoint = self._read_endpoint(rollout.green_endpoint_name, goal, rollout) if two else None
        needed = needs(goal, rollout, green_endpoint if two else endpoint)
        return Observation(
            at=self._clock.now(),
            endpoint=endpoint,
            record=record,
            configs=self._read_configs(needed.configs, goal, rollout),
            models=frozenset(name for name in needed.models if self._is_there(name, goal, rollout)),
            pointer=pointer,
            green_endpoint=green_endpoint,
            scaling=read_scaling(self.clients.autoscaling, needed.targets),
            front=read_front(self.clients.functions, rollout) if needed.front else None,
            backlogs=read_backlogs(self.clients.cloudwatch, needed.queues, self._clock.now()),
            deployments=read_deployments(self.clients.codedeploy, rollout) if needed.deployments else None,
            # Last, so that the least time is between what they say and a step that gives green more.
            alarms=self._read_alarms(needed.alarms, goal, rollout),
        )

    def perform(self, action: Action) -> None:
        """See :class:`~airflow_sm_rollout.core.advance.World`."""
        with translated_errors(f"could not {action}"), listening(self._clock):
            self._has_acted = True
            self._forget(action)
            try:
                perform(action, self.clients)
            except ClientError as error:
                if meaning_of(error) is not Meaning.GONE:
                    raise
                raise NotThere(f"could not {action}: {describe(error)}") from error

    def _forget(self, action: Action) -> None:
        """Forget what it may change."""
        if not isinstance(action, _CHANGE_NO_ENDPOINT):
            self._kept.forget(_may_change)
        if isinstance(action, (CreateRecord, UpdateRecord)):
            self._kept.forget(lambda asked: asked == _NOTED)
        if not isinstance(action, _MAKE_NOTHING):
            made = {
                getattr(action, "name", ""),
                *((action.rollout.green_model_name,) if isinstance(action, CreateModel) else ()),
            }
            self._kept.forget(lambda asked: asked[0] == _LISTED or not made.isdisjoint(asked))

    def _read_configs(self, names: Iterable[str], goal: Goal, rollout: Rollout) -> dict[str, datetime]:
        """When each was made, of those that are what the rollout means; another of that name is neither used nor deleted."""
        found: dict[str, datetime] = {}
        for name in names:
            described = self._describe("DescribeEndpointConfig", "EndpointConfigName", name, goal)
            if described is None:
                continue
            serves = is_used(name, goal, rollout)
            why = why_other_config(name, config_of(described), rollout, is_to_serve=serves)
            if not why:
                found[name] = moment_of(described, "CreationTime", f"endpoint config {name}")
            elif serves:
                raise RolloutGaveUp(
                    f"endpoint config {name} is another than the rollout's: {why}. Delete it, and try again"
                )
        return found

    def _read_alarms(self, names: Sequence[str], goal: Goal, rollout: Rollout) -> tuple[Alarm, ...]:
        """The rollout's own as they are only if they are as it makes them: deploying puts them right, and somebody else's stay."""
        asked = names, rollout.green_traffic_since, self.clients.flaps_seen
        alarms = cloudwatch.read_alarms(self.clients.cloudwatch, *asked)
        is_own_there = any(alarm.name in rollout.own_alarms and alarm.state != "MISSING" for alarm in alarms)
        if not is_own_there or not isinstance(goal, (GreenDeployed, AsBefore)):
            return alarms
        unlike = read_unlike(self.clients.cloudwatch, rollout)
        theirs = [name for name, is_greens in unlike.items() if not is_greens]
        if theirs and isinstance(goal, GreenDeployed):
            raise RolloutGaveUp(
                f"alarm {theirs[0]} is another than the rollout's: it is not about green. Delete it, and try again"
            )
        passed_over = unlike if isinstance(goal, GreenDeployed) else theirs
        return tuple(Alarm(alarm.name, "MISSING") if alarm.name in passed_over else alarm for alarm in alarms)

    def _is_there(self, name: str, goal: Goal, rollout: Rollout) -> bool:
        model = self._describe("DescribeModel", "ModelName", name, goal)
        if model is None:
            return False
        is_made = rollout.green.is_made_by_rollout and name == rollout.green_model_name
        why = why_other_model(model, rollout) if is_made else ""
        if why and isinstance(goal, (GreenDeployed, GreenShadowed)):
            raise RolloutGaveUp(f"model {name} is another than the rollout's: {why}. Delete it, and try again")
        return not why

    def _describe(self, operation: str, member: str, name: str, goal: Goal) -> dict[str, Any] | None:
        """A config or model, which AWS lets nobody change: between two steps forward that follow each other it is not read again."""

        def describe_one() -> dict[str, Any] | None:
            return if_found(lambda: read(self.clients.sagemaker, operation, **{member: name}))

        if self.rollout_id in name and not isinstance(goal, AsBefore) and not self._is_listed(operation, name):
            return None
        return self._kept.read((operation, name), describe_one, _STEPS_FOLLOW)

    def _is_listed(self, described_by: str, name: str) -> bool:
        """Whether it may be there. On the way back that is not asked: a list may be late."""
        names = self._kept.read(
            (_LISTED, described_by),
            lambda: read_names(self.clients.sagemaker, described_by, self.rollout_id),
            _STEPS_FOLLOW,
        )
        return names is None or name in names


def _may_change(asked: tuple[Any, ...]) -> bool:
    """Whether somebody else may change it at any time."""
    return asked == _NOTED or asked[0] == "DescribeEndpoint"


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """AWS's errors as the loop knows them."""
    try:
        yield
    except AWS_ERRORS as error:
        if meaning_of(error) in (Meaning.REFUSED, Meaning.DENIED):
            raise RefusedByAws(f"{what}: {describe(error)}") from error
        raise Passing(f"{what} just now: {describe(error)}") from error
