"""Work that nobody waits for: what breaks in it is logged, since no caller can see it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

log = logging.getLogger(__name__)


class Workers:
    """A few threads for deeds whose result nobody asks for.

    :param name: what the threads are called.
    :param at_once: how many deeds go on at once; the others wait.
    """

    def __init__(self, name: str, at_once: int) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)

    def start(self, deed: Callable[..., object], *args: Any) -> None:
        """Have a deed done soon."""
        self._threads.submit(deed, *args).add_done_callback(self._log_failure)

    def close(self) -> None:
        """Return when all deeds are done."""
        self._threads.shutdown()

    def _log_failure(self, done: Future[object]) -> None:
        if error := done.exception():
            log.error("%s: this broke, and nobody waits for it", self._name, exc_info=error)
