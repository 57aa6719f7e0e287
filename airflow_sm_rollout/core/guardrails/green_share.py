"""Green's share: not ours to set."""

from __future__ import annotations

from airflow_sm_rollout.core.goals import Decision, GiveUp, GreenShare
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.way import Rule


def _sagemaker_shifts(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return GiveUp(
        f"share={goal.share:g} can't be set: with traffic='guardrails' SageMaker shifts by itself, from the promotion on. "
        "Nothing was changed; traffic='variants' can give any share at any time"
    )


RULES: tuple[Rule, ...] = (_sagemaker_shifts,)
