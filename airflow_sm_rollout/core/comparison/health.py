"""Evidence of health: a line test whose stake follows from what is still missing at the end of the least bake.

Where green as good as blue is bet on, the stake that grows fastest is multiplied by that of :mod:`~.deadline`, over what the rest of
the time is expected to tell, in standard deviations. It is never less than a tenth, so that a green which gets worse loses it, nor more
than 1. The goal aimed at is 1.2 times what is needed: every metric has to be above at the same time, and with so small stakes a capital
that was aimed at just that would linger below it.
"""

from __future__ import annotations

from math import exp, sqrt

from airflow_sm_rollout.core.comparison.bets import Count, LineTest
from airflow_sm_rollout.core.comparison.deadline import MOST_EXPONENT, NEXT_DEADLINE, stake_by_deadline

_ABOVE_GOAL = 1.2
_LEAST_STAKE = 0.1
_ENOUGH = 10.0


class HealthTest:
    """Evidence that green's rate is below a line over blue's, as much as is needed by a deadline if that is possible.

    :param line: what is bet against.
    :param goal: capital that is proof. Ten times as much is kept at most, so that a green which gets worse is not called healthy for long.
    :param deadline: by when it is wanted, in minutes with figures; the next one is 3.5 times as late.
    :param stake: the part of the capital that is bet from the first period on; the rest waits, see :meth:`stake_all`.
    """

    __slots__ = ("_bet", "_deadline", "_elapsed", "_goal", "_line", "_waiting")

    def __init__(self, line: LineTest, goal: float, deadline: float, stake: float) -> None:
        self._line, self._goal, self._deadline = line, goal, deadline
        self._bet, self._waiting = stake, 1 - stake
        self._elapsed = 0.0

    @property
    def evidence(self) -> float:
        """What the capital of 1 has become."""
        return self._bet + self._waiting

    def stake_all(self) -> None:
        """From now on bet what has waited, too: a cold start may have taken all the rest."""
        self._bet, self._waiting = self.evidence, 0.0

    def bet(self, green: Count, blue: Count, blue_rate: float, minutes: float) -> None:
        """Take one more period; the arguments are those of :meth:`HarmTest.bet`."""
        meeting = self._line.meet(green[0], blue[0], blue_rate, minutes)
        if meeting and meeting.line > blue_rate:
            target = meeting.line - self._boldness(meeting.tells / minutes, minutes) * (meeting.line - blue_rate)
            log_factor = meeting.log_factor(green[1], blue[1], target)
            most = _ENOUGH * self._goal
            self._bet = min(self._bet * exp(min(log_factor, MOST_EXPONENT)), most)
        self._elapsed += minutes

    def _boldness(self, tells_a_minute: float, minutes: float) -> float:
        """What is staked, as a part of what lets the capital grow fastest."""
        while self._deadline < self._elapsed + minutes:
            self._deadline = NEXT_DEADLINE * max(self._deadline, minutes)
        told = sqrt(tells_a_minute * (self._deadline - self._elapsed))
        return min(1.0, max(_LEAST_STAKE, stake_by_deadline(self.evidence / (_ABOVE_GOAL * self._goal)) / told))
