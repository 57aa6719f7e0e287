"""Is what is watched still what was planned? Whoever changes an endpoint in a bake changes what its figures are about.

The cause is told rather than its symptom: a green that was given all traffic by hand may well fail next.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from airflow_sm_rollout.core.observation import Endpoint
from airflow_sm_rollout.core.pointer import calls_blue_too, is_share
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.watch.readings import Scene
from airflow_sm_rollout.core.watch.sources import is_shadow
from airflow_sm_rollout.core.watch.watch import Watch


def describe_end(rollout: Rollout, scene: Scene) -> str:
    """Why a rollout goes forward no more, by its record; empty: it does. Its alarms go with it, so that one is gone is not the cause."""
    ended, record = "by `sm-rollout rollback`, a guardian, the janitor or another task of it", scene.record
    if record is None:
        return (
            f"rollout {rollout.rollout_id} is over: it was ended meanwhile, {ended}, or somebody has deleted its record"
        )
    if record.rollout_id != rollout.rollout_id:
        return f"rollout {rollout.rollout_id} is over: it was ended meanwhile, {ended}"
    if record.phase is Phase.ROLLING_BACK:
        return f"rollout {rollout.rollout_id} is being rolled back already, {ended}"
    return ""


def describe_drift(watch: Watch, scene: Scene) -> str:
    """What somebody else has changed under the watch; empty: nothing, or the watch does not look."""
    rollout = watch.rollout
    if rollout is None or not watch.observes:
        return ""
    found = (
        *_of_pointer(rollout, watch.share, scene),
        *_of_endpoint(rollout, watch.share, scene.endpoint),
        *_of_blue(rollout, scene),
    )
    return found[0] if found else ""


def _of_pointer(rollout: Rollout, share: float | None, scene: Scene) -> Iterator[str]:
    if not rollout.traffic.has_pointer or rollout.green_traffic_since is None or share == 0:
        return
    name, pointer = rollout.pointer_described, scene.pointer
    if pointer is None:
        yield f"{name} was deleted, so clients have left green"
        return
    given = pointer.split.share_of(rollout.green_endpoint_name) if pointer.split else 0.0
    now = f"{name} names {pointer.split or 'none'} since {_time(pointer.written_at)}"
    if not given:
        yield f"clients have left green: {now}"
    elif share is not None and not is_share(given, share):
        yield f"somebody else moved traffic in this bake: green is to have {share:g} %, and {now}"


def _of_endpoint(rollout: Rollout, share: float | None, endpoint: Endpoint | None) -> Iterator[str]:
    if endpoint is None:
        yield f"endpoint {rollout.green_endpoint_name}, where green serves, was deleted"
        return
    changed = f"{endpoint.describe()}, last changed at {_time(endpoint.last_modified)}"
    known = _configs(rollout)
    if endpoint.config_name not in known:
        yield f"somebody else changed the endpoint in this bake: {changed}; this rollout is on {' or '.join(known)}"
    if rollout.traffic.has_one_config and not is_shadow(rollout):
        yield from _of_variants(rollout, share, endpoint, changed)
    if endpoint.status == "Updating":  # of another config AWS tells nothing before it is there
        yield f"somebody else changes the endpoint in this bake, in which the rollout changes nothing: {changed}"


def _of_blue(rollout: Rollout, scene: Scene) -> Iterator[str]:
    """What green is compared with, and what clients call beside it."""
    if not calls_blue_too(rollout, scene.pointer):
        return
    endpoint, known = scene.blue_endpoint, rollout.blue.config_name
    if endpoint is None:
        yield f"endpoint {rollout.blue_endpoint_name}, where blue serves beside green, was deleted"
        return
    changed = f"{endpoint.describe()}, last changed at {_time(endpoint.last_modified)}"
    if endpoint.config_name != known:
        yield f"somebody else changed blue's endpoint in this bake: {changed}; this rollout is on {known}"
    if endpoint.status == "Updating":
        yield f"somebody else changes blue's endpoint in this bake, in which the rollout changes nothing: {changed}"


def _of_variants(rollout: Rollout, share: float | None, endpoint: Endpoint, changed: str) -> Iterator[str]:
    if share is not None and not endpoint.has_share(rollout.green_variant, share):
        yield f"somebody else moved traffic in this bake: green is to have {share:g} %, and {changed}"
    for variant in endpoint.variants:
        if endpoint.is_in_service and variant.current_weight and not variant.current_count:
            yield f"variant {variant.name} has traffic and no instance: {changed}"


def _configs(rollout: Rollout) -> tuple[str, ...]:
    """Those that the endpoint where green serves may be on while green is watched in a bake."""
    names = rollout.names
    if rollout.traffic.has_one_config:
        return (names.shadow_config if is_shadow(rollout) else names.mixed_config,)
    return (names.final_config,) if rollout.traffic.has_pointer else (rollout.blue.config_name, names.final_config)


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S UTC")
