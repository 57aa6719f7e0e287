"""The evidence over time, and how long it still takes to a proof at this traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.core.comparison.difference import Difference, difference_of
from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from airflow_sm_rollout.core.comparison.results import Comparison
from airflow_sm_rollout.core.comparison.track import Mark
from airflow_sm_rollout.core.plan.tolerances import METRICS, Tolerances
from airflow_sm_rollout.core.traces import UNREADABLE, BakeTrace

NAMES = {
    "errors_5xx": "Errors, 5XX",
    "errors_4xx": "Errors, 4XX",
    "over_p50": "Calls slower than blue's median",
    "over_p95": "Calls slower than blue's p95",
    "over_p99": "Calls slower than blue's p99",
    "over_twice_p99": "Calls slower than twice blue's p99",
}
_LATELY = 3
"""The last third of what was seen says how fast the evidence grows now."""
_FAR = 24 * 60.0


@dataclass(frozen=True, slots=True)
class Proof:
    """One of the two proofs.

    :param found: the evidence; 1 is none.
    :param needed: as much is proof.
    :param minutes: how long it takes at this traffic, if it grows on as it did lately; ``None``: there is no telling.
    """

    name: str
    found: float
    needed: float
    minutes: float | None

    @property
    def is_there(self) -> bool:
        """Whether it is proven."""
        return self.found >= self.needed

    def describe_shortly(self) -> str:
        """How far it is, in a word or two."""
        return "proven" if self.is_there else f"{self.found:.3g} of {self.needed:.3g}"

    def describe(self) -> str:
        """How far it is, in words."""
        if self.is_there:
            return "proven"
        when = "" if self.minutes is None else f"; about {math.ceil(self.minutes)} min to proof at this traffic"
        return f"{self.found:.3g}, where 1 is no evidence and {self.needed:.3g} is proof{when}"


def last_comparison(comparison: Mapping[str, Any] | None, verdicts: Sequence[BakeTrace]) -> Comparison | None:
    """What was last known: it covers everything since green's first call.

    :param comparison: as it stands now, if it was asked; JSON of whatever version wrote it.
    """
    for stored in (comparison, *(each.comparison for each in reversed(verdicts))):
        try:
            if stored and (found := Comparison.from_dict(stored)).judged_until:
                return found
        except UNREADABLE:
            continue
    return None


def proofs_of(comparison: Comparison) -> tuple[Proof, Proof]:
    """Of harm, and of health."""
    track = comparison.track
    harm = [(mark.at, mark.evidence) for mark in track]
    health = [(mark.at, mark.health) for mark in track]
    return (
        Proof(
            "Proof that green is worse",
            comparison.evidence,
            comparison.needed,
            _minutes(harm, comparison.needed) if comparison.evidence > 1 else None,
        ),
        Proof(
            "Proof that green is as good",
            comparison.health,
            comparison.health_needed,
            _minutes(health, comparison.health_needed),
        ),
    )


def _minutes(points: Sequence[tuple[float, float]], needed: float) -> float | None:
    """Evidence is a product, so its logarithm grows evenly where green stays as it is."""
    lately = [(at, found) for at, found in points[-max(2, len(points) // _LATELY) :] if found > 0]
    if len(lately) < 2:
        return None
    (since, before), (until, now) = lately[0], lately[-1]
    grown = math.log(now) - math.log(before)
    if now >= needed or grown <= 0 or until <= since:
        return None
    minutes = (math.log(needed) - math.log(now)) / grown * (until - since) / 60
    return minutes if minutes < _FAR else None


def differences_of(
    comparison: Comparison, tolerances: Tolerances
) -> Iterator[tuple[str, list[tuple[Mark, Difference]]]]:
    """Each metric's name, and how much more often it happened to green than to blue, mark by mark."""
    spreads = {each.metric: Dispersion(each.bunching, each.own_noise) for each in comparison.metrics}
    began = comparison.track[0].at if comparison.track else 0.0
    for number, metric in enumerate(METRICS):
        margin, spread = tolerances.margin(metric), spreads.get(metric, Dispersion(1.0, 0.0))
        marks = [mark for mark in comparison.track if number < len(mark.counts)]
        found = [(mark, difference_of(mark.counts[number], margin, spread, (mark.at - began) / 60)) for mark in marks]
        known = [(mark, difference) for mark, difference in found if difference is not None]
        if known:
            yield NAMES[metric], known
