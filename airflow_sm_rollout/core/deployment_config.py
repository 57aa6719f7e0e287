"""The DeploymentConfig by which SageMaker shifts traffic, built from a strategy; and what can't be one, said early."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import Strategy

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Plan, Rollout

# Limits of botocore's SageMaker model (DeploymentConfig and what it holds).
_LONGEST_WAIT = timedelta(seconds=3600)
_LONGEST_RUN = timedelta(seconds=28_800)
_MOST_ALARMS = 10
_LEAST_LINEAR_PERCENT, _MOST_PERCENT = 10, 50

# Without a word it would seem that green is watched for them.
_OF_OUR_BAKES = (
    "limits",
    "measures",
    "monitoring_schedules",
    "when_inconclusive",
    "end_early",
    "require_proof",
    "dry_run",
)
_OWN_ALARMS = 2
LAUNCH_TAKES = timedelta(seconds=190)  # recorded: UpdateEndpoint to the canary's first request
# What a deployment may take besides its waits before SageMaker gives it up; a bad container was recorded to hold one for 24 minutes.
_ALLOWANCE = timedelta(hours=1)
# Deployment guardrails' exclusions: SageMaker falls back to all at once, with no bake to watch.
_EXCLUDED_INSTANCES = "ml.inf1."


def validate_plan(plan: Plan) -> None:
    """Check what SageMaker's guardrails can do, as far as it is known without AWS; :func:`why_unsuited` knows the rest.

    :raises PlanError: naming the option.
    """
    if plan.strategy is None:
        raise PlanError("strategy", None, "a strategy with traffic='guardrails', since SageMaker runs all of it")
    validate_alarms(plan)
    why = "with traffic='guardrails': SageMaker bakes by itself, looks at alarms only and asks nobody"
    refuse_what_aws_does_not_heed(plan.evidence, why)
    _validate_steps(plan.strategy)
    _validate_bakes(plan.strategy)


def validate_alarms(plan: Plan) -> None:
    """Check that there are as many alarms as SageMaker can go back for.

    :raises PlanError: naming the option.
    """
    own = _OWN_ALARMS if plan.default_alarms else 0
    if not 1 <= len(plan.alarms) + own <= _MOST_ALARMS:
        least = "at least one" if not own else "none"
        allowed = (
            f"{least} and at most {_MOST_ALARMS - own} of your own: SageMaker goes back for 1 to {_MOST_ALARMS} alarms"
        )
        raise PlanError("alarms", list(plan.alarms), allowed)


def refuse_what_aws_does_not_heed(evidence: Evidence, where: str) -> None:
    """Check that nothing is asked of bakes where AWS takes the steps.

    :param where: which way that is, and why.
    :raises PlanError: naming the option.
    """
    for option in _OF_OUR_BAKES:
        if getattr(evidence, option) != getattr(Evidence(), option):
            raise PlanError(option, getattr(evidence, option), f"left out {where}")


def why_unsuited(rollout: Rollout) -> str:
    """Why SageMaker can't shift this endpoint's traffic by this plan; empty if it can."""
    strategy, blue = rollout.plan.strategy, rollout.blue
    instance_type = rollout.green.instance_type or str(blue.variant_config.get("InstanceType", ""))
    if instance_type.startswith(_EXCLUDED_INSTANCES):
        return _exclusion(instance_type)
    if blue.scaling is not None and instance_type != blue.variant_config.get("InstanceType"):
        return (
            f"its variant {blue.variant} is a scalable target, and AWS refuses an update that changes such a variant's instance type: "
            "deregister it before the rollout, or use traffic='variants'"
        )
    return why_too_few(strategy, blue.instance_count) if strategy else "it has no strategy"


def why_too_few(strategy: Strategy, instances: int) -> str:
    """Why a fleet of that size can't be shifted by a strategy; empty if it can.

    SageMaker shifts whole instances, so green's share is rounded: down, since the plan's is the most that it may have.
    """
    if len(strategy.steps) == 1:
        return ""
    step = strategy.steps[0].share
    count = _step_instances(strategy, instances)
    least = 1 if len(strategy.steps) == 2 else max(1, math.ceil(instances * _LEAST_LINEAR_PERCENT / 100))
    if count >= least:
        return ""
    possible = (
        f"{100 * least / instances:.4g} % is the least" if 2 * least <= instances else "all at once is all it can do"
    )
    return (
        f"a step of {step:g} % of {instances} instance(s) is too small, as SageMaker shifts whole instances: {possible} here; "
        "traffic='variants' can give any share"
    )


def obeyed_alarms(rollout: Rollout) -> tuple[str, ...]:
    """The alarms that SageMaker is to obey. Where they are too many with the judge's, the last ones are left to the judge, who watches
    them all.
    """
    return rollout.watched_alarms[: _MOST_ALARMS - len(rollout.verdict_alarms)] + rollout.verdict_alarms


def deployment_config(strategy: Strategy, alarms: Sequence[str], instances: int) -> dict[str, Any]:
    """AWS's DeploymentConfig for a strategy.

    :param alarms: names of the alarms for which SageMaker goes back.
    :param instances: of the fleet, large enough by :func:`why_too_few`.
    """
    policy = {
        "TrafficRoutingConfiguration": _routing(strategy, instances),
        "TerminationWaitInSeconds": _seconds(strategy.steps[-1].bake),
        "MaximumExecutionTimeoutInSeconds": _seconds(longest_run(strategy)),
    }
    named = [{"AlarmName": name} for name in alarms]
    return {"BlueGreenUpdatePolicy": policy, "AutoRollbackConfiguration": {"Alarms": named}}


def longest_run(strategy: Strategy) -> timedelta:
    """After how long SageMaker gives up a deployment that has not ended."""
    return strategy.minimum_duration + _ALLOWANCE


def _routing(strategy: Strategy, instances: int) -> dict[str, Any]:
    steps = strategy.steps
    if len(steps) == 1:
        return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    kind, member = ("CANARY", "CanarySize") if len(steps) == 2 else ("LINEAR", "LinearStepSize")
    size = {"Type": "INSTANCE_COUNT", "Value": _step_instances(strategy, instances)}
    return {"Type": kind, "WaitIntervalInSeconds": _seconds(steps[0].bake), member: size}


def _step_instances(strategy: Strategy, instances: int) -> int:
    return math.floor(instances * strategy.steps[0].share / 100 + 1e-9)


def _seconds(wait: timedelta) -> int:
    return math.ceil(wait.total_seconds())


def _validate_steps(strategy: Strategy) -> None:
    shares = [step.share for step in strategy.steps]
    rises = [high - low for low, high in itertools.pairwise([0.0, *shares])]
    least = _LEAST_LINEAR_PERCENT if len(shares) > 2 else 0
    equal = all(math.isclose(rise, rises[0]) for rise in rises[1:-1]) and rises[-1] <= rises[0] + 1e-9
    fits = least <= rises[0] <= _MOST_PERCENT and (equal or len(shares) == 2)
    if len(shares) > 1 and not fits:
        allowed = (
            f"with traffic='guardrails' SageMaker takes all at once, or a canary of two steps (at most {_MOST_PERCENT} % and 100 %), "
            f"or equal steps of {_LEAST_LINEAR_PERCENT} to {_MOST_PERCENT} %; traffic='variants' can take any"
        )
        raise PlanError("step" if strategy.name == "linear" else "steps", shares, allowed)


def _validate_bakes(strategy: Strategy) -> None:
    option = "interval" if strategy.name == "linear" else "bake"
    bakes = [step.bake for step in strategy.steps]
    seconds = [bake.total_seconds() for bake in bakes]
    if max(bakes) > _LONGEST_WAIT:
        raise PlanError(option, seconds, f"at most {_seconds(_LONGEST_WAIT)} s each with traffic='guardrails'")
    if len(set(bakes[:-1])) > 1:
        raise PlanError(option, seconds, "with traffic='guardrails' one wait between all steps, and one after the last")
    if longest_run(strategy) > _LONGEST_RUN:
        most = _seconds(_LONGEST_RUN - _ALLOWANCE)
        raise PlanError(option, seconds, f"at most {most} s all in all, as SageMaker lets no deployment run longer")


def _exclusion(instance_type: str) -> str:
    return f"SageMaker's guardrails don't work for {instance_type}: it would update all at once and watch nothing; use traffic='variants'"
