"""Fixed limits that green must keep, whatever blue does: errors, latency, requests, and figures of your own.

A limit on a share of the calls (errors, or those slower than the p99 allowed) is exceeded when that is *proven*: a share that merely came
out above its limit on a few calls is inconclusive. The proof is a test by betting that may be looked at as often as one likes: under "the
share is at most L", ``E = mean over a of (a^x) ((1 - aL) / (1 - L))^(n - x)`` of x events in n calls has an expectation of at most 1 after
every further call, so that it ever reaches 100 has a probability of at most 1 % (Ville 1939).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.verdict import Judgement, Verdict

# By how much the true share is betted to exceed the limit.
_FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_PROOF = math.log(100.0)
_P99_SHARE = 0.01  # p99 is at most L when at most 1 % of the calls took longer than L
_BREACHES = 3  # periods in a row in which a KPI is beyond its limit, before the end of a bake
PLACEHOLDERS = ("endpoint", "variant", "model")
_IDENTIFIER_EXAMPLE = "such as {'refused': Metric('Shop', 'Refused')}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A CloudWatch metric.

    :param namespace: such as ``Shop``.
    :param name: such as ``Refused``.
    :param stat: any CloudWatch statistic: ``Sum``, ``Average``, ``p90``, ...
    :param dimensions: by name; ``{endpoint}``, ``{variant}`` and ``{model}`` in a value stand for green's, or for blue's where a KPI is
        relative to it.
    """

    namespace: str
    name: str
    stat: str = "Average"
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self.dimensions_of(dict.fromkeys(PLACEHOLDERS, ""))
        except (KeyError, ValueError, IndexError, AttributeError):
            allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise PlanError("dimensions", dict(self.dimensions), f"texts by name, which may have {allowed}") from None

    def dimensions_of(self, names: Mapping[str, str]) -> dict[str, str]:
        """The dimensions of one variant's metric.

        :param names: that variant's, by :data:`PLACEHOLDERS`.
        """
        return {name: value.format(**names) for name, value in self.dimensions.items()}


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure of your own with a limit.

    It is harmful when three periods in a row are beyond the limit, or the mean of the bake is at its end; without any figures nobody can
    tell. Give at least one of the limits.

    :param label: what people call it.
    :param metrics: CloudWatch metrics by the identifier that the expression calls them.
    :param expression: CloudWatch metric math over these identifiers; not needed for a single metric.
    :param at_least: the smallest value that is well.
    :param at_most: the largest.
    :param relative_to_blue: the limits are factors of blue's value in the same periods.
    :param period_seconds: of its metrics: 10, 30 or a multiple of 60.
    """

    label: str
    metrics: Mapping[str, Metric]
    expression: str = ""
    at_least: float | None = None
    at_most: float | None = None
    relative_to_blue: bool = False
    period_seconds: int = 60

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise PlanError("at_most", None, f"a number for KPI {self.label!r}, or give at_least")
        if not self.metrics or not all(name[:1].islower() and name.isidentifier() for name in self.metrics):
            allowed = f"metrics by identifiers that begin with a small letter, {_IDENTIFIER_EXAMPLE}"
            raise PlanError("metrics", dict(self.metrics), allowed)
        if not self.expression and len(self.metrics) != 1:
            raise PlanError("expression", self.expression, f"metric math over {', '.join(self.metrics)}")
        if self.period_seconds not in (10, 30) and (self.period_seconds < 60 or self.period_seconds % 60):
            raise PlanError("period_seconds", self.period_seconds, "10, 30 or a multiple of 60")

    def describe_limits(self) -> str:
        """What is allowed, in a few words."""
        of_blue = " of blue's" if self.relative_to_blue else ""
        limits = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{word} {limit:g}{of_blue}" for word, limit in limits if limit is not None)

    def is_beyond(self, value: float) -> bool:
        """Whether a value (a factor of blue's, where it is relative) is not allowed."""
        too_low = self.at_least is not None and value < self.at_least
        return too_low or (self.at_most is not None and value > self.at_most)


@dataclass(frozen=True, slots=True)
class Limits:
    """Fixed limits; what is ``None`` is not limited.

    :param max_error_rate: errors (4XX and 5XX) per call, above 0 and below 1: 0.02 is 2 %.
    :param max_p99_ms: milliseconds within which 99 % of green's calls must be answered.
    :param min_requests: calls that green must have had in a bake, or nobody can tell; by default as the rollout's own alarms have it.
    :param kpis: figures of your own.
    """

    max_error_rate: float | None = None
    max_p99_ms: float | None = None
    min_requests: int | None = None
    kpis: tuple[Kpi, ...] = ()

    def __post_init__(self) -> None:
        if self.max_error_rate is not None and not 0 < self.max_error_rate < 1:
            raise PlanError("max_error_rate", self.max_error_rate, "above 0 and below 1 (0.02 is 2 %)")
        if self.max_p99_ms is not None and not self.max_p99_ms > 0:
            raise PlanError("max_p99_ms", self.max_p99_ms, "a number of milliseconds above 0")
        if self.min_requests is not None and self.min_requests < 0:
            raise PlanError("min_requests", self.min_requests, "0 or more")


@dataclass(frozen=True, slots=True)
class Counts:
    """What green did in a bake so far, in periods whose figures are final.

    :param requests: calls.
    :param errors: those answered with 4XX or 5XX.
    :param over_p99_limit: those that took longer than ``max_p99_ms``; ``None``: there is no such limit, or no figure.
    """

    requests: int = 0
    errors: int = 0
    over_p99_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A KPI's values in a bake so far, period by period, oldest first; blue's are in the same periods, ``None`` where it had none."""

    green: tuple[float, ...]
    blue: tuple[float | None, ...] | None = None


def parse_limits(value: Limits | Mapping[str, Any] | None) -> Limits:
    """Limits as the user gave them: as such, by name, or none.

    :raises PlanError: naming the limit.
    """
    if value is None:
        return Limits()
    if isinstance(value, Limits):
        return value
    unknown = [name for name in value if name not in Limits.__dataclass_fields__]
    if unknown:
        raise PlanError("limits", unknown[0], f"limits are {', '.join(Limits.__dataclass_fields__)}")
    return Limits(**{**value, "kpis": tuple(_parse_kpi(kpi) for kpi in value.get("kpis", ()))})


def _parse_kpi(value: Kpi | Mapping[str, Any]) -> Kpi:
    if isinstance(value, Kpi):
        return value
    try:
        metrics = {name: _parse_metric(metric) for name, metric in value["metrics"].items()}
        return Kpi(**{**value, "metrics": metrics})
    except (TypeError, KeyError, AttributeError):
        raise PlanError("kpis", value, f"KPIs have {', '.join(Kpi.__dataclass_fields__)}") from None


def _parse_metric(value: Metric | Mapping[str, Any]) -> Metric:
    return value if isinstance(value, Metric) else Metric(**value)


def judge_limits(limits: Limits, counts: Counts, series: Sequence[Series], is_over: bool) -> list[Judgement]:
    """Judge green by its limits, at any moment of a bake: one judgement for each.

    :param series: of each KPI, in the order of ``limits.kpis``.
    :param is_over: whether the bake is over.
    """
    found = []
    if limits.max_error_rate is not None:
        named = f"max_error_rate allows {100 * limits.max_error_rate:.4g} %"
        found.append(
            _judge_share("answered with an error", counts.errors, counts.requests, limits.max_error_rate, named)
        )
    if limits.max_p99_ms is not None:
        what = f"took longer than {limits.max_p99_ms:g} ms"
        named = f"max_p99_ms={limits.max_p99_ms:g} allows 1 %"
        found.append(_judge_share(what, counts.over_p99_limit, counts.requests, _P99_SHARE, named))
    return found + [_judge_kpi(kpi, each, is_over) for kpi, each in zip(limits.kpis, series, strict=True)]


def _judge_share(what: str, events: int | None, calls: int, limit: float, named: str) -> Judgement:
    if not calls or events is None:
        return Judgement(Verdict.INCONCLUSIVE, f"there are no figures of how many of green's calls {what}; {named}")
    told = f"{events:,} of green's {calls:,} calls ({100 * events / calls:.3g} %) {what}; {named}"
    if events <= limit * calls:
        return Judgement(Verdict.HEALTHY, told)
    if log_evidence(events, calls, limit) >= _PROOF:
        return Judgement(Verdict.HARMFUL, told)
    return Judgement(Verdict.INCONCLUSIVE, f"{told}, and so few calls can't tell whether that was bad luck")


def log_evidence(events: int, calls: int, limit: float) -> float:
    """Logarithm of the evidence that a share is above its limit; see the module."""
    factors = [factor for factor in _FACTORS if factor * limit < 1] or [(1 + 1 / limit) / 2]
    logs = [
        events * math.log(factor) + (calls - events) * math.log((1 - factor * limit) / (1 - limit))
        for factor in factors
    ]
    largest = max(logs)
    return largest + math.log(fmean(math.exp(each - largest) for each in logs))


def _judge_kpi(kpi: Kpi, series: Series, is_over: bool) -> Judgement:
    values = _compared(kpi, series)
    if not values:
        missing = "of both green and blue" if kpi.relative_to_blue else "of green"
        return Judgement(Verdict.INCONCLUSIVE, f"{kpi.label}: there are no figures {missing}")
    mean, breaches = fmean(values), _first_breaches(kpi, values)
    of_blue = " times blue's" if kpi.relative_to_blue else ""
    allowed = f"{kpi.describe_limits()} is allowed"
    if breaches:
        told = ", ".join(f"{value:.4g}" for value in breaches)
        return Judgement(Verdict.HARMFUL, f"{kpi.label} was {told}{of_blue} in {_BREACHES} periods in a row; {allowed}")
    told = f"{kpi.label} is {mean:.4g}{of_blue} in the mean of {len(values)} period(s); {allowed}"
    if not kpi.is_beyond(mean):
        return Judgement(Verdict.HEALTHY, told)
    return Judgement(Verdict.HARMFUL if is_over else Verdict.INCONCLUSIVE, told)


def _first_breaches(kpi: Kpi, values: Sequence[float]) -> Sequence[float]:
    """The first values in a row that are beyond the limit and enough to be harm: it stays proven, whenever somebody looks."""
    runs = (values[start : start + _BREACHES] for start in range(len(values) - _BREACHES + 1))
    return next((run for run in runs if all(kpi.is_beyond(value) for value in run)), ())


def _compared(kpi: Kpi, series: Series) -> list[float]:
    """The values that the limits are about: green's, or green's over blue's where both are known."""
    if not kpi.relative_to_blue:
        return list(series.green)
    pairs = zip(series.green, series.blue or (), strict=False)
    return [green / blue for green, blue in pairs if blue]
