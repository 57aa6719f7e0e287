"""Reads what is needed to begin a rollout, and freezes it. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from airflow_sm_rollout.aws.blue import metric_period_seconds, read_blue
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.cloudwatch import read_alarms, read_baseline_p99
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.world import if_found, read_endpoint, translated_errors
from airflow_sm_rollout.core.alarms import describe_harm
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout


def plan_rollout(
    clients: Clients, names: Names, owner: Mapping[str, str], green: Green, plan: Plan, now: datetime
) -> Rollout:
    """A rollout ready to begin; or, if it has begun already (a retry, a cleared task), as it was recorded then.

    :raises RolloutRefused: if it can't begin, with the reason; nothing was changed.
    """
    with translated_errors("could not plan the rollout, nothing was changed"):
        record = read_record(clients.ssm, names.endpoint)
        if record is not None and record.rollout_id == names.rollout_id:
            return record
        if record is not None:
            raise RolloutRefused(
                f"endpoint {names.endpoint} is held by {record.describe_owner()}. "
                f"Wait for it to end, or end it: sm-rollout rollback {names.endpoint}"
            )
        rollout = _read_rollout(clients, names, owner, green, plan, now)
        _refuse_unready(clients, rollout)
        return rollout


def _read_rollout(
    clients: Clients, names: Names, owner: Mapping[str, str], green: Green, plan: Plan, now: datetime
) -> Rollout:
    endpoint = read_endpoint(clients.sagemaker, names.endpoint)
    if endpoint is None:
        raise RolloutRefused(
            f"endpoint_name={names.endpoint!r}: there is no such endpoint. "
            "A rollout replaces a model that serves; create the first one yourself"
        )
    if endpoint.config_name == names.final_config:
        raise RolloutRefused(
            f"this DAG run has promoted its model already: {endpoint.describe()}. Start a new rollout with a new DAG run"
        )
    blue = read_blue(clients.sagemaker, endpoint)
    return Rollout(
        endpoint_name=names.endpoint,
        rollout_id=names.rollout_id,
        owner=owner,
        started_at=now,
        blue=blue,
        green=green,
        plan=plan,
        baseline_p99_microseconds=read_baseline_p99(clients.cloudwatch, names.endpoint, blue.variant, now),
        metric_period_seconds=metric_period_seconds(blue.config),
    )


def _refuse_unready(clients: Clients, rollout: Rollout) -> None:
    """What can be known to fail is refused before the first effect; deploying asks again right before it."""
    name = rollout.green.model_name
    if name and if_found(lambda: clients.sagemaker.describe_model(ModelName=name)) is None:
        raise RolloutRefused(f"model_name={name!r}: there is no such SageMaker model. Nothing was changed")
    for alarm in read_alarms(clients.cloudwatch, rollout.plan.alarms, None):
        harm = describe_harm([alarm], None)
        if harm:
            raise RolloutRefused(f"alarms={list(rollout.plan.alarms)!r}: {harm}. Nothing was changed")
