"""The comparison in one plain sentence or two, for somebody who never heard of sequential tests."""

from __future__ import annotations

from dataclasses import replace

from airflow_sm_rollout.core.comparison.results import Compared, Comparison, Finding

_DID = {
    "errors_5xx": "failed",
    "errors_4xx": "refused (4XX)",
    "over_p50": "was slower than half of blue's usual calls in",
    "over_p95": "was slower than 95 % of blue's usual calls in",
    "over_p99": "was slower than 99 % of blue's usual calls in",
    "over_twice_p99": "took more than twice as long as 99 % of blue's usual calls in",
}


def describe(comparison: Comparison) -> Comparison:
    """The same with its sentence."""
    if comparison.verdict is Finding.HARM:
        sentence = _describe_harm(comparison)
    elif comparison.verdict is Finding.HEALTHY:
        sentence = _describe_health(comparison)
    else:
        sentence = _describe_doubt(comparison)
    return replace(comparison, sentence=sentence)


def _describe_harm(comparison: Comparison) -> str:
    culprit = next(metric for metric in comparison.metrics if metric.metric == comparison.culprit)
    chance = format_percent(1 / comparison.needed)
    return (
        f"{_describe_rates(culprit)}. That is worse than tolerated, with less than {chance} chance to be a coincidence."
    )


def _describe_rates(compared: Compared) -> str:
    green, blue = compared.green, compared.blue
    if green is None or blue is None:
        return "Green had no calls to compare"
    return (
        f"Green {_DID[compared.metric]} {green.events:,} of {green.requests:,} calls ({format_percent(green.rate)}, "
        f"at least {format_percent(green.low)}); "
        f"blue in the same minutes {blue.events:,} of {blue.requests:,} ({format_percent(blue.rate)})"
    )


def describe_suspicion(comparison: Comparison) -> str:
    """In what green looks worse of late, as half a sentence; empty: in nothing."""
    suspect = next((metric for metric in comparison.metrics if metric.metric == comparison.suspect), None)
    return f"green looks worse than blue of late, which is no proof yet ({_describe_rates(suspect)})" if suspect else ""


def _describe_health(comparison: Comparison) -> str:
    chance = format_percent(1 / comparison.health_needed)
    shown = [metric for metric in comparison.metrics if metric.metric in {"errors_5xx", "over_p99"}]
    rates = "; ".join(
        f"it {_DID[metric.metric]} {format_percent(metric.green.rate)} of them, blue {format_percent(metric.blue.rate)}"
        for metric in shown
        if metric.green and metric.blue
    )
    return (
        f"Green had {comparison.green_requests:,} calls and does as well as blue in the same minutes: {rates}. "
        f"A green that is worse than tolerated would look so with less than {chance} chance."
    )


def _describe_doubt(comparison: Comparison) -> str:
    if not comparison.green_requests:
        return "Green and blue had no calls in the same minutes, so they can't be compared."
    leading = max(comparison.metrics, key=lambda metric: (metric.metric == comparison.suspect, metric.evidence))
    is_told = comparison.suspect or comparison.evidence >= 1
    suspicion = f" {_describe_rates(leading)}." if is_told else ""
    if not is_told and comparison.health >= comparison.health_needed:
        return (
            f"Green's {comparison.green_requests:,} calls beside blue look as good as blue's, but green has not been beside blue for long "
            "enough in this bake to be called healthy (min_bake_minutes)."
        )
    return (
        f"Green's {comparison.green_requests:,} calls beside blue prove neither that it is worse than tolerated nor that it is "
        f"as good as blue.{suspicion} Evidence of harm: {comparison.evidence:.3g}, where {comparison.needed:.3g} is proof; "
        f"of health: {comparison.health:.3g}, where {comparison.health_needed:.3g} is proof."
    )


def format_percent(share: float) -> str:
    """A share of 0 to 1 in percent with two significant digits: ``0.24 %``, ``1.7 %``, ``25 %``."""
    percent = 100 * share
    digits = 0 if percent >= 99.95 or percent == 0 else 1 if percent >= 1 else 2
    text = f"{percent:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
