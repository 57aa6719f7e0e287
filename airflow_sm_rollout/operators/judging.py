"""The options that say how green is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_rollout.core.plan.evidence import Evidence, parse_tolerances
from airflow_sm_rollout.core.plan.limits import Limits, parse_limits
from airflow_sm_rollout.core.plan.measures import Measure, parse_measures
from airflow_sm_rollout.core.plan.options import parse_flag, parse_names
from airflow_sm_rollout.core.plan.strategy import DurationOption, parse_duration
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.operators.base import RolloutTask

_DEFAULTS = Evidence()


class JudgingOperator(RolloutTask):
    """Base of the operators whose plan says how green is judged in its bakes, beside alarms.

    :param tolerances: how much worse than blue green may be, and how sure the comparison must be: a
        :class:`~airflow_sm_rollout.core.plan.tolerances.Tolerances` or some of its members; ``None``: green is not compared with blue.
    :param limits: fixed limits: a :class:`~airflow_sm_rollout.core.plan.limits.Limits` or some of its members, such as
        ``{"max_error_rate": 0.02, "max_p99_ms": 300}``.
    :param measures: what you count of green and blue yourself, in a database, in Prometheus, anywhere: a list of
        :class:`~airflow_sm_rollout.core.plan.measures.Measure`.
    :param when_inconclusive: what becomes of a bake at whose end nobody can tell: ``fail`` (and so go back), ``extend``, ``go_on``, or
        ``ask`` a person. That needs an :class:`~airflow_sm_rollout.operators.ask.AskOperator` behind each bake, as the task groups have it;
        a bake without one fails.
    :param extend_by: with ``extend``, by how much: a timedelta or seconds.
    :param end_early: end a bake as soon as the comparison has proven green healthy.
    :param require_proof: a bake is inconclusive unless that is proven. By default it is enough that no harm was found. Only a blue that
        serves beside green can prove it: a plan without a step below 100 % and without a shadow is refused.
    :param metric_seconds: how often the endpoint publishes its metrics during the rollout (SageMaker's enhanced metrics, which AWS charges
        for as custom metrics; with ``traffic="variants"``); ``None``: as it does.
    :param monitoring_schedules: name or names of Model Monitor's schedules that must find no violations while green has traffic. It needs
        what ``sm-rollout iam-policy ENDPOINT --with monitoring`` prints.
    :param dry_run: judge green, show it and tell what would have been done, and go on whatever was found: no harm takes the rollout
        back. A person who aborts does, and so does a task that fails by itself. With ``traffic="guardrails"`` it is refused: there
        SageMaker acts.
    """

    def __init__(
        self,
        *,
        tolerances: Tolerances | Mapping[str, Any] | None = DEFAULTS,
        limits: Limits | Mapping[str, Any] | None = None,
        measures: Measure | Mapping[str, Any] | Sequence[Measure | Mapping[str, Any]] | None = None,
        when_inconclusive: str = _DEFAULTS.when_inconclusive,
        extend_by: DurationOption = _DEFAULTS.extend_by,
        end_early: bool = False,
        require_proof: bool = False,
        metric_seconds: int | None = _DEFAULTS.metric_seconds,
        monitoring_schedules: str | Sequence[str] = (),
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        schedules = parse_names("monitoring_schedules", monitoring_schedules, "names of Model Monitor's schedules")
        self.evidence = Evidence(
            tolerances=parse_tolerances(tolerances),
            limits=parse_limits(limits),
            measures=parse_measures(measures),
            when_inconclusive=when_inconclusive,
            extend_by=parse_duration("extend_by", extend_by),
            end_early=parse_flag("end_early", end_early),
            require_proof=parse_flag("require_proof", require_proof),
            metric_seconds=metric_seconds,
            monitoring_schedules=schedules,
            dry_run=parse_flag("dry_run", dry_run),
        )
