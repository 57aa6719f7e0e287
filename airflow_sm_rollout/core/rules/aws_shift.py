"""Rules about the shift that SageMaker makes by its guardrails, which several goals share."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.deployment_config import LAUNCH_TAKES
from airflow_sm_rollout.core.goals import Act, Decision, Goal, Wait
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.shared import endpoint_of, wait_while_busy

_SOON = timedelta(seconds=30)


def tell_sagemaker_to_turn(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Nothing else can interrupt it: where its alarm rings, SageMaker goes back at the next moment at which it looks at alarms."""
    endpoint = seen.endpoint
    if endpoint is None or not is_shifting(rollout, endpoint):
        return None
    alarm = next((each for each in seen.alarms if each.name in rollout.verdict_alarms), None)
    if alarm is None or alarm.state == "MISSING":
        return None
    if alarm.state != "ALARM":
        return Act(actions.TellHarm(rollout, seen.at))
    return Wait(f"SageMaker is to go back by alarm {alarm.name}, which rings; it looks at alarms while it bakes", _SOON)


def is_shifting(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether SageMaker is at work on the shift that this rollout has asked for."""
    pending = endpoint.pending
    return endpoint.is_busy and pending is not None and pending.config_name == rollout.names.final_config


def wait_while_shifting(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Wait while SageMaker shifts traffic, or the endpoint is busy with something else: no change is possible meanwhile."""
    endpoint, strategy = endpoint_of(seen), rollout.plan.strategy
    pending = endpoint.pending
    if pending is None or strategy is None or not is_shifting(rollout, endpoint):
        return wait_while_busy(goal, rollout, seen)
    left = max(pending.started_at + LAUNCH_TAKES + strategy.minimum_duration - seen.at, _SOON)
    most = max(pending.started_at + rollout.traffic.longest_run(strategy) - seen.at, _SOON)
    return Wait(
        f"SageMaker is shifting traffic to green, and nothing can interrupt that: {pending.stage} "
        f"About {left.total_seconds():.0f} s are left, {most.total_seconds():.0f} s at most",
        left,
    )


def is_put_back(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether the endpoint is on blue's config though SageMaker was asked to shift: it has gone back, whatever it says about that.

    LastModifiedTime is AWS's own; before the update was asked for it was noted in the record, so no clock of ours takes part.
    """
    noted = rollout.endpoint_modified
    return endpoint.config_name == rollout.blue.config_name and noted is not None and endpoint.last_modified != noted
