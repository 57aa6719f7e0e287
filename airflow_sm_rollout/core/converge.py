"""Decide the next move toward a goal, from one observation.

Every operator, the command line and the tests drive the same loop::

    observe -> decide -> one action, then again | wait | done | give up

Nothing is remembered between two turns, so a retry, a cleared task or a killed worker is no special case: the next turn reads the world
and goes on. That holds only if each rule asks what *is*, never what was done. The rules are in
:mod:`~airflow_sm_rollout.core.rules`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_sm_rollout.core.actions import CreateRecord, DeleteRecord
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.goals import (
    Act,
    AsBefore,
    Decision,
    Done,
    GiveUp,
    Goal,
    GreenDeployed,
    GreenShadowed,
    GreenShare,
    OnlyGreen,
    Wait,
)
from airflow_sm_rollout.core.lost import (
    describe_lost,
    is_lost,
    is_on_passing_config,
    why_pointer_is_left,
)
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.pointer import Pointer, share_on_green
from airflow_sm_rollout.core.rollout import AHEAD, WHEN_NEEDED, Phase, Plan, Rollout, with_green_traffic, with_phase
from airflow_sm_rollout.core.rules.table import WAYS
from airflow_sm_rollout.core.traffic import Traffic, parse_traffic
from airflow_sm_rollout.core.way import Needs

ON_DRIFT = ("refuse", "restore")
CAPACITY = (AHEAD, WHEN_NEEDED)
SOON = timedelta(seconds=30)


def validate_plan(plan: Plan) -> None:
    """Check that the plan's way to split traffic can do what is planned.

    :raises PlanError: naming the option and what it may be.
    """
    traffic = parse_traffic(plan.traffic)
    if plan.on_drift not in ON_DRIFT:
        raise PlanError("on_drift", plan.on_drift, f"one of {', '.join(ON_DRIFT)}")
    if plan.capacity not in CAPACITY:
        raise PlanError("capacity", plan.capacity, f"one of {', '.join(CAPACITY)}")
    if plan.capacity != AHEAD and not traffic.has_one_config:
        allowed = f"{AHEAD!r} with traffic={traffic.name!r}, where green has all its instances from the start"
        raise PlanError("capacity", plan.capacity, allowed)
    if plan.keep_blue is not None and not (traffic.has_one_config or traffic.has_pointer):
        allowed = f"left out with traffic={traffic.name!r}: AWS deletes blue's instances itself. With 'variants' or 'endpoints' they stay"
        raise PlanError("keep_blue", plan.keep_blue, allowed)
    _validate_function(plan, traffic)
    traffic.validate(plan)


def _validate_function(plan: Plan, traffic: Traffic) -> None:
    if traffic.has_function and plan.function is None:
        raise PlanError(
            "function", None, f"with traffic={traffic.name!r} the name of the function that calls the endpoint"
        )
    if plan.function is not None and not traffic.has_function:
        raise PlanError("function", plan.function.function, f"left out with traffic={traffic.name!r}, which calls none")
    if traffic.has_deployment and plan.deployment is None:
        allowed = 'with shift_by="codedeploy" by whose means it shifts: {"role_arn": ...}, or {"application": ..., "group": ...}'
        raise PlanError("deployment", None, allowed)
    if plan.deployment is not None and not traffic.has_deployment:
        raise PlanError("deployment", plan.deployment.as_dict(), "left out, or given with shift_by='codedeploy'")


def needs(goal: Goal, rollout: Rollout, endpoint: Endpoint | None) -> Needs:
    """What a decision about a goal has to know, by the rollout's way to split traffic.

    :param endpoint: the endpoint where green is: its own, or blue's.
    """
    if (
        endpoint is not None
        and endpoint.is_busy
        and not (rollout.traffic.turns_while_busy and isinstance(goal, AsBefore))
    ):
        return Needs()  # it has to be waited for, but for a way back that goes on beside it, or tells SageMaker to turn
    return WAYS[rollout.plan.traffic].needs[type(goal)](goal, rollout, endpoint)


def is_decided_by_pointer(goal: Goal, rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether the live pointer is all that a decision has to know: no throttled or denied read may come before traffic goes back."""
    if not rollout.traffic.has_pointer or rollout.traffic.has_deployment:  # which would shift on
        return False
    if isinstance(goal, GreenShare):
        return goal.share == 0
    is_going_on = rollout.is_promoted_for_good or rollout.undoes  # an undo gets blue ready first
    is_urgent = isinstance(goal, AsBefore) and not goal.refused  # what AWS has refused may need something that is gone
    return is_urgent and share_on_green(rollout, pointer) > 0 and not is_going_on


def decide(goal: Goal, rollout_id: str, seen: Observation) -> Decision:
    """What to do next.

    :param goal: the state to reach.
    :param rollout_id: whose rollout this is; another's record is never acted on.
    :param seen: what the world looks like; must hold all that :func:`needs` names.
    :return: one action, or wait, done, or give up, each with a reason fit for a person.
    """
    record = seen.record
    if isinstance(goal, (GreenDeployed, GreenShadowed)) and record is None:
        record = goal.rollout
    elif record is None:
        return _decide_without_record(goal, rollout_id, seen)
    elif record.rollout_id != rollout_id:
        return _decide_held_by_another(goal, record)
    return _decide_by_rules(goal, record, seen)


def _decide_by_rules(goal: Goal, rollout: Rollout, seen: Observation) -> Decision:
    answers = (rule(goal, rollout, seen) for rule in WAYS[rollout.plan.traffic].rules[type(goal)])
    return next(decision for decision in answers if decision is not None)


