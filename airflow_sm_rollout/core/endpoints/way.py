"""Traffic by endpoints, put together."""

from __future__ import annotations

from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.pointer import Pointer, share_on_green
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules import as_before, green_deployed, green_share, only_green
from airflow_sm_rollout.core.rules.pair import is_promoted_for_good
from airflow_sm_rollout.core.way import Needs, Way


def needs(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """What a decision about a goal has to know: on the way forward, of a green endpoint that is changing nothing more."""
    if endpoint is not None and endpoint.is_busy and not isinstance(goal, AsBefore):
        return Needs()
    if isinstance(goal, GreenDeployed):
        return green_deployed.needs_of_endpoints(rollout)
    if isinstance(goal, GreenShare):
        return green_share.needs(rollout)
    if isinstance(goal, OnlyGreen):
        return only_green.needs_of_endpoints(rollout)
    return as_before.needs_of_endpoints(rollout, endpoint)


def is_decided_by_pointer(goal: Goal, rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether the way back can be taken by the pointer alone: no throttled or denied read may come before that."""
    if isinstance(goal, GreenShare):
        return goal.share == 0
    return isinstance(goal, AsBefore) and share_on_green(rollout, pointer) > 0 and not is_promoted_for_good(rollout)


ENDPOINTS = Way(
    rules={
        GreenDeployed: green_deployed.ENDPOINTS,
        GreenShare: green_share.ENDPOINTS,
        OnlyGreen: only_green.ENDPOINTS,
        AsBefore: as_before.ENDPOINTS,
    },
    needs=needs,
    is_decided_by_pointer=is_decided_by_pointer,
)
