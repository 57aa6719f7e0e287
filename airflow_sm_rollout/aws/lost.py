"""Finds what is left of rollouts that have no record any more. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.errors import if_found
from airflow_sm_rollout.aws.world import read_endpoint
from airflow_sm_rollout.core.lost import Rests, find_unrecorded
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Endpoint


def read_rests(clients: Clients, endpoint_name: str, endpoint: Endpoint | None) -> list[Rests]:
    """What is left of rollouts of an endpoint whose record is not there.

    What gives them away are names that no rollout leaves behind: the config that the endpoint is on, and its alarms.

    :param endpoint: the one that clients call.
    """
    alarms = _read_own_alarms(clients, endpoint_name)
    given_away = find_unrecorded(endpoint_name, [*alarms, *([endpoint.config_name] if endpoint else [])])
    return [Rests(names, tuple(_find_things(clients, names, alarms))) for names in given_away]


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
    if names.green_endpoint != names.endpoint and read_endpoint(sagemaker, names.green_endpoint) is not None:
        yield f"endpoint {names.green_endpoint}"
    yield from (f"alarm {alarm}" for alarm in names.alarms if alarm in alarms)
