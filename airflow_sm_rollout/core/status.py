"""What a person is told of a rollout in progress: where it is, who drives it, and what happens next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.cost import describe_warm
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.orphans import describe_age, why_stale
from airflow_sm_rollout.core.plan.strategy import Step
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.watch.ringing import harm_by_alarms

_NEARLY = 0.01  # percent; weights are floats


def describe_status(seen: Observation) -> list[str]:
    """An endpoint and the rollout in progress on it, a line for each thing.

    :param seen: with the record, and where there is one the endpoints, the live pointer, the watched alarms and the last wish.
    """
    return list(_lines(seen))


def _lines(seen: Observation) -> Iterator[str]:
    for endpoint in (seen.endpoint, seen.green_endpoint):
        if endpoint is not None:
            yield endpoint.describe()
    if seen.pointer is not None:
        what = (seen.record and seen.record.plan.function) or "the live pointer"
        yield f"{what} names {seen.pointer.split or 'no endpoint'}"
    if seen.record is None:
        yield "no rollout is in progress"
        return
    yield from _rollout_lines(seen.record, seen)


def _rollout_lines(rollout: Rollout, seen: Observation) -> Iterator[str]:
    age = describe_age(seen.at - rollout.started_at)
    yield f"{rollout.describe_owner()}, {age} ago, phase {rollout.phase.value}"
    stale = why_stale(rollout, seen.at, _paused(seen))
    if stale:
        # Questions are Airflow's, and the record knows nothing of them.
        end = f"if its DAG run asks no person and nobody drives it any more, sm-rollout rollback {rollout.endpoint_name} ends it"
        yield f"STALE: {stale}; {end}"
    yield f"blue was {rollout.traffic.config_word} {rollout.blue.config_name} with {rollout.blue.capacity}"
    yield _describe_plan(rollout)
    share = rollout.traffic.share(rollout, seen)
    yield "green's share is SageMaker's to set just now" if share is None else f"green has {share:g} % of the traffic"
    if seen.control is not None:
        yield seen.control.describe()
    for alarm in seen.alarms:
        yield alarm.describe()
    yield f"next: {_describe_next(rollout, seen, share)}"


def _describe_plan(rollout: Rollout) -> str:
    strategy = rollout.plan.strategy
    if strategy is None:
        return f"plan: each task names its share, traffic by {rollout.plan.traffic}"
    steps = ", ".join(f"{step.share:g} % for {describe_age(step.bake)}" for step in strategy.steps)
    return f"plan: {strategy.name}, traffic by {rollout.plan.traffic}: {steps}"


def _describe_next(rollout: Rollout, seen: Observation, share: float | None) -> str:
    """What happens next, unless an alarm rings or a person wishes otherwise."""
    if rollout.phase is not Phase.FORWARD:
        if rollout.blue_until is not None:
            return f"what the rollout made is removed: {describe_warm(rollout)}"
        back = rollout.phase is Phase.ROLLING_BACK
        return "what the rollout made is removed" + (", once blue has all of the traffic" if back else "")
    return _describe_end(rollout, seen) or _describe_step(rollout, seen, share)


def _describe_end(rollout: Rollout, seen: Observation) -> str:
    """What keeps the rollout from its next step; empty if nothing does."""
    control, name = seen.control, rollout.endpoint_name
    harm = harm_by_alarms(rollout, seen.alarms) if rollout.green_traffic_since else ""
    if harm or (control and control.wish is Wish.ABORT):
        why = harm or "it was aborted"
        return f"its DAG run rolls it back, as {why}; without Airflow, sm-rollout rollback {name} does"
    if control and control.is_paused:
        return f"nothing, until sm-rollout resume, promote or abort {name}"
    return ""


def _describe_step(rollout: Rollout, seen: Observation, share: float | None) -> str:
    strategy = rollout.plan.strategy
    if share is None:
        stage = seen.endpoint.pending.stage if seen.endpoint and seen.endpoint.pending else ""
        return f"{rollout.traffic.shifter} goes on by itself: {stage}".removesuffix(": ")
    if strategy is None:
        return "what the next task of its DAG run asks for"
    if rollout.traffic.is_shifted_by_aws:
        return (
            f"{rollout.traffic.shifter} is asked to shift the traffic, and then goes on by itself"
            if not share
            else f"{rollout.traffic.shifter} goes on by itself"
            if share < 100
            else "green is promoted"
        )
    taken = [step for step in strategy.steps if step.share <= share + _NEARLY]
    coming = strategy.steps[len(taken)] if len(taken) < len(strategy.steps) else None
    then = f"green gets {coming.share:g} %" if coming else "green is promoted"
    return f"{then}{_describe_when(rollout, seen, taken)}" if taken else f"{then}, once it is deployed"


def _describe_when(rollout: Rollout, seen: Observation, taken: list[Step]) -> str:
    """When the bake of the last step that was taken is over: by the clock where the plan says so."""
    strategy, since = rollout.plan.strategy, rollout.green_traffic_since
    if strategy is None or since is None or not strategy.paced_by_clock:
        return f" after a bake of {describe_age(taken[-1].bake)}"
    due = since + sum((step.bake for step in taken), timedelta()) + _paused(seen) - rollout.paused_before_traffic
    return f" at about {due:%H:%M:%S} UTC"


def _paused(seen: Observation) -> timedelta:
    return seen.control.paused(seen.at) if seen.control else timedelta()
