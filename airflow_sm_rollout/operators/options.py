"""Which options an operator takes, and what they are where nobody says."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from airflow.sdk import BaseOperator

from airflow_sm_rollout.argument_values import refuse_misfit
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import meant

DEFERRABLE = "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"


def parse_verify(verify: bool | str | None) -> bool | str | None:
    """TLS verification as boto3 takes it; a template gives text, which may also be the path of a bundle of certificates."""
    said = {"true": True, "false": False, "none": None, "": None}
    return said.get(verify.lower(), verify) if isinstance(verify, str) else verify


def defers_by_default() -> bool:
    """Whether tasks wait in the triggerer where nobody says: Airflow's option, where somebody has set it, or yes.

    Only the environment counts: Airflow itself writes its default, false, to each ``airflow.cfg`` that it makes.
    """
    if DEFERRABLE not in os.environ:
        return True
    from airflow.configuration import conf

    return bool(conf.getboolean("operators", "default_deferrable"))


@cache
def options_of(operator: Any) -> frozenset[str]:
    """The names of all options that an operator takes, Airflow's own included."""
    inits = [inspect.signature(base.__init__) for base in operator.__mro__ if issubclass(base, BaseOperator)]
    named = {each.name for init in inits for each in init.parameters.values() if each.kind is each.KEYWORD_ONLY}
    return frozenset(named - operator.not_taken.keys())


def refuse_what_is_not_taken(operator: Any, given: Mapping[str, Any]) -> None:
    """Check the names of options, and the values of those that are Airflow's.

    :raises PlanError: for the first one that the operator does not take, or that can't be what it is.
    """
    taken = options_of(operator)
    for name, value in given.items():
        if name in operator.not_taken:
            if value is not None and (name, value) != ("retries", 0):
                raise PlanError(name, value, operator.not_taken[name])
        elif name not in taken:
            raise PlanError(name, value, f"{operator.__name__} has no such option{meant(name, taken)}")
        refuse_misfit(name, value)
