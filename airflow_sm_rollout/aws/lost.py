"""Finds what is left of rollouts that have no record any more. Changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.errors import if_found, meaning_of
from airflow_sm_rollout.aws.live import read_pointer
from airflow_sm_rollout.aws.previous import read_previous
from airflow_sm_rollout.aws.serving import read_endpoint
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.lost import Rests, find_unrecorded, find_unrecorded_endpoints
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Endpoint

_log = logging.getLogger(__name__)


def read_rests(clients: Clients, endpoint_name: str, endpoint: Endpoint | None) -> list[Rests]:
    """What is left of rollouts of an endpoint whose record is not there.

    What gives them away are names that no rollout leaves behind: the config that the endpoint is on, its alarms, and an endpoint of green's
    that no promotion has left.

    :param endpoint: the one that clients call.
    """
    alarms = _read_own_alarms(clients, endpoint_name)
    named = find_unrecorded(endpoint_name, [*alarms, *([endpoint.config_name] if endpoint else [])])
    return [_read_one(clients, each, alarms) for each in dict.fromkeys([*named, *_read_beside(clients, endpoint_name)])]


def _read_beside(clients: Clients, endpoint_name: str) -> list[Names]:
    """By green's endpoints. Who may not list endpoints sees what the rest gives away."""
    try:
        made = _list_endpoints(clients.sagemaker, endpoint_name)
        if not made:
            return []
        pointer = read_pointer(clients.ssm, endpoint_name)
        return find_unrecorded_endpoints(endpoint_name, made, pointer, read_previous(clients.ssm, endpoint_name))
    except ClientError as error:
        if meaning_of(error) is not Meaning.DENIED:
            raise
    except RolloutError as error:
        _log.info("what was promoted last of endpoint %s can't be read: %s", endpoint_name, error)
    return []


def _list_endpoints(sagemaker: Any, endpoint_name: str) -> dict[str, datetime]:
    """When each was made, of the endpoints that may be green's."""
    stem = Names(endpoint_name, "0" * 8).green_endpoint[:-8]
    pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=stem)
    listed = [each for page in pages for each in page.get("Endpoints", ())]
    what = "an answer of list_endpoints"
    return {told(each, "EndpointName", what): told(each, "CreationTime", what) for each in listed}


def _read_one(clients: Clients, names: Names, alarms: list[str]) -> Rests:
    has_own = names.green_endpoint != names.endpoint
    green = read_endpoint(clients.sagemaker, names.green_endpoint) if has_own else None
    things = (*_find_things(clients, names, alarms), *([f"endpoint {green.name}"] if green else []))
    return Rests(names, things, green)


def _read_own_alarms(clients: Clients, endpoint_name: str) -> list[str]:
    pages = clients.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"sm-rollout-{endpoint_name}-")
    return [str(alarm.get("AlarmName")) for page in pages for alarm in page.get("MetricAlarms", ())]


def _find_things(clients: Clients, names: Names, alarms: list[str]) -> Iterator[str]:
    sagemaker = clients.sagemaker
    for config in dict.fromkeys(names.configs):
        if if_found(lambda name=config: sagemaker.describe_endpoint_config(EndpointConfigName=name)) is not None:  # type: ignore[misc]
            yield f"endpoint config {config}"
    if if_found(lambda: sagemaker.describe_model(ModelName=names.model)) is not None:
        yield f"model {names.model}"
    yield from (f"alarm {alarm}" for alarm in names.alarms if alarm in alarms)
