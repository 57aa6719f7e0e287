"""What a rollout's bakes will be able to prove, told before anything is changed."""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.evidence import read_baseline
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.how_long import describe_needs, needs_of
from airflow_sm_rollout.core.watch.reach import Load, load_of, reach_in
from airflow_sm_rollout.core.watch.sources import Sources, figures_every

_UNKNOWN = "Blue had no calls in the last hours: nobody knows what a bake can prove"


def foresee(clients: Clients, rollout: Rollout) -> list[str]:
    """A sentence on each bake in which green is compared with blue, and on how long one must be; none, if there are no such steps.

    One call: blue's last hours, by which its traffic is known.
    """
    strategy, tolerances = rollout.plan.strategy, rollout.plan.evidence.tolerances
    beside = [step for step in strategy.steps if step.share < 100] if strategy and tolerances else []
    if not beside:
        return []
    load = _load_of(clients, rollout)
    if load is None:
        return [_UNKNOWN]
    seconds = figures_every(rollout)
    told = ((step, reach_in(rollout, load, step.share, step.bake, seconds)) for step in beside)
    return [
        *(f"The bake of {step.bake} at {step.share:g} % sees {reach.describe()}" for step, reach in told if reach),
        *_needs(rollout, load, *dict.fromkeys(step.share for step in beside)),
    ]


def foresee_bake(clients: Clients, rollout: Rollout, share: float | None, bake: timedelta) -> list[str]:
    """The same of one bake, as it begins; none, if nothing is compared in it.

    :param share: green's, in percent; ``None``: not known.
    """
    if rollout.plan.evidence.tolerances is None or share is None or not 0 < share < 100:
        return []
    load = _load_of(clients, rollout)
    if load is None:
        return [_UNKNOWN]
    reach = reach_in(rollout, load, share, bake, figures_every(rollout))
    seen = [f"This bake of {bake} at {share:g} % sees {reach.describe()}"] if reach else []
    return [*seen, *_needs(rollout, load, share)]


def _load_of(clients: Clients, rollout: Rollout) -> Load | None:
    sources = Sources(
        rollout.blue_dimensions,
        rollout.green_dimensions,
        rollout.thresholds,
        rollout.started_at,
        figures_every(rollout),
        rollout.blue.is_asynchronous,
    )
    return load_of(read_baseline(clients.cloudwatch, sources, rollout.started_at))


def _needs(rollout: Rollout, load: Load, *shares: float) -> list[str]:
    needs = ((share, needs_of(rollout, load, share, figures_every(rollout))) for share in shares)
    return [describe_needs(each, load, share) for share, each in needs if each]
