"""InvokeEndpoint: the way of one request to a container and back."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_sm_rollout.sandbox.containers import Container, Reply
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.capture import Capture
from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import EndpointConfig
from airflow_sm_rollout.sandbox.sagemaker.endpoints import Endpoints
from airflow_sm_rollout.sandbox.sagemaker.fleet import Fleet, Variant, choose, choose_fleet
from airflow_sm_rollout.sandbox.sagemaker.metrics import InvocationMetrics, Outcome, Route
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.workers import Workers

MAX_BODY_BYTES = 6_291_456
MAX_ORIGINAL_MESSAGE = 2048
_COPIES_AT_ONCE = 8
COMPONENT_REQUIRED = (
    "Inference Component Name header is required for endpoints to which you plan to deploy inference components. Please include "
    "Inference Component Name header or consider using SageMaker models."
)
COMPONENT_NOT_ALLOWED = (
    "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference components. Please "
    "remove the Inference Component Name header and try again."
)
NO_COPIES = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if configured) or "
    "try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Runtime:
    """Routes invocations; only the routing holds the schedule's lock, the container answers outside of it."""

    def __init__(
        self,
        region: Region,
        endpoints: Endpoints,
        metrics: InvocationMetrics,
        capture: Capture,
        rng: random.Random,
    ) -> None:
        self._region = region
        self._endpoints = endpoints
        self._metrics = metrics
        self._capture = capture
        self._rng = rng
        self._copies = Workers("shadow", _COPIES_AT_ONCE)

    def invoke_endpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """One invocation.

        :raises AwsError: ``ValidationError`` for an endpoint or variant that is not there, ``ServiceUnavailable``
            (503) if the chosen variant has no instance, ``ModelError`` (424) if the container answers with anything
            but success.
        """
        body = params.get("Body", b"")
        if len(body) > MAX_BODY_BYTES:
            # AWS's front end refuses it before there is an operation to fail: the code is the bare status.
            raise AwsError("413", f"Payload of {len(body)} bytes exceeds the limit of {MAX_BODY_BYTES} bytes.", 413)
        started = time.perf_counter()
        with self._region.schedule.lock:
            route = self._chosen(params)
            copy = self._shadowed(route) if route.container is not None else None
        if copy is not None:
            self._copies.start(self._answer_copy, copy, params)
        reply = self.ask(route, params, since=started)
        return {"Body": reply.body, "ContentType": reply.content_type, "InvokedProductionVariant": route.variant.name}

    def _chosen(self, params: Mapping[str, Any]) -> Route:
        """Where a request goes: to a variant, or to a copy of the inference component that it names."""
        name, component = params["EndpointName"], params.get("InferenceComponentName")
        endpoint = self.endpoint(name, asynchronous=False)
        if endpoint.config.hosts_components:
            return _route_to_component(endpoint, component)
        if component is not None:
            raise AwsError("ValidationError", COMPONENT_NOT_ALLOWED)
        return self.route(name, params.get("TargetVariant"))

    def endpoint(self, name: str, *, asynchronous: bool) -> Endpoint:
        """The endpoint that serves under a name.

        :raises AwsError: ``ValidationError`` if there is none, or it takes only requests of the other kind.
        """
        endpoint = self._endpoints.serving(name)
        if endpoint is None:
            raise AwsError("ValidationError", f"Endpoint {name} of account {self._region.account} not found.")
        if endpoint.config.is_asynchronous != asynchronous:
            kind, refused = ("", "Async") if asynchronous else ("a", "")
            raise AwsError(
                "ValidationError", f"Endpoint {name} is {kind}synchronous; it takes no InvokeEndpoint{refused}."
            )
        return endpoint

    def route(self, name: str, target: str | None = None, *, asynchronous: bool = False) -> Route:
        """Where a request goes. Under the schedule's lock.

        :raises AwsError: see :meth:`endpoint`; ``ServiceUnavailable`` if all weights are zero.
        """
        endpoint = self.endpoint(name, asynchronous=asynchronous)
        fleet = choose_fleet(endpoint.fleets, self._rng)
        variant = self._targeted(endpoint, fleet, target) if target else choose(fleet.variants, self._rng)
        if variant is None:
            raise AwsError("ServiceUnavailable", f"No variant of endpoint {name} has a weight.", 503)
        return _route_to(name, fleet.config, variant)

    def ask(self, route: Route, params: Mapping[str, Any], *, since: float, limit: float | None = None) -> Reply:
        """A container's answer, counted and captured.

        :param since: when the request came, by :func:`time.perf_counter`.
        :param limit: seconds; an answer that took longer is none.
        :raises AwsError: ``ServiceUnavailable`` if there is no container, ``ModelError`` if it answers with anything but success,
            ``ThrottlingException`` beyond a serverless variant's concurrency.
        """
        if route.container is None:
            self._metrics.count(route, Outcome(status=None))
            text = f"Variant {route.variant.name} of endpoint {route.endpoint_name} has no instance."
            raise AwsError("ServiceUnavailable", text, 503)
        with self._taking(route):
            reply = _ask(route.container, params)
        if limit is not None and reply.seconds > limit:
            reply = Reply(status=0, body=b"", seconds=limit)
        overhead = max(time.perf_counter() - since - reply.seconds, 0.0)
        self._metrics.count(route, Outcome(reply.status, reply.seconds, overhead))
        if not 200 <= reply.status < 300:
            raise self._model_error(route.endpoint_name, reply)
        self._capture.take(route, params, reply)
        return reply

    @contextmanager
    def _taking(self, route: Route) -> Iterator[None]:
        """Hold a serverless variant to its concurrency.

        :raises AwsError: ``ThrottlingException`` for a request beyond it.
        """
        variant = route.variant
        with self._region.schedule.lock:
            limit = variant.concurrency["MaxConcurrency"] if variant.concurrency else math.inf
            if variant.in_flight >= limit:
                raise AwsError("ThrottlingException", "Rate exceeded", 400)
            variant.in_flight += 1
        self._metrics.count_concurrency(route)
        try:
            yield
        finally:
            with self._region.schedule.lock:
                variant.in_flight -= 1

    def close(self) -> None:
        """End when all copies that were sent to shadows are answered."""
        self._copies.close()

    def _answer_copy(self, route: Route, params: Mapping[str, Any]) -> None:
        """Ask the shadow; its answer is dropped unless it is captured, its metrics are not."""
        if route.container is None:
            return
        reply = _ask(route.container, params)
        self._metrics.count(route, Outcome(reply.status, reply.seconds))
        if 200 <= reply.status < 300:
            self._capture.take(route, params, reply)

    def _shadowed(self, route: Route) -> Route | None:
        """A shadow gets as many of the production variant's requests as its weight is of that one's (recorded: at 0.5 half of them)."""
        endpoint = self.endpoint(route.endpoint_name, asynchronous=False)
        for shadow in endpoint.shadows:
            if self._rng.random() * route.variant.routed_weight < shadow.routed_weight:
                return _route_to(endpoint.name, endpoint.config, shadow)
        return None

    def _targeted(self, endpoint: Endpoint, fleet: Fleet, target: str) -> Variant:
        """A target overrides the weights, even a weight of zero (documented wording; no record of the latter)."""
        for variant in fleet.variants:
            if variant.name == target:
                return variant
        raise AwsError("ValidationError", f"Variant {target} not found for endpoint {endpoint.name}.")

    def _model_error(self, endpoint_name: str, reply: Reply) -> AwsError:
        region, account = self._region.name, self._region.account
        group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        original = (TIMED_OUT if reply.status == 0 else reply.body.decode(errors="replace"))[:MAX_ORIGINAL_MESSAGE]
        side = "client" if 400 <= reply.status < 500 else "server"
        viewer = f"cloudwatch/home?region={region}#logEventViewer:group={group}"
        text = (
            f'Received {side} error ({reply.status}) from primary with message "{original}". See '
            f"https://{region}.console.aws.amazon.com/{viewer} in account {account} for more information."
        )
        fields: dict[str, object] = {
            "OriginalStatusCode": reply.status,
            "OriginalMessage": original,
            "LogStreamArn": self._region.arn_of("logs", f"log-group:{group}"),
        }
        return AwsError("ModelError", text, 424, fields)


def _ask(container: Container, params: Mapping[str, Any]) -> Reply:
    content_type = params.get("ContentType") or "application/octet-stream"
    return container.invoke(params.get("Body", b""), content_type, params.get("Accept") or "*/*")


def _route_to_component(endpoint: Endpoint, name: str | None) -> Route:
    """A copy of a component, old ones and new ones in turn.

    :raises AwsError: ``ValidationError`` for none, one that is not there, and one without copies (AWS's words but for the second).
    """
    if name is None:
        raise AwsError("ValidationError", COMPONENT_REQUIRED)
    component = endpoint.components.get(name)
    if component is None:
        raise AwsError("ValidationError", f"Inference Component {name} of endpoint {endpoint.name} not found.")
    container = component.next_container()
    if container is None:
        raise AwsError("ValidationError", NO_COPIES)
    variant = next(each for each in endpoint.variants if each.name == component.variant)
    return Route(endpoint.name, endpoint.config, variant, container, len(component.containers), name)


def _route_to(endpoint_name: str, config: EndpointConfig, variant: Variant) -> Route:
    return Route(endpoint_name, config, variant, variant.next_container(), variant.active_count)
