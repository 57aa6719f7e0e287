"""The sequential tests everything rests on, and why they may be looked at as often as one likes.

A test starts with a capital of 1 and bets it, period by period, on green being worse (or better) than a line. The bets are unfavourable
as long as green is not: whatever happened before, a period multiplies the capital by a factor with expectation 1 at most. Such a
capital is an *e-process*: the chance that it ever, at any of all looks, gets to K is at most 1 / K (Ville 1939). Averages of
e-processes are e-processes however they depend on each other, so one capital may be spread over alternatives, over onsets and over
metrics.

Below, of a period: ``n`` calls and ``x`` events of a variant, theirs the rate ``t``; ``b`` blue's rate in all earlier periods.

**Split test** (harm; one for each metric). Null hypothesis: ``t_green <= r t_blue`` in each period, whatever the rates do together, so
drift and bursts that hit both cancel. Of the ``k`` events of both in a period green's part, given ``k``, has a mean of at most ``p k``,
``p = r n_green / (r n_green + n_blue)`` (thinning: Lindon & Malek, NeurIPS 2022, arXiv 2011.03567), and is no more spread than a
binomial one with the same mean out of ``m = min(k, n_green)`` trials (Hoeffding 1963, theorem 4: drawing without replacement is
dominated by drawing with it, and the hypergeometric law is symmetric in what is drawn and what is marked). So with ``g = p k / m`` and
odds ratio ``a > 1``

    log E = (x_green log a - m log(1 + (a - 1) g)) / phi,   phi = bunching + 2 own_noise^2 p k (1 - p)^2 / (1 - g)

is the binomial likelihood ratio of odds ``a g / (1 - g)`` against ``g / (1 - g)``, tempered: a power below 1 keeps the expectation
below 1 (Jensen). ``bunching`` is exact for bunches of that size on one variant; the term with ``own_noise`` is the variance that
independent noise of both rates adds, an approximation (at 60,000 calls a minute and rates of 5 % an expectation of up to 1.1, which the
margin, open by then, makes up for). Given ``k`` the law is exactly that for ``r = 1``; for a larger one it is nearly, and enumeration
of all outcomes finds expectations of at most 1 while green's rate on the line is up to a half (beyond it up to 1.4, at r = 3 and rates
of 0.3 and 0.9).

No period's log E is more than 2.5 for each minute of it, so that no minute alone is proof, however strange it was; or 1.25 if it is shorter
than half a one, so that one error counts whole. So where periods are of 10 s, one strange minute may be proof.

The line ``r`` *opens with the traffic*: it begins at 1 and reaches the tolerated ratio R when green has had ``2 / (R - 1)^2`` expected
events, from which on the two can be told apart. Before, the margin could protect nobody and would cost much of the power: with few
calls only a difference far beyond it can be seen at all. So the level holds exactly for a green not worse than blue, and for one within
the margin it is exceeded by what can be bet against it on so few events (the benchmark's rows of harmless differences).

**Line test** (a guard against harm at once; harm where blue hardly ever fails, ``b < d / 2``, whose few events could tell nothing; and
all of health). Null hypothesis: ``t_green <= r t_blue + d`` (harm) or ``>=`` (health). Each call of green multiplies the capital by ``1
+ u (event - g0)``, each of blue's by ``1 - w (event - b0)``, to the power of ``s`` of its variant; with ``m = s n``, ``g0 = r b0 + d``,
``m_blue w = r m_green u``, and as ``log(1 + y) <= y``,

    log E[E] <= u m_green (t_green - g0) - w m_blue (t_blue - b0) = u m_green (t_green - r t_blue - d),

which is 0 at most under the null at every rate. ``b0`` and ``u`` are free, as long as they are known before. They are near the ones
that grow fastest, the projection of an alternative on the null (Grünwald, de Heide & Koolen 2024; Turner & Grünwald 2023, arXiv
2302.11401), by a quadratic approximation of the divergence or, near the far end, from the projection of a green that fails every call.
``s = 1 / (bunching + own_noise^2 n q / (1 - q))``, ``q`` the variant's rate on the line.

**By a deadline.** More than half of a harm test's capital, and all of health's, is staked by what is still missing at a deadline:
:mod:`~airflow_sm_rollout.core.comparison.deadline`.

Assumed, so what breaks it: calls are routed at random, not by client; given the rates of a period, calls are independent up to the
dispersion; events are counted in the period of their call; thresholds and tolerances are fixed before; one process for a whole rollout.
An error that only green's instance makes is green's, also where the instance is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p

from airflow_sm_rollout.core.comparison.deadline import Hedge
from airflow_sm_rollout.core.comparison.dispersion import Dispersion, noise_lasts

Count = tuple[int, int]
"""Calls of a variant in a period, and how many of them were events."""
Pair = tuple[float, float]
"""One for each of two alternatives: a small and a large difference are enough, and what lies between is found by either."""
Each = tuple[float, ...]
"""One for each alternative that is bet on."""

FIRST_STAKE = 0.8
_MOST_LOG_A_MINUTE = 2.5
_OPENING = 2.0
_NEAR_CERTAIN = 0.98
_HARDLY_EVER = 2.0
BY_DEADLINE = 0.6
"""The part of a harm test's capital that is bet by a deadline."""


