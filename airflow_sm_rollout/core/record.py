"""A rollout as it is recorded on AWS: the JSON in the SSM parameter ``/sm-rollout/<endpoint>``.

It is written before the first effect and deleted after the last, so that everything needed for going back can be read again by whoever
comes next: a retry, the command line, a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.core.plan.evidence import Evidence, evidence_from, thresholds_from
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.plan.strategy import Step, Strategy
from airflow_sm_rollout.core.rollout import WHEN_NEEDED, Blue, Green, Phase, Plan, Rollout
from airflow_sm_rollout.core.scaling import scaling_from
from airflow_sm_rollout.core.shape import strangers
from airflow_sm_rollout.core.spoilt import describe_spoilt, well_typed
from airflow_sm_rollout.core.traffic import parse_traffic

RECORD_VERSION = 1
_FORMER = ("baseline_p99_microseconds",)  # earlier versions wrote it


def to_json(rollout: Rollout) -> str:
    """The record's text; compact, because a standard SSM parameter holds 4 KB."""
    return json.dumps({"version": RECORD_VERSION, **_plain(rollout)}, separators=(",", ":"))


def from_json(text: str) -> Rollout:
    """Read a record.

    :raises RolloutError: if it is not one, or of a version that this package does not know.
    """
    try:
        stored = json.loads(text)
        version = stored["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RolloutError(f"this is no rollout record: {text[:80]!r}") from None
    if version != RECORD_VERSION:
        raise RolloutError(
            f"the rollout record has version {version}, this package reads version {RECORD_VERSION}: upgrade it"
        )
    try:
        _refuse_unsound(text)
        return _rollout_from(stored)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        why = describe_spoilt(error)
        raise RolloutError(f"the rollout record can't be read by this version of the package: {why}") from error


@lru_cache(maxsize=256)  # records are read at each look, and written a few times in a rollout
def _refuse_unsound(text: str) -> None:
    """Check a record whole, once for each text; what is read from it is made anew each time, so that nobody shares its members.

    :raises ValueError: with what it has that is not known here, or with the first member that has another type than it should have.
    """
    stored = json.loads(text)
    _refuse_strangers(stored)
    well_typed(_rollout_from(stored))


def _refuse_strangers(stored: Mapping[str, Any]) -> None:
    """What is not known here can't be heeded, and would be lost when the record is written anew."""
    unknown = [name for name in strangers(stored, Rollout) if name not in ("version", *_FORMER)]
    if unknown:
        raise ValueError(
            f"it has {', '.join(unknown)}, which a newer version has written. Act where that one runs, or upgrade this one"
        )


def _plain(value: Any) -> Any:
    """Dataclasses, datetimes and durations as JSON has them; what is at its default of None is left out."""
    if hasattr(value, "__dataclass_fields__"):
        named = {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return {name: plain for name, plain in named.items() if plain is not None}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _rollout_from(stored: Mapping[str, Any]) -> Rollout:
    moments = ("green_traffic_since", "shadow_since", "endpoint_modified", "promoted_at")
    since, shadow, modified, promoted = (stored.get(moment) for moment in moments)
    return Rollout(
        endpoint_name=stored["endpoint_name"],
        rollout_id=stored["rollout_id"],
        owner=stored["owner"],
        started_at=datetime.fromisoformat(stored["started_at"]),
        blue=_blue_from(stored["blue"]),
        green=Green(**stored["green"]),
        plan=_plan_from(stored["plan"]),
        phase=Phase(stored["phase"]),
        green_traffic_since=datetime.fromisoformat(since) if since else None,
        paused_before_traffic=timedelta(seconds=stored.get("paused_before_traffic", 0.0)),
        instances_since={count: datetime.fromisoformat(at) for count, at in stored.get("instances_since", {}).items()},
        shadow_since=datetime.fromisoformat(shadow) if shadow else None,
        endpoint_modified=datetime.fromisoformat(modified) if modified else None,
        thresholds=thresholds_from(stored),
        worst_errors=stored.get("worst_errors", 0.0),
        metric_period_seconds=stored["metric_period_seconds"],
        undoes=stored.get("undoes", False),
        promoted_at=datetime.fromisoformat(promoted) if promoted else None,
    )


def _blue_from(stored: Mapping[str, Any]) -> Blue:
    timeout = timedelta(seconds=stored.get("function_timeout", 0.0))
    return Blue(**{**stored, "scaling": scaling_from(stored.get("scaling")), "function_timeout": timeout})


def _plan_from(stored: Mapping[str, Any]) -> Plan:
    strategy = stored.get("strategy")
    alarms, function, deployment = (stored.get(name) for name in ("default_alarms", "function", "deployment"))
    return Plan(
        strategy=_strategy_from(strategy) if strategy else None,
        alarms=tuple(stored["alarms"]),
        default_alarms=AlarmDefaults(**alarms) if alarms else None,
        delete_blue=stored["delete_blue"],
        traffic=parse_traffic(stored["traffic"]).name,
        drain=timedelta(seconds=stored["drain"]),
        on_drift=stored.get("on_drift", "refuse"),
        # A record without it was written when there were alarms alone, and no endpoint was made to publish its metrics more often.
        evidence=evidence_from(stored["evidence"]) if "evidence" in stored else Evidence(None, metric_seconds=None),
        capacity=stored.get("capacity", WHEN_NEEDED),
        function=FunctionAlias(**function) if function else None,
        deployment=Deploying(**deployment) if deployment else None,
        keep_blue=timedelta(seconds=stored["keep_blue"]) if stored.get("keep_blue") is not None else None,
    )


def _strategy_from(stored: Mapping[str, Any]) -> Strategy:
    steps = tuple(Step(step["share"], timedelta(seconds=step["bake"])) for step in stored["steps"])
    return Strategy(stored["name"], steps, stored["paced_by_clock"])
