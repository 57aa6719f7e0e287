"""Reads what is needed to begin a rollout, and freezes it. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.blue import read_tags
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.codedeploy import read_deployments
from airflow_sm_rollout.aws.components import read_blue, read_component
from airflow_sm_rollout.aws.errors import describe, meaning_of
from airflow_sm_rollout.aws.evidence import read_thresholds, read_worst_errors
from airflow_sm_rollout.aws.front import read_alias, read_front, read_provisioned, read_version
from airflow_sm_rollout.aws.live import read_pointer
from airflow_sm_rollout.aws.models import read_model, refuse_unlike
from airflow_sm_rollout.aws.queue import read_longest_wait
from airflow_sm_rollout.aws.record import read_record, why_too_large
from airflow_sm_rollout.aws.serving import read_endpoint
from airflow_sm_rollout.aws.sight import read_watchers
from airflow_sm_rollout.aws.world import translated_errors, utc_now
from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.errors import RolloutRefused, describe_value
from airflow_sm_rollout.core.front.alias import Alias, pointer_of_alias
from airflow_sm_rollout.core.front.version import FunctionVersion
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Component, Endpoint
from airflow_sm_rollout.core.owner import is_of_run_that_is_gone
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.plan.evidence import published_every
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.pointer import Pointer, Split
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.rules.deployed import why_no_group
from airflow_sm_rollout.core.rules.published import why_unready
from airflow_sm_rollout.core.traffic import Traffic, parse_traffic
from airflow_sm_rollout.core.watch.policy import why_unprovable
from airflow_sm_rollout.core.watch.ringing import describe_harm
from airflow_sm_rollout.core.watch.sight import describe_blind, is_judged_otherwise, why_blind
from airflow_sm_rollout.core.watch.sources import BASELINE, THRESHOLDS_FROM

_ALARM_ARN = re.compile(r"arn:[^:]*:cloudwatch:(?P<region>[^:]*):[^:]*:alarm:(?P<name>.+)")


def plan_rollout(
    clients: Clients,
    names: Names,
    owner: Mapping[str, str],
    green: Green,
    plan: Plan,
    now: datetime | None = None,
    *,
    tell: Callable[[str], object] = str,
) -> Rollout:
    """A rollout ready to begin; or, if it has begun already (a retry, a cleared task), as it was recorded then.

    :param now: when it begins; by default now, by AWS's clock, which the first answer tells.
    :param tell: takes a sentence for a person on what the plan can do less well than it looks.

    :raises RolloutRefused: if it can't begin, with the reason; nothing was changed.
    :raises PlanError: if its way to split traffic can't do what is planned.
    """
    validate_plan(plan)
    with translated_errors("could not plan the rollout, nothing was changed"):
        record = read_record(clients.ssm, names.endpoint)
        if record is not None and record.rollout_id == names.rollout_id:
            _refuse_another_begin(record, owner, green, plan)
            return record
        if record is not None:
            raise RolloutRefused(
                f"endpoint {names.endpoint} is held by {record.describe_owner()}. {record.how_to_end()}"
            )
        with _refusing_what_is_gone():
            rollout = _read_rollout(clients, names, owner, green, plan, now or utc_now())
            _refuse_unready(clients, rollout)
            _refuse_blind(clients, rollout, tell)
            return rollout


def _refuse_another_begin(record: Rollout, owner: Mapping[str, str], green: Green, plan: Plan) -> None:
    """What is recorded is this rollout only if the same task has begun it, and of the same model and plan.

    A run that is cleared may be about another model, since its training task has run again. A run of the same name may be gone.
    """
    end = (
        f"To end it: sm-rollout rollback {record.endpoint_name}, or clear the task that settles it. Then clear this one"
    )
    if is_of_run_that_is_gone(record.owner, owner):
        raise RolloutRefused(
            f"endpoint {record.endpoint_name} is held by {record.describe_owner()}, by a DAG run of the same name that was deleted. {end}"
        )
    # As it is read from a record; and what a person has said of the way back since is no other plan.
    asked = from_json(to_json(replace(record, green=green, plan=replace(plan, on_drift=record.plan.on_drift))))
    for then, now in ((record.green, asked.green), (record.plan, asked.plan)):
        for option in (each.name for each in fields(then) if getattr(then, each.name) != getattr(now, each.name)):
            begun, said = getattr(then, option), getattr(now, option)
            raise RolloutRefused(
                f"an earlier try of this DAG run has begun {record.describe_owner()}, with {option}={begun!r}; now it is {said!r}. {end}"
            )


@contextmanager
def _refusing_what_is_gone() -> Iterator[None]:
    """An endpoint may serve on though its config was deleted; no rollback could lead back to that."""
    try:
        yield
    except ClientError as error:
        if meaning_of(error) is not Meaning.GONE:
            raise
        raise RolloutRefused(
            f"what blue stands on is not there (deleted?): {describe(error)}. Nothing was changed"
        ) from error


def _read_rollout(
    clients: Clients, names: Names, owner: Mapping[str, str], green: Green, plan: Plan, now: datetime
) -> Rollout:
    traffic = parse_traffic(plan.traffic)
    alias = _read_alias(clients, plan.function) if plan.function else None
    pointer = alias.pointer(now) if alias else read_pointer(clients.ssm, names.endpoint)
    endpoint = _read_live_endpoint(clients, _Where(names, traffic, plan.function), pointer)
    if endpoint.config_name == names.final_config:
        raise RolloutRefused(
            f"this DAG run has promoted its model already: {endpoint.describe()}. Start a new rollout with a new DAG run"
        )
    blue = read_blue(clients, endpoint, traffic, green)
    if traffic.has_pointer:
        blue = _with_pointer(blue, clients, endpoint, pointer)
    blue = replace(blue, **alias.members) if alias else blue
    blues = traffic.dimensions_before(endpoint.name, blue.variant)
    return Rollout(
        endpoint_name=names.endpoint,
        rollout_id=names.rollout_id,
        owner=owner,
        started_at=now,
        blue=blue,
        green=green,
        plan=plan,
        thresholds=read_thresholds(clients.cloudwatch, blues, now - THRESHOLDS_FROM, now),
        **_read_worst(clients.cloudwatch, blue, blues, plan.default_alarms, now),
        metric_period_seconds=published_every(blue.config),
    )


def _read_worst(
    cloudwatch: Any, blue: Blue, dimensions: Mapping[str, str], alarms: AlarmDefaults | None, now: datetime
) -> dict[str, Any]:
    """What blue's worst was in the hours before, where alarms are made that heed it."""
    if alarms is None:
        return {}
    is_queued = blue.is_asynchronous
    errors = read_worst_errors(cloudwatch, dimensions, now, alarms.min_requests, is_queued=is_queued)
    wait = read_longest_wait(cloudwatch, dimensions, now - BASELINE, now) if is_queued else None
    return {"worst_errors": errors, "worst_wait_seconds": wait}


