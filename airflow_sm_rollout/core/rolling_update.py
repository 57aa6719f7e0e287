"""The rolling update by which SageMaker replaces an inference component's copies, built from a strategy; and what can't be one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.deployment_config import refuse_what_aws_does_not_heed, validate_alarms
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.strategy import Strategy

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Plan, Rollout

# Limits of botocore's SageMaker model (InferenceComponentRollingUpdatePolicy).
_LONGEST_WAIT = timedelta(seconds=3600)
_LONGEST_RUN = timedelta(seconds=28_800)
_LEAST_PERCENT, _MOST_PERCENT = 5, 50
# What a batch may take besides its wait. A large model needs that long to be fetched and loaded; it is not recorded.
_ALLOWANCE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class UpdateComponent:
    """Let an inference component run a specification. How many copies it has stays as it is.

    :param deployment: AWS's DeploymentConfig, by which SageMaker replaces its copies; ``None``: all at once.
    """

    name: str
    specification: Mapping[str, Any]
    deployment: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"update inference component {self.name} to model {self.specification['ModelName']}"


def validate_plan(plan: Plan) -> None:
    """Check what a rolling update can do, as far as it is known without AWS; :func:`why_unsuited` knows the rest.

    :raises PlanError: naming the option.
    """
    if plan.strategy is None:
        raise PlanError("strategy", None, "a strategy with traffic='components', since SageMaker runs all of it")
    validate_alarms(plan)
    if plan.evidence.tolerances is not None:
        allowed = (
            "None with traffic='components': old and new copies publish under one name, so that no figure is green's alone to be "
            "compared with blue's"
        )
        raise PlanError("tolerances", plan.evidence.tolerances, allowed)
    why = "with traffic='components': SageMaker bakes by itself, looks at alarms only and asks nobody"
    refuse_what_aws_does_not_heed(plan.evidence, why)
    _validate_steps(plan.strategy)
    _validate_bakes(plan.strategy)


def why_unsuited(rollout: Rollout) -> str:
    """Why this component can't be rolled by this plan; empty if it can."""
    strategy, green = rollout.plan.strategy, rollout.green
    if green.instance_type:
        return f"instance_type={green.instance_type!r}: a component has none of its own, its endpoint has. Leave instance_type out"
    if rollout.green_model_name == rollout.blue.model_name:
        return f"model_name={rollout.green_model_name!r} is the model that it runs already"
    return why_too_few(strategy, rollout.blue.instance_count) if strategy else "it has no strategy"


def why_too_few(strategy: Strategy, copies: int) -> str:
    """Why so many copies can't be replaced by a strategy; empty if they can.

    SageMaker replaces whole copies, so a batch is rounded: down, since the plan's share is the most that green may have.
    """
    step, least = strategy.steps[0].share, max(1, math.ceil(copies * _LEAST_PERCENT / 100))
    if copies > 1 and _batch(strategy, copies) >= least:
        return ""
    possible = f"{100 * least / copies:.4g} % is the least here" if copies > 1 else "2 copies are the least"
    return f"a step of {step:g} % of {copies} copy(s) is too small, as SageMaker replaces whole copies: {possible}"


def specification(rollout: Rollout) -> dict[str, Any]:
    """What green runs: blue's specification with green's model."""
    return {**blues_specification(rollout), "ModelName": rollout.green_model_name}


def blues_specification(rollout: Rollout) -> dict[str, Any]:
    """What blue runs."""
    return {name: value for name, value in rollout.blue.variant_config.items() if name != "VariantName"}


def deployment(strategy: Strategy, alarms: Sequence[str], copies: int) -> dict[str, Any]:
    """AWS's DeploymentConfig for a strategy.

    :param alarms: names of the alarms for which SageMaker goes back.
    :param copies: of the component, enough by :func:`why_too_few`.
    """
    wait = strategy.steps[0].bake
    named = [{"AlarmName": name} for name in alarms]
    return {
        "RollingUpdatePolicy": _policy(_batch(strategy, copies), copies, wait),
        "AutoRollbackConfiguration": {"Alarms": named},
    }


def deployment_back(rollout: Rollout, copies: int) -> dict[str, Any] | None:
    """The DeploymentConfig of an update back to blue: as many copies at a time as there was room for on the way here, without a wait.

    :return: ``None``: all at once, where there are too few copies by now.
    """
    strategy = rollout.plan.strategy
    if strategy is None or why_too_few(strategy, copies):
        return None
    return {"RollingUpdatePolicy": _policy(_batch(strategy, copies), copies, timedelta())}


def longest_run(strategy: Strategy) -> timedelta:
    """After how long SageMaker gives up an update that has not ended, if its batches are as large as planned."""
    return _limit(len(strategy.steps), strategy.steps[0].bake)


def is_of(rollout: Rollout, last_deployment: Mapping[str, Any]) -> bool:
    """Whether a component's LastDeploymentConfig is the one that this rollout has asked for: nobody else names its alarm."""
    alarms = last_deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    return rollout.names.verdict_alarm in [each.get("AlarmName") for each in alarms]


def _policy(batch: int, copies: int, wait: timedelta) -> dict[str, Any]:
    """A way back by as large batches: more at once might find no room, and leave copies of both."""
    size = {"Type": "COPY_COUNT", "Value": batch}
    return {
        "MaximumBatchSize": size,
        "WaitIntervalInSeconds": _seconds(wait),
        "MaximumExecutionTimeoutInSeconds": _seconds(_limit(math.ceil(copies / batch), wait)),
        "RollbackMaximumBatchSize": size,
    }


def _limit(batches: int, wait: timedelta) -> timedelta:
    return min(batches * (wait + _ALLOWANCE), _LONGEST_RUN)


def _batch(strategy: Strategy, copies: int) -> int:
    return math.floor(copies * strategy.steps[0].share / 100 + 1e-9)


def _seconds(wait: timedelta) -> int:
    return math.ceil(wait.total_seconds())


def _validate_steps(strategy: Strategy) -> None:
    shares = [step.share for step in strategy.steps]
    rises = [high - low for low, high in itertools.pairwise([0.0, *shares])]
    equal = all(math.isclose(rise, rises[0]) for rise in rises[:-1]) and rises[-1] <= rises[0] + 1e-9
    if not equal or not _LEAST_PERCENT <= rises[0] <= _MOST_PERCENT:
        allowed = (
            f"equal steps of {_LEAST_PERCENT} to {_MOST_PERCENT} % with traffic='components', such as [50, 100] or [25, 50, 75, 100]: "
            "SageMaker replaces copies in batches of one size"
        )
        option = {"linear": "step", "blue_green": "strategy"}.get(strategy.name, "steps")
        raise PlanError(option, shares, allowed)


def _validate_bakes(strategy: Strategy) -> None:
    option = "interval" if strategy.name == "linear" else "bake"
    bakes = [step.bake for step in strategy.steps]
    seconds = [bake.total_seconds() for bake in bakes]
    if len(set(bakes)) > 1:
        raise PlanError(option, seconds, "one wait for all steps with traffic='components', the last one too")
    if bakes[0] > _LONGEST_WAIT:
        raise PlanError(option, seconds, f"at most {_seconds(_LONGEST_WAIT)} s each with traffic='components'")
    if strategy.minimum_duration + _ALLOWANCE > _LONGEST_RUN:
        most = _seconds(_LONGEST_RUN - _ALLOWANCE)
        raise PlanError(option, seconds, f"at most {most} s all in all, as SageMaker lets no update run longer")
