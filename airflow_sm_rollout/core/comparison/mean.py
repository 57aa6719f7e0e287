"""Is green's mean larger than blue's? An always-valid test on values between two bounds, by their sums and sums of squares alone.

Null hypothesis: in each period green's mean is at most blue's plus ``d``, whatever both do together. For a value ``X`` between 0 and 1 with
mean ``m``, any ``c`` and ``0 < l < 1``, both known before,

    exp(l (X - m) - 4 q (X - c)^2),   4 q = -log(1 - l) - l

has an expectation of at most 1 (Fan, Grama & Liu 2015, through Howard, Ramdas, McAuliffe & Sekhon 2021, AoS 49; as a bet on means:
Waudby-Smith & Ramdas, JRSS B 86, 2024), also with ``1 - X`` and ``1 - m`` for the other direction. So of a period with ``n`` values of
green and ``k`` of blue, with ``l' = l n / k`` for blue's and the other sign,

    log E = l (sum of green's - n / k sum of blue's - n d) - 4 q sum (green's - c)^2 - 4 q' sum (blue's - c')^2

has an expectation of ``E`` of at most 1 under the null hypothesis: what the two means add is ``l n (m_green - m_blue - d)``, so that
drift which both meet cancels. Products over periods, and mixtures over ``l``, keep that (Ville 1939). A period needs only how many
values there were, their sum and the sum of their squares.

The values must lie between the bounds, so what lies beyond counts as the bound: means of truncated values are compared, which a single
wild value cannot move far. They are taken to be independent given their period. Where blue's means scatter more from period to period than
that explains, all evidence is divided by how much more (:func:`scatter`): a power below 1 keeps the expectation below 1 (Jensen).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

_WORSE = (1.0, 3.0, 10.0)
"""What is bet on: a difference beyond the tolerated one of so many times it."""
_HEALTHY, _AS_GOOD = 2.0, (1.0, 2.0)
"""Green is healthy where its mean is proven to be below blue's plus so many times what is tolerated; and what is bet on then."""
_LARGEST_STAKE = 0.5
_LEAST_SCATTER = 1.25
_FEWEST = 10
_LEAST_VARIANCE = 1e-6
_MOST = 60.0  # more than any proof needs, and finite


@dataclass(frozen=True, slots=True)
class Sums:
    """Values of a period, each between 0 and 1.

    :param count: how many; ``total`` is their sum, ``squares`` that of their squares.
    """

    count: int
    total: float
    squares: float

    @property
    def flipped(self) -> Sums:
        """Of 1 less each value."""
        return Sums(self.count, self.count - self.total, self.count - 2 * self.total + self.squares)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Their mean; there must be one."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Of one of them."""
        return max(self.squares / self.count - self.mean**2, _LEAST_VARIANCE)

    def around(self, center: float) -> float:
        """The sum of the squares of their distances."""
        return max(0.0, self.squares - 2 * center * self.total + self.count * center**2)


_UNKNOWN = Sums(2, 1.0, 0.75)  # as if two values had been seen, in the middle and wide


class MeanTest:
    """Evidence that green's mean is more than ``line`` above blue's.

    :param line: a difference, where the bounds are 0 and 1; it may be below 0.
    :param beyond: differences above the line that are bet on.
    :param before: blue's periods before green had any.
    """

    def __init__(self, line: float, beyond: Sequence[float], before: Sequence[Sums]) -> None:
        self._line, self._beyond = line, tuple(beyond)
        self._scatter = scatter(before)
        self._blue = sum(before, _UNKNOWN)
        self._green = self._blue if before else _UNKNOWN
        self._logs = [0.0] * len(self._beyond)

    @property
    def log_evidence(self) -> float:
        """Logarithm of what a capital of 1 has become."""
        largest = max(self._logs)
        return largest + math.log(fmean(math.exp(each - largest) for each in self._logs))

    def take(self, green: Sums, blue: Sums) -> None:
        """Take one more period in which both had values."""
        for number, difference in enumerate(self._beyond):
            self._logs[number] += self._log_factor(green, blue, difference) / self._scatter
        self._green, self._blue = self._green + green, self._blue + blue

    def _log_factor(self, green: Sums, blue: Sums, difference: float) -> float:
        part = green.count / blue.count
        stake = difference / (self._green.variance + part * self._blue.variance)
        stake = min(stake, _LARGEST_STAKE, _LARGEST_STAKE / part)
        told = green.total - part * blue.total - green.count * self._line
        of_green = _cost(stake) * green.around(self._green.mean)
        return stake * told - of_green - _cost(part * stake) * blue.around(self._blue.mean)


class MeanEvidence:
    """What is known of one mean so far: whether green's is larger than blue's, or as good.

    :param tolerated: a difference above 0, where the bounds are 0 and 1.
    :param before: blue's periods before green had any.
    :ivar green: all of green's values; so ``blue``.
    """

    def __init__(self, tolerated: float, before: Sequence[Sums]) -> None:
        self._harm = MeanTest(tolerated, [factor * tolerated for factor in _WORSE], before)
        as_good = [factor * tolerated for factor in _AS_GOOD]
        self._health = MeanTest(-_HEALTHY * tolerated, as_good, [each.flipped for each in before])
        self.green = self.blue = Sums(0, 0.0, 0.0)

    @property
    def harm(self) -> float:
        """What a capital of 1 that was bet on harm has become."""
        return math.exp(min(self._harm.log_evidence, _MOST))

    @property
    def health(self) -> float:
        """Likewise of health; 0 where nothing was seen."""
        return math.exp(min(self._health.log_evidence, _MOST)) if self.green.count else 0.0

    def take(self, green: Sums, blue: Sums) -> None:
        """Take one more period in which both had values."""
        self._harm.take(green, blue)
        self._health.take(green.flipped, blue.flipped)
        self.green, self.blue = self.green + green, self.blue + blue


def _cost(stake: float) -> float:
    return -math.log1p(-stake) - stake


def scatter(periods: Sequence[Sums]) -> float:
    """By how much more the means of neighbouring periods differ than independent values would let them; never below a default."""
    known = [each for each in periods if each.count]
    if len(known) < _FEWEST:
        return _LEAST_SCATTER
    squares = [
        (one.mean - other.mean) ** 2 / (one.variance / one.count + other.variance / other.count)
        for one, other in itertools.pairwise(known)
    ]
    return max(_LEAST_SCATTER, fmean(squares))