def _decide_without_record(goal: Goal, rollout_id: str, seen: Observation) -> Decision:
    """No rollout holds the endpoint: this one has ended, or has never begun, or somebody has deleted its record. AWS shows which."""
    if isinstance(goal, (AsBefore, OnlyGreen)) and goal.rollout is not None:
        find = _find_undo if goal.rollout.undoes else _find_planned
        return find(goal, goal.rollout, seen)
    if seen.endpoint is not None and is_on_passing_config(rollout_id, seen.endpoint):
        return GiveUp(describe_lost(Names(seen.endpoint.name, rollout_id), seen))
    left = why_pointer_is_left(rollout_id, seen.pointer, seen.endpoint)
    if left:
        return GiveUp(left)
    promoted = seen.endpoint is not None and seen.endpoint.config_name.endswith(f"-{rollout_id}")
    state = seen.endpoint.describe() if seen.endpoint else "there is no such endpoint"
    if promoted and isinstance(goal, (AsBefore, OnlyGreen)):
        return Done(f"green was promoted: {state}", Outcome.PROMOTED)
    if isinstance(goal, AsBefore):
        return Done(f"nothing of this rollout is left; {state}", Outcome.ROLLED_BACK)
    return _not_in_progress(rollout_id, state)


def _not_in_progress(rollout_id: str, state: str) -> GiveUp:
    return GiveUp(
        f"rollout {rollout_id} is not in progress (it was rolled back, promoted, or never began), so nothing was changed; {state}. "
        "Start a new rollout with a new DAG run"
    )


def _find_undo(goal: AsBefore | OnlyGreen, undo: Rollout, seen: Observation) -> Decision:
    """What became of an undo whose record is not there: it has ended if nothing is left to do. Otherwise the record was deleted.

    That AWS was asked for blue is not known any more. Where the endpoint was changed since the undo began and is on green, AWS has put
    green back: not to be asked again.
    """
    is_changed = seen.endpoint is not None and seen.endpoint.last_modified > undo.started_at
    known = replace(undo, endpoint_modified=undo.started_at if is_changed else None)
    decision = _decide_by_rules(goal, known, seen)
    if not isinstance(decision, Act):
        return decision
    if not isinstance(decision.action, DeleteRecord):
        return Act(CreateRecord(known))
    if decision.action.rollout.undoes:
        return Done(f"nothing of this rollout is left; {seen.describe()}", Outcome.ROLLED_BACK)
    return Done(f"green serves on: {seen.describe()}", Outcome.PROMOTED)


def _find_planned(goal: AsBefore | OnlyGreen, rollout: Rollout, seen: Observation) -> Decision:
    """What became of a rollout whose plan is known and whose record is not there."""
    busy = next((each for each in (seen.green_endpoint, seen.endpoint) if each is not None and each.is_busy), None)
    if busy is not None:
        return Wait(f"{busy.describe()}; what it becomes shows whether rollout {rollout.rollout_id} has ended", SOON)
    if is_lost(rollout, seen):
        return _make_again(goal, rollout, seen)
    left = why_pointer_is_left(rollout.rollout_id, seen.pointer, seen.green_endpoint)
    if left:
        return GiveUp(left)
    if _serves_green(rollout, seen):
        return Done(f"green was promoted: {seen.describe()}", Outcome.PROMOTED)
    if isinstance(goal, AsBefore):
        return Done(f"nothing of this rollout is left; {seen.describe()}", Outcome.ROLLED_BACK)
    return _not_in_progress(rollout.rollout_id, seen.describe())


def _make_again(goal: AsBefore | OnlyGreen, rollout: Rollout, seen: Observation) -> Decision:
    """The record of a rollout that has not ended, so that it can. Where only it could tell whether green was promoted, green was not."""
    known = with_green_traffic(rollout, rollout.started_at)
    if _shows_promotion(rollout, seen):
        return Act(CreateRecord(with_phase(known, Phase.PROMOTED)))
    if isinstance(goal, AsBefore):
        return Act(CreateRecord(with_phase(known, Phase.ROLLING_BACK)))
    return GiveUp(describe_lost(rollout.names, seen))


def _shows_promotion(rollout: Rollout, seen: Observation) -> bool:
    """Whether AWS shows that green was promoted: by the endpoint's config; or, by two endpoints, since blue's is gone as after a promotion,
    and clients are on a green that answers. Sent back they would find nobody.
    """
    if not rollout.traffic.has_pointer:
        return rollout.traffic.shows_promotion and _serves_green(rollout, seen)
    green = seen.green_endpoint
    is_alone = seen.endpoint is None and green is not None and green.answers
    return is_alone and rollout.plan.delete_blue and share_on_green(rollout, seen.pointer) == 100


def _serves_green(rollout: Rollout, seen: Observation) -> bool:
    """Whether green serves, or has served alone until somebody has sent clients elsewhere since."""
    if rollout.traffic.has_pointer:
        return seen.green_endpoint is not None
    return seen.endpoint is not None and seen.endpoint.config_name == rollout.names.final_config


def _decide_held_by_another(goal: Goal, record: Rollout) -> Decision:
    held = f"endpoint {record.endpoint_name} is held by {record.describe_owner()}"
    if isinstance(goal, AsBefore):
        return Done(f"{held}; nothing of this rollout is left, and that one is left alone", Outcome.ROLLED_BACK)
    return GiveUp(f"{held}; nothing was changed. {record.how_to_end()}", refused=True)
