"""Finds in an endpoint's past who served when: the variant that was blue, and the rollouts that there were.

All that is known of the past are calls by the minute. Two fleets that had calls in the same minutes were a rollout; who came later was
green. A rollout by SageMaker's guardrails has one variant name, and two configs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import combinations, pairwise

from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding, compare
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.comparison.wording import format_percent
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.watch.sources import BASELINE, floor

_MINUTE = timedelta(minutes=1)
_HOUR = 3600
# A shorter break is one rollout: what it is compared with are the hours before it, in which green must have had nothing.
_BREAK = BASELINE
_JUST_NOW = timedelta(minutes=5)
# Each update of an endpoint's config, also one to green's final config, has two fleets of one variant for a minute or two.
_LEAST_MINUTES_OF_CONFIGS = 3


@dataclass(frozen=True, slots=True, order=True)
class Fleet:
    """What CloudWatch publishes calls of.

    :param variant: the variant's name.
    :param config: the endpoint config; empty: all of the variant's.
    """

    variant: str
    config: str = ""

    def dimensions(self, endpoint_name: str) -> dict[str, str]:
        """The dimensions of its metrics."""
        named = {"EndpointName": endpoint_name, "VariantName": self.variant}
        return named | ({"EndpointConfigName": self.config} if self.config else {})

    def __str__(self) -> str:
        """The name for people."""
        return f"{self.variant} of config {self.config}" if self.config else self.variant


Calls = Mapping[Fleet, Mapping[datetime, float]]
"""Each fleet's calls by the minute; a minute without figures is not there."""


@dataclass(frozen=True, slots=True)
class Reign:
    """A stretch of time in which one variant had most of the calls."""

    fleet: Fleet
    since: datetime
    until: datetime


class Fate(str, Enum):
    """What became of green after the last minute in which both had calls."""

    SERVED_ON = "green served on alone"
    GONE = "green was gone, blue served on"
    BOTH = "both served to the last"
    NEITHER = "neither had calls afterwards"


@dataclass(frozen=True, slots=True)
class PastRollout:
    """Two fleets that served beside each other.

    :param blue: who served before.
    :param green: who came later.
    :param began: the first minute in which both had calls.
    :param ended: end of the last one.
    :param green_calls: green's between the two.
    :param all_calls: both fleets' between the two.
    :param is_order_known: whether it is known who came later.
    """

    blue: Fleet
    green: Fleet
    began: datetime
    ended: datetime
    green_calls: int
    all_calls: int
    fate: Fate
    is_order_known: bool = True


def find_reigns(calls: Calls) -> list[Reign]:
    """Who was blue when, hour by hour, in order of time.

    That is who it was before, until another variant has twice as many calls in an hour, so that an even split is no change each hour.
    """
    reigns: list[Reign] = []
    for hour, of_hour in sorted(_calls_by_hour(calls).items()):
        until = hour + timedelta(seconds=_HOUR)
        leader = max(sorted(of_hour), key=of_hour.__getitem__)
        before = reigns[-1] if reigns else Reign(leader, hour, hour)
        if of_hour[leader] < 2 * of_hour.get(before.fleet, 0.0):
            leader = before.fleet
        if leader == before.fleet:
            reigns[-1:] = [Reign(leader, before.since, until)]
        else:
            reigns.append(Reign(leader, before.until, until))
    return reigns


def _calls_by_hour(calls: Calls) -> dict[datetime, dict[Fleet, float]]:
    hourly: dict[datetime, dict[Fleet, float]] = {}
    for fleet, minutes in calls.items():
        for at, count in minutes.items():
            if count and not fleet.config:
                of_hour = hourly.setdefault(floor(at, _HOUR), {})
                of_hour[fleet] = of_hour.get(fleet, 0.0) + count
    return hourly


def find_rollouts(calls: Calls, until: datetime) -> list[PastRollout]:
    """The rollouts, in order of time.

    :param until: end of the last minute whose figures were read.
    """
    busy = {fleet: {at for at, count in minutes.items() if count} for fleet, minutes in calls.items()}
    found = [
        _describe_spell(first, second, spell, calls, until)
        for first, second in combinations(sorted(busy), 2)
        if _may_be_rollout(first, second)
        for spell in _spells(sorted(busy[first] & busy[second]))
        if not first.config or len(spell) >= _LEAST_MINUTES_OF_CONFIGS
    ]
    return sorted(found, key=lambda rollout: (rollout.began, rollout.green))


