"""What those who drive rollouts and those who guard them tell each other, by way of SSM.

The sign of life is a tag of the record: it goes with it, so that nothing is left of a rollout, and a late one fails rather than make
something new. A new version of a parameter keeps its tags (SSM, AddTagsToResource and PutParameter).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.clock import MACHINE
from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe, meaning_of
from airflow_sm_rollout.core.errors import RolloutError, RolloutRefused
from airflow_sm_rollout.core.guardian import (
    SIGN_EVERY,
    GuardianLook,
    Sign,
    TakenBack,
    look_from_json,
    sign_from_text,
    sign_to_text,
    taken_back_from_json,
    to_json,
    why_unguarded,
)
from airflow_sm_rollout.core.names import LOOKS_PREFIX, look_name, record_name, taken_back_name
from airflow_sm_rollout.core.rollout import Rollout

_DRIVEN = "sm-rollout:driven-at"
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class SignsOfLife:
    """Says on AWS that rollouts are driven from here, each at most once a minute.

    :param now: the time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._left: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def leave(self, clients: Clients, endpoint_name: str) -> None:
        """Say it of an endpoint's rollout. That it can't be said must not keep anybody from driving."""
        now = self._now()
        with self._lock:
            self._left = {name: at for name, at in self._left.items() if now - at < SIGN_EVERY}
            if endpoint_name in self._left:
                return
            self._left[endpoint_name] = now
        _try_to_leave(clients, endpoint_name, Sign(now))

    def leave_of(self, rollout: Rollout | None, clients: Clients) -> None:
        """The same, where a rollout is in progress: the sign is a tag of its record."""
        if rollout is not None:
            self.leave(clients, rollout.endpoint_name)

    def leave_last(self, clients: Clients, endpoint_name: str) -> None:
        """Say of an endpoint's rollout that its task has ended well: a task that gives no sign may follow."""
        with self._lock:
            self._left.pop(endpoint_name, None)  # the next task's first one is not to wait
        _try_to_leave(clients, endpoint_name, Sign(self._now(), has_ended=True))

    def leave_until(self, clients: Clients, endpoint_name: str, due: datetime) -> None:
        """Say of an endpoint's rollout that its task has failed and is tried again.

        :param due: when, at the latest.
        """
        with self._lock:
            self._left.pop(endpoint_name, None)
        _try_to_leave(clients, endpoint_name, Sign(due, awaits_retry=True))


def _try_to_leave(clients: Clients, endpoint_name: str, sign: Sign) -> None:
    try:
        leave_sign(clients.ssm, endpoint_name, sign)
    except AWS_ERRORS as error:
        _log.debug("No sign of life of the rollout of endpoint %s: %s", endpoint_name, describe(error))


SIGNS = SignsOfLife(MACHINE.now)
"""This process's."""


def leave_sign(ssm: Any, endpoint_name: str, sign: Sign) -> None:
    """Say that somebody drives the rollout in progress on an endpoint."""
    tag = {"Key": _DRIVEN, "Value": sign_to_text(sign)}
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=record_name(endpoint_name), Tags=[tag])


def read_sign(ssm: Any, endpoint_name: str) -> Sign | None:
    """What has last been said so; ``None``: nothing has."""
    answer = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=record_name(endpoint_name))
    signs = [tag["Value"] for tag in told(answer, "TagList", "an SSM parameter") if tag["Key"] == _DRIVEN]
    return sign_from_text(signs[0]) if signs else None


def leave_look(ssm: Any, look: GuardianLook) -> None:
    """Say that a guardian has looked."""
    _put(ssm, look_name(look.prefix), to_json(look))


def read_guardian(ssm: Any, endpoint_name: str) -> GuardianLook | None:
    """The guardian that has looked last among those that guard this endpoint; ``None``: none ever has."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=LOOKS_PREFIX)
    texts = [told(each, "Value", "an SSM parameter") for page in pages for each in page.get("Parameters", ())]
    looks = [look for look in (_readable(look_from_json, text) for text in texts) if look is not None]
    return max(
        (each for each in looks if endpoint_name.startswith(each.prefix)), key=lambda each: each.at, default=None
    )


def guardian_of(ssm: Any, endpoint_name: str) -> GuardianLook | None:
    """As :func:`read_guardian`, for who shows it only: ``None`` also where AWS refuses that or can't be reached."""
    try:
        return read_guardian(ssm, endpoint_name)
    except AWS_ERRORS as error:
        _log.debug("who guards %s can't be read: %s", endpoint_name, error)
        return None


def refuse_unguarded(ssm: Any, endpoint_name: str, now: datetime) -> None:
    """Refuse a rollout that insists on a guardian where there is none.

    :raises RolloutRefused: with when one has looked last.
    """
    why = why_unguarded(read_guardian(ssm, endpoint_name), endpoint_name, now)
    if why:
        raise RolloutRefused(why)


def note_taken_back(ssm: Any, endpoint_name: str, note: TakenBack) -> None:
    """Keep why a rollout is taken back, beyond its record."""
    _put(ssm, taken_back_name(endpoint_name), to_json(note))


def read_taken_back(ssm: Any, endpoint_name: str, rollout_id: str) -> TakenBack | None:
    """Why a guardian has taken this rollout back; ``None``: none has."""
    try:
        answer = ssm.get_parameter(Name=taken_back_name(endpoint_name))
    except ClientError as error:
        if meaning_of(error) is Meaning.GONE:
            return None
        raise
    text = told(answer.get("Parameter", {}), "Value", f"SSM parameter {taken_back_name(endpoint_name)}")
    note = _readable(taken_back_from_json, text)
    return note if note is not None and note.rollout_id == rollout_id else None


def _put(ssm: Any, name: str, text: str) -> None:
    ssm.put_parameter(Name=name, Value=text, Type="String", Tier="Intelligent-Tiering", Overwrite=True)


def _readable(read: Callable[[str], _T], text: str) -> _T | None:
    """``None``: it is somebody else's, or another version's."""
    try:
        return read(text)
    except RolloutError:
        return None
