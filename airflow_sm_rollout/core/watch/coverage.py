"""Do the figures cover a bake? What nobody has seen is not healthy, so a bake whose figures have stopped can't be told.

A gap or two are ordinary: a minute that CloudWatch has lost, or that is late. What is not: silence at the end, where harm would show last,
or a good part of the bake unseen. An endpoint without calls is not silent: SageMaker publishes ``Invocations`` of 0 for every idle minute,
of shadows too (docs/facts-aws.md#metrics). The figures by endpoint config, by which guardrails' fleets are told
apart, have no such zeros; for those see :func:`with_idle`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import NamedTuple

from airflow_sm_rollout.core.comparison.periods import Period, Sample

ORDINARY = 2
"""So many minutes (or periods, where these are longer) may lack their figures, at the end or anywhere."""
ORDINARY_PART = 1 / 3
"""And in a long bake this part of it, if the end is there."""
_MINUTE = 60
_IDLE = Sample(0, 0, 0, 0, 0, 0, 0)


class _Slots(NamedTuple):
    """The minutes so far.

    :param total: all of them.
    :param seen: those with figures.
    :param silent: those since the last one with figures.
    :param last_seen: that one, counted from the epoch; ``None``: there was none.
    """

    total: int = 0
    seen: int = 0
    silent: int = 0
    last_seen: float | None = None

    def and_one(self, slot: float, found: Collection[bool | None]) -> _Slots:
        if True in found or False not in found:
            return _Slots(self.total + 1, self.seen + 1, 0, slot)
        return _Slots(self.total + 1, self.seen, self.silent + 1, self.last_seen)


class Coverage:
    """Whether figures cover a watch, told period by period.

    Counted by the minute: with calls as rare as that, a shorter period may well be without any.

    :param what: whose figures, such as ``figures of green``.
    :param seconds: length of a period.
    :param source: who should have them.
    """

    def __init__(self, what: str, seconds: int, *, source: str = "CloudWatch") -> None:
        self._missing = f"{source} has no {what}"
        self._seconds = max(seconds, _MINUTE)
        self._closed = _Slots()
        self._slot: float | None = None
        self._found: set[bool | None] = set()

    def take(self, start: datetime, is_there: bool | None) -> None:
        """Take one more final period, in the order of time.

        :param is_there: whether its figures are there; ``None``: there can't be any, as there is no latency without a call.
        """
        slot = start.timestamp() // self._seconds
        if slot != self._slot:
            self._closed, self._slot, self._found = self._slots(), slot, set()
        self._found.add(is_there)

    def describe_gap(self) -> str:
        """Why the figures don't cover the watch so far, as a sentence; empty: they do."""
        slots = self._slots()
        if not slots.total:
            return ""
        if slots.last_seen is None:
            return f"{self._missing} in this bake"
        if slots.silent > ORDINARY:
            since = datetime.fromtimestamp((slots.last_seen + 1) * self._seconds, timezone.utc)
            return f"{self._missing} since {since:%H:%M:%S} UTC"
        missing = slots.total - slots.seen
        if missing > max(ORDINARY, ORDINARY_PART * slots.total):
            minutes = self._seconds / _MINUTE
            of_all = f"{missing * minutes:g} of the {slots.total * minutes:g} minutes"
            return f"{self._missing} for {of_all} of this bake"
        return ""

    def _slots(self) -> _Slots:
        return self._closed if self._slot is None else self._closed.and_one(self._slot, self._found)


class VariantCoverage:
    """Whether a variant's figures, and its latencies, cover a watch.

    :param whose: ``green`` or ``blue``.
    """

    def __init__(self, whose: str, seconds: int) -> None:
        self._figures = Coverage(f"figures of {whose}", seconds)
        self._latencies = Coverage(f"latencies of {whose}", seconds)

    def take(self, start: datetime, sample: Sample | None) -> None:
        """Take what the variant did in one more final period."""
        self._figures.take(start, sample is not None)
        self._latencies.take(start, _is_timed(sample))

    def describe_gap(self, *, by_latency: bool) -> str:
        """Why they don't, as a sentence; empty: they do.

        :param by_latency: whether latencies are asked for, too.
        """
        return self._figures.describe_gap() or (self._latencies.describe_gap() if by_latency else "")


def _is_timed(sample: Sample | None) -> bool | None:
    if sample is not None and not sample.requests:
        return None
    return sample is not None and sample.over_p50 is not None


def with_idle(periods: Sequence[Period], totals: Mapping[datetime, float]) -> list[Period]:
    """The periods with no calls where a variant has no figures, and the other one has had all the endpoint's calls.

    :param totals: the endpoint's calls by the start of a period, which are published for idle ones, too.
    """
    return [_with_idle(period, totals.get(period.start)) for period in periods]


def _with_idle(period: Period, total: float | None) -> Period:
    if total is None:
        return period
    known = sum(sample.requests for sample in (period.blue, period.green) if sample is not None)
    if known < total:
        return period
    return replace(period, blue=period.blue or _IDLE, green=period.green or _IDLE)