def find_idle(calls: Calls) -> list[Fleet]:
    """Variants that were there, and never had a call."""
    return sorted(
        fleet for fleet, minutes in calls.items() if not fleet.config and minutes and not any(minutes.values())
    )


def _may_be_rollout(first: Fleet, second: Fleet) -> bool:
    """Two variants, or two fleets of one variant."""
    if first.config and second.config:
        return first.variant == second.variant
    return not first.config and not second.config


def _spells(minutes: Sequence[datetime]) -> Iterator[Sequence[datetime]]:
    """The minutes, apart where there is a break between them."""
    start = 0
    for index, (one, next_one) in enumerate(pairwise(minutes), 1):
        if next_one - one >= _BREAK:
            yield minutes[start:index]
            start = index
    if minutes:
        yield minutes[start:]


def _describe_spell(
    first: Fleet, second: Fleet, spell: Sequence[datetime], calls: Calls, until: datetime
) -> PastRollout:
    began, ended = spell[0], spell[-1] + _MINUTE
    starts = [_last_start(calls[fleet], began) for fleet in (first, second)]
    blue, green = (second, first) if starts[1] < starts[0] else (first, second)
    blue_calls, green_calls = (_count(calls[fleet], began, ended) for fleet in (blue, green))
    return PastRollout(
        blue=blue,
        green=green,
        began=began,
        ended=ended,
        green_calls=green_calls,
        all_calls=blue_calls + green_calls,
        fate=_fate(calls[blue], calls[green], ended, until),
        is_order_known=starts[0] != starts[1],
    )


def _last_start(minutes: Mapping[datetime, float], began: datetime) -> tuple[bool, datetime]:
    """What tells who came later: first whether it had no calls in the hours before, then its first call of all."""
    return not _count(minutes, began - _BREAK, began), min(at for at, count in minutes.items() if count)


def _fate(blue: Mapping[datetime, float], green: Mapping[datetime, float], ended: datetime, until: datetime) -> Fate:
    if ended + _JUST_NOW >= until:
        return Fate.BOTH
    blue_after, green_after = (_count(minutes, ended, ended + _BREAK) for minutes in (blue, green))
    if not blue_after and not green_after:
        return Fate.NEITHER
    return Fate.SERVED_ON if green_after > blue_after else Fate.GONE


def _count(minutes: Mapping[datetime, float], since: datetime, until: datetime) -> int:
    return round(sum(count for at, count in minutes.items() if since <= at < until))


def judge_past(
    rollout: PastRollout,
    baseline: Sequence[Period],
    periods: Sequence[Period],
    tolerances: Tolerances,
    planned: timedelta,
) -> Comparison | str:
    """What a bake would have said of a past rollout; a text: why it can't be judged.

    :param baseline: blue's minutes before it.
    :param periods: both fleets' minutes.
    :param planned: how long the plan lets both serve.
    """
    if not rollout.is_order_known:
        return "which of them came later is not in these days' figures"
    if not any(period.blue is not None and period.blue.requests for period in baseline):
        return f"blue had no calls in the {BASELINE / timedelta(hours=1):g} hours before, from which its rates would be known"
    comparison = compare(baseline, periods, tolerances, planned=planned)
    if not comparison.green_requests:
        return "there is no minute in which the figures of both are complete"
    return comparison


def describe_past(rollout: PastRollout, judged: Comparison | str) -> list[str]:
    """A past rollout and what would have been said of it, in two lines."""
    return [describe_rollout(rollout), f"  {_say_judgement(rollout, judged)}"]


def describe_rollout(rollout: PastRollout) -> str:
    """A past rollout, in a line."""
    lasted, share = _minutes(rollout.ended - rollout.began), rollout.green_calls / rollout.all_calls
    return (
        f"{rollout.began:%Y-%m-%d %H:%M} UTC: {rollout.green} beside {rollout.blue} for {lasted}, "
        f"{rollout.green_calls:,} of {rollout.all_calls:,} calls ({format_percent(share)}); {rollout.fate.value}"
    )


def _say_judgement(rollout: PastRollout, judged: Comparison | str) -> str:
    if isinstance(judged, str):
        return f"can't be judged: {judged}"
    if judged.decided_at is None:
        return f"nobody could have told: {judged.sentence}"
    said = {Finding.HARM: "rolled back", Finding.HEALTHY: "proven healthy"}[judged.verdict]
    after = _minutes(judged.decided_at - rollout.began)
    return f"would have been {said} after {after}, at {judged.decided_at:%H:%M}: {judged.sentence}"


def _minutes(duration: timedelta) -> str:
    return f"{duration / _MINUTE:.0f} min"
