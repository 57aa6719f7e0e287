"""By what a rollout's plan lets green be judged, beside alarms; and what is fixed about it before green has traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.limits import Limits, parse_limits
from airflow_sm_rollout.core.plan.measures import Measure, parse_measures
from airflow_sm_rollout.core.plan.tolerances import Tolerances

WHEN_INCONCLUSIVE = ("fail", "extend", "ask", "go_on")
# What botocore's SageMaker model lets MetricsConfig ask for.
_PUBLISHED_EVERY = (10, 30, 60, 120, 180, 240, 300)
_DEFAULT_METRIC_PERIOD = 60


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Latencies that blue's calls had before the rollout, in whole microseconds: medians of the last hour's minutes.

    They are fixed before green has traffic, since thresholds that were fitted in the bake would adapt to what they are to show.
    """

    p50: int
    p95: int
    p99: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a bake is judged beside its alarms.

    :param tolerances: of the comparison of green with blue; ``None``: they are not compared.
    :param limits: fixed limits.
    :param measures: what the user counts of green and blue, wherever it is stored.
    :param when_inconclusive: what becomes of a bake at whose end nobody can tell: ``fail``, so that the rollout is rolled back;
        ``extend``, by ``extend_by``, and fail if nobody can tell then either; ``ask`` a person, in a task behind the bake, and fail if
        the DAG has none; ``go_on``.
    :param end_early: whether a bake ends as soon as the comparison has proven green healthy.
    :param require_proof: whether a bake is inconclusive until that is proven. Otherwise it is enough that no harm was found, which on
        little traffic proves little. See :func:`~.sources.validate_proof`.
    :param metric_seconds: how often the endpoint is to publish its metrics while blue and green are both on it: 10, 30, 60, ...
        (SageMaker's enhanced metrics, which AWS charges for as custom metrics); ``None``: as it does.
    :param monitoring_schedules: names of Model Monitor's schedules that must find no violations.
    :param dry_run: whether green is judged and nothing is done about it: harm is told, and the rollout goes on all the same.
    """

    tolerances: Tolerances | None = field(default_factory=Tolerances)
    limits: Limits = field(default_factory=Limits)
    when_inconclusive: str = "fail"
    extend_by: timedelta = timedelta(minutes=10)
    end_early: bool = False
    require_proof: bool = False
    metric_seconds: int | None = 10
    monitoring_schedules: tuple[str, ...] = ()
    dry_run: bool = False
    measures: tuple[Measure, ...] = ()

    def __post_init__(self) -> None:
        if self.when_inconclusive not in WHEN_INCONCLUSIVE:
            raise PlanError("when_inconclusive", self.when_inconclusive, f"one of {', '.join(WHEN_INCONCLUSIVE)}")
        if self.extend_by <= timedelta():
            raise PlanError("extend_by", self.extend_by, "a timedelta or seconds above 0")
        for option in ("end_early", "require_proof"):
            if getattr(self, option) and self.tolerances is None:
                raise PlanError(option, True, "only with tolerances, since it is the comparison that proves health")
        if self.metric_seconds is not None and self.metric_seconds not in _PUBLISHED_EVERY:
            raise PlanError("metric_seconds", self.metric_seconds, f"one of {', '.join(map(str, _PUBLISHED_EVERY))}")

    @property
    def asks_for_figures(self) -> bool:
        """Whether green is judged by anything but alarms."""
        is_limited = replace(self.limits, min_requests=None) != Limits()
        return bool(self.tolerances or self.monitoring_schedules or self.measures or is_limited)

    @property
    def extension(self) -> timedelta:
        """How much longer a bake lasts at whose end nobody can tell."""
        return self.extend_by if self.when_inconclusive == "extend" else timedelta()

    @property
    def longest_hold(self) -> timedelta:
        """How much longer a bake lasts at whose end green looks worse than blue: as new instances take to be warm, and a comparison."""
        return self.tolerances.warm_up + self.tolerances.min_bake if self.tolerances else timedelta()


def parse_tolerances(value: Tolerances | Mapping[str, Any] | None) -> Tolerances | None:
    """Tolerances as the user gave them: as such, by name, or ``None`` for no comparison.

    :raises PlanError: naming the tolerance.
    """
    return value if value is None or isinstance(value, Tolerances) else Tolerances.from_dict(value)


def evidence_from(stored: Mapping[str, Any]) -> Evidence:
    """Read it from a record's JSON."""
    return Evidence(
        **{
            **stored,
            "tolerances": parse_tolerances(stored.get("tolerances")),
            "limits": parse_limits(stored.get("limits")),
            "extend_by": timedelta(seconds=stored["extend_by"]),
            "metric_seconds": stored.get("metric_seconds"),
            "monitoring_schedules": tuple(stored["monitoring_schedules"]),
            "measures": parse_measures(stored.get("measures")),
        }
    )


def thresholds_from(record: Mapping[str, Any]) -> Thresholds | None:
    """Blue's latencies in a record's JSON.

    Of a record from before there were all of them, the one that tells that the rollout has made an alarm on it, which goes at its end.
    """
    if "thresholds" in record:
        return Thresholds(**record["thresholds"])
    p99 = record.get("baseline_p99_microseconds")
    return None if p99 is None else Thresholds(*[round(p99)] * 3)


def published_every(config: Mapping[str, Any]) -> int:
    """How often an endpoint on this config publishes its metrics, in seconds: every minute, or as its enhanced metrics say."""
    metrics = config.get("MetricsConfig") or {}
    if not metrics.get("EnableEnhancedMetrics"):
        return _DEFAULT_METRIC_PERIOD
    return int(metrics.get("MetricPublishFrequencyInSeconds", _DEFAULT_METRIC_PERIOD))


def with_enhanced_metrics(config: Mapping[str, Any], evidence: Evidence) -> Mapping[str, Any]:
    """The config, publishing its metrics at least as often as the evidence wants them."""
    wanted = evidence.metric_seconds
    if wanted is None or published_every(config) <= wanted:
        return config
    enhanced = {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": wanted}
    return {**config, "MetricsConfig": {**config.get("MetricsConfig", {}), **enhanced}}
