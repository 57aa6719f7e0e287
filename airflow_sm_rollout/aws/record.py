"""The rollout's record: an SSM parameter beside the endpoint, which is its lock too.

``PutParameter`` with ``Overwrite=False`` is atomic, so of two rollouts that start at the same moment one wins; a tag can't do that, nor
hold JSON. Versions have no compare-and-set, so who updates it looks afterwards whether somebody else has done so meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.errors import meaning_of
from airflow_sm_rollout.aws.parameters import read_parameters, text_of
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.names import RECORD_PREFIX, record_name
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.spoilt import describe_spoilt, refuse_impossible
from airflow_sm_rollout.core.turned import outlasts

SSM_HOLDS = 8192  # bytes of an advanced parameter (SSM, PutParameter)

_TO_MEND = (
    ". aws ssm get-parameter-history --name {name} shows what it held: put that back. Or delete it, and clear the task settle of "
    "its DAG run, which has the plan, makes the record again and goes back by it"
)


def why_too_large(rollout: Rollout) -> str:
    """Why SSM could not hold the record of a rollout to its end; empty if it can.

    It has to be known before: a record that can't be written any more when the rollout has to go back would keep it from going.
    """
    size, most = len(to_json(rollout)), SSM_HOLDS - _grows_by(rollout)
    if size <= most:
        return ""
    return (
        f"its record would have {size:,} bytes, and SSM holds {most:,}: give fewer steps, KPIs, alarms or variables of the "
        "environment, or take tags off the endpoint config"
    )


def _grows_by(rollout: Rollout) -> int:
    """By how many bytes its record grows on its way: a phase, three moments, and with each step a count of instances and a moment."""
    steps = rollout.plan.strategy.steps if rollout.plan.strategy else ()
    return 256 + 40 * len(steps)


def read_record(ssm: Any, endpoint_name: str) -> Rollout | None:
    """The rollout that holds the endpoint; ``None``: none does."""
    name = record_name(endpoint_name)
    found = read_parameters(ssm, [name])
    return record_of(found[name], name) if found else None


def record_of(parameter: Mapping[str, Any], name: str) -> Rollout:
    """A parameter as a rollout's record.

    :param name: the parameter's.
    :raises RolloutError: if it is none that this version can read.
    """
    try:
        rollout = from_json(text_of(parameter, name))
        refuse_impossible(rollout, name)
    except (RolloutError, ValueError, KeyError, TypeError) as error:
        why = (
            error
            if isinstance(error, RolloutError)
            else f"no rollout has written this record: {describe_spoilt(error)}"
        )
        raise RolloutError(f"SSM parameter {name}: {why}{_TO_MEND.format(name=name)}") from error
    return rollout


def read_records(ssm: Any) -> dict[str, Rollout | RolloutError]:
    """All rollouts in progress in this account and region, by their endpoints' names; for a spoilt record what is wrong with it."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=RECORD_PREFIX)
    found = [parameter for page in pages for parameter in page.get("Parameters", ())]
    named = {told(each, "Name", "an SSM parameter"): each for each in found}
    return {name.removeprefix(f"{RECORD_PREFIX}/"): _readable(each, name) for name, each in named.items()}


def _readable(parameter: Mapping[str, Any], name: str) -> Rollout | RolloutError:
    try:
        return record_of(parameter, name)
    except RolloutError as error:
        return error


def write_record(ssm: Any, rollout: Rollout, *, overwrite: bool) -> int:
    """Write it; with ``overwrite=False`` it must not exist (``ParameterAlreadyExists``).

    :return: SSM's version of it.
    """
    # Intelligent-Tiering: a config of more than 4 KB becomes an advanced parameter instead of an error.
    answer = ssm.put_parameter(
        Name=rollout.names.record,
        Value=to_json(rollout),
        Type="String",
        Tier="Intelligent-Tiering",
        Overwrite=overwrite,
        Description=f"Rollout in progress of endpoint {rollout.endpoint_name}; see sm-rollout status {rollout.endpoint_name}"[
            :1024
        ],
    )
    return int(told(answer, "Version", f"SSM parameter {rollout.names.record}"))


def update_record(ssm: Any, rollout: Rollout, turned_from: Phase | None = None) -> None:
    """Write it anew, where somebody else may do so at the same moment: whoever has turned the rollout first has turned it for good.

    SSM has no compare-and-set, but tells the version that it has written, and keeps those before it. So who writes second sees what was
    written first, and puts that back.

    :param turned_from: see :func:`~airflow_sm_rollout.core.turned.outlasts`.
    """
    version = write_record(ssm, rollout, overwrite=True)
    if version == 1:
        delete_record(ssm, rollout)  # it was over: what was just written holds nothing
        return
    before = _read_version(ssm, rollout.names.record, version - 1)
    if before is not None and outlasts(before, rollout, turned_from):
        write_record(ssm, before, overwrite=True)


def _read_version(ssm: Any, name: str, version: int) -> Rollout | None:
    try:
        answer = ssm.get_parameter(Name=f"{name}:{version}")
        return from_json(told(answer.get("Parameter", {}), "Value", f"SSM parameter {name}"))
    except RolloutError:
        return None  # somebody had spoilt it
    except ClientError as error:
        if meaning_of(error) in (Meaning.GONE, Meaning.DENIED):
            return None  # who may not look back keeps what is written
        raise


def delete_record(ssm: Any, rollout: Rollout) -> None:
    """Let go of the endpoint, and forget what was wished of the rollout. What is not there is no error to AWS."""
    ssm.delete_parameters(Names=[rollout.names.control, rollout.names.record])
