"""Which share of the requests each fleet really gets, as time goes by: the sandbox tells what DescribeEndpoint does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import urllib3

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ShareSample:
    """One look.

    :param at: seconds since the epoch.
    :param shares: percent of the requests, 0-100, by endpoint config and variant: while SageMaker shifts traffic by its guardrails, both
        fleets have the same variant name.
    """

    at: float
    shares: Mapping[tuple[str, str], float]


class ShareWatch:
    """Looks ten times a second, in a thread, for the length of a ``with`` block.

    :param url: the sandbox's.
    :param resolve: says which endpoint serves at a moment.
    """

    def __init__(self, url: str, resolve: Callable[[], str]) -> None:
        self._pool = urllib3.PoolManager(retries=False, timeout=5.0)
        self._url = f"{url}/_sandbox/endpoints"
        self._resolve = resolve
        self._samples: list[ShareSample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="share-watch", daemon=True)

    @property
    def samples(self) -> list[ShareSample]:
        """All looks so far, in order; a copy."""
        return list(self._samples)

    def __enter__(self) -> ShareWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                answer = self._pool.request("GET", f"{self._url}/{self._resolve()}")
            except urllib3.exceptions.HTTPError:
                continue  # nobody could look at that moment; the next look tells
            if answer.status == 200:
                self._samples.append(ShareSample(time.time(), _shares(answer.json()["fleets"])))


def _shares(fleets: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[tuple[str, str], float]:
    return {
        (config, name): 100.0 * variant["share"]
        for config, variants in fleets.items()
        for name, variant in variants.items()
    }
