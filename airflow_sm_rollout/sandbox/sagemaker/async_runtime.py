"""InvokeEndpointAsync: a request is taken at once and answered later, in S3.

The input is an object in S3 or the body itself, the output is an object under the config's ``S3OutputPath``, and a failure one under its
``S3FailurePath``, if it has that. Where no instance is up, requests wait for one until their time is over. Not played, and refused by name:
notifications, a config without an ``S3OutputPath``, and ``https`` addresses of objects.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import EndpointConfig
from airflow_sm_rollout.sandbox.sagemaker.metrics import Route
from airflow_sm_rollout.sandbox.sagemaker.queue_metrics import QueueMetrics
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.runtime import Runtime
from airflow_sm_rollout.sandbox.surface import not_played
from airflow_sm_rollout.sandbox.workers import Workers

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 21_600
"""RequestTTLSeconds where a request names none, its documented default."""

RETRY_SECONDS = 10.0
"""How often a request that waits looks for an instance. Chosen, not recorded."""

_WORKERS = 8


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that was taken.

    :param since: seconds since the epoch.
    :param expires: seconds since the epoch; until then it waits for an instance.
    :param output: ``s3://`` URL of the object for the answer.
    :param failure: the same for the text of a failure; ``None``: it is written nowhere.
    """

    params: Mapping[str, Any]
    since: float
    expires: float
    output: str
    failure: str | None


class AsyncRuntime:
    """Takes requests for asynchronous endpoints and has a few of them answered at a time.

    :param get_object: the bytes at an ``s3://`` URL; raises :class:`LookupError` if there are none.
    :param put_object: stores bytes at one, with the same error.
    :param queue: who publishes what becomes of requests.
    """

    def __init__(
        self,
        region: Region,
        runtime: Runtime,
        get_object: Callable[[str], bytes],
        put_object: Callable[[str, bytes], None],
        queue: QueueMetrics,
    ) -> None:
        self._region = region
        self._runtime = runtime
        self._get_object = get_object
        self._put_object = put_object
        self._workers = Workers("async", _WORKERS)
        self._queue = queue

    def invoke_endpoint_async(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Take one request.

        :raises AwsError: ``ValidationError`` for an endpoint that is not there or is not asynchronous, and for no input or two.
            Whether there is an object at ``InputLocation`` is seen later only.
        """
        with self._region.schedule.lock:
            endpoint = self._runtime.endpoint(params["EndpointName"], asynchronous=True)
            _check_input(params)
            waiting = _wait(params, endpoint.config, self._region.now())
            self._queue.enter(endpoint.name, waiting, waiting.since)
            self._region.schedule.at(self._region.now(), lambda at: self._start(waiting, at))
        locations = {"OutputLocation": waiting.output, "FailureLocation": waiting.failure}
        return {
            "InferenceId": params.get("InferenceId", str(uuid.uuid4())),
            **{name: location for name, location in locations.items() if location},
        }

    def close(self) -> None:
        """End when all requests that have an instance are answered."""
        self._workers.close()

    def _start(self, waiting: _Waiting, at: float) -> None:
        """Give a request to an instance, or have it wait on. What waited for an endpoint that is gone is gone with it."""
        try:
            route = self._runtime.route(waiting.params["EndpointName"], asynchronous=True)
        except AwsError as error:
            log.info("an asynchronous request is dropped: %s", error.message)
            self._queue.leave(waiting.params["EndpointName"], waiting)
            return
        if route.container is not None:
            self._workers.start(self._finish, waiting, route)
        elif at < waiting.expires:
            self._region.schedule.at(at + RETRY_SECONDS, lambda later: self._start(waiting, later))
        else:
            self._queue.count(route, "ExpiredRequests")
            self._workers.start(self._fail, waiting, route, "The request expired before an instance could take it.")

    def _finish(self, waiting: _Waiting, route: Route) -> None:
        params = waiting.params
        self._queue.count(route, "TimeInBacklog", 1e3 * (self._region.now() - waiting.since), "Milliseconds")
        try:
            body = self._get_object(params["InputLocation"]) if "InputLocation" in params else params["Body"]
            asked = {**params, "Body": body}
            reply = self._runtime.ask(
                route, asked, since=time.perf_counter(), limit=params.get("InvocationTimeoutSeconds")
            )
            self._put_object(waiting.output, reply.body)
        except LookupError as error:
            self._fail(waiting, route, str(error))
        except AwsError as error:
            self._fail(waiting, route, error.message)
        else:
            self._end(waiting, route)

    def _end(self, waiting: _Waiting, route: Route) -> None:
        self._queue.leave(route.endpoint_name, waiting)
        self._queue.count(route, "InvocationsProcessed")
        self._queue.count(route, "TotalProcessingTime", 1e3 * (self._region.now() - waiting.since), "Milliseconds")

    def _fail(self, waiting: _Waiting, route: Route, text: str) -> None:
        self._queue.count(route, "InvocationFailures")
        self._end(waiting, route)
        log.info("an asynchronous request failed: %s", text)
        if waiting.failure is None:
            return
        try:
            self._put_object(waiting.failure, text.encode())
        except LookupError as error:
            log.warning("the failure of an asynchronous request is lost: %s", error)


def _check_input(params: Mapping[str, Any]) -> None:
    if ("InputLocation" in params) == bool(params.get("Body")):
        raise AwsError("ValidationError", "Provide either InputLocation or Body.")
    if params.get("InputLocation", "s3:").startswith("https:"):
        raise not_played("an InputLocation that begins with https")


def _wait(params: Mapping[str, Any], config: EndpointConfig, now: float) -> _Waiting:
    wanted: Mapping[str, Any] = config.description["AsyncInferenceConfig"]["OutputConfig"]
    if {"SuccessTopic", "ErrorTopic"} & wanted.get("NotificationConfig", {}).keys():
        raise not_played("the NotificationConfig of asynchronous inference")
    if not wanted.get("S3OutputPath", "").startswith("s3:"):
        raise not_played("asynchronous inference without an S3OutputPath that begins with s3")
    name = str(uuid.uuid4())
    return _Waiting(
        params=params,
        since=now,
        expires=now + params.get("RequestTTLSeconds", LONGEST_WAIT_SECONDS),
        output=_location(wanted["S3OutputPath"], params, params.get("Filename", f"{name}.out")),
        failure=_location(wanted["S3FailurePath"], params, f"{name}-error.out") if "S3FailurePath" in wanted else None,
    )


def _location(path: str, params: Mapping[str, Any], name: str) -> str:
    extension = params.get("S3OutputPathExtension", "").strip("/")
    return "/".join(part for part in (path.rstrip("/"), extension, name) if part)
