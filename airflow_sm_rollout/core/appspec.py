"""What CodeDeploy is asked for: a config and an AppSpec, built from a strategy; and what it can't do, said early."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.deployment_config import refuse_what_aws_does_not_heed
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.strategy import Step, Strategy

if TYPE_CHECKING:
    from airflow_sm_rollout.core.plan.deployment import Deploying
    from airflow_sm_rollout.core.plan.function import FunctionAlias
    from airflow_sm_rollout.core.rollout import Plan, Rollout

MOST_ALARMS = 10
_LONGEST_SHIFT = timedelta(minutes=2880)  # from the first shift to the last (CodeDeploy's quotas)
_MINUTE = timedelta(minutes=1)
_MOST_PERCENT = 99
_MADE_ALARMS = 3
_CANARY_MINUTES, _LINEAR_MINUTES = (5, 10, 15, 30), (1, 2, 3, 10)
_PREFIX = "CodeDeployDefault.Lambda"
_WAY = "with shift_by='codedeploy'"
# What is asked besides its waits: CodeDeploy's beginning, and up to an hour for each of two hooks.
_ALLOWANCE = timedelta(minutes=15)
_HOOK_TAKES = timedelta(hours=1)
STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}


def validate_deployment(plan: Plan) -> None:
    """Check what CodeDeploy can do, as far as it is known without AWS.

    :raises PlanError: naming the option.
    """
    if plan.strategy is None:
        raise PlanError("strategy", None, f"a strategy {_WAY}, since CodeDeploy runs all of it")
    own = _MADE_ALARMS if plan.default_alarms else 1
    if len(plan.alarms) + own > MOST_ALARMS:
        allowed = f"at most {MOST_ALARMS - own} of your own: CodeDeploy watches {MOST_ALARMS}"
        raise PlanError("alarms", list(plan.alarms), allowed)
    refuse_what_aws_does_not_heed(
        plan.evidence, f"{_WAY}: CodeDeploy shifts by itself, looks at alarms only and asks nobody"
    )
    _validate_shares(plan.strategy)
    _validate_waits(plan.strategy)


def _validate_shares(strategy: Strategy) -> None:
    option, shares = "step" if strategy.name == "linear" else "steps", [step.share for step in strategy.steps]
    first = shares[0]
    if len(shares) > 1 and (not float(first).is_integer() or not 1 <= first <= _MOST_PERCENT):
        raise PlanError(option, shares, f"{_WAY} whole percents from 1 to {_MOST_PERCENT}")
    if len(shares) > 2 and not _is_linear(strategy):
        allowed = (
            f"{_WAY} all at once, or a canary of one first step and then 100 %, or equal steps: CodeDeploy knows no others; "
            "without shift_by the rollout takes any"
        )
        raise PlanError(option, shares, allowed)


def _is_linear(strategy: Strategy) -> bool:
    """Whether each step is as much more as the first; the last may be less."""
    first = strategy.steps[0].share
    planned = [first * number for number in range(1, math.ceil(100 / first))]
    return [*planned, 100.0] == [step.share for step in strategy.steps]


def _validate_waits(strategy: Strategy) -> None:
    option = "interval" if strategy.name == "linear" else "bake"
    waits = [step.bake for step in strategy.steps[:-1]]
    told = [step.bake.total_seconds() for step in strategy.steps]
    if len(set(waits)) > 1:
        raise PlanError(option, told, f"{_WAY} one wait between all shifts, and one after the last")
    if waits and (waits[0] % _MINUTE or not waits[0]):
        raise PlanError(option, told, f"{_WAY} whole minutes between two shifts, such as 60 or 300 seconds")
    if sum(waits, timedelta()) > _LONGEST_SHIFT:
        most = _LONGEST_SHIFT // _MINUTE
        raise PlanError(option, told, f"{_WAY} at most {most} minutes from the first shift to the last")


def longest_deployment(plan: Plan) -> timedelta:
    """After how long a deployment should have ended: its waits and its hooks."""
    hooks = sum(1 for hook in (plan.deployment.before, plan.deployment.after) if hook) if plan.deployment else 0
    waits = sum((step.bake for step in plan.strategy.steps[:-1]), timedelta()) if plan.strategy else timedelta()
    return waits + hooks * _HOOK_TAKES + _ALLOWANCE


def last_bake(rollout: Rollout) -> timedelta:
    """How long green is watched with all traffic, after CodeDeploy has ended: it has no such wait itself."""
    return rollout.plan.strategy.steps[-1].bake if rollout.plan.strategy else timedelta()


def config_name(rollout: Rollout) -> str:
    """The deployment config: one of CodeDeploy's own where one fits, or the rollout's."""
    steps = rollout.plan.strategy.steps if rollout.plan.strategy else ()
    return _predefined(steps) or rollout.names.deployment


def is_config_made(rollout: Rollout) -> bool:
    """Whether the rollout makes the deployment config."""
    return config_name(rollout) == rollout.names.deployment


def _predefined(steps: tuple[Step, ...]) -> str:
    if len(steps) <= 1:
        return f"{_PREFIX}AllAtOnce"
    share, minutes = steps[0].share, steps[0].bake / _MINUTE
    if share == 10 and len(steps) == 2 and minutes in _CANARY_MINUTES:
        return f"{_PREFIX}Canary10Percent{minutes:g}Minutes"
    if share == 10 and len(steps) == 10 and minutes in _LINEAR_MINUTES:
        return f"{_PREFIX}Linear10PercentEvery{minutes:g}Minute{'' if minutes == 1 else 's'}"
    return ""


def routing(strategy: Strategy) -> dict[str, Any]:
    """AWS's TrafficRoutingConfig for a strategy of several steps."""
    percent, minutes = int(strategy.steps[0].share), strategy.steps[0].bake // _MINUTE
    if len(strategy.steps) == 2:
        shift = {"canaryPercentage": percent, "canaryInterval": minutes}
        return {"type": "TimeBasedCanary", "timeBasedCanary": shift}
    return {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": percent, "linearInterval": minutes}}


def group_of(rollout: Rollout) -> dict[str, str]:
    """The application and the group, as CodeDeploy's calls name them."""
    given = rollout.plan.deployment
    own = rollout.names.deployment
    application, group = (given.application, given.group) if given else (None, None)
    return {"applicationName": application or own, "deploymentGroupName": group or own}


def description_of(rollout: Rollout) -> str:
    """By which a deployment is found again whose ID nobody has heard of: CodeDeploy gives it another at each call."""
    return f"sm-rollout {rollout.rollout_id}"


def obeyed_by_codedeploy(rollout: Rollout, of_group: tuple[str, ...]) -> tuple[str, ...]:
    """The alarms that the deployment obeys: the plan's, the judge's, and as many of the group's as there is room for."""
    named = dict.fromkeys((*rollout.verdict_alarms, *rollout.watched_alarms, *of_group))
    return tuple(named)[:MOST_ALARMS]


def go_back(alarms: tuple[str, ...]) -> dict[str, Any]:
    """AWS's AutoRollbackConfiguration: after whatever it did not end well for. It takes the one about alarms only where there are some."""
    on_alarm = ["DEPLOYMENT_STOP_ON_ALARM"] if alarms else []
    return {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", *on_alarm]}


def revision(place: FunctionAlias, current: str, target: str, given: Deploying | None) -> Mapping[str, Any]:
    """AWS's RevisionLocation: the AppSpec that shifts an alias from one version to another."""
    properties = {"Name": place.function, "Alias": place.alias, "CurrentVersion": current, "TargetVersion": target}
    hooks = {"BeforeAllowTraffic": given and given.before, "AfterAllowTraffic": given and given.after}
    spec = {
        "version": "0.0",
        "Resources": [{place.function: {"Type": "AWS::Lambda::Function", "Properties": properties}}],
        "Hooks": [{event: function} for event, function in hooks.items() if function],
    }
    content = json.dumps(spec)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": digest}}
