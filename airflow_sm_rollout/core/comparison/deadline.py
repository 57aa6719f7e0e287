"""Stakes that follow from what is still missing: who must have 1 / alpha by a deadline bets otherwise than who wants it soonest.

Whoever bets so that the capital grows fastest has it there, on average, soonest, but often late. Where it is wanted by a deadline, the best
bet is the one that hedges a digital option (Browne 1999, "Reaching goals by a deadline", Adv. Appl. Probab. 31): of a capital that is ``w``
of the goal, with quantile and density those of the standard normal,

    density(quantile(w)) / w     for each standard deviation that the rest of the time will scatter.

Without more it is the test with a fixed horizon that finds most (Neyman & Pearson 1933), looked at on the way. The stake is small where
little is missing, so that what was won is kept. Any stake is fair that is known before the period, so the level does not depend on it.

**Harm** has the end of the plan as its deadline. The odds ``a`` of the split test's factor are ``exp(phi l)``, ``l`` being that stake
over the standard deviation of green's events up to the deadline, as blue's rate and the period's calls let expect. Nothing is assumed
of how large the harm is. No deadline that is over is the last: the next one is 3.5 times as late.
"""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist

from airflow_sm_rollout.core.comparison.dispersion import Dispersion, noise_lasts

NEXT_DEADLINE = 3.5
MOST_OF_GOAL = 0.9
MOST_EXPONENT = 60.0
"""More than any proof needs, and finite."""
_LEAST_OF_GOAL = 1e-9
_LEAST_ODDS, _MOST_ODDS = 1.05, 5.0
_MOST_PART = 0.9
_NORMAL = NormalDist()


def stake_by_deadline(reached: float) -> float:
    """What to stake, for each standard deviation of the rest of the time.

    :param reached: the capital as a part of the goal; 0 where that is nearly there.
    """
    reached = max(reached, _LEAST_OF_GOAL)
    return 0.0 if reached >= MOST_OF_GOAL else _NORMAL.pdf(_NORMAL.inv_cdf(reached)) / reached


class Hedge:
    """One unit bet on harm by the odds that most probably make it a proof by the end of the plan.

    :param goal: capital that is proof.
    :param dispersion: how events scatter.
    :ivar total: what it has become.
    """

    __slots__ = ("_bunching", "_deadline", "_goal", "_noise", "_passed", "total")

    def __init__(self, goal: float, dispersion: Dispersion) -> None:
        self._goal = goal
        self._bunching, self._noise = dispersion.bunching, 2 * dispersion.own_noise**2
        self._deadline, self._passed = 1.0, 0.0
        self.total = 1.0

    def choose_odds(
        self, green_calls: int, blue_calls: int, blue_rate: float, planned_share: float, minutes: float
    ) -> float:
        """What to bet on in a period, before its events are known; the arguments are those of ``HarmTest.bet``."""
        while self._deadline < self._passed + planned_share:
            self._deadline *= NEXT_DEADLINE
        calls = green_calls + blue_calls
        p, events = green_calls / calls, blue_rate * calls
        g = min(p * events / min(green_calls, events), _MOST_PART)
        phi = self._bunching + self._noise * p * events * (1 - p) ** 2 / ((1 - g) * noise_lasts(minutes))
        left = phi * p * (1 - p) * events * (self._deadline - self._passed) / max(planned_share, 1e-9)
        stake = stake_by_deadline(self.total / self._goal) / sqrt(max(left, 1e-12))
        return exp(min(max(phi * stake, log(_LEAST_ODDS)), log(_MOST_ODDS)))

    def multiply(self, log_factor: float) -> None:
        """What the period has brought."""
        self.total = min(self.total * exp(min(log_factor, MOST_EXPONENT)), exp(MOST_EXPONENT))

    def pass_by(self, planned_share: float) -> None:
        """A period is over, with a bet or without."""
        self._passed += planned_share
