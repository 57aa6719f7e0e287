"""Target tracking: the two alarms that a policy makes, and the scaling that they set off.

Documented: the high alarm rings when the metric was above the target for 3 minutes, the low one when it was below 90 % of it for
15. While one rings, the capacity becomes what would bring the metric to the target, once in each cooldown. The alarms go with
their policy.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.sagemaker.targets import Target
from airflow_sm_rollout.sandbox.surface import not_played

TICK_SECONDS = 60
COOLDOWN_SECONDS = 300
CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"
_PREDEFINED: Mapping[str, tuple[str, str]] = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum"),
    "SageMakerVariantProvisionedConcurrencyUtilization": ("ServerlessProvisionedConcurrencyUtilization", "Average"),
}
"""The metric and statistic that each stands for."""


class Alarms(Protocol):
    """CloudWatch, as far as target tracking uses it."""

    def put_metric_alarm(self, params: Mapping[str, Any]) -> dict[str, Any]: ...
    def delete_alarms(self, params: Mapping[str, Any]) -> dict[str, Any]: ...
    def describe_alarms(self, params: Mapping[str, Any]) -> dict[str, Any]: ...
    def get_metric_statistics(self, params: Mapping[str, Any]) -> dict[str, Any]: ...
    def ringing_since(self, name: str) -> float | None: ...


@dataclass(slots=True)
class _Tracked:
    """A policy with its alarms.

    :param metric: the members by which CloudWatch's operations know it, and its statistic.
    :param names: of the high alarm and, unless scaling in is disabled, the low one.
    :param acted_at: seconds since the epoch.
    """

    configuration: Mapping[str, Any]
    metric: Mapping[str, Any]
    names: list[str]
    acted_at: float = -math.inf


class TargetTracking:
    """The tracking policies of one Region.

    :param count_of: the capacity that a resource has now; ``None`` if it is gone.
    :param act: sets a target's capacity, and says whether that began.
    """

    def __init__(
        self,
        region: Region,
        alarms: Alarms,
        count_of: Callable[[Target], int | None],
        act: Callable[[Target, int], bool],
    ) -> None:
        self._region = region
        self._alarms = alarms
        self._count_of = count_of
        self._act = act
        self._tracked: dict[tuple[str, str], tuple[Target, _Tracked]] = {}

    def track(self, target: Target, policy: Mapping[str, Any], arn: str) -> None:
        """Make a policy's alarms, in the place of those that it had.

        :raises AwsError: ``NotImplemented`` for a metric that the sandbox can't follow.
        """
        configuration = policy.get(CONFIGURATION)
        if configuration is None:
            return
        metric = _metric(target, configuration)
        self.drop(target, policy["PolicyName"])
        names = [f"TargetTracking-{target.resource}-AlarmHigh-{uuid.uuid5(uuid.NAMESPACE_URL, arn + 'high')}"]
        if not configuration.get("DisableScaleIn"):
            names.append(f"TargetTracking-{target.resource}-AlarmLow-{uuid.uuid5(uuid.NAMESPACE_URL, arn + 'low')}")
        goal = configuration["TargetValue"]
        wanted = (("GreaterThanThreshold", goal, 3), ("LessThanThreshold", 0.9 * goal, 15))
        for name, (comparison, threshold, minutes) in zip(names, wanted, strict=False):
            self._alarms.put_metric_alarm(
                {
                    **metric,
                    "AlarmName": name,
                    "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {arn}.",
                    "AlarmActions": [arn],
                    "Period": 60,
                    "EvaluationPeriods": minutes,
                    "Threshold": float(threshold),
                    "ComparisonOperator": comparison,
                }
            )
        if not self._tracked:
            self._tick_after(self._region.now())
        self._tracked[target.resource, policy["PolicyName"]] = target, _Tracked(configuration, metric, names)

    def drop(self, target: Target, policy: str) -> None:
        """Delete a policy's alarms, if it has some."""
        found = self._tracked.pop((target.resource, policy), None)
        if found is not None:
            self._alarms.delete_alarms({"AlarmNames": found[1].names})

    def drop_all(self, target: Target) -> None:
        """Delete the alarms of all policies of a target that is deregistered."""
        for name in target.policies:
            self.drop(target, name)

    def alarms_of(self, target: Target, policy: str) -> list[dict[str, str]]:
        """Names and ARNs, as the answers about a policy show them."""
        _, tracked = self._tracked.get((target.resource, policy), (target, None))
        if tracked is None:
            return []
        found = self._alarms.describe_alarms({"AlarmNames": tracked.names})["MetricAlarms"]
        return [{"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]} for alarm in found]

    def _tick_after(self, now: float) -> None:
        self._region.schedule.at(now // TICK_SECONDS * TICK_SECONDS + TICK_SECONDS, self._tick)

    def _tick(self, when: float) -> None:
        for target, tracked in list(self._tracked.values()):
            self._follow(target, tracked, when)
        if self._tracked:
            self._tick_after(when)

    def _follow(self, target: Target, tracked: _Tracked, when: float) -> None:
        rings = [self._alarms.ringing_since(name) is not None for name in tracked.names]
        if not any(rings):
            return
        member = "ScaleOutCooldown" if rings[0] else "ScaleInCooldown"
        value, count = self._newest(tracked, when), self._count_of(target)
        if (
            value is None
            or count is None
            or when < tracked.acted_at + tracked.configuration.get(member, COOLDOWN_SECONDS)
        ):
            return
        wished = math.ceil(count * value / tracked.configuration["TargetValue"])
        wished = max(wished, count + 1) if rings[0] else min(wished, count)
        if self._act(target, wished):
            tracked.acted_at = when

    def _newest(self, tracked: _Tracked, when: float) -> float | None:
        now = timestamp(when)
        statistic = tracked.metric["Statistic"]
        asked = {name: value for name, value in tracked.metric.items() if name not in ("Statistic", "Unit")}
        span = {"StartTime": now - timedelta(minutes=10), "EndTime": now, "Period": 60, "Statistics": [statistic]}
        points = self._alarms.get_metric_statistics({**asked, **span})["Datapoints"]
        newest = max(points, key=lambda point: point["Timestamp"], default=None)
        return None if newest is None else float(newest[statistic])


def _metric(target: Target, configuration: Mapping[str, Any]) -> dict[str, Any]:
    custom = configuration.get("CustomizedMetricSpecification")
    if custom is not None:
        if "MetricName" not in custom:
            raise not_played("target tracking of an expression")
        names = ("Namespace", "MetricName", "Dimensions", "Statistic", "Unit")
        return {name: custom[name] for name in names if name in custom}
    kind = configuration.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if kind not in _PREDEFINED:
        raise not_played(f"target tracking of {kind}")
    metric, statistic = _PREDEFINED[kind]
    _, endpoint, _, variant = target.resource.split("/")
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    return {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": dimensions,
        "Statistic": statistic,
    }
