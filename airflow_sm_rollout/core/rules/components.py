"""Rules of an inference component, whose copies SageMaker replaces by a rolling update. Those that all goals share are guardrails'.

What it runs takes the place of a config: an observed component is on blue's, on green's, or on somebody else's specification. How many
copies there are is never changed, so whatever scales them goes on undisturbed.
"""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import rolling_update
from airflow_sm_rollout.core.deployment_config import obeyed_alarms
from airflow_sm_rollout.core.goals import (
    Act,
    AsBefore,
    Decision,
    Done,
    GiveUp,
    Goal,
    GreenDeployed,
    GreenShare,
    OnlyGreen,
    Wait,
)
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.rules.after_promotion import note_update_of_undo, undo_was_put_back
from airflow_sm_rollout.core.rules.as_before import (
    if_endpoint,
    made_models,
    tidy_after_rollback,
    turn_around,
)
from airflow_sm_rollout.core.rules.aws_shift import tell_sagemaker_to_turn, wait_while_shifting
from airflow_sm_rollout.core.rules.green_deployed import (
    blue_as_planned,
    given_alarms_are_quiet,
    given_model_exists,
    model_exists,
    own_alarms_exist,
    record_first,
)
from airflow_sm_rollout.core.rules.kept_warm import before_promotion, note_promotion
from airflow_sm_rollout.core.rules.only_green import (
    no_harm_but_by_verdict,
    not_put_back,
    note_update,
    on_blue,
    tidy_blue,
    verdict_alarm_watches,
    was_watched,
)
from airflow_sm_rollout.core.rules.promoted import is_finishing, once_promoted
from airflow_sm_rollout.core.rules.shared import (
    endpoint_exists,
    endpoint_of,
    goes_forward,
    heed_wish,
    is_in_service,
    not_promoted_yet,
    old_of_blue,
    on_known_config,
    record_goes,
    unless_restoring,
)
from airflow_sm_rollout.core.way import Needs, Rule

_LOOK_AGAIN = timedelta(seconds=30)


def needs_to_deploy(goal: GreenDeployed, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and green's model."""
    return Needs(models=(rollout.green_model_name,), alarms=rollout.watched_alarms)


def needs_to_promote(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is tidied."""
    return Needs(models=old_of_blue(rollout)[1], alarms=rollout.watched_alarms + rollout.verdict_alarms)


def needs_to_go_back(goal: AsBefore, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """What was made on the way."""
    if is_finishing(rollout, endpoint):
        return needs_to_promote(goal, rollout, endpoint)
    if endpoint is not None and endpoint.is_busy:
        return Needs(alarms=rollout.verdict_alarms)
    return Needs(models=made_models(rollout), alarms=rollout.made_alarms)


def _sagemaker_can_roll(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    unsuited = rolling_update.why_unsuited(rollout) if seen.record is None else ""
    return GiveUp(f"traffic='components': {unsuited}. Nothing was changed", refused=True) if unsuited else None


def _deployed_as_model(goal: GreenDeployed, rollout: Rollout, seen: Observation) -> Decision | None:
    return Done(f"green's model {rollout.green_model_name} is ready for SageMaker: {endpoint_of(seen).describe()}")


def _sagemaker_rolls(goal: GreenShare, rollout: Rollout, seen: Observation) -> Decision | None:
    return GiveUp(
        f"share={goal.share:g} can't be set: with traffic='components' SageMaker replaces copies by itself, from the promotion on. "
        "Nothing was changed"
    )


def _enough_copies(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """It may have been scaled since the plan was made, and one copy be more than a step's share by now."""
    strategy = rollout.plan.strategy
    too_few = rolling_update.why_too_few(strategy, _copies(rollout, seen)) if strategy else ""
    return GiveUp(f"traffic='components': {too_few}; {endpoint_of(seen).describe()}") if too_few else None


def _ask_sagemaker_to_roll(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    strategy = rollout.plan.strategy
    if strategy is None:
        return GiveUp("the plan has no strategy that SageMaker could replace copies by")
    by = rolling_update.deployment(strategy, obeyed_alarms(rollout), _copies(rollout, seen))
    return Act(rolling_update.UpdateComponent(rollout.endpoint_name, rolling_update.specification(rollout), by))


def _all_copies_are_there(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """In service on green's specification says nothing of how many copies have started."""
    variant = endpoint_of(seen).variant(rollout.blue.variant)
    if variant is None or variant.current_count >= variant.desired_count:
        return None
    return Wait(f"{endpoint_of(seen).describe()}; some copies are not there yet", _LOOK_AGAIN)


def _leave_failed(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Copies of both may serve side by side, since AWS could not roll its own update back. Another update leads out (inferred, AWS's remedy
    is not recorded).
    """
    return _update_back(rollout, seen) if endpoint_of(seen).status == "Failed" else None


def _back_to_blue(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    is_on_blue = endpoint_of(seen).config_name == rollout.blue.config_name
    return None if is_on_blue else _update_back(rollout, seen)


def _update_back(rollout: Rollout, seen: Observation) -> Decision:
    by = rolling_update.deployment_back(rollout, _copies(rollout, seen))
    return Act(rolling_update.UpdateComponent(rollout.endpoint_name, rolling_update.blues_specification(rollout), by))


def _copies(rollout: Rollout, seen: Observation) -> int:
    variant = endpoint_of(seen).variant(rollout.blue.variant)
    return variant.desired_count if variant else rollout.blue.instance_count


GREEN_DEPLOYED: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    not_promoted_yet,
    wait_while_shifting,
    is_in_service,
    blue_as_planned,
    given_model_exists,
    given_alarms_are_quiet,
    _sagemaker_can_roll,
    record_first,
    on_known_config("blue"),
    heed_wish,
    model_exists,
    own_alarms_exist,
    _deployed_as_model,
)


GREEN_SHARE: tuple[Rule, ...] = (_sagemaker_rolls,)


ONLY_GREEN: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    wait_while_shifting,
    is_in_service,
    on_known_config("blue", "final"),
    not_put_back,
    before_promotion(no_harm_but_by_verdict),
    before_promotion(heed_wish),
    on_blue(_enough_copies),
    on_blue(verdict_alarm_watches),
    on_blue(note_update),
    on_blue(_ask_sagemaker_to_roll),
    before_promotion(_all_copies_are_there),
    before_promotion(was_watched),
    note_promotion,
    tidy_blue,
    record_goes,
)


AS_BEFORE: tuple[Rule, ...] = (
    once_promoted(ONLY_GREEN),
    turn_around,
    tell_sagemaker_to_turn,
    if_endpoint(wait_while_shifting),
    if_endpoint(unless_restoring(on_known_config("blue", "final"))),
    if_endpoint(_leave_failed),
    if_endpoint(is_in_service),
    if_endpoint(undo_was_put_back),
    if_endpoint(note_update_of_undo),
    if_endpoint(_back_to_blue),
    tidy_after_rollback,
    record_goes,
)
