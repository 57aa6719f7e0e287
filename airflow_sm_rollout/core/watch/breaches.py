"""Are fixed limits kept? Proven not to be, kept, or nobody can tell.

A limit on a share of the calls (errors, or those slower than the p99 allowed) is exceeded when that is *proven*: a share that merely came
out above its limit on a few calls is inconclusive. The proof is a test by betting that may be looked at as often as one likes. Of ``x``
events in the ``n`` calls of a period, under "the share is at most L",

    E = (a^x ((1 - aL) / (1 - L))^(n - x)) ^ (1 / phi),   phi = bunching + own_noise^2 n L / (1 - L)

has an expectation of at most 1, so that the product over all periods, and its mean over some ``a > 1``, ever reaches 100 with a
probability of at most 1 % (Ville 1939). ``phi`` is what :mod:`~.dispersion` estimates from blue's history, never below a default: where
clients retry, errors come in bunches, and nine retries of a call that fails are no nine proofs. Without it, of simulated greens that are
just at their limit, with bunches of ten, four in ten are called harmful within half an hour; with it, one in 200. For bunches up to that
size the level holds exactly (Jensen); the term of the noise is an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from airflow_sm_rollout.core.comparison.dispersion import Dispersion, estimate_bunching, estimate_noise
from airflow_sm_rollout.core.comparison.metric import DEFAULT_DISPERSIONS
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.plan.limits import Kpi
from airflow_sm_rollout.core.watch.coverage import ORDINARY, ORDINARY_PART
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict

# By how much the true share is betted to exceed the limit.
_FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_PROOF = math.log(100.0)
_P99_SHARE = 0.01  # p99 is at most L when at most 1 % of the calls took longer than L
_BREACHES = 3  # periods in a row in which a KPI is beyond its limit, before the end of a bake


def scatter_of_errors(baseline: Sequence[Period]) -> Dispersion:
    """How blue's errors, 4XX and 5XX together, scatter: all of it taken for bunches, which weigh on the fewer calls of green as much, while
    noise would less.
    """
    minutes = [(each.blue.requests, each.blue.errors_4xx + each.blue.errors_5xx) for each in baseline if each.blue]
    least = DEFAULT_DISPERSIONS["errors_5xx"]
    return replace(estimate_bunching(minutes, replace(least, own_noise=0.0)), own_noise=least.own_noise)


def scatter_of_slow_calls(baseline: Sequence[Period]) -> Dispersion:
    """How those of blue's calls scatter that are slower than its 99th percentile."""
    blue = [each.blue for each in baseline if each.blue]
    minutes = [(each.requests, each.over_p99) for each in blue if each.over_p99 is not None]
    return estimate_noise(minutes, DEFAULT_DISPERSIONS["over_p99"])


class ShareLimit:
    """A share of green's calls that is limited, judged period by period; see the module.

    :param what: what these calls did.
    :param limit: the largest share allowed, 0 to 1.
    :param named: the limit as the user named it.
    :param seconds: length of a period; shorter ones than a minute share its noise.
    """

    def __init__(self, what: str, limit: float, named: str, dispersion: Dispersion, seconds: int) -> None:
        self._what, self._limit, self._named = what, limit, named
        factors = [factor for factor in _FACTORS if factor * limit < 1] or [(1 + 1 / limit) / 2]
        self._gains = [(math.log(factor), math.log((1 - factor * limit) / (1 - limit))) for factor in factors]
        self._bunching = dispersion.bunching
        self._noise = dispersion.own_noise**2 * limit / (1 - limit) / min(seconds / 60, 1.0)
        self._logs = [0.0] * len(factors)
        self._calls = self._events = 0
        self._is_proven = False

    @property
    def log_evidence(self) -> float:
        """Logarithm of the evidence that the share is above its limit."""
        largest = max(self._logs)
        return largest + math.log(fmean(math.exp(each - largest) for each in self._logs))

    def take(self, calls: int, counted: int) -> None:
        """Take one more period: green's calls, and how many of them are events. Once it is proven it stays so, whoever looks."""
        if self._is_proven:
            return
        events = min(counted, calls)  # at the edge of a period an event may be counted apart from its call
        power = 1 / (self._bunching + self._noise * calls)
        gained = [power * (events * event + (calls - events) * other) for event, other in self._gains]
        self._logs = [log + gain for log, gain in zip(self._logs, gained, strict=True)]
        self._calls += calls
        self._events += counted
        self._is_proven = self.log_evidence >= _PROOF

    def judge(self, gap: str = "") -> Judgement:
        """Judge green by it.

        :param gap: why the figures don't cover the watch; empty: they do.
        """
        if not self._calls:
            unknown = gap or f"of none of green's calls it is known whether they {self._what}"
            return Judgement(Verdict.INCONCLUSIVE, f"{unknown}{', and' if gap else ';'} {self._named}")
        of_calls = f"{self._events:,} of green's {self._calls:,} calls ({100 * self._events / self._calls:.3g} %)"
        told = f"{of_calls} {self._what}; {self._named}"
        if self._is_proven:
            return Judgement(Verdict.HARMFUL, told)
        if gap:
            return Judgement(Verdict.INCONCLUSIVE, f"{gap}, and {self._named}")
        if self._events <= self._limit * self._calls:
            return Judgement(Verdict.HEALTHY, told)
        return Judgement(Verdict.INCONCLUSIVE, f"{told}; that is no proof yet, it may be bad luck")