class Capital:
    """One unit spread over two alternatives and over the time at which harm may begin.

    A part of it is bet from the first period on; the rest waits, and joins evenly over the planned time: so a late onset, and a slow leak,
    do not have to make up for what was lost before.

    :param weights: what each alternative gets, 1 in all.
    :ivar total: what it has become; its expectation is 1 at most under the null.
    """

    __slots__ = ("_bets", "_weights", "total", "waiting")

    def __init__(self, weights: Pair) -> None:
        self._weights = weights
        self._bets = (0.0, 0.0)
        self.waiting = self.total = 1.0

    def multiply(self, planned_share: float, log_factors: Pair) -> None:
        """Bet in one period.

        :param planned_share: the period's length over the planned time.
        :param log_factors: logarithms of what the period multiplies each alternative by.
        """
        joining = (1 - FIRST_STAKE) * planned_share if self.waiting < 1 else FIRST_STAKE
        joining = min(joining, self.waiting)
        self.waiting -= joining
        (one, other), (weight, other_weight), (factor, other_factor) = self._bets, self._weights, log_factors
        one = (one + joining * weight) * exp(factor)
        other = (other + joining * other_weight) * exp(other_factor)
        self._bets = one, other
        self.total = self.waiting + one + other


class HarmTest:
    """Evidence that green's rate is more than ``ratio`` times blue's, and more than ``points`` above it.

    :param ratio: tolerated ratio of green's rate to blue's, 1 or more.
    :param points: tolerated difference of the rates; the larger of the two counts.
    :param odds: alternatives: odds ratios, and the capital each gets.
    :param hedge: what chooses a further one in each period, for its part of the capital; ``None``: there is none.
    """

    __slots__ = ("_capital", "_hedge", "_line", "_odds", "_points", "_split")

    def __init__(
        self, ratio: float, points: float, dispersion: Dispersion, odds: tuple[Pair, Pair], hedge: Hedge | None = None
    ) -> None:
        (one, weight), (other, other_weight) = odds
        self._points, self._hedge = points, hedge
        self._odds = one, other
        self._split = SplitTest(ratio, points, dispersion)
        self._line = LineTest(ratio, points, dispersion)
        self._capital = Capital((weight, other_weight))

    @property
    def evidence(self) -> float:
        """What the capital of 1 has become."""
        if self._hedge is None:
            return self._capital.total
        return (1 - BY_DEADLINE) * self._capital.total + BY_DEADLINE * self._hedge.total

    def pass_by(self, planned_share: float) -> None:
        """Let a period go by in which nothing is bet."""
        if self._hedge:
            self._hedge.pass_by(planned_share)

    def bet(self, green: Count, blue: Count, blue_rate: float, planned_share: float, minutes: float) -> None:
        """Take one more period.

        :param planned_share: the period's length over the planned time.
        """
        self.stake(planned_share, self.log_factors(green, blue, blue_rate, planned_share, minutes))

    def stake(self, planned_share: float, log_factors: Each) -> None:
        """Bet on what a period says, which :meth:`log_factors` tells."""
        one, other, *by_deadline = log_factors
        self._capital.multiply(planned_share, (one, other))
        if self._hedge:
            self._hedge.multiply(by_deadline[0])
            self._hedge.pass_by(planned_share)

    def begin_anew(self) -> None:
        """Nothing was staked so far: the margin opens with the calls that come."""
        self._split.begin_anew()

    def log_factors(self, green: Count, blue: Count, blue_rate: float, planned_share: float, minutes: float) -> Each:
        """Logarithms of what a period multiplies the capital of each alternative by; the hedge's is the last one.

        :param blue_rate: blue's in all earlier periods, above 0.
        :param minutes: the period's length.
        """
        hedge, odds = self._hedge, self._odds
        chosen = (*odds, hedge.choose_odds(green[0], blue[0], blue_rate, planned_share, minutes)) if hedge else odds
        test = self._line if self._points > _HARDLY_EVER * blue_rate else self._split
        most = _MOST_LOG_A_MINUTE * max(0.5, minutes)
        return tuple(min(factor, most) for factor in test.log_factors(green, blue, blue_rate, chosen, minutes))


