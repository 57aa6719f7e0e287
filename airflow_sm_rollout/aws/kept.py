"""What was read a moment ago, for steps that follow each other at once: none of them reads again what the last one has not changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

_T = TypeVar("_T")


class Kept:
    """Answers of AWS by what was asked, each with when.

    :param now: the time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._found: dict[tuple[str, ...], tuple[datetime, Any]] = {}

    def read(self, asked: tuple[str, ...], read: Callable[[], _T], lasts: timedelta) -> _T:
        """What was found, or is read now.

        :param lasts: how old it may be.
        """
        now, known = self._now(), self._found.get(asked)
        if known is not None and now - known[0] < lasts:
            found: _T = known[1]
            return found
        self._found[asked] = now, (found := read())
        return found

    def forget(self, is_over: Callable[[tuple[str, ...]], bool] = lambda asked: True) -> None:
        """Forget some, or all."""
        self._found = {asked: found for asked, found in self._found.items() if not is_over(asked)}
