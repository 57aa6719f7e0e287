"""As before, where CodeDeploy shifts: it is stopped first, and rests before anything is deleted."""

from __future__ import annotations

from dataclasses import replace

from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules import only_green
from airflow_sm_rollout.core.rules.as_before import (
    LAMBDA,
    _is_finishing,
    _once_promoted,
    _pointer_names_blue,
    needs_of_lambda,
    turn_around,
)
from airflow_sm_rollout.core.rules.deployed import alias_goes_back, codedeploy_rests, shifter_is_gone, stop_deployment
from airflow_sm_rollout.core.rules.shared import record_goes
from airflow_sm_rollout.core.way import Needs, Rule, before


def needs_of_codedeploy(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As behind a function, and what CodeDeploy tells: it may shift just now."""
    if _is_finishing(rollout, endpoint):
        return only_green.needs_of_codedeploy(goal, rollout, endpoint)
    known = needs_of_lambda(goal, rollout, endpoint)
    return replace(known, alarms=rollout.made_alarms, deployments=True)


CODEDEPLOY: tuple[Rule, ...] = (
    _once_promoted(only_green.CODEDEPLOY),
    LAMBDA[1],
    stop_deployment,
    alias_goes_back,
    turn_around,
    codedeploy_rests,
    *before(record_goes, shifter_is_gone, LAMBDA[LAMBDA.index(_pointer_names_blue) :]),
)
