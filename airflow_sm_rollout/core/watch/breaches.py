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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from airflow_sm_rollout.core.comparison.bets import Count
from airflow_sm_rollout.core.comparison.dispersion import Dispersion, estimate_bunching, estimate_noise
from airflow_sm_rollout.core.comparison.metric import DEFAULT_DISPERSIONS
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.plan.limits import Kpi, Limits
from airflow_sm_rollout.core.watch.coverage import ORDINARY, ORDINARY_PART
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict

# By how much the true share is betted to exceed the limit.
_FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_PROOF = math.log(100.0)
_P99_SHARE = 0.01  # p99 is at most L when at most 1 % of the calls took longer than L
_BREACHES = 3  # periods in a row in which a KPI is beyond its limit, before the end of a bake


@dataclass(frozen=True, slots=True)
class Counts:
    """What green did in a bake so far, period by period, in those whose figures are final.

    :param errors: calls, and how many of them were answered with 4XX or 5XX.
    :param slow: calls, and how many of them took longer than ``max_p99_ms``; periods of which that is not known are not there.
    :param slow_gap: why ``slow`` does not cover the bake (:func:`~.coverage.describe_gap`); empty: it does.
    :param seconds: length of a period.
    """

    errors: tuple[Count, ...] = ()
    slow: tuple[Count, ...] = ()
    slow_gap: str = ""
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Series:
    """A KPI's values in a bake so far, period by period, oldest first; ``None`` where it had none.

    :param green: green's.
    :param blue: blue's in the same periods; ``None``: it is not relative to them.
    """

    green: tuple[float | None, ...]
    blue: tuple[float | None, ...] | None = None


def judge_limits(
    limits: Limits, counts: Counts, series: Sequence[Series], baseline: Sequence[Period], *, is_over: bool
) -> list[Judgement]:
    """Judge green by its limits, at any moment of a bake: one judgement for each.

    :param series: of each KPI, in the order of ``limits.kpis``.
    :param baseline: blue's minutes before green had traffic, which tell how errors and slow calls scatter; may be empty.
    :param is_over: whether the bake is over.
    """
    found, minutes = [], counts.seconds / 60
    if limits.max_error_rate is not None:
        named = f"max_error_rate allows {100 * limits.max_error_rate:.4g} %"
        share = _Share(
            "were answered with an error", limits.max_error_rate, named, scatter_of_errors(baseline), minutes
        )
        found.append(_judge_share(share, counts.errors, ""))
    if limits.max_p99_ms is not None:
        what, named = f"took longer than {limits.max_p99_ms:g} ms", f"max_p99_ms={limits.max_p99_ms:g} allows 1 %"
        share = _Share(what, _P99_SHARE, named, scatter_of_slow_calls(baseline), minutes)
        found.append(_judge_share(share, counts.slow, counts.slow_gap))
    return found + [_judge_kpi(kpi, each, is_over) for kpi, each in zip(limits.kpis, series, strict=True)]


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


@dataclass(frozen=True, slots=True)
class _Share:
    """A share of the calls that is limited.

    :param what: what these calls did.
    :param named: the limit as the user named it.
    :param minutes: length of a period.
    """

    what: str
    limit: float
    named: str
    dispersion: Dispersion
    minutes: float


def _judge_share(share: _Share, counts: Sequence[Count], gap: str) -> Judgement:
    evidence = log_evidence(counts, share.limit, share.dispersion, share.minutes)
    proven = next((number for number, each in enumerate(evidence, 1) if each >= _PROOF), None)
    # Once it is proven it stays so, whoever looks, and whenever.
    judged = counts[:proven]
    calls, events = (sum(column) for column in zip(*judged, strict=True)) if judged else (0, 0)
    if not calls:
        return Judgement(Verdict.INCONCLUSIVE, _tell_nothing(share, gap))
    told = f"{events:,} of green's {calls:,} calls ({100 * events / calls:.3g} %) {share.what}; {share.named}"
    if proven is not None:
        return Judgement(Verdict.HARMFUL, told)
    if gap:
        return Judgement(Verdict.INCONCLUSIVE, f"{gap}, and {share.named}")
    if events <= share.limit * calls:
        return Judgement(Verdict.HEALTHY, told)
    return Judgement(Verdict.INCONCLUSIVE, f"{told}; that is no proof yet, it may be bad luck")


def _tell_nothing(share: _Share, gap: str) -> str:
    return (
        f"{gap}, and {share.named}"
        if gap
        else f"of none of green's calls it is known whether they {share.what}; {share.named}"
    )