class SplitTest:
    """Bets that more than green's part of the events is green's.

    :param ratio: tolerated ratio of green's rate to blue's, 1 or more.
    :param points: tolerated difference of the rates; the larger of the two counts.
    """

    __slots__ = ("_bunching", "_expected", "_noise", "_points", "_ratio")

    def __init__(self, ratio: float, points: float, dispersion: Dispersion) -> None:
        self._ratio, self._points = ratio, points
        self._bunching, self._noise = dispersion.bunching, 2 * dispersion.own_noise**2
        self._expected = 0.0

    def begin_anew(self) -> None:
        """The margin opens with the calls that come."""
        self._expected = 0.0

    def log_factors(self, green: Count, blue: Count, blue_rate: float, odds: Sequence[float], minutes: float) -> Each:
        """Logarithms of what a period multiplies capitals by that bet on green's odds being so many times as large."""
        (n_green, x_green), (n_blue, x_blue) = green, blue
        events = x_green + x_blue
        ratio = self._open_ratio(n_green, blue_rate)
        p = ratio * n_green / (ratio * n_green + n_blue)
        trials = min(n_green, events)
        g = p * events / trials if trials else 1.0
        if g >= _NEAR_CERTAIN:
            return (0.0,) * len(odds)
        noise = self._noise * p * events * (1 - p) ** 2 / ((1 - g) * noise_lasts(minutes))
        power = 1 / (self._bunching + noise)
        return tuple(power * (x_green * log(each) - trials * log(1 + (each - 1) * g)) for each in odds)

    def _open_ratio(self, n_green: int, blue_rate: float) -> float:
        tolerated = max(self._ratio, 1 + self._points / blue_rate) - 1
        self._expected += n_green * blue_rate / max(1 - blue_rate, 1 - _NEAR_CERTAIN)
        return 1 + tolerated * min(1.0, self._expected * tolerated**2 / _OPENING)


