"""The metrics of asynchronous endpoints: what their queues hold, minute by minute, and what becomes of each request.

Published as documented, with two exceptions: nothing tells how long objects of S3 take, and whether ``InvocationsProcessed`` counts those
that failed, too. It does here.
"""

from __future__ import annotations

from typing import Any

from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint
from airflow_sm_rollout.sandbox.sagemaker.metrics import NAMESPACE, InvocationMetrics, Recorder, Route
from airflow_sm_rollout.sandbox.sagemaker.region import Region

MINUTE = 60.0


class QueueMetrics:
    """The queues of all asynchronous endpoints of a Region."""

    def __init__(self, region: Region, metrics: InvocationMetrics, recorder: Recorder) -> None:
        self._region = region
        self._metrics = metrics
        self._recorder = recorder
        self._queues: dict[str, dict[int, float]] = {}

    def begin(self, endpoint: Endpoint, at: float) -> None:
        """Publish the zeros of an endpoint's idle periods, and its queue, from now on, for as long as it exists."""
        self._metrics.begin(endpoint, at)
        self._await_minute(endpoint, at)

    def _await_minute(self, endpoint: Endpoint, at: float) -> None:
        if endpoint.config.is_asynchronous:
            self._region.schedule.at(at // MINUTE * MINUTE + MINUTE, lambda when: self._end_minute(endpoint, when))

    def enter(self, endpoint_name: str, request: Any, at: float) -> None:
        """Take note of a request in an endpoint's queue. Under the schedule's lock."""
        self._queues.setdefault(endpoint_name, {})[id(request)] = at

    def leave(self, endpoint_name: str, request: Any) -> None:
        """Take note that it was answered, failed, or is gone with its endpoint."""
        with self._region.schedule.lock:
            self._queues.get(endpoint_name, {}).pop(id(request), None)

    def count(self, route: Route, metric: str, value: float = 1.0, unit: str = "Count") -> None:
        """Publish what became of one request."""
        with self._region.schedule.lock:
            at = self._region.now()
            visible_at = self._metrics.visible_at(at, MINUTE)
        dimensions = {"EndpointName": route.endpoint_name, "VariantName": route.variant.name}
        self._recorder.record(NAMESPACE, metric, dimensions, value, unit, at, visible_at)

    def _end_minute(self, endpoint: Endpoint, end: float) -> None:
        if not endpoint.is_serving:
            self._queues.pop(endpoint.name, None)
            return
        waiting = self._queues.get(endpoint.name, {})
        instances = sum(variant.active_count for variant in endpoint.variants)
        points = {
            "ApproximateBacklogSize": (float(len(waiting)), "Count"),
            "ApproximateAgeOfOldestRequest": (end - min(waiting.values(), default=end), "Seconds"),
            "HasBacklogWithoutCapacity": (float(bool(waiting) and not instances), "Count"),
        }
        if instances:  # third party: without instances there is no such point
            points["ApproximateBacklogSizePerInstance"] = (len(waiting) / instances, "Count")
        at = end - MINUTE
        for metric, (value, unit) in points.items():
            visible_at = self._metrics.visible_at(at, MINUTE)
            self._recorder.record(NAMESPACE, metric, {"EndpointName": endpoint.name}, value, unit, at, visible_at)
        self._await_minute(endpoint, end)
