"""Waits out what passes by itself, where an operator reads from AWS outside its loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from airflow_sm_rollout.core.advance import SOON, Passing
from airflow_sm_rollout.core.errors import DeadlinePassed

_LONGEST_PAUSE = 60.0  # seconds
_T = TypeVar("_T")


def patiently(read: Callable[[], _T], patience: timedelta, tell: Callable[[str], None]) -> _T:
    """Read something; errors that pass by themselves are waited out, with growing pauses, so that a throttled read does not cost a rollout.

    :raises DeadlinePassed: if it has not passed for so long.
    """
    until, pause = time.monotonic() + patience.total_seconds(), SOON.total_seconds()
    while True:
        try:
            return read()
        except Passing as error:
            if time.monotonic() + pause > until:
                raise DeadlinePassed(f"{error}; it has not passed for {patience}") from error
            tell(f"Waiting: {error}")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
