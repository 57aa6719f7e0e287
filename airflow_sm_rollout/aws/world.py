"""AWS as the loop's world: reads for each goal just what its decision needs, and does what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from airflow_sm_rollout.aws import cloudwatch
from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.blue import config_of
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.clock import MACHINE, Clock, listening
from airflow_sm_rollout.aws.control import control_of
from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe, if_found, meaning_of
from airflow_sm_rollout.aws.front import read_front
from airflow_sm_rollout.aws.live import live_name, read_pointer, read_pointer_of
from airflow_sm_rollout.aws.own_alarms import read_unlike
from airflow_sm_rollout.aws.parameters import read_parameters
from airflow_sm_rollout.aws.perform import perform
from airflow_sm_rollout.aws.record import read_record, record_of
from airflow_sm_rollout.aws.scaling import read_scaling
from airflow_sm_rollout.aws.soon import ask_soon
from airflow_sm_rollout.aws.whole import read
from airflow_sm_rollout.core.actions import Action, CreateModel
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.converge import is_decided_by_pointer, needs
from airflow_sm_rollout.core.errors import NotThere, RefusedByAws, RolloutGaveUp
from airflow_sm_rollout.core.found import is_used, why_other_config, why_other_model
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShadowed, GreenShare, heeds_wishes
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Alarm, Endpoint, Observation, Pending, Variant
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Rollout

_STEPS_FOLLOW = timedelta(seconds=10)
_BLUE_TELLS = 3.0  # seconds, in which SageMaker has to say that blue is gone, while clients wait for the way back


def utc_now() -> datetime:
    """AWS's time, as far as the answers that this process has had tell it."""
    return MACHINE.now()


class AwsWorld:
    """One endpoint, its rollout and their surroundings on AWS.

    :param clients: boto3 clients.
    :param endpoint_name: the endpoint.
    :param rollout_id: whose rollout it is; another's surroundings are not read.
    :param now: the machine's clock; what is compared is AWS's time, as its answers tell it.
    :ivar flaps_seen: what alarms' histories have told, which are not read again for it.
    :ivar record: the rollout as it was last read; ``None``: it is not in progress, or was not looked at yet.
    """

    def __init__(
        self, clients: Clients, endpoint_name: str, rollout_id: str, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.clients = clients
        self.endpoint_name = endpoint_name
        self.rollout_id = rollout_id
        self.record: Rollout | None = None
        self.flaps_seen: cloudwatch.FlapsSeen = {}
        self._described: dict[tuple[str, str], tuple[datetime, dict[str, Any] | None]] = {}
        self._clock = MACHINE if now is utc_now else Clock(now)

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
        return record

    def _read_noted(self, goal: Goal) -> tuple[Rollout | None, Control | None]:
        """The record and what is wished, in one call. Where no wish counts nothing is asked that could be denied."""
        if not heeds_wishes(goal):
            return self.read_record(), None
        names = Names(self.endpoint_name, self.rollout_id)
        found = read_parameters(self.clients.ssm, [names.record, names.control])
        record = self._take(record_of(found[names.record], names.record) if names.record in found else None)
        wished = control_of(found[names.control], names.control, self.rollout_id) if names.control in found else None
        return record, wished

    def observe(self, goal: Goal) -> Observation:
        """See :class:`~airflow_sm_rollout.core.advance.World`."""
        if isinstance(goal, AsBefore):
            self._described.clear()  # at its end all has to be as before, whatever was deleted a moment ago
        with translated_errors("could not look"), listening(self._clock):
            record, control = self._read_noted(goal)
            planned = None if isinstance(goal, GreenShare) else goal.rollout
            rollout = record or planned
            if rollout is None or rollout.rollout_id != self.rollout_id:
                pointer = read_pointer(self.clients.ssm, self.endpoint_name)
                name = live_name(pointer, self.endpoint_name)
                endpoint = read_endpoint(self.clients.sagemaker, name)
                return Observation(self._clock.now(), endpoint, record, pointer=pointer)
            pointer = read_pointer_of(self.clients, rollout, self._clock.now())
            if record is not None and self._is_pointer_all(goal, rollout, pointer):
                return Observation(
                    self._clock.now(), None, record, control=control, pointer=pointer, is_pointer_all=True
                )
            return replace(self._observe_needed(goal, rollout, record, pointer), control=control)

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

    def _observe_needed(
        self, goal: Goal, rollout: Rollout, record: Rollout | None, pointer: Pointer | None
    ) -> Observation:
        sagemaker, two = self.clients.sagemaker, rollout.traffic.has_pointer
        endpoint = read_endpoint(sagemaker, rollout.blue_endpoint_name)
        green_endpoint = read_endpoint(sagemaker, rollout.green_endpoint_name) if two else None
        needed = needs(goal, rollout, green_endpoint if two else endpoint)
        return Observation(
            at=self._clock.now(),
            endpoint=endpoint,
            record=record,
            configs=self._read_configs(needed.configs, goal, rollout),
            models=frozenset(name for name in needed.models if self._is_there(name, goal, rollout)),
            alarms=self._read_alarms(needed.alarms, goal, rollout),
            pointer=pointer,
            green_endpoint=green_endpoint,
            scaling=read_scaling(self.clients.autoscaling, needed.targets),
            front=read_front(self.clients.functions, rollout) if needed.front else None,
        )

    def perform(self, action: Action) -> None:
        """See :class:`~airflow_sm_rollout.core.advance.World`."""
        with translated_errors(f"could not {action}"), listening(self._clock):
            self._forget(action)
            try:
                perform(action, self.clients)
            except ClientError as error:
                if meaning_of(error) is not Meaning.GONE:
                    raise
                raise NotThere(f"could not {action}: {describe(error)}") from error

    def _forget(self, action: Action) -> None:
        """It changes what was described, if it makes or deletes that."""
        made = {getattr(action, "name", "")}
        if isinstance(action, CreateModel):
            made.add(action.rollout.green_model_name)
        self._described = {key: found for key, found in self._described.items() if key[1] not in made}

    def _read_configs(self, names: Iterable[str], goal: Goal, rollout: Rollout) -> dict[str, datetime]:
        """When each was made, of those that are what the rollout means; another of that name is neither used nor deleted."""
        found: dict[str, datetime] = {}
        for name in names:
            described = self._describe("DescribeEndpointConfig", "EndpointConfigName", name)
            if described is None:
                continue
            serves = is_used(name, goal, rollout)
            why = why_other_config(name, config_of(described), rollout, is_to_serve=serves)
            if not why:
                found[name] = _moment(told(described, "CreationTime", f"endpoint config {name}"))
            elif serves:
                raise RolloutGaveUp(
                    f"endpoint config {name} is another than the rollout's: {why}. Delete it, and try again"
                )
        return found

    def _read_alarms(self, names: Sequence[str], goal: Goal, rollout: Rollout) -> tuple[Alarm, ...]:
        """The rollout's own as they are only if they are as it makes them: deploying puts them right, and somebody else's stay."""
        alarms = cloudwatch.read_alarms(self.clients.cloudwatch, names, rollout.green_traffic_since, self.flaps_seen)
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
        model = self._describe("DescribeModel", "ModelName", name)
        if model is None:
            return False
        is_made = rollout.green.is_made_by_rollout and name == rollout.green_model_name
        why = why_other_model(model, rollout) if is_made else ""
        if why and isinstance(goal, (GreenDeployed, GreenShadowed)):
            raise RolloutGaveUp(f"model {name} is another than the rollout's: {why}. Delete it, and try again")
        return not why

    def _describe(self, operation: str, member: str, name: str) -> dict[str, Any] | None:
        """A config or model, which AWS lets nobody change: between two steps forward that follow each other it is not read again."""
        now, known = self._clock.now(), self._described.get((operation, name))
        if known is not None and now - known[0] < _STEPS_FOLLOW:
            return known[1]
        found = if_found(lambda: read(self.clients.sagemaker, operation, **{member: name}))
        self._described[operation, name] = now, found
        return found


def _moment(value: Any) -> datetime:
    """A moment as AWS writes it: in seconds."""
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value, timezone.utc)


