"""``sm-rollout plan``: a plan from the command line, with all its mistakes at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.plan.mistakes import Options, with_others
from airflow_sm_rollout.core.plan.strategy import Strategy, expand_strategy, parse_duration
from airflow_sm_rollout.core.rollout import Plan
from airflow_sm_rollout.core.traffic import DEFAULT, parse_traffic

_OF_PLAN = ("traffic", "capacity", "keep_blue")


def read_plan(options: argparse.Namespace, of_strategies: Iterable[str]) -> tuple[Plan, Strategy]:
    """A plan and its strategy.

    :param of_strategies: which of the options are a strategy's; of these ``None`` is not given.
    :raises PlanError: with all that is wrong.
    """
    names = ("strategy", *_OF_PLAN, *of_strategies)
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    try:
        return _read(given)
    except PlanError as error:
        found = with_others(error, _read, given)
    raise found


def _read(given: Options) -> tuple[Plan, Strategy]:
    of_plan: dict[str, Any] = {name: given[name] for name in _OF_PLAN if name in given}
    steps = {name: value for name, value in given.items() if name not in ("strategy", *_OF_PLAN)}
    strategy = expand_strategy({"name": given["strategy"], **steps})
    # Which function and whose role it is makes no difference to the steps.
    way = parse_traffic(of_plan.get("traffic", DEFAULT))
    function = FunctionAlias("any") if way.has_function else None
    deployment = Deploying(application="any", group="any") if way.has_deployment else None
    if "keep_blue" in of_plan:
        of_plan["keep_blue"] = parse_duration("keep_blue", of_plan["keep_blue"])
    evidence = Evidence(tolerances=None) if way.has_component else Evidence()
    plan = Plan(strategy, function=function, deployment=deployment, evidence=evidence, **of_plan)
    validate_plan(plan)
    return plan, strategy