@dataclass(frozen=True, slots=True)
class _Where:
    """Where it is looked up which endpoint serves."""

    names: Names
    traffic: Traffic
    function: FunctionAlias | None

    def __str__(self) -> str:
        return str(self.function or f"the live pointer {self.names.pointer}")


@dataclass(frozen=True, slots=True)
class _AliasSeen:
    """An alias that sends all calls to one version."""

    alias: Alias
    version: FunctionVersion
    endpoint_name: str
    provisioned: int | None = None

    @property
    def members(self) -> dict[str, Any]:
        """What of it is recorded with blue."""
        return {
            "function_version": self.alias.version,
            "function_timeout": self.version.timeout,
            "function_provisioned": self.provisioned,
        }

    def pointer(self, now: datetime) -> Pointer:
        return pointer_of_alias(self.alias, {self.alias.version: self.endpoint_name}, now)


def _read_alias(clients: Clients, place: FunctionAlias) -> _AliasSeen:
    alias = read_alias(clients.functions, place)
    if alias is None:
        raise RolloutRefused(f"there is no {place}, or no such function. Nothing was changed")
    if alias.weights or alias.version == "$LATEST":
        to = f"versions {' and '.join((alias.version, *alias.weights))}"
        raise RolloutRefused(
            f"{place} calls {to}, and a rollout begins at one published version. Point it at the one that is blue. Nothing was changed"
        )
    version = read_version(clients.functions, place, alias.version)
    endpoint = version.variables.get(place.variable) if version else None
    if version is None or not endpoint:
        raise RolloutRefused(
            f"version {alias.version} of function {place.function}, which alias {place.alias} calls, has no environment variable "
            f"{place.variable} that names the endpoint. Give variable= the name of the one that does. Nothing was changed"
        )
    if read_provisioned(clients.functions, place, place.alias):
        raise RolloutRefused(
            f"{place} has provisioned concurrency, and AWS lets no such alias call two versions. Provision version {alias.version} "
            "instead: the rollout provisions as much for green's. Nothing was changed"
        )
    warm = read_provisioned(clients.functions, place, alias.version)
    return _AliasSeen(alias, version, endpoint, warm.count if warm else None)


def _read_component(clients: Clients, name: str) -> Component:
    component = read_component(clients.sagemaker, name, None)
    if component is None:
        raise RolloutRefused(
            f"endpoint_name={name!r}: there is no such inference component, which is what it names with traffic='components'. "
            "A rollout replaces a model that serves; create the first one yourself"
        )
    return component