def read_endpoint(sagemaker: Any, name: str) -> Endpoint | None:
    """The endpoint; ``None``: there is none."""
    described = if_found(lambda: sagemaker.describe_endpoint(EndpointName=name))
    if described is None:
        return None
    whose = f"endpoint {name}"
    status = told(described, "EndpointStatus", whose)
    if status == "InService":
        told(described, "ProductionVariants", whose)
    return Endpoint(
        name=described.get("EndpointName", name),
        arn=told(described, "EndpointArn", whose),
        status=status,
        config_name=described.get("EndpointConfigName", ""),
        variants=tuple(_variants(described.get("ProductionVariants", ()), status, whose)),
        last_modified=told(described, "LastModifiedTime", whose),
        failure_reason=described.get("FailureReason", ""),
        pending=_pending(described.get("PendingDeploymentSummary")),
    )


def _pending(summary: Mapping[str, Any] | None) -> Pending | None:
    if summary is None or "StartTime" not in summary:
        return None
    variants = summary.get("ProductionVariants", [])
    statuses = [status for variant in variants for status in variant.get("VariantStatus", [])]
    stages = [status.get("StatusMessage") or status.get("Status", "") for status in statuses]
    return Pending(summary.get("EndpointConfigName", ""), " ".join(stages), summary["StartTime"])


def _variants(described: Sequence[Mapping[str, Any]], status: str, whose: str) -> Iterator[Variant]:
    for each in described:
        name = told(each, "VariantName", f"a variant of {whose}")
        is_only = len(described) == 1
        if "CurrentWeight" not in each and status == "InService" and not is_only:
            raise ResponseParserError(f"AWS does not tell the weight of variant {name} of {whose}")
        weight, count = each.get("CurrentWeight", 1.0 if is_only else 0.0), each.get("CurrentInstanceCount", 0)
        yield Variant(
            name=name,
            current_weight=weight,
            desired_weight=each.get("DesiredWeight", weight),
            current_count=count,
            desired_count=each.get("DesiredInstanceCount", count),
        )


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """AWS's errors as the loop knows them."""
    try:
        yield
    except AWS_ERRORS as error:
        if meaning_of(error) in (Meaning.REFUSED, Meaning.DENIED):
            raise RefusedByAws(f"{what}: {describe(error)}") from error
        raise Passing(f"{what} just now: {describe(error)}") from error
