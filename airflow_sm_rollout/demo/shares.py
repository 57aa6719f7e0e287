"""Which share of the requests each fleet really gets, as time goes by: the sandbox tells what DescribeEndpoint does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
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
    :param resolve: says which endpoints serve at a moment, and which percentage of the requests each.
    """

    def __init__(self, url: str, resolve: Callable[[], Mapping[str, float]]) -> None:
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
            with suppress(urllib3.exceptions.HTTPError):  # nobody could look at that moment; the next look tells
                self._look()

    def _look(self) -> None:
        sent = self._resolve()
        told = {name: self._pool.request("GET", f"{self._url}/{name}") for name in sent}
        if any(answer.status != 200 for answer in told.values()):
            return
        shares: dict[tuple[str, str], float] = {}
        for name, answer in told.items():
            shares |= _shares(answer.json()["fleets"], sent[name])
        self._samples.append(ShareSample(time.time(), shares))


def _shares(fleets: Mapping[str, Mapping[str, Mapping[str, float]]], sent: float) -> dict[tuple[str, str], float]:
    return {
        (config, name): sent * variant["share"]
        for config, variants in fleets.items()
        for name, variant in variants.items()
    }
