"""Reads the Lambda function in front of an endpoint, and reads and writes its alias."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.errors import if_found, meaning_of
from airflow_sm_rollout.core.actions import PutAlias
from airflow_sm_rollout.core.front.alias import Alias, is_written_by, pointer_of_alias
from airflow_sm_rollout.core.front.version import Front, FunctionVersion, Provisioned
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Rollout


def read_alias(client: Any, place: FunctionAlias) -> Alias | None:
    """An alias; ``None``: there is none of that name, or no such function."""
    answer = if_found(lambda: client.get_alias(FunctionName=place.function, Name=place.alias))
    if answer is None:
        return None
    weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    version, revision = (told(answer, each, str(place)) for each in ("FunctionVersion", "RevisionId"))
    return Alias(version, weights, answer.get("Description") or "", revision)


def read_version(client: Any, place: FunctionAlias, number: str) -> FunctionVersion | None:
    """A version; ``None``: there is none of that number."""
    found = if_found(lambda: client.get_function_configuration(FunctionName=place.function, Qualifier=number))
    return None if found is None else FunctionVersion(found)


def read_alias_pointer(client: Any, rollout: Rollout, now: datetime) -> Pointer | None:
    """The alias of a rollout as its live pointer.

    What the rollout has written itself is known without a second call, so that no other answer comes before the way back.

    :param now: see :func:`~airflow_sm_rollout.core.front.alias.pointer_of_alias`.
    """
    place = rollout.plan.function
    alias = read_alias(client, place) if place else None
    if place is None or alias is None:
        return None
    known = {rollout.blue.function_version: rollout.blue_endpoint_name}
    if is_written_by(alias, rollout.rollout_id):
        greens = dict.fromkeys((alias.version, *alias.weights), rollout.green_endpoint_name)
        return pointer_of_alias(alias, {**greens, **_texts(known)}, now)
    return pointer_of_alias(alias, {**read_endpoints(client, place, alias), **_texts(known)}, now)


def read_endpoints(client: Any, place: FunctionAlias, alias: Alias) -> dict[str, str]:
    """The endpoints that an alias's versions call, by the versions' numbers; those are left out that name none."""
    versions = (read_version(client, place, number) for number in (alias.version, *alias.weights))
    named = {version.number: version.variables.get(place.variable) for version in versions if version}
    return {number: endpoint for number, endpoint in named.items() if endpoint}


def read_front(client: Any, rollout: Rollout) -> Front | None:
    """The function as a rollout has to know it; ``None``: there is none."""
    place = rollout.plan.function
    latest = if_found(lambda: client.get_function_configuration(FunctionName=place.function)) if place else None
    if place is None or latest is None:
        return None
    blue = rollout.blue
    green, name = rollout.green_endpoint_name, blue.function_version or ""
    published = (each for each in _versions(client, place) if each.variables.get(place.variable) == green)
    number = next((each.number for each in published), None)  # a list does not tell whether it is ready
    front = Front(
        FunctionVersion(latest),
        read_version(client, place, name),
        read_version(client, place, number) if number else None,
        provisioned=read_provisioned(client, place, number) if number and blue.function_provisioned else None,
    )
    return front if front.blue else replace(front, in_place=_read_in_place(client, rollout, place, front.green))


def _read_in_place(
    client: Any, rollout: Rollout, place: FunctionAlias, green: FunctionVersion | None
) -> FunctionVersion | None:
    """The newest version that calls blue's endpoint, and that somebody has let the alias call or that is green's otherwise. Others call
    that endpoint, too, with the function's older code.
    """
    alias = read_alias(client, place)
    called = {alias.version, *alias.weights} if alias else set()
    blues = (
        each
        for each in _versions(client, place)
        if each.variables.get(place.variable) == rollout.blue_endpoint_name
        and (each.number in called or (green is not None and not each.differences(green, place.variable)))
    )
    return max(blues, key=lambda each: int(each.number), default=None)


def read_provisioned(client: Any, place: FunctionAlias, qualifier: str) -> Provisioned | None:
    """What is provisioned of the concurrency of an alias or a version; ``None``: nothing, or AWS does not tell who asks."""
    asked = {"FunctionName": place.function, "Qualifier": qualifier}
    try:
        found = if_found(lambda: client.get_provisioned_concurrency_config(**asked))
    except ClientError as error:
        if meaning_of(error) is Meaning.DENIED:
            return None
        raise
    if found is None:
        return None
    count = told(found, "RequestedProvisionedConcurrentExecutions", f"{qualifier} of function {place.function}")
    return Provisioned(count, found.get("Status") or "READY", found.get("StatusReason") or "")


def write_alias(client: Any, action: PutAlias) -> None:
    """Send the alias's calls elsewhere, in one call, unless somebody else has written it since it was seen.

    Where none was seen it is made, which AWS refuses if there is one by now.
    """
    place = action.place
    change = {
        "FunctionVersion": action.version,
        "Description": action.description,
        "RoutingConfig": {"AdditionalVersionWeights": dict(action.weights)},  # an empty map takes the second one away
    }
    if action.replaces:
        client.update_alias(FunctionName=place.function, Name=place.alias, **change, RevisionId=action.replaces)
    else:
        client.create_alias(FunctionName=place.function, Name=place.alias, **change)


def _versions(client: Any, place: FunctionAlias) -> Iterator[FunctionVersion]:
    for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=place.function):
        yield from (FunctionVersion(each) for each in page.get("Versions") or () if each.get("Version") != "$LATEST")


def _texts(known: Mapping[str | None, str]) -> dict[str, str]:
    return {number: endpoint for number, endpoint in known.items() if number}
