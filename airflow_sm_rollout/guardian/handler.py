"""The guardian as an AWS Lambda function: one look for each event.

An alarm that begins to ring makes it look at the rollouts that watch this alarm. Any other event makes it look at all of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.guardian import Finding, Patience, State
from airflow_sm_rollout.guardian.guardian import Guardian
from airflow_sm_rollout.guardian.run import look_once

_ANSWER_SECONDS = 10.0
_SPARE = _ANSWER_SECONDS  # before Lambda's deadline: a call that has begun may last that long


def handler(event: Mapping[str, Any], context: Any) -> list[dict[str, Any]]:
    """What Lambda calls. Set it as ``airflow_sm_rollout.guardian.handler.handler``.

    The environment may hold ``SM_ROLLOUT_PREFIX`` (only endpoints whose names begin so), and in minutes ``SM_ROLLOUT_ABANDONED_AFTER`` and
    ``SM_ROLLOUT_BETWEEN_TASKS``.

    :param event: EventBridge's or CloudWatch's of an alarm, or any other.
    :param context: Lambda's.
    :return: see :func:`answer`.
    :raises RolloutError: see :func:`answer`, and where the environment holds no number.
    """
    return answer(event, _guardian(context.function_name), context.get_remaining_time_in_millis() / 1000)


def answer(
    event: Mapping[str, Any], guardian: Guardian, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> list[dict[str, Any]]:
    """Look, and drive back what is to go back for as long as there is time. The next event goes on from there.

    :param seconds: how long the function may still run.
    :return: what was found of each rollout, as JSON. Empty where an alarm has ended or no rollout is in progress.
    :raises RolloutError: where something could not be done, after all else was, so that Lambda counts an error and tries again.
    """
    name, state = _alarm_of(event)
    if name is not None and state != "ALARM":
        return []
    findings = look_once(guardian, max(0.0, seconds - _SPARE), sleep, name)
    failed = [f"{finding.endpoint_name}: {finding.sentence}" for finding in findings if finding.state is State.FAILED]
    if failed:
        raise RolloutError("; ".join(failed))
    return [asdict(finding) for finding in findings]


def _alarm_of(event: Mapping[str, Any]) -> tuple[str | None, str]:
    """The alarm that an event is about, and its state. EventBridge tells it in ``detail``, an alarm's Lambda action in ``alarmData``."""
    told = event.get("alarmData") or event.get("detail") or {}
    name, state = told.get("alarmName"), told.get("state") or {}
    return (name, str(state.get("value", ""))) if name else (None, "")


@cache
def _guardian(name: str) -> Guardian:
    """Kept from one event to the next, with what it has read of green by then."""
    usual = Patience()
    patience = Patience(
        _minutes("SM_ROLLOUT_ABANDONED_AFTER", usual.in_task),
        _minutes("SM_ROLLOUT_BETWEEN_TASKS", usual.between_tasks),
    )
    clients = Clients.impatient(None, _ANSWER_SECONDS)
    prefix = os.environ.get("SM_ROLLOUT_PREFIX", "")
    return Guardian(clients, name=name, prefix=prefix, patience=patience, tell=_log)


def _log(finding: Finding) -> None:
    """A JSON line in the function's log: what an event's call returns is seen by nobody."""
    print(json.dumps(asdict(finding)), flush=True)


def _minutes(variable: str, usual: timedelta) -> timedelta:
    text = os.environ.get(variable, "")
    try:
        minutes = timedelta(minutes=float(text)) if text else usual
    except (ValueError, OverflowError):
        minutes = timedelta()
    if minutes <= timedelta():
        raise RolloutError(f"{variable}={text!r} is no number of minutes above 0")
    return minutes
