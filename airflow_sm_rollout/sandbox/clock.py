"""The sandbox's time: a clock that can stand still, and what is due when.

Everything in the sandbox that takes time on AWS (provisioning, a weight change, a metric becoming visible, an alarm's evaluation) is an
entry on one :class:`Schedule`. On the real clock a ticker thread calls :meth:`Schedule.run_due` a few times a second, and every request
does so first; on a :class:`ManualClock` a test moves the time and the same code runs, so that an hour of a rollout takes milliseconds.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch, UTC."""

    def now(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()


class ManualClock:
    """A clock that moves only when told.

    :param start: seconds since the epoch at which it stands first.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def set(self, now: float) -> None:
        """Stand at ``now``; going back is a mistake of the caller and raises :class:`ValueError`."""
        if now < self._now:
            raise ValueError(f"a clock does not go back: {now} < {self._now}")
        self._now = now


class Schedule:
    """Callbacks with the time at which they are due, run in the order of those times.

    A callback gets the time at which it was due, not the time at which it happens to run, so that a late tick or a large jump of a
    manual clock changes nothing in what the sandbox records. With a :class:`ManualClock` the clock stands at that time while it runs.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, callback: Callable[[float], None]) -> None:
        """Run ``callback(when)`` once the clock has reached ``when``."""
        with self.lock:
            heapq.heappush(self._due, (when, next(self._order), callback))

    def run_due(self) -> None:
        """Run all that is due by now, what that schedules included."""
        with self.lock:
            now = self.clock.now()
            while self._due and self._due[0][0] <= now:
                when, _, callback = heapq.heappop(self._due)
                callback(when)

    def advance(self, seconds: float) -> None:
        """Move a manual clock on, stopping at each due time on the way."""
        if not isinstance(self.clock, ManualClock):
            raise TypeError("only a ManualClock can be advanced")
        with self.lock:
            until = self.clock.now() + seconds
            while self._due and self._due[0][0] <= until:
                when, _, callback = heapq.heappop(self._due)
                self.clock.set(max(when, self.clock.now()))
                callback(when)
            self.clock.set(until)
