"""Reads what a person is told of an endpoint and the rollout in progress on it. Changes nothing."""

from __future__ import annotations

from datetime import datetime

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.control import read_control
from airflow_sm_rollout.aws.live import live_name, read_pointer, read_pointer_of
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.serving import read_named, read_what_serves
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout


def read_status(clients: Clients, name: str, now: datetime) -> Observation:
    """An endpoint, or what serves under a logical name, and its rollout.

    :param name: the name that rollouts know.
    """
    record = read_record(clients.ssm, name)
    pointer = read_pointer(clients.ssm, name) if record is None else read_pointer_of(clients, record, now)
    if record is None:
        return Observation(now, read_named(clients.sagemaker, live_name(pointer, name)), None, pointer=pointer)
    two = record.green_endpoint_name != record.blue_endpoint_name
    return Observation(
        at=now,
        endpoint=read_what_serves(clients.sagemaker, record.blue_endpoint_name, record),
        record=record,
        alarms=read_alarms(clients.cloudwatch, record.watched_alarms, record.green_traffic_since),
        control=read_control(clients.ssm, name, record.rollout_id),
        pointer=pointer,
        green_endpoint=read_what_serves(clients.sagemaker, record.green_endpoint_name, record) if two else None,
    )


def read_serving(clients: Clients, rollout: Rollout, now: datetime) -> Observation:
    """The endpoint that clients of a rollout's endpoint call, with the record that holds it now."""
    pointer = read_pointer_of(clients, rollout, now)
    record = read_record(clients.ssm, rollout.endpoint_name)
    live = read_what_serves(clients.sagemaker, live_name(pointer, rollout.endpoint_name), rollout)
    return Observation(now, live, record, pointer=pointer)
