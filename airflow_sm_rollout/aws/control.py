"""A person's wish about a rollout, as an SSM parameter beside the record."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.errors import meaning_of
from airflow_sm_rollout.core.control import Control, control_from_json, control_to_json, next_control
from airflow_sm_rollout.core.names import control_name


def read_control(ssm: Any, endpoint_name: str, rollout_id: str) -> Control | None:
    """The last wish about this rollout; ``None``: nobody wished anything."""
    try:
        answer = ssm.get_parameter(Name=control_name(endpoint_name))
    except ClientError as error:
        if meaning_of(error) is Meaning.GONE:
            return None
        raise
    text = told(answer.get("Parameter", {}), "Value", f"SSM parameter {control_name(endpoint_name)}")
    control = control_from_json(text)
    return control if control.rollout_id == rollout_id else None


def make_wish(ssm: Any, endpoint_name: str, wished: Control) -> Control:
    """Wish something, after what was wished before.

    :raises RolloutError: where it can't follow that.
    """
    control = next_control(read_control(ssm, endpoint_name, wished.rollout_id), wished)
    write_control(ssm, endpoint_name, control)
    return control


def write_control(ssm: Any, endpoint_name: str, control: Control) -> None:
    """Wish something."""
    ssm.put_parameter(Name=control_name(endpoint_name), Value=control_to_json(control), Type="String", Overwrite=True)
