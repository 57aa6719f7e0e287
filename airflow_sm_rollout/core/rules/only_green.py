"""Only green: promotion, and what is tidied after it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.deployment_config import deployment_config, obeyed_alarms, why_too_few
from airflow_sm_rollout.core.goals import Act, Decision, GiveUp, Goal, OnlyGreen, Wait
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.pointer import share_on_green
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_endpoint_modified, with_green_traffic
from airflow_sm_rollout.core.rules.autoscaling import (
    blue_place,
    blue_scales_as_before,
    end_scaling,
    green_scales_as_blue_did,
    targets,
)
from airflow_sm_rollout.core.rules.aws_shift import is_put_back, wait_while_shifting
from airflow_sm_rollout.core.rules.configs import create_final
from airflow_sm_rollout.core.rules.deployed import (
    alias_calls_these_two,
    alias_is_on_green,
    begin_deployment,
    deployment_went_well,
    heed_abort,
    last_bake_is_over,
    note_deployment,
    shifter_is_gone,
    wait_while_codedeploy_shifts,
)
from airflow_sm_rollout.core.rules.kept_warm import (
    before_final_config,
    before_promotion,
    blue_stays_warm,
    green_scales_beside_blue,
    note_promotion,
    where_blue_is_kept,
)
from airflow_sm_rollout.core.rules.pair import (
    blue_is_unchanged,
    blue_stands,
    capacity_of_pair,
    green_is_in_service,
    green_is_unchanged,
    green_stands,
    pointer_is_known,
    queues_of,
    wait_for_clients,
    wait_for_green,
)
from airflow_sm_rollout.core.rules.published import alias_is_back_on_green, green_can_be_called, latest_names_green
from airflow_sm_rollout.core.rules.shared import (
    because,
    blue_config_exists,
    capacity_for,
    endpoint_exists,
    endpoint_of,
    goes_forward,
    green_of,
    heed_wish,
    is_in_service,
    no_harm,
    old_of_blue,
    on_known_config,
    own_config_exists,
    record_goes,
    tidy,
    update_once,
    wait_while_busy,
)
from airflow_sm_rollout.core.watch.ringing import describe_harm
from airflow_sm_rollout.core.way import Needs, Rule, before

# An alarm of three one-minute periods, each of which is final a minute after its end, and some.
_FIRST_STATE_TAKES = timedelta(minutes=6)


def needs_of_variants(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is made and tidied on the way."""
    names = rollout.names
    configs, models = old_of_blue(rollout)
    known = (names.shadow_config, names.mixed_config, names.final_config, *configs)
    return Needs(known, models, rollout.watched_alarms, targets=targets(rollout))


