"""Only green: SageMaker is asked to shift, and what came of it is told truthfully."""

from __future__ import annotations

from datetime import timedelta
from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.deployment_config import deployment_config, why_too_few
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, OnlyGreen, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_endpoint_modified, with_green_traffic, with_phase
from airflow_sm_rollout.core.rules.aws_shift import is_put_back, wait_while_shifting
from airflow_sm_rollout.core.rules.shared import (
    because,
    blue_config_exists,
    endpoint_exists,
    endpoint_of,
    goes_forward,
    heed_wish,
    is_in_service,
    no_harm,
    old_of_blue,
    on_known_config,
    tidy,
)
from airflow_sm_rollout.core.watch.ringing import describe_harm
from airflow_sm_rollout.core.way import Needs, Rule

# An alarm of three one-minute periods, each of which is final a minute after its end, and some.
_FIRST_STATE_TAKES = timedelta(minutes=6)


def needs(rollout: Rollout) -> Needs:
    """The alarms, and what is made or tidied on the way."""
    configs = (rollout.names.final_config, rollout.blue.config_name)
    return Needs(configs, old_of_blue(rollout)[1], rollout.watched_alarms)


def _on_blue(rule: Rule) -> Rule:
    """Before SageMaker is asked to shift, or after it has gone back."""

    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        is_on_blue = endpoint_of(seen).config_name == rollout.blue.config_name
        return rule(goal, rollout, seen) if is_on_blue else None

    return guarded


def _before_promotion(rule: Rule) -> Rule:
    """Once green is promoted, its own alarms are deleted and say nothing."""

    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if rollout.phase is Phase.FORWARD else None

    return guarded


def _not_put_back(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """SageMaker's reason may be missing or old, so which alarm it was is asked of CloudWatch, whose history forgets nothing."""
    endpoint = endpoint_of(seen)
    if not is_put_back(rollout, endpoint):
        return None
    harm = describe_harm(seen.alarms, rollout.green_traffic_since)
    why = harm or "no watched alarm has rung since, so it was for another reason"
    return GiveUp(f"SageMaker put blue back: {why}; {endpoint.describe()}{because(endpoint)}")


def _enough_instances(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue may have been scaled since the plan was made, and one instance be more than a step's share by now."""
    too_few = why_too_few(rollout.plan.strategy, _instances(rollout, seen)) if rollout.plan.strategy else ""
    return GiveUp(f"traffic='guardrails': {too_few}; {endpoint_of(seen).describe()}") if too_few else None


def _note_update(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before SageMaker is asked, so that its going back can't be taken for not having been asked yet."""
    if rollout.endpoint_modified is not None:
        return None
    noted = with_endpoint_modified(with_green_traffic(rollout, seen.at), endpoint_of(seen).last_modified)
    return Act(actions.UpdateRecord(noted, "SageMaker is about to shift traffic to green"))


def _shift(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.plan.strategy is None:
        return GiveUp("the plan has no strategy that SageMaker could shift by")
    deployment = deployment_config(rollout.plan.strategy, rollout.watched_alarms, _instances(rollout, seen))
    final = rollout.names.final_config
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, final, keep_weights=True, deployment=deployment))


def _was_watched(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """To SageMaker an alarm without data is quiet; but it has told nothing of green."""
    blind = [alarm for alarm in seen.alarms if alarm.state == "INSUFFICIENT_DATA"]
    if not blind:
        return None
    told = f"alarm {blind[0].name} has too little data to tell: {blind[0].reason}"
    left = endpoint_of(seen).last_modified + _FIRST_STATE_TAKES - seen.at
    return Wait(told, left) if left > timedelta() else GiveUp(f"SageMaker shifted all traffic to green, but {told}")


def _note_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before an alarm is deleted, so that a retry knows why it is not there."""
    if rollout.phase is Phase.PROMOTED:
        return None
    return Act(actions.UpdateRecord(with_phase(rollout, Phase.PROMOTED), "green is promoted"))


def _tidy_after_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return tidy(rollout, seen, *old_of_blue(rollout))


def _promoted(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteRecord(rollout))


def _instances(rollout: Rollout, seen: Observation) -> int:
    """What green will have: UpdateEndpoint carries the count over to the variant of the same name."""
    variant = endpoint_of(seen).variant(rollout.blue.variant)
    return variant.desired_count if variant else rollout.blue.instance_count


RULES: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    wait_while_shifting,
    is_in_service,
    on_known_config("blue", "final"),
    _not_put_back,
    _before_promotion(no_harm),
    _before_promotion(heed_wish),
    _on_blue(blue_config_exists),
    _on_blue(_enough_instances),
    _on_blue(_note_update),
    _on_blue(_shift),
    _before_promotion(_was_watched),
    _note_promotion,
    _tidy_after_promotion,
    _promoted,
)
