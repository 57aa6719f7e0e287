"""A promotion that the record tells of: there is no way back, so what is left of it is finished."""

from __future__ import annotations

from airflow_sm_rollout.core.goals import AsBefore, Decision, OnlyGreen
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.way import Rule


def once_promoted(rules: tuple[Rule, ...]) -> Rule:
    """There is no way back then, so what is left is to finish the promotion: its record was lost behind it and made again, or blue is half
    deleted.
    """

    def finish_promotion(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
        green = seen.green_endpoint if rollout.traffic.has_pointer else seen.endpoint
        answers = (rule(OnlyGreen(), rollout, seen) for rule in rules) if is_finishing(rollout, green) else ()
        return next((decision for decision in answers if decision is not None), None)

    return finish_promotion


def is_finishing(rollout: Rollout, endpoint: Endpoint | None) -> bool:
    """Whether the record says that there is no way back, and AWS that green serves. Where it does not (somebody has deleted its endpoint,
    or put it on another config), blue is the only one who can.

    :param endpoint: where green is: its own, or blue's.
    """
    is_promoted = rollout.phase is Phase.PROMOTED and rollout.traffic.shows_promotion
    if endpoint is None or not endpoint.answers or not (is_promoted or rollout.is_promoted_for_good):
        return False
    configs = {rollout.names.final_config, *((rollout.names.mixed_config,) if rollout.blue_until else ())}
    return rollout.traffic.has_pointer or endpoint.config_name in configs
