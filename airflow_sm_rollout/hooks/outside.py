"""Asks databases, HTTP servers and functions for counts, by Airflow's connections.

A look at green never waits for them. Each question is asked in a thread of its own, and a later look finds the answer: a database that
takes its time, or never answers, holds up no watch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.core.plan.measures import Function, Measure
from airflow_sm_rollout.core.watch.rows import Answer, Counted, Malformed, Question
from airflow_sm_rollout.hooks.asking import ask_source, look_up_connection, say_error

LOOK_UP_AGAIN = 60.0  # seconds, for connections that have changed
_ASK_AGAIN = 20.0  # seconds after an answer: rows may have come late
_TRY_AGAIN = 5.0  # seconds after a failure
_MOST_ASKED = 32  # questions under way in a process; a database that never answers keeps one of them
_FORGOTTEN_AFTER = 900.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """A question's last answer, and whether it is being asked again.

    :ivar asked_at: when it was last asked; so ``answered_at``.
    """

    last_used: float
    asked_at: float = float("-inf")
    answered_at: float = float("-inf")
    is_under_way: bool = False
    answered: Question | None = None
    periods: list[Counted] | None = None
    failure: str = ""

    def is_due(self, question: Question, now: float) -> bool:
        """Whether to ask now."""
        if self.is_under_way:
            return False
        if self.failure or self.answered is None:
            return now - self.asked_at >= _TRY_AGAIN
        covers = self.answered.since <= question.since and self.answered.until >= question.until
        return not covers or now - self.answered_at >= _ASK_AGAIN

    def answer(self, question: Question, timeout: float, now: float) -> Answer:
        """What is known by now."""
        answered, late = self.answered, ""
        if self.is_under_way and now - self.asked_at > timeout:
            late = f"it has not answered for {now - self.asked_at:.0f} s"
        if answered is None or self.periods is None or answered.since > question.since:
            return Answer(unknown=self.failure or late or "it has not answered yet", is_awaited=True)
        periods = [each for each in self.periods if question.since <= each.start]
        is_awaited = answered.until < question.until or bool(self.failure)
        return Answer(answered.until, periods, self.failure or late, is_awaited=is_awaited)


def _start_thread(work: Callable[[], None]) -> None:
    """As a daemon: no worker waits at its end for a database that does not answer."""
    threading.Thread(target=work, name="sm-rollout-outside", daemon=True).start()


class AirflowOutside:
    """Asks by Airflow's connections.

    Connections are looked up by :meth:`look_up` alone, which is to be called where Airflow may be asked: in a triggerer that is not every
    thread (see :meth:`~airflow_sm_rollout.hooks.aws.AwsConnection.clients`).

    :param clock: seconds, which never go back.
    :param start: has something done in the background.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = _start_thread,
    ) -> None:
        self._clock, self._start = clock, start
        self._asked: dict[str, _Asked] = {}
        self._connections: dict[str, tuple[float, Any, str]] = {}
        self._wanted: set[str] = set()
        self._lock = threading.RLock()  # whoever starts it may also do it

    @property
    def is_wanting(self) -> bool:
        """Whether a connection is to be looked up."""
        return bool(self._wanted)

    def look_up(self) -> None:
        """Look up the connections that are wanted; what becomes of it, an answer says."""
        for conn_id in tuple(self._wanted):
            connection, why = self._connections.get(conn_id, (0.0, None, ""))[1], ""
            try:
                connection = look_up_connection(conn_id)
            except Exception as error:  # noqa: BLE001 - a secrets backend may fail in any way
                why = f"connection {conn_id!r} could not be looked up: {say_error(error)}"
            self._connections[conn_id] = self._clock(), connection, why
            self._wanted.discard(conn_id)

    def ask(self, measure: Measure, question: Question) -> Answer:
        """The last answer to that question; asks it again where that is time."""
        now, key = self._clock(), repr((measure, question.green, question.blue))
        with self._lock:
            asked = self._asked.setdefault(key, _Asked(now))
            asked.last_used = now
            self._forget(now)
            if asked.is_due(question, now):
                self._begin(asked, measure, question, now)
            return asked.answer(question, measure.timeout, now)

    def _forget(self, now: float) -> None:
        old = [key for key, asked in self._asked.items() if now - asked.last_used > _FORGOTTEN_AFTER]
        for key in old:
            del self._asked[key]

    def _begin(self, asked: _Asked, measure: Measure, question: Question, now: float) -> None:
        connection, why = self._connection_of(measure, now)
        if why:
            asked.failure, asked.asked_at = why, now
        elif sum(each.is_under_way for each in self._asked.values()) >= _MOST_ASKED:
            asked.failure, asked.asked_at = f"{_MOST_ASKED} other questions have not been answered yet", now
        elif connection is not None or isinstance(measure.source, Function):
            asked.is_under_way, asked.asked_at = True, now
            self._start(lambda: self._run(asked, measure, question, connection))

    def _connection_of(self, measure: Measure, now: float) -> tuple[Any, str]:
        """A source's connection, if it has been looked up, and why it can't be."""
        conn_id = getattr(measure.source, "conn_id", None)
        if conn_id is None:
            return None, ""
        looked_up_at, connection, why = self._connections.get(conn_id, (float("-inf"), None, ""))
        if now - looked_up_at > LOOK_UP_AGAIN or (why and now - looked_up_at > _TRY_AGAIN):
            self._wanted.add(conn_id)
        return connection, "" if connection is not None else why

    def _run(self, asked: _Asked, measure: Measure, question: Question, connection: Any) -> None:
        periods, failure = asked.periods, ""
        try:
            periods = ask_source(measure, question, connection)
        except Malformed as error:
            failure = f"its answer can't be read: {error}"
        except Exception as error:  # noqa: BLE001 - drivers and functions fail in any way
            failure = say_error(error, connection)
        with self._lock:
            if failure:
                _log.warning("The source of %s: %s", measure.label, failure)
            else:
                asked.answered, asked.periods, asked.answered_at = question, periods, self._clock()
            asked.failure, asked.is_under_way = failure, False


OUTSIDE = AirflowOutside()
"""The process's."""
