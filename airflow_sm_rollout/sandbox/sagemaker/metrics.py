"""The invocation metrics that SageMaker publishes, and when their points can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from airflow_sm_rollout.sandbox.containers import Container
from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import DEFAULT_PERIOD, EndpointConfig
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant
from airflow_sm_rollout.sandbox.sagemaker.region import Region

NAMESPACE = "AWS/SageMaker"
ZERO_FILLED = ("Invocations", "InvocationsPerInstance")
_OF_COMPONENTS = {"InvocationsPerInstance": "InvocationsPerCopy"}
_NOT_OF_ASYNCHRONOUS = (*ZERO_FILLED, "OverheadLatency")
# Steps of the golden ratio spread any number of points evenly over an interval.
_GOLDEN = 0.6180339887498949


class Recorder(Protocol):
    """What stores a metric's points; CloudWatch is one."""

    def record(
        self,
        namespace: str,
        metric: str,
        dimensions: dict[str, str],
        value: float,
        unit: str,
        at: float,
        visible_at: float,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Route:
    """Where one request goes: the configuration and size of the fleet at that moment, and the container, if there is
    one.

    :param component: the inference component that is asked; the ``instances`` are its copies then.
    """

    endpoint_name: str
    config: EndpointConfig
    variant: Variant
    container: Container | None
    instances: int
    component: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one invocation went.

    :param status: the container's HTTP status, 0 if it did not answer, ``None`` if no container was asked.
    :param model_seconds: how long the container took.
    :param overhead_seconds: how long the rest took.
    """

    status: int | None
    model_seconds: float = 0.0
    overhead_seconds: float = 0.0


class InvocationMetrics:
    """Publishes the points of invocations, and the zeros of idle periods.

    A point becomes readable some time after its period has ended, at 30 s the first and at 60 s the last (recorded: a
    period fills up after it first appears); periods shorter than a minute shorten that in proportion. Zeros come for
    Invocations and InvocationsPerInstance only, and only without EndpointConfigName (recorded). Asynchronous endpoints publish neither of
    those two, nor OverheadLatency (documented).

    An inference component's are published by its name alone, too (documented). Old copies and new ones can't be told apart in
    them. Not played: zeros of a component's idle periods, NoCapacityInvocationFailures, ConcurrentRequestsPerCopy, and
    ``/aws/sagemaker/InferenceComponents``.
    """

    def __init__(self, region: Region, recorder: Recorder) -> None:
        self._region = region
        self._recorder = recorder
        self._counted = 0

    def begin(self, endpoint: Endpoint, at: float) -> None:
        """Publish zeros for idle periods from now on, for as long as the endpoint exists."""
        period = endpoint.config.metric_period
        self._region.schedule.at(at // period * period + period, lambda when: self._end_period(endpoint, when, period))

    def count(self, route: Route, outcome: Outcome) -> None:
        """Publish the points of one invocation that has just been answered."""
        period = route.config.metric_period
        with self._region.schedule.lock:
            at = self._region.now()
            route.variant.active_periods.add(at // period * period)
            visible_at = self.visible_at(at, period)
        plain = {"EndpointName": route.endpoint_name, "VariantName": route.variant.name}
        points = _points(outcome, max(route.instances, 1))
        if route.config.is_asynchronous:
            points = [point for point in points if point[0] not in _NOT_OF_ASYNCHRONOUS]
        for dimensions in (plain, {**plain, "EndpointConfigName": route.config.name}):
            self._record(points, dimensions, at, visible_at)
        if route.component is not None:
            per_copy = [(_OF_COMPONENTS.get(metric, metric), value, unit) for metric, value, unit in points]
            self._record(per_copy, {"InferenceComponentName": route.component}, at, visible_at)

    def _record(
        self, points: list[tuple[str, float, str]], dimensions: dict[str, str], at: float, visible_at: float
    ) -> None:
        for metric, value, unit in points:
            self._recorder.record(NAMESPACE, metric, dimensions, value, unit, at, visible_at)

    def count_concurrency(self, route: Route) -> None:
        """Publish how many requests a serverless variant has now, beside what it may have and what is provisioned (documented).

        ModelSetupTime is not played: no container is started for a request here.
        """
        variant = route.variant
        if variant.concurrency is None:
            return
        with self._region.schedule.lock:
            at = self._region.now()
            visible_at = self.visible_at(at, route.config.metric_period)
        dimensions = {"EndpointName": route.endpoint_name, "VariantName": variant.name}
        for metric, value, unit in _concurrency(variant.in_flight, variant.concurrency):
            self._recorder.record(NAMESPACE, metric, dimensions, value, unit, at, visible_at)

    def _end_period(self, endpoint: Endpoint, end: float, period: float) -> None:
        if not endpoint.is_serving:
            return
        start = end - period
        by_name: dict[str, list[Variant]] = {}
        for variant in [each for fleet in endpoint.fleets for each in fleet.variants] + endpoint.shadows:
            by_name.setdefault(variant.name, []).append(variant)
        for name, variants in by_name.items():
            if not (endpoint.config.is_asynchronous or any(start in variant.active_periods for variant in variants)):
                self._record_zeros(endpoint, name, start, period)
            for variant in variants:
                variant.active_periods = {later for later in variant.active_periods if later > start}
        self.begin(endpoint, end)

    def _record_zeros(self, endpoint: Endpoint, name: str, at: float, period: float) -> None:
        dimensions = {"EndpointName": endpoint.name, "VariantName": name}
        visible_at = self.visible_at(at, period)
        for metric in ZERO_FILLED:
            self._recorder.record(NAMESPACE, metric, dimensions, 0.0, "None", at, visible_at)

    def visible_at(self, at: float, period: float) -> float:
        """When a point of a period can be read."""
        timings = self._region.timings
        self._counted += 1
        place = self._counted * _GOLDEN % 1.0
        delay = timings.metric_first_visible + place * (timings.metric_final - timings.metric_first_visible)
        return at // period * period + period + delay * min(1.0, period / DEFAULT_PERIOD)


def _concurrency(in_flight: int, allowed: Mapping[str, int]) -> list[tuple[str, float, str]]:
    points = [("ServerlessConcurrentExecutionsUtilization", in_flight / allowed["MaxConcurrency"], "None")]
    provisioned = allowed.get("ProvisionedConcurrency", 0)
    if not provisioned:
        return points
    taken, is_within = min(in_flight, provisioned), in_flight <= provisioned
    return [
        *points,
        ("ServerlessProvisionedConcurrencyExecutions", float(taken), "Count"),
        ("ServerlessProvisionedConcurrencyUtilization", taken / provisioned, "None"),
        ("ServerlessProvisionedConcurrencyInvocations", float(is_within), "Count"),
        ("ServerlessProvisionedConcurrencySpilloverInvocations", float(not is_within), "Count"),
    ]


def _points(outcome: Outcome, instances: int) -> list[tuple[str, float, str]]:
    points = [("Invocations", 1.0, "None"), ("InvocationsPerInstance", 1.0 / instances, "None")]
    status = outcome.status
    if status is None:
        return points
    # A time-out or a broken connection is a model error that SageMaker words as "server error (0)".
    is_server_error = status >= 500 or status == 0
    is_client_error = 400 <= status < 500
    return [
        *points,
        ("Invocation4XXErrors", float(is_client_error), "None"),
        ("Invocation5XXErrors", float(is_server_error), "None"),
        ("InvocationModelErrors", float(is_client_error or is_server_error), "None"),
        ("ModelLatency", outcome.model_seconds * 1e6, "Microseconds"),
        ("OverheadLatency", outcome.overhead_seconds * 1e6, "Microseconds"),
    ]
