"""A person's wish about a rollout, as an SSM parameter beside the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.aws.parameters import read_parameters, text_of
from airflow_sm_rollout.core.control import Control, control_from_json, control_to_json, next_control
from airflow_sm_rollout.core.names import control_name


def read_control(ssm: Any, endpoint_name: str, rollout_id: str) -> Control | None:
    """The last wish about this rollout; ``None``: nobody wished anything."""
    name = control_name(endpoint_name)
    found = read_parameters(ssm, [name])
    return control_of(found[name], name, rollout_id) if found else None


def control_of(parameter: Mapping[str, Any], name: str, rollout_id: str) -> Control | None:
    """A parameter as a wish about this rollout; ``None``: it is about another.

    :param name: the parameter's.
    :raises RolloutError: if it is no wish that this version can read.
    """
    control = control_from_json(text_of(parameter, name))
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