class LineTest:
    """Bets that green is on one side of a line over blue's rate.

    :param ratio: the line is ``ratio`` times blue's rate plus ``points``.
    """

    __slots__ = ("_bunching", "_noise", "points", "ratio")

    def __init__(self, ratio: float, points: float, dispersion: Dispersion) -> None:
        self.ratio, self.points = ratio, points
        self._bunching, self._noise = dispersion.bunching, dispersion.own_noise**2

    def meet(self, n_green: int, n_blue: int, blue_rate: float, minutes: float) -> Meeting | None:
        """What may be bet in a period, which may depend on nothing else; ``None``: nothing, the line is at the end of what is possible."""
        line = self.ratio * blue_rate + self.points
        if line >= _NEAR_CERTAIN:
            return None
        noise = self._noise / noise_lasts(minutes)
        green = 1 / (self._bunching + noise * n_green * line / (1 - line))
        blue = 1 / (self._bunching + noise * n_blue * blue_rate / (1 - blue_rate))
        return Meeting(self, line, blue_rate, (n_green, n_blue), (green, blue))

    def log_factors(self, green: Count, blue: Count, blue_rate: float, odds: Sequence[float], minutes: float) -> Each:
        """Logarithms of what a period multiplies capitals by that bet on green's odds being so many times those of the line."""
        (n_green, x_green), (n_blue, x_blue) = green, blue
        meeting = self.meet(n_green, n_blue, blue_rate, minutes)
        if meeting is None:
            return (0.0,) * len(odds)
        return tuple(meeting.log_factor(x_green, x_blue, meeting.above(each)) for each in odds)


class Meeting:
    """A period of a line test before its events are known.

    :param calls: green's and blue's; so ``powers``, by which the dispersion makes a call count less.
    :ivar line: the line's rate where blue's is ``blue_rate``.
    """

    __slots__ = ("_calls", "_hold", "_m_blue", "_m_green", "_powers", "_pull", "_test", "blue_rate", "line")

    def __init__(
        self,
        test: LineTest,
        line: float,
        blue_rate: float,
        calls: tuple[int, int],
        powers: Pair,
    ) -> None:
        self._test, self.line, self.blue_rate = test, line, blue_rate
        self._calls, self._powers = calls, powers
        self._m_green = m_green = calls[0] * powers[0]
        self._m_blue = m_blue = calls[1] * powers[1]
        # How strongly each side's calls hold a rate where it is: the inverse of its variance.
        self._pull = m_green / (line * (1 - line))
        self._hold = m_blue / (blue_rate * (1 - blue_rate))

    def above(self, odds: float) -> float:
        """The rate whose odds are so many times those of the line."""
        line = self.line
        return odds * line / (1 - line + odds * line)

    @property
    def tells(self) -> float:
        """What it is expected to tell of a green as good as blue: the squared distance to the line in standard deviations."""
        ratio: float = self._test.ratio
        return (self.line - self.blue_rate) ** 2 / (1 / self._pull + ratio * ratio / self._hold)

    def log_factor(self, x_green: int, x_blue: int, target: float) -> float:
        """Logarithm of what the period multiplies the capital by.

        :param target: the rate that green is bet to have: above the line a bet on harm, below it one on health.
        """
        ratio = self._test.ratio
        b0 = self._project(target)
        g0 = ratio * b0 + self._test.points
        u = (target - g0) / (g0 * (1 - g0))
        if (u > 0) is (target <= self.line):
            return 0.0
        w = ratio * self._m_green * u / self._m_blue
        # Each factor must stay above 0, and not too near.
        most = (w * (1 - b0) if w > 0 else -w * b0) / 0.95
        if most > 1:
            u, w = u / most, w / most
        (n_green, n_blue), (power_green, power_blue) = self._calls, self._powers
        of_green = x_green * log1p(u * (1 - g0)) + (n_green - x_green) * log1p(-u * g0)
        of_blue = x_blue * log1p(-w * (1 - b0)) + (n_blue - x_blue) * log1p(w * b0)
        return power_green * of_green + power_blue * of_blue

    def _project(self, target: float) -> float:
        """``b0``: where the line is nearest to green at ``target`` and blue at its rate."""
        ratio, points, line, blue_rate = self._test.ratio, self._test.points, self.line, self.blue_rate
        pull = ratio * self._pull
        b0 = blue_rate - (line - target) * pull / (ratio * pull + self._hold)
        if target > line:
            m_green, m_blue = self._m_green, self._m_blue
            if_all_fail = (ratio * m_green - points * m_blue) / (ratio * (m_green + m_blue))
            b0 = max(b0, target * target * if_all_fail)
        return min(max(b0, blue_rate / 4), _NEAR_CERTAIN * (1 - points) / ratio)
