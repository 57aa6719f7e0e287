"""Green deployed: all that SageMaker needs for the shift is there. Its instances come with the shift itself."""

from __future__ import annotations

from airflow_sm_rollout.core.deployment_config import why_unsuited
from airflow_sm_rollout.core.goals import Act, Decision, Done, GiveUp, GreenDeployed
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.aws_shift import wait_while_shifting
from airflow_sm_rollout.core.rules.configs import create_final
from airflow_sm_rollout.core.rules.shared import (
    endpoint_exists,
    endpoint_of,
    goes_forward,
    heed_wish,
    is_in_service,
    not_promoted_yet,
    on_known_config,
)
from airflow_sm_rollout.core.variants.green_deployed import (
    blue_as_planned,
    given_alarms_are_quiet,
    given_model_exists,
    model_exists,
    own_alarms_exist,
    record_first,
)
from airflow_sm_rollout.core.way import Needs, Rule


def needs(rollout: Rollout) -> Needs:
    """The alarms, and what is made on the way."""
    return Needs((rollout.names.final_config,), (rollout.green_model_name,), rollout.watched_alarms)


def _sagemaker_can_shift(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    unsuited = why_unsuited(rollout) if seen.record is None else ""
    return GiveUp(f"traffic='guardrails': {unsuited}. Nothing was changed", refused=True) if unsuited else None


def _final_config_exists(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.names.final_config in seen.configs:
        return None
    return Act(create_final(rollout, rollout.blue.instance_count))


def _deployed(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green's config {rollout.names.final_config} is ready for SageMaker: {endpoint_of(seen).describe()}")


RULES: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    not_promoted_yet,
    wait_while_shifting,
    is_in_service,
    blue_as_planned,
    given_model_exists,
    given_alarms_are_quiet,
    _sagemaker_can_shift,
    record_first,
    on_known_config("blue"),
    heed_wish,
    model_exists,
    _final_config_exists,
    own_alarms_exist,
    _deployed,
)