def needs_of_endpoints(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is tidied on the way."""
    configs, models = old_of_blue(rollout)
    queues = queues_of(rollout, rollout.blue_endpoint_name) if rollout.plan.delete_blue else ()
    return Needs(configs, models, rollout.watched_alarms, targets=targets(rollout), queues=queues)


def needs_of_lambda(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As with two endpoints, and the function."""
    return replace(needs_of_endpoints(goal, rollout, endpoint), front=True)


def needs_of_codedeploy(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """As behind a function, what CodeDeploy tells, and the alarm by which it obeys the judge."""
    known = needs_of_lambda(goal, rollout, endpoint)
    return replace(known, alarms=known.alarms + rollout.verdict_alarms, deployments=True)


def needs_of_guardrails(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """The alarms, and what is made or tidied on the way."""
    configs = (rollout.names.final_config, rollout.blue.config_name)
    return Needs(configs, old_of_blue(rollout)[1], rollout.watched_alarms + rollout.verdict_alarms)


def _all_traffic_on_green(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    endpoint = endpoint_of(seen)
    share = endpoint.share(rollout.names.variant)
    if endpoint.config_name == rollout.names.final_config or math.isclose(share, 100.0):
        return None
    return GiveUp(f"green has {share:g} % of the traffic, promotion needs 100 %: shift it there and watch it first")


def _capacity_for_all(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return capacity_for(100.0, rollout, seen)


def _final_config_exists(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.names.final_config in seen.configs:
        return None
    return Act(create_final(rollout, green_of(rollout, seen).current_count))


def _blues_scaling_ends(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """AWS refuses an update that removes a variant which is a scalable target."""
    return end_scaling(blue_place(rollout), seen)


def _update_to_final(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    if endpoint_of(seen).config_name != rollout.names.mixed_config:
        return None
    return update_once(rollout, seen, rollout.names.final_config, keep_weights=False)


def _tidy_after_promotion(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    configs, models = old_of_blue(rollout)
    names = rollout.names
    return tidy(rollout, seen, [names.shadow_config, names.mixed_config, *configs], models)


def _pointer_on_green(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    share = share_on_green(rollout, seen.pointer)
    if share == 100:
        return None
    return GiveUp(f"green has {share:g} % of the traffic, promotion needs 100 %: shift it there and watch it first")


def _of_a_blue_to_delete(rule: Rule) -> Rule:
    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        return rule(goal, rollout, seen) if rollout.plan.delete_blue and seen.endpoint is not None else None

    return guarded


def _kept_blue_scales_as_before(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    blue = seen.endpoint
    if rollout.plan.delete_blue or blue is None or blue.variant(rollout.blue.variant) is None:
        return None
    return blue_scales_as_before(goal, rollout, seen)


def _clients_left_blue(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return wait_for_clients(rollout.blue_endpoint_name, rollout, seen)


def _delete_blue_endpoint(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return Act(actions.DeleteEndpoint(rollout.blue_endpoint_name))


def tidy_blue(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Delete what was blue's alone, where the plan says so."""
    return tidy(rollout, seen, *old_of_blue(rollout))


def on_blue(rule: Rule) -> Rule:
    """Before SageMaker is asked to shift, or after it has gone back."""

    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        is_on_blue = endpoint_of(seen).config_name == rollout.blue.config_name
        return rule(goal, rollout, seen) if is_on_blue else None

    return guarded


def not_put_back(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
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


def verdict_alarm_watches(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Made right before SageMaker is asked: from then on somebody has to judge, or it rings."""
    states = [alarm.state for alarm in seen.alarms if alarm.name in rollout.verdict_alarms]
    return Act(actions.PutVerdictAlarm(rollout, seen.at)) if {"MISSING", "ALARM"} & set(states) else None


def no_harm_but_by_verdict(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Whoever asks is the judge, or follows on one, so the judge's own alarm says nothing new."""
    watched = tuple(alarm for alarm in seen.alarms if alarm.name in rollout.watched_alarms)
    return no_harm(goal, rollout, replace(seen, alarms=watched))


def note_update(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before SageMaker is asked, so that its going back can't be taken for not having been asked yet."""
    if rollout.endpoint_modified is not None:
        return None
    noted = with_endpoint_modified(with_green_traffic(rollout, seen.at), endpoint_of(seen).last_modified)
    return Act(actions.UpdateRecord(noted, "SageMaker is about to shift traffic to green"))


def _ask_sagemaker_to_shift(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    if rollout.plan.strategy is None:
        return GiveUp("the plan has no strategy that SageMaker could shift by")
    deployment = deployment_config(rollout.plan.strategy, obeyed_alarms(rollout), _instances(rollout, seen))
    final = rollout.names.final_config
    return Act(actions.UpdateEndpoint(rollout.endpoint_name, final, keep_weights=True, deployment=deployment))


def _before_shift(rule: Rule) -> Rule:
    """Until CodeDeploy was asked."""

    @wraps(rule)
    def guarded(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
        is_asked = rollout.phase is not Phase.FORWARD or (
            seen.deployments is not None and seen.deployments.own is not None
        )
        return None if is_asked else rule(goal, rollout, seen)

    return guarded


def _green_can_take_all(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    return capacity_of_pair(100.0, rollout, seen)


def _was_watched_by_then(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """To CodeDeploy an alarm without data is quiet; but it has told nothing of green."""
    own = seen.deployments.own if seen.deployments else None
    return _has_watched(rollout, seen, (own and own.ended_at) or seen.at, "CodeDeploy")


def was_watched(goal: OnlyGreen, rollout: Rollout, seen: Observation) -> Decision | None:
    """To SageMaker an alarm without data is quiet; but it has told nothing of green."""
    return _has_watched(rollout, seen, endpoint_of(seen).last_modified, "SageMaker")


def _has_watched(rollout: Rollout, seen: Observation, since: datetime, who: str) -> Decision | None:
    watched = (alarm for alarm in seen.alarms if alarm.name in rollout.watched_alarms)
    blind = [alarm for alarm in watched if alarm.state == "INSUFFICIENT_DATA"]
    if not blind:
        return None
    told = f"alarm {blind[0].name} has too little data to tell: {blind[0].reason}"
    left = since + _FIRST_STATE_TAKES - seen.at
    return Wait(told, left) if left > timedelta() else GiveUp(f"{who} shifted all traffic to green, but {told}")


def _instances(rollout: Rollout, seen: Observation) -> int:
    """What green will have: UpdateEndpoint carries the count over to the variant of the same name."""
    variant = endpoint_of(seen).variant(rollout.blue.variant)
    return variant.desired_count if variant else rollout.blue.instance_count


VARIANTS: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    wait_while_busy,
    is_in_service,
    on_known_config("mixed", "final"),
    own_config_exists,
    _all_traffic_on_green,
    before_final_config(before_promotion(no_harm)),
    before_final_config(before_promotion(heed_wish)),
    before_final_config(_capacity_for_all),
    before_final_config(where_blue_is_kept(note_promotion)),
    before_final_config(green_scales_beside_blue),
    before_final_config(blue_stays_warm),
    _final_config_exists,
    before_final_config(_blues_scaling_ends),
    _update_to_final,
    green_scales_as_blue_did,
    _tidy_after_promotion,
    record_goes,
)


ENDPOINTS: tuple[Rule, ...] = (
    goes_forward,
    pointer_is_known,
    _pointer_on_green,
    green_stands,
    green_is_unchanged,
    wait_for_green,
    green_is_in_service,
    before_promotion(no_harm),
    before_promotion(heed_wish),
    note_promotion,
    green_scales_as_blue_did,
    blue_stays_warm,
    _of_a_blue_to_delete(blue_is_unchanged),
    _of_a_blue_to_delete(wait_while_busy),
    _of_a_blue_to_delete(_clients_left_blue),
    _of_a_blue_to_delete(_delete_blue_endpoint),
    _kept_blue_scales_as_before,  # before the tidying, which a denied delete may hold up
    tidy_blue,
    record_goes,
)


LAMBDA: tuple[Rule, ...] = before(
    pointer_is_known, alias_is_back_on_green, before(green_scales_as_blue_did, latest_names_green, ENDPOINTS)
)


GUARDRAILS: tuple[Rule, ...] = (
    endpoint_exists,
    goes_forward,
    wait_while_shifting,
    is_in_service,
    on_known_config("blue", "final"),
    not_put_back,
    before_promotion(no_harm_but_by_verdict),
    before_promotion(heed_wish),
    on_blue(blue_config_exists),
    on_blue(_enough_instances),
    on_blue(verdict_alarm_watches),
    on_blue(note_update),
    on_blue(_ask_sagemaker_to_shift),
    before_promotion(was_watched),
    note_promotion,
    tidy_blue,
    record_goes,
)


CODEDEPLOY: tuple[Rule, ...] = (
    goes_forward,
    wait_for_green,
    alias_is_back_on_green,
    alias_calls_these_two,
    before_promotion(deployment_went_well),
    before_promotion(no_harm_but_by_verdict),
    before_promotion(heed_abort),
    before_promotion(wait_while_codedeploy_shifts),
    green_stands,
    green_is_unchanged,
    green_is_in_service,
    _before_shift(heed_wish),
    _before_shift(blue_stands),
    _before_shift(blue_is_unchanged),
    _before_shift(green_can_be_called),
    _before_shift(_green_can_take_all),
    _before_shift(verdict_alarm_watches),
    _before_shift(note_deployment),
    _before_shift(begin_deployment),
    alias_is_on_green,
    before_promotion(last_bake_is_over),
    before_promotion(_was_watched_by_then),
    *ENDPOINTS[ENDPOINTS.index(note_promotion) : ENDPOINTS.index(green_scales_as_blue_did)],
    latest_names_green,
    *ENDPOINTS[ENDPOINTS.index(green_scales_as_blue_did) : -1],
    shifter_is_gone,
    record_goes,
)
