"""Traffic by variants, put together."""

from __future__ import annotations

from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShadowed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules import as_before, green_deployed, green_shadowed, green_share, only_green
from airflow_sm_rollout.core.way import Needs, Way


def needs(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """What a decision about a goal has to know: of an endpoint that is changing, nothing more."""
    if endpoint is not None and endpoint.is_busy:
        return Needs()
    if isinstance(goal, GreenDeployed):
        return green_deployed.needs_of_variants(rollout)
    if isinstance(goal, GreenShadowed):
        return green_shadowed.needs_of_variants(rollout)
    if isinstance(goal, GreenShare):
        return green_share.needs(rollout)
    if isinstance(goal, OnlyGreen):
        return only_green.needs_of_variants(rollout)
    return as_before.needs_of_variants(goal, rollout, endpoint)


VARIANTS = Way(
    rules={
        GreenDeployed: green_deployed.VARIANTS,
        GreenShadowed: green_shadowed.VARIANTS,
        GreenShare: green_share.VARIANTS,
        OnlyGreen: only_green.VARIANTS,
        AsBefore: as_before.VARIANTS,
    },
    needs=needs,
)