def limit_errors(rate: float, baseline: Sequence[Period], seconds: int) -> ShareLimit:
    """The limit ``max_error_rate``.

    :param baseline: blue's minutes before green had traffic, which tell how errors scatter; may be empty.
    """
    named = f"max_error_rate allows {100 * rate:.4g} %"
    return ShareLimit("were answered with an error", rate, named, scatter_of_errors(baseline), seconds)


def limit_slow_calls(p99_ms: float, baseline: Sequence[Period], seconds: int) -> ShareLimit:
    """The limit ``max_p99_ms``; the arguments are as for :func:`limit_errors`."""
    what, named = f"took longer than {p99_ms:g} ms", f"max_p99_ms={p99_ms:g} allows 1 %"
    return ShareLimit(what, _P99_SHARE, named, scatter_of_slow_calls(baseline), seconds)


class KpiLimit:
    """A KPI's limits, judged period by period."""

    def __init__(self, kpi: Kpi) -> None:
        self._kpi = kpi
        self._green = self._blue = 0.0
        self._periods = self._known = self._silent = 0
        self._run: tuple[float, ...] = ()
        self._breaches: tuple[float, ...] = ()

    def take(self, green: float | None, blue: float | None) -> None:
        """Take one more period.

        :param green: its value; ``None``: it had none.
        :param blue: blue's, where the KPI is relative to it.
        """
        unit = blue if self._kpi.relative_to_blue else 1.0
        self._periods += 1
        if green is None or unit is None:
            self._silent += 1
            return
        self._known += 1
        self._silent = 0
        self._green += green
        self._blue += unit
        if unit and not self._breaches:
            self._run = (*self._run[1 - _BREACHES :], green / unit)
            if len(self._run) == _BREACHES and all(self._kpi.is_beyond(value) for value in self._run):
                self._breaches = self._run  # it stays proven, whenever somebody looks

    def judge(self, *, is_over: bool) -> Judgement:
        """Judge green by it.

        :param is_over: whether the watch is over.
        """
        kpi = self._kpi
        whose = "of both green and blue" if kpi.relative_to_blue else "of green"
        if not self._known:
            return Judgement(Verdict.INCONCLUSIVE, f"{kpi.label}: there are no figures {whose}")
        if self._breaches:
            values = ", ".join(f"{value:.4g}" for value in self._breaches)
            told = f"{kpi.label} was {values}{self._of_blue} in {_BREACHES} periods in a row"
            return Judgement(Verdict.HARMFUL, f"{told}; {kpi.describe_limits()} is allowed")
        judged = self._judge_mean(is_over)
        if judged.verdict is Verdict.HEALTHY and self._silent > max(ORDINARY, ORDINARY_PART * self._periods):
            silent = f"in the last {self._silent} of {self._periods} periods"
            return Judgement(Verdict.INCONCLUSIVE, f"{kpi.label}: there are no figures {whose} {silent}")
        return judged

    @property
    def _of_blue(self) -> str:
        return " times blue's" if self._kpi.relative_to_blue else ""

    def _judge_mean(self, is_over: bool) -> Judgement:
        kpi, allowed = self._kpi, f"{self._kpi.describe_limits()} is allowed"
        if not self._blue:
            return self._judge_beside_none(allowed)
        ratio = self._green / self._blue
        told = f"{kpi.label} was {ratio:.4g}{self._of_blue} in the mean of {self._count}; {allowed}"
        if not kpi.is_beyond(ratio):
            return Judgement(Verdict.HEALTHY, told)
        return Judgement(Verdict.HARMFUL if is_over else Verdict.INCONCLUSIVE, told)

    def _judge_beside_none(self, allowed: str) -> Judgement:
        """Where blue's figures are all 0: no green is a factor of that, but one of 0 is as good."""
        kpi, green = self._kpi, self._green / self._known
        told = f"{kpi.label} was {green:.4g} of green and 0 of blue in the mean of {self._count}; {allowed}"
        if not green or (green > 0 and kpi.at_most is None):
            return Judgement(Verdict.HEALTHY, told)
        advice = "but nothing is a multiple of 0: give this KPI a limit of its own, without relative_to_blue"
        return Judgement(Verdict.INCONCLUSIVE, f"{told}, {advice}")

    @property
    def _count(self) -> str:
        return f"{self._known} period{'s' if self._known > 1 else ''}"
