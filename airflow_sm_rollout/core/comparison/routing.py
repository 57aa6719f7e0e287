"""Does green get the share of the calls that it was given? Where clients don't follow the split, those of green are other ones than blue's.

Then green and blue differ by who calls them, and a comparison of the two proves nothing (a sample-ratio mismatch: Fabijan et al., KDD
2019). The test is by betting, as in :mod:`~.bets`. Of the ``n`` calls of both in a period, each drawn by itself, green's ``x`` are
binomial with its share ``p``, whatever the traffic does: bursts, few calls and a daily cycle are all in ``n``. So with odds ratio ``a``

    log E = (x log a - n log(1 + (a - 1) p)) / phi,   phi = bunching + noise^2 n p (1 - p)

has an expectation of at most 1: for ``a > 1`` where green has no more than ``p``, for ``a < 1`` where it has no less. ``p`` is the share
that was given, with odds that are so much larger, or smaller, as is tolerated. ``phi`` is for figures that are not whole, and for calls
that are not drawn one by one; it is known from ``n``, so that the expectation stays below 1 (Jensen). The mean over all ``a`` ever
reaches 10,000 with a chance of at most 1 in 10,000 (Ville 1939).
"""

from __future__ import annotations

from dataclasses import replace
from math import log

from airflow_sm_rollout.core.comparison.bets import Capital, Count, Pair
from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from airflow_sm_rollout.core.comparison.results import Comparison, Finding

FALSE_ALARM = 1e-4
"""The chance, over all looks of a watch, to find a split broken that is kept."""
SCATTER = Dispersion(bunching=2.0, own_noise=0.15)
"""What is assumed of green's calls beyond drawing each by itself: figures of a minute may lack some, of either variant."""
_MORE: Pair = (1.5, 4.0)
_FEWER: Pair = (1 / 1.5, 1 / 10)
_MOST_LOG_A_MINUTE = 3.0
"""A strange minute alone is no proof, as one in which figures come late."""


class RoutingTest:
    """Whether green gets the share that it was given, judged period by period.

    :param share: green's, above 0 and below 1.
    :param tolerance: factor on its odds that is no mismatch, 1 or more.
    :param planned_minutes: how long the share is planned to stay.
    """

    __slots__ = ("_calls", "_is_broken", "_planned", "_share", "_sides")

    def __init__(self, share: float, tolerance: float, planned_minutes: float) -> None:
        self._share, self._planned = share, max(planned_minutes, 1.0)
        odds = share / (1 - share)
        edges = ((_MORE, odds * tolerance), (_FEWER, odds / tolerance))
        self._sides = tuple((alternatives, edge / (1 + edge), Capital((0.5, 0.5))) for alternatives, edge in edges)
        self._calls: Count = (0, 0)
        self._is_broken = False

    @property
    def evidence(self) -> float:
        """That the split is not kept; 1 / :data:`FALSE_ALARM` of it is proof."""
        return sum(capital.total for _, _, capital in self._sides) / len(self._sides)

    def take(self, green: int, blue: int, minutes: float) -> None:
        """Take one more period, in which green was to have its share all the time. What is broken stays so.

        :param green: its calls, and so ``blue``.
        :param minutes: the period's length.
        """
        if self._is_broken or not green + blue:
            return
        both = green + blue
        self._calls = self._calls[0] + both, self._calls[1] + green
        noise = SCATTER.own_noise**2 / min(minutes, 1.0)
        for alternatives, edge, capital in self._sides:
            power = 1 / (SCATTER.bunching + noise * both * edge * (1 - edge))
            most = _MOST_LOG_A_MINUTE * minutes
            one, other = (min(most, power * log_ratio(both, green, edge, odds)) for odds in alternatives)
            capital.multiply(minutes / self._planned, (one, other))
        self._is_broken = self.evidence >= 1 / FALSE_ALARM

    def describe(self) -> str:
        """How it is broken, as a sentence without its end; empty: it is kept, as far as can be told."""
        if not self._is_broken:
            return ""
        both, green = self._calls
        return (
            f"Clients don't follow the split: green got {green:,} of {both:,} calls ({100 * green / both:.3g} %), where its share is "
            f"{100 * self._share:g} %, with less than 1 in {1 / FALSE_ALARM:,.0f} chance to be a coincidence. So green's calls are other "
            "ones than blue's, as with sticky sessions, or clients that hold on to what they know"
        )


def log_ratio(calls: int, greens: int, edge: float, odds: float) -> float:
    """Logarithm of how much more probable green's calls are with odds that are so many times those of the edge."""
    return greens * log(odds) - calls * log(1 + (odds - 1) * edge)


def set_aside(comparison: Comparison, misrouted: str) -> Comparison:
    """A comparison of which nobody can tell what it means, whatever it has found.

    :param misrouted: how the split is broken.
    """
    sentence = f"{misrouted}. Compared all the same: {comparison.sentence}"
    return replace(
        comparison, verdict=Finding.CANNOT_TELL, decided_at=None, culprit=None, sentence=sentence, suspect=""
    )
