"""Traffic by guardrails, put together."""

from __future__ import annotations

from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules import as_before, green_deployed, green_share, only_green
from airflow_sm_rollout.core.way import Needs, Way


def needs(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """What a decision about a goal has to know: of an endpoint that is changing, nothing more."""
    if (endpoint is not None and endpoint.is_busy) or isinstance(goal, GreenShare):
        return Needs()
    if isinstance(goal, GreenDeployed):
        return green_deployed.needs_of_guardrails(rollout)
    if isinstance(goal, OnlyGreen):
        return only_green.needs_of_guardrails(rollout)
    return as_before.needs_of_guardrails(rollout)


GUARDRAILS = Way(
    rules={
        GreenDeployed: green_deployed.GUARDRAILS,
        GreenShare: green_share.GUARDRAILS,
        OnlyGreen: only_green.GUARDRAILS,
        AsBefore: as_before.GUARDRAILS,
    },
    needs=needs,
)
