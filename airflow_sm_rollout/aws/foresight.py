"""What a rollout's bakes will be able to prove, told before anything is changed."""

from __future__ import annotations

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.evidence import read_baseline
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.how_long import describe_needs, needs_of
from airflow_sm_rollout.core.watch.reach import load_of, reach_in
from airflow_sm_rollout.core.watch.sources import Sources, figures_every


def foresee(clients: Clients, rollout: Rollout) -> list[str]:
    """A sentence on each bake in which green is compared with blue, and on how long one must be; none, if there are no such steps.

    One call: blue's last hours, by which its traffic is known.
    """
    strategy, tolerances = rollout.plan.strategy, rollout.plan.evidence.tolerances
    beside = [step for step in strategy.steps if step.share < 100] if strategy and tolerances else []
    if not beside:
        return []
    seconds = figures_every(rollout)
    sources = Sources(
        rollout.blue_dimensions, rollout.green_dimensions, rollout.thresholds, rollout.started_at, seconds
    )
    load = load_of(read_baseline(clients.cloudwatch, sources, rollout.started_at))
    if load is None:
        return ["Blue had no calls in the last hours: nobody knows what a bake can prove"]
    told = ((step, reach_in(rollout, load, step.share, step.bake, seconds)) for step in beside)
    shares = dict.fromkeys(step.share for step in beside)
    needs = ((share, needs_of(rollout, load, share, seconds)) for share in shares)
    return [
        *(f"The bake of {step.bake} at {step.share:g} % sees {reach.describe()}" for step, reach in told if reach),
        *(describe_needs(each, load, share) for share, each in needs if each),
    ]
