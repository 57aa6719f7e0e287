"""Rules for autoscaling: it rests while the rollout runs, and is green's when green is promoted, or blue's as before.

It would block every change while it acts, and take instances from blue as soon as blue has less traffic, which a rollback would miss.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.goals import Act, Decision, Goal
from airflow_sm_rollout.core.observation import Observation, Variant
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.scaling import ALL_SUSPENDED, Scaling, readdress, resource_id

Place = tuple[str, str]  # an endpoint's name, and a variant's


def targets(rollout: Rollout) -> tuple[str, ...]:
    """The resource IDs to look at: none where blue does not scale."""
    places = (blue_place(rollout), green_place(rollout))
    return tuple(dict.fromkeys(resource_id(*place) for place in places)) if rollout.blue.scaling else ()


def blue_place(rollout: Rollout) -> Place:
    """Where blue's instances are."""
    return rollout.blue_endpoint_name, rollout.blue.variant


def green_place(rollout: Rollout) -> Place:
    """Where green's instances are."""
    return rollout.green_endpoint_name, rollout.green_variant


def suspend_blues_scaling(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue keeps the instances that it has until the end."""
    now = seen.scaling.get(resource_id(*blue_place(rollout)))
    if now is None or now.suspended == ALL_SUSPENDED:
        return None
    return Act(actions.RegisterTarget(*blue_place(rollout), now.minimum, now.maximum, ALL_SUSPENDED, now.dimension))


def blue_scales_as_before(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Blue's target and policies, whether they were suspended for the rollout or deregistered for its promotion."""
    scaling = rollout.blue.scaling
    return scale_as(scaling, blue_place(rollout), seen) if scaling else None


def green_scales_as_blue_did(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Green's target and policies are blue's, but for the names in them."""
    scaling = rollout.blue.scaling
    if scaling is None:
        return None
    names = dict(zip(blue_place(rollout), green_place(rollout), strict=True))
    policies = tuple(readdress(policy, names) for policy in scaling.policies)
    return scale_as(replace(scaling, policies=policies), green_place(rollout), seen)


def greens_scaling_ends(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """AWS refuses an update that removes a variant which is a scalable target."""
    return end_scaling(green_place(rollout), seen)


def end_scaling(place: Place, seen: Observation) -> Decision | None:
    """A variant is no scalable target."""
    now = seen.scaling.get(resource_id(*place))
    return Act(actions.DeregisterTarget(*place, now.dimension)) if now else None


def has_blues_count(variant: Variant, rollout: Rollout, seen: Observation) -> bool:
    """Whether blue has the capacity that it had; or more, where it scales as before the rollout, as that is autoscaling's then. What was
    provisioned since for a serverless blue that had none can't be set to none.
    """
    concurrency = rollout.blue.max_concurrency
    if variant.max_concurrency is not None and concurrency is None:
        return True  # recorded by an earlier version, which did not read it
    if variant.max_concurrency != concurrency:
        return False
    if concurrency is not None and not rollout.blue.instance_count:
        return True
    before, now = rollout.blue.scaling, seen.scaling.get(resource_id(*blue_place(rollout)))
    scales = before is not None and now is not None and now.has_target_of(before) and before.suspended != ALL_SUSPENDED
    missing = rollout.blue.instance_count - variant.desired_count
    return missing == 0 or (missing < 0 and scales)


def scale_as(scaling: Scaling, place: Place, seen: Observation) -> Decision | None:
    """The next thing to do until a variant scales like that; ``None``: it does."""
    now = seen.scaling.get(resource_id(*place))
    if now is None or not now.has_target_of(scaling):
        return Act(
            actions.RegisterTarget(*place, scaling.minimum, scaling.maximum, scaling.suspended, scaling.dimension)
        )
    unlike = now.policies_unlike(scaling)
    return Act(actions.PutPolicy(*place, unlike[0], scaling.dimension)) if unlike else None
