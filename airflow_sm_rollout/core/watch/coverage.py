"""Do the figures cover a bake? What nobody has seen is not healthy, so a bake whose figures have stopped can't be told.

A gap or two are ordinary: a minute that CloudWatch has lost, or that is late. What is not: silence at the end, where harm would show last,
or a good part of the bake unseen. An endpoint without calls is not silent: SageMaker publishes ``Invocations`` of 0 for every idle minute,
of shadows too (docs/facts-aws.md#metrics). The figures by endpoint config, by which guardrails' fleets are told
apart, have no such zeros; for those see :func:`with_idle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from airflow_sm_rollout.core.comparison.periods import Period, Sample

ORDINARY = 2
"""So many minutes (or periods, where these are longer) may lack their figures, at the end or anywhere."""
ORDINARY_PART = 1 / 3
"""And in a long bake this part of it, if the end is there."""
_MINUTE = 60
_IDLE = Sample(0, 0, 0, 0, 0, 0)


def describe_gap(what: str, figures: Iterable[tuple[datetime, bool | None]], seconds: int) -> str:
    """Why figures don't cover a bake, as a sentence; empty: they do.

    Counted by the minute: with calls as rare as that, a shorter period may well be without any.

    :param what: whose figures, such as ``figures of green``.
    :param figures: of each of the bake's final periods its start, and whether its figures are there, in order of time; ``None``: there
        can't be any, as there is no latency without a call.
    :param seconds: length of a period.
    """
    slots: dict[float, set[bool | None]] = {}
    for start, is_there in figures:
        slots.setdefault(start.timestamp() // max(seconds, _MINUTE), set()).add(is_there)
    seen = [slot for slot, found in slots.items() if True in found or False not in found]
    if not slots:
        return ""
    if not seen:
        return f"CloudWatch has no {what} in this bake"
    if len([slot for slot in slots if slot > seen[-1]]) > ORDINARY:
        since = datetime.fromtimestamp((seen[-1] + 1) * max(seconds, _MINUTE), timezone.utc)
        return f"CloudWatch has no {what} since {since:%H:%M:%S} UTC"
    missing = len(slots) - len(seen)
    if missing > max(ORDINARY, ORDINARY_PART * len(slots)):
        minutes = max(seconds, _MINUTE) / _MINUTE
        return (
            f"CloudWatch has no {what} for {missing * minutes:g} of the {len(slots) * minutes:g} minutes of this bake"
        )
    return ""


def describe_gaps(periods: Sequence[Period], since: datetime, *, is_compared: bool, by_latency: bool) -> str:
    """Why the figures of green, and of blue where it is compared with that, don't cover a bake; empty: they do.

    :param periods: final ones, in order of time.
    :param since: when the bake began.
    :param by_latency: whether their latencies are compared, too.
    """
    baked = [period for period in periods if period.start >= since]
    seconds = baked[0].seconds if baked else _MINUTE
    samples = {"green": [(each.start, each.green) for each in baked]}
    if is_compared:
        samples["blue"] = [(each.start, each.blue) for each in baked]
    for whose, figures in samples.items():
        gap = describe_gap(f"figures of {whose}", ((start, each is not None) for start, each in figures), seconds)
        if not gap and is_compared and by_latency:
            gap = describe_gap(f"latencies of {whose}", ((start, _is_timed(each)) for start, each in figures), seconds)
        if gap:
            return gap
    return ""


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
