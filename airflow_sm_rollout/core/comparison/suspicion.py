"""Does green look worse than blue of late? That proves nothing, and is reason enough not to give it more just yet.

Each metric has a cumulative sum (Page 1954, "Continuous inspection schemes") of the logarithms that harm is bet by, in all periods: also
while green warms up, in which being slow is not held against it. The sum never falls below 0, so that good minutes are no credit for bad
ones. It never rises above a little more than what makes it strong, so that a green which recovers is suspected no more soon after.
"""

from __future__ import annotations

from math import log

from airflow_sm_rollout.core.comparison.bets import Pair

_STRONG = log(10.0)
_MOST = log(15.0)


class Suspicion:
    """What one metric says of late.

    :ivar strength: above 1 it is enough to wait.
    """

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: Pair = (0.0, 0.0)

    @property
    def strength(self) -> float:
        """How strong it is; 1 is enough to wait for what comes next."""
        return max(self._sums) / _STRONG

    def take(self, log_factors: Pair) -> None:
        """Take one more period.

        :param log_factors: what it says for each of two alternatives, see :class:`~.bets.HarmTest`.
        """
        one, other = (min(max(before + new, 0.0), _MOST) for before, new in zip(self._sums, log_factors, strict=True))
        self._sums = one, other
