"""How much more often than blue's green's calls fail or are slow, as an interval that holds at all looks together: for people.

Nothing is decided by it. The proof is that of :mod:`~.bets`, which looks at each period by itself; this is the picture of it.

The interval is a confidence sequence: with a chance of 95 % the true difference is in it at *every* look. With ``s`` the standard error
and ``I = 1 / s^2`` its half width is ``sqrt((I + a) log((I + a) / (0.05^2 a))) / I`` (Robbins' normal mixture; as an asymptotic
one: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2021, arXiv 2103.06476). ``a`` is fixed before, such that it is narrow where a
difference like the healthy line's can be seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from airflow_sm_rollout.core.comparison.track import Counts
from airflow_sm_rollout.core.plan.tolerances import Margin

_MISS = 0.05
_LEAST_SCALE = 1e-4


@dataclass(frozen=True, slots=True)
class Difference:
    """Green's rate less blue's, as a share of the calls, from -1 to 1.

    :param tolerated: the difference beyond which green is worse than tolerated.
    """

    low: float
    middle: float
    high: float
    tolerated: float


def tolerated_difference(margin: Margin, blue_rate: float) -> float:
    """What green may have more than blue: both the ratio and the points must be exceeded to be harm."""
    return max((margin.ratio - 1) * blue_rate, margin.points)


def difference_of(counts: Counts, margin: Margin, spread: Dispersion, minutes: float) -> Difference | None:
    """The difference by now; ``None``: one of the two had no calls.

    :param counts: of both since they are compared.
    :param spread: how they scatter.
    :param minutes: how long they have been compared.
    """
    green_events, green_calls, blue_events, blue_calls = counts
    if not green_calls or not blue_calls:
        return None
    green, blue = green_events / green_calls, blue_events / blue_calls
    variance = sum(_variance(*each, spread, minutes) for each in (counts[:2], counts[2:]))
    tolerated = tolerated_difference(margin, blue)
    half = _half_width(1 / variance, 1 / max(margin.points, margin.healthy_points, _LEAST_SCALE) ** 2)
    middle = green - blue
    return Difference(max(middle - half, -1.0), middle, min(middle + half, 1.0), tolerated)


def _variance(events: int, calls: int, spread: Dispersion, minutes: float) -> float:
    """Of a rate; half an event is added, so that none seen is not certainty."""
    rate = (events + 0.5) / (calls + 1)
    return spread.bunching * rate * (1 - rate) / calls + (spread.own_noise * rate) ** 2 / max(minutes, 1.0)


def _half_width(information: float, mixture: float) -> float:
    total = information + mixture
    return math.sqrt(total * math.log(total / (_MISS**2 * mixture))) / information