def log_evidence(counts: Sequence[Count], limit: float, dispersion: Dispersion, minutes: float) -> Iterator[float]:
    """Logarithm of the evidence that a share is above its limit, after each period; see the module.

    :param counts: of each period its calls, and how many of them are events.
    :param minutes: length of a period; shorter ones than a minute share its noise.
    """
    factors = [factor for factor in _FACTORS if factor * limit < 1] or [(1 + 1 / limit) / 2]
    gains = [(math.log(factor), math.log((1 - factor * limit) / (1 - limit))) for factor in factors]
    noise = dispersion.own_noise**2 * limit / (1 - limit) / min(minutes, 1.0)
    logs = [0.0] * len(factors)
    for calls, counted in counts:
        events = min(counted, calls)  # at the edge of a period an event may be counted apart from its call
        power = 1 / (dispersion.bunching + noise * calls)
        gained = [power * (events * event + (calls - events) * other) for event, other in gains]
        logs = [log + gain for log, gain in zip(logs, gained, strict=True)]
        largest = max(logs)
        yield largest + math.log(fmean(math.exp(each - largest) for each in logs))


def _judge_kpi(kpi: Kpi, series: Series, is_over: bool) -> Judgement:
    pairs = _pair(kpi, series)
    known = [pair for pair in pairs if pair is not None]
    whose = "of both green and blue" if kpi.relative_to_blue else "of green"
    if not known:
        return Judgement(Verdict.INCONCLUSIVE, f"{kpi.label}: there are no figures {whose}")
    breaches = _first_breaches(kpi, [green / blue for green, blue in known if blue])
    of_blue = " times blue's" if kpi.relative_to_blue else ""
    if breaches:
        told = f"was {', '.join(f'{value:.4g}' for value in breaches)}{of_blue} in {_BREACHES} periods in a row"
        return Judgement(Verdict.HARMFUL, f"{kpi.label} {told}; {kpi.describe_limits()} is allowed")
    judged = _judge_mean(kpi, known, of_blue, is_over)
    silent = next((number for number, pair in enumerate(reversed(pairs)) if pair is not None), 0)
    if judged.verdict is Verdict.HEALTHY and silent > max(ORDINARY, ORDINARY_PART * len(pairs)):
        told = f"{kpi.label}: there are no figures {whose} in the last {silent} of {len(pairs)} periods"
        return Judgement(Verdict.INCONCLUSIVE, told)
    return judged


def _judge_mean(kpi: Kpi, known: Sequence[tuple[float, float]], of_blue: str, is_over: bool) -> Judgement:
    green, blue = (fmean(column) for column in zip(*known, strict=True))
    allowed = f"{kpi.describe_limits()} is allowed"
    if not blue:
        return _judge_beside_none(kpi, green, _periods(known), allowed)
    told = f"{kpi.label} was {green / blue:.4g}{of_blue} in the mean of {_periods(known)}; {allowed}"
    if not kpi.is_beyond(green / blue):
        return Judgement(Verdict.HEALTHY, told)
    return Judgement(Verdict.HARMFUL if is_over else Verdict.INCONCLUSIVE, told)


def _judge_beside_none(kpi: Kpi, green: float, periods: str, allowed: str) -> Judgement:
    """Where blue's figures are all 0: no green is a factor of that, but one of 0 is as good."""
    told = f"{kpi.label} was {green:.4g} of green and 0 of blue in the mean of {periods}; {allowed}"
    if not green or (green > 0 and kpi.at_most is None):
        return Judgement(Verdict.HEALTHY, told)
    advice = "but nothing is a multiple of 0: give this KPI a limit of its own, without relative_to_blue"
    return Judgement(Verdict.INCONCLUSIVE, f"{told}, {advice}")


def _periods(known: Sequence[object]) -> str:
    return f"{len(known)} period{'s' if len(known) > 1 else ''}"


def _first_breaches(kpi: Kpi, values: Sequence[float]) -> Sequence[float]:
    """The first values in a row that are beyond the limit and enough to be harm: it stays proven, whenever somebody looks."""
    runs = (values[start : start + _BREACHES] for start in range(len(values) - _BREACHES + 1))
    return next((run for run in runs if all(kpi.is_beyond(value) for value in run)), ())


def _pair(kpi: Kpi, series: Series) -> list[tuple[float, float] | None]:
    """Green's values with what they are measured by: blue's, or 1; ``None`` where that is not known."""
    blue = (series.blue or ()) if kpi.relative_to_blue else (1.0,) * len(series.green)
    return [
        None if value is None or unit is None else (value, unit)
        for value, unit in zip(series.green, blue, strict=False)
    ]