def _read_live_endpoint(clients: Clients, where: _Where, pointer: Pointer | None) -> Endpoint:
    """The endpoint that clients call by this name: the one of that name, unless a live pointer names another."""
    name, traffic = where.names.endpoint, where.traffic
    if traffic.has_component:
        return _read_component(clients, name)
    split = pointer.split if pointer else Split(name)
    if split is None:
        raise RolloutRefused(f"{where} is not readable: it names no endpoint. Nothing was changed")
    if split.green:
        raise RolloutRefused(
            f"{where} names {split}, and no rollout in progress has written that. Point it at the one that is blue. Nothing was changed"
        )
    live = split.endpoint_name
    if live != name and not traffic.has_pointer:
        raise RolloutRefused(
            f"traffic={traffic.name!r}: {name} is a logical name, {where} names endpoint {live}. "
            f"Use traffic='endpoints', or endpoint_name={live!r}. Nothing was changed"
        )
    endpoint = read_endpoint(clients.sagemaker, live)
    if endpoint is None:
        raise RolloutRefused(
            f"endpoint_name={live!r}: there is no such endpoint. "
            "A rollout replaces a model that serves; create the first one yourself"
        )
    return endpoint


def _with_pointer(blue: Blue, clients: Clients, endpoint: Endpoint, pointer: Pointer | None) -> Blue:
    return replace(
        blue,
        endpoint_name=endpoint.name,
        endpoint_tags=read_tags(clients.sagemaker, endpoint.arn),
        pointer=pointer.text if pointer else None,
        pointer_version=pointer.version if pointer else 0,
    )


def _refuse_unready(clients: Clients, rollout: Rollout) -> None:
    """What can be known to fail is refused before the first effect; deploying asks again right before it."""
    unsuited = rollout.traffic.why_unsuited(rollout)
    if unsuited:
        raise RolloutRefused(f"traffic={rollout.plan.traffic!r}: {unsuited}. Nothing was changed")
    unprovable = why_unprovable(rollout)
    if unprovable:
        raise RolloutRefused(f"{unprovable}. Nothing was changed")
    too_large = why_too_large(rollout)
    if too_large:
        raise RolloutRefused(f"the rollout can't be recorded: {too_large}. Nothing was changed")
    _refuse_function(clients, rollout)
    _refuse_group(clients, rollout)
    _refuse_without_models(clients.sagemaker, rollout)
    _refuse_arns(rollout.plan.alarms, clients.cloudwatch.meta.region_name)
    for alarm in read_alarms(clients.cloudwatch, rollout.plan.alarms, None):
        harm = describe_harm([alarm], None)
        if harm:
            raise RolloutRefused(f"alarms={describe_value(list(rollout.plan.alarms))}: {harm}. Nothing was changed")


def _refuse_function(clients: Clients, rollout: Rollout) -> None:
    place = rollout.plan.function
    why = why_unready(place, read_front(clients.functions, rollout), (rollout.blue_endpoint_name,)) if place else ""
    if why:
        raise RolloutRefused(f"{why}. Nothing was changed")


def _refuse_group(clients: Clients, rollout: Rollout) -> None:
    if rollout.traffic.has_deployment:
        why = why_no_group(rollout, read_deployments(clients.codedeploy, rollout))
        if why:
            raise RolloutRefused(f"{why}. Nothing was changed")


def _refuse_without_models(sagemaker: Any, rollout: Rollout) -> None:
    """Blue's model is in the config that has both, green's may be made like it, and a rollback needs it: AWS lets one be deleted that
    an endpoint still runs, and refuses every config that names it from then on.
    """
    name = rollout.green.model_name
    if name and read_model(sagemaker, name) is None:
        raise RolloutRefused(f"model_name={name!r}: there is no such SageMaker model. Nothing was changed")
    blue = read_model(sagemaker, rollout.blue.model_name)
    if blue is None:
        raise RolloutRefused(
            f"blue's model {rollout.blue.model_name} was deleted; endpoint {rollout.blue_endpoint_name} serves on without it, but no "
            "config can name it any more, so there would be no way back. Create a model of that name as it was, or update the endpoint "
            "to a config whose model exists. Nothing was changed"
        )
    if rollout.green.is_made_by_rollout:
        refuse_unlike(sagemaker, blue, rollout.green)


def _refuse_arns(alarms: Sequence[str], region: str) -> None:
    for arn in filter(None, map(_ALARM_ARN.fullmatch, alarms)):
        what = (
            f"it is in {arn['region']} and the endpoint in {region}, where no alarm of another Region is seen: make one there"
            if arn["region"] != region
            else f"that is an ARN, and alarms are named by their names: {arn['name']!r}"
        )
        raise RolloutRefused(f"alarms={describe_value(list(alarms))}: {arn[0]}: {what}. Nothing was changed")


def _refuse_blind(clients: Clients, rollout: Rollout, tell: Callable[[str], object]) -> None:
    """An alarm that can't see green is none. Where no other one and nothing else can, green would be promoted unwatched."""
    watchers = read_watchers(clients.cloudwatch, rollout.plan.alarms)
    reasons = {watcher.name: why_blind(watcher, rollout) for watcher in watchers}
    blind = {name: why for name, why in reasons.items() if why}
    if not blind:
        return
    described = describe_blind(blind, rollout)
    if len(blind) < len(reasons) or is_judged_otherwise(rollout):
        tell(described)
        return
    raise RolloutRefused(
        f"alarms={describe_value(list(rollout.plan.alarms))}: nothing would watch green: {described}. Nothing was changed"
    )
