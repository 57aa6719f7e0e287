"""AWS's time.

A machine's clock may be minutes off: AWS answers calls that are signed up to 15 minutes off. What a rollout compares are moments that AWS
has noted: when an alarm rang, when the live pointer was written.

Each answer says by its ``Date`` header when AWS gave it. The clock here is the machine's, moved as far as these say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

_SENT = "airflow_sm_rollout.sent_at"
_A_SECOND = timedelta(seconds=1)  # what a Date header is cut to
_MOST = timedelta(minutes=20)  # a call that is signed further off gets no answer, so such a date is somebody else's


class Clock:
    """A clock of this machine, moved to AWS's time.

    :param local: the machine's.
    """

    def __init__(self, local: Callable[[], datetime]) -> None:
        self.local = local
        self.has_heard = False
        self._ahead = timedelta()

    def now(self) -> datetime:
        """AWS's time, as far as its answers have told it."""
        return self.local() + self._ahead

    def hear(self, date: datetime, sent_at: datetime) -> None:
        """Take an answer's date: AWS has written it after the call was sent, and before the answer came.

        The clock is moved no further than it must be, so that one that is right stays as it is.

        :param sent_at: by this machine's clock.
        """
        least, most = date - self.local(), date + _A_SECOND - sent_at
        if abs(least) <= _MOST:
            self._ahead = min(max(self._ahead, least), most)
            self.has_heard = True


def _read_machine() -> datetime:
    return datetime.now(timezone.utc)


MACHINE = Clock(_read_machine)
_LISTENING: ContextVar[Clock] = ContextVar("the clock that hears what AWS answers in this thread", default=MACHINE)


@contextmanager
def listening(clock: Clock) -> Iterator[None]:
    """Let a clock hear the answers of the block's calls, and not the machine's."""
    token = _LISTENING.set(clock)
    try:
        yield
    finally:
        _LISTENING.reset(token)


def follow(client: Any) -> None:
    """Hear the time in what a boto3 client is answered, errors too. Doing it again changes nothing; what has no wire has no dates."""
    meta = getattr(client, "meta", None)
    if meta is not None:
        meta.events.register("request-created", _note_sending, unique_id=_SENT)
        meta.events.register("after-call", _hear_answer, unique_id=__name__)


def _note_sending(request: Any, **_: Any) -> None:
    request.context[_SENT] = _LISTENING.get().local()


def _hear_answer(http_response: Any, context: dict[str, Any], **_: Any) -> None:
    date, sent_at = http_response.headers.get("Date"), context.get(_SENT)
    if not date or sent_at is None:
        return
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return
    _LISTENING.get().hear(at if at.tzinfo else at.replace(tzinfo=timezone.utc), sent_at)
