"""What a bake can see, told beforehand: which harm would be proven by its end, if green did it from its first call on.

The judge itself is asked, about a green that does so much harm and no more, on traffic as blue's was. What it would not find, nobody has
looked for: a bake that is too short for that ends *unproven*, not healthy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import count, islice

from airflow_sm_rollout.core.comparison.comparison import Course
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.policy import judged_tolerances, tolerances_in

_LEVELS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SLOW_LEVELS = (0.55, 0.6, 0.7, 0.8, 0.9, 1.0)  # half of blue's calls are slower than its median
_USUALLY_SLOW = (
    0.5,
    0.05,
    0.01,
    0.0001,
)  # blue's calls above its p50, p95, p99, and twice that where latencies are log-normal
_MOST_PERIODS = 60  # the last look of a bake pays for them


@dataclass(frozen=True, slots=True)
class Load:
    """Blue's, before the rollout.

    :param calls: a minute.
    :param rate_5xx: share of its calls that failed so; so ``rate_4xx``.
    :param is_timed: whether its latencies are known.
    """

    calls: float
    rate_5xx: float = 0.0
    rate_4xx: float = 0.0
    is_timed: bool = True


@dataclass(frozen=True, slots=True)
class Reach:
    """What a bake can prove by its end.

    :param errors: the least share of failing calls (5XX); ``None``: not even that all fail.
    :param slow: the least share of calls slower than blue's median; ``None``: not even that all are.
    :param calls: green's calls in it, as far as can be told beforehand.
    :param is_timed: whether latencies are compared.
    """

    errors: float | None
    slow: float | None
    calls: float
    is_timed: bool = True

    @property
    def blind_to(self) -> str:
        """What this bake is too short for, as half a sentence; empty: nothing that is looked for."""
        return _describe_blind(
            sees_errors=self.errors is not None, sees_slow=self.slow is not None or not self.is_timed
        )

    def describe(self) -> str:
        """What it can prove, in words."""
        if self.errors is None:
            return f"about {self.calls:,.0f} calls of green: {self.blind_to}"
        told = f"about {self.calls:,.0f} calls of green, which prove errors from {100 * self.errors:g} % of them on"
        if not self.is_timed:
            return f"{told}; latencies are not compared, as blue's are not known"
        if self.slow is None:
            return f"{told}; {self.blind_to}"
        return f"{told}, and that it is slow where {100 * self.slow:g} % of them are slower than blue's median"


@dataclass(frozen=True, slots=True)
class Setting:
    """A bake before it begins, as far as it matters for what can be proven in it.

    :param tolerances: as the bake has them.
    :param share: green's, in percent, above 0 and below 100.
    :param bake: how long it is.
    :param seconds: how often there are figures; they are final one such period late.
    """

    load: Load
    tolerances: Tolerances
    share: float
    bake: timedelta
    seconds: int

    def proves_failing(self, level: float) -> bool:
        """Whether it proves harm where that share of green's calls fail."""
        return any(course.harmful_at for course in self._play(level, _USUALLY_SLOW[0]))

    def proves_slow(self, level: float) -> bool:
        """Whether it proves harm where that share of green's calls are slower than blue's median."""
        return any(course.harmful_at for course in self._play(self.load.rate_5xx, level))

    def proves_healthy(self) -> bool:
        """Whether it proves a green healthy that is as good as blue."""
        return any(course.healthy_at for course in self._play(self.load.rate_5xx, _USUALLY_SLOW[0]))

    def _play(self, failing: float, slow: float) -> Iterator[Course]:
        """The comparison of blue with such a green, period by period: a long bake in longer ones, which tell as much and cost less."""
        whole = int((self.bake - timedelta(seconds=self.seconds)).total_seconds()) // self.seconds
        together = max(1, math.ceil(whole / _MOST_PERIODS))
        course = Course((), self.tolerances, planned=self.bake)
        periods = _periods(self.load, self.share / 100, self.seconds * together, failing=failing, slow=slow)
        for period in islice(periods, max(0, whole // together)):
            course.take(period)
            yield course


def _describe_blind(*, sees_errors: bool, sees_slow: bool) -> str:
    if not sees_errors:
        return "it is too short, on so little traffic, to prove even that every call fails"
    if not sees_slow:
        return "it is too short, on its traffic and behind the warm-up of new instances (warm_up_minutes), to prove that green is slow"
    return ""


def load_of(baseline: Sequence[Period]) -> Load | None:
    """Blue's traffic by its minutes before green had any; ``None``: it had no calls, or nobody knows."""
    known = [each.blue for each in baseline if each.blue is not None]
    calls = sum(each.requests for each in known)
    if not calls:
        return None
    return Load(
        calls / len(known),
        sum(each.errors_5xx for each in known) / calls,
        sum(each.errors_4xx for each in known) / calls,
        any(each.over_p50 is not None for each in known),
    )


def reach_in(rollout: Rollout, load: Load, share: float, bake: timedelta, seconds: int) -> Reach | None:
    """What a rollout's bake can prove; ``None``: nothing is compared in it. The arguments are those of :class:`Setting`."""
    setting = setting_in(rollout, load, share, bake, seconds)
    return reach_of(setting) if setting else None


def setting_in(rollout: Rollout, load: Load, share: float, bake: timedelta, seconds: int) -> Setting | None:
    """A bake as it is in a rollout; ``None``: nothing is compared in it. The arguments are those of :class:`Setting`."""
    tolerances = judged_tolerances(rollout.plan.evidence)
    if tolerances is None or not 0 < share < 100:
        return None
    load = replace(load, is_timed=load.is_timed and rollout.thresholds is not None)
    return Setting(load, tolerances_in(tolerances, bake, seconds), share, bake, seconds)


@lru_cache(maxsize=256)  # each page and each task of a rollout asks the same
def reach_of(setting: Setting) -> Reach:
    """What a bake can prove by its end."""
    load = setting.load
    return Reach(
        errors=least(_LEVELS, setting.proves_failing),
        slow=least(_SLOW_LEVELS, setting.proves_slow) if load.is_timed else None,
        calls=load.calls * setting.share / 100 * setting.bake / timedelta(minutes=1),
        is_timed=load.is_timed,
    )


@lru_cache(maxsize=256)
def blind_to(setting: Setting) -> str:
    """:attr:`Reach.blind_to` alone, for which only the greatest harm is asked about."""
    sees_slow = not setting.load.is_timed or setting.proves_slow(_SLOW_LEVELS[-1])
    return _describe_blind(sees_errors=setting.proves_failing(_LEVELS[-1]), sees_slow=sees_slow)


def least(levels: Sequence[float], is_proven: Callable[[float], bool]) -> float | None:
    """The least level that is proven: what proves a small one proves a large one, too."""
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_proven(levels[middle]) else (middle + 1, high)
    return levels[low] if low < len(levels) else None


def _periods(load: Load, share: float, seconds: int, *, failing: float, slow: float) -> Iterator[Period]:
    """Both variants' expected counts."""
    begin, calls = datetime.fromtimestamp(0, timezone.utc), load.calls * seconds / 60
    blue = _Expected(calls * (1 - share), load, load.rate_5xx, _USUALLY_SLOW[0])
    green = _Expected(calls * share, load, failing, slow)
    for number in count():
        start = begin + timedelta(seconds=seconds * number)
        yield Period(start, seconds, blue.next(), green.next())


class _Expected:
    """A variant's counts, period by period: whole numbers, of which none is lost."""

    def __init__(self, calls: float, load: Load, failing: float, slow: float) -> None:
        rates = (1.0, failing, load.rate_4xx, *((slow, *_USUALLY_SLOW[1:]) if load.is_timed else ()))
        self._each = tuple(calls * rate for rate in rates)
        self._due = [0.0] * len(rates)

    def next(self) -> Sample:
        due = [left + each for left, each in zip(self._due, self._each, strict=True)]
        counts = [int(each + 1e-9) for each in due]
        self._due = [each - count for each, count in zip(due, counts, strict=True)]
        return Sample(*counts)
