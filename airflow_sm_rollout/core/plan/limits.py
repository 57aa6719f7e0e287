"""Fixed limits that green must keep, whatever blue does: errors, latency, requests, and figures of your own.

How they are judged: :mod:`~airflow_sm_rollout.core.watch.breaches`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import Fitting, meant, parse_mapping, set_numbers

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

    It is harmful when three periods in a row are beyond the limit, or the mean of the bake is at its end; without any figures, or none in
    its last third, nobody can tell. Where no figure means 0, say so by metric math: ``FILL(refused, 0)``. Give at least one of the limits.

    :param label: what people call it.
    :param metrics: CloudWatch metrics by the identifier that the expression calls them.
    :param expression: CloudWatch metric math over these identifiers; not needed for a single metric.
    :param at_least: the smallest value that is well.
    :param at_most: the largest.
    :param relative_to_blue: the limits are factors of blue's value in the same periods. A blue that is 0 all the time has no factor: only
        a green of 0 is as good then, and any is good enough for ``at_least``.
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
        of_blue = " times blue's" if self.relative_to_blue else ""
        limits = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{word} {limit:g}{of_blue}" for word, limit in limits if limit is not None)

    def is_beyond(self, value: float) -> bool:
        """Whether a value (a factor of blue's, where it is relative) is not allowed."""
        too_low = self.at_least is not None and value < self.at_least
        return too_low or (self.at_most is not None and value > self.at_most)


_FITTING: Fitting = {
    "max_error_rate": (lambda rate: 0 < rate < 1, "above 0 and below 1 (0.02 is 2 %)"),
    "max_p99_ms": (lambda limit: 0 < limit < math.inf, "a number of milliseconds above 0"),
    "min_requests": (lambda count: 0 <= count < math.inf, "0 or more"),
}


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
        set_numbers(self, _FITTING, counts=("min_requests",), optional=tuple(_FITTING))


def parse_limits(value: Limits | Mapping[str, Any] | None) -> Limits:
    """Limits as the user gave them: as such, by name, or none.

    :raises PlanError: naming the limit.
    """
    if value is None:
        return Limits()
    if isinstance(value, Limits):
        return value
    value = parse_mapping(
        "limits", value, f"a Limits, or a mapping of some of {', '.join(Limits.__dataclass_fields__)}"
    )
    unknown = [name for name in value if name not in Limits.__dataclass_fields__]
    if unknown:
        known = Limits.__dataclass_fields__
        raise PlanError("limits", unknown[0], f"limits are {', '.join(known)}{meant(unknown[0], known)}")
    kpis = value.get("kpis", ())
    if not isinstance(kpis, (list, tuple)):
        raise PlanError("kpis", kpis, "a list of KPIs")
    return Limits(**{**value, "kpis": tuple(_parse_kpi(kpi) for kpi in kpis)})


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
