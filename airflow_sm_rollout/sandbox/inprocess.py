"""Real boto3 clients whose requests go to a sandbox in this process, never to a socket.

Everything of botocore's is at work but the connection and the signature: validation, serialising, events, parsing, exceptions. Making a
client costs milliseconds and a fresh sandbox nothing, so a test that needs thousands of sandboxes keeps one session
and points it at the next one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import cache, partial
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3.session
import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.wire import AnswerLost, HttpRequest, HttpResponse

Phase = Literal["before", "after"]
OnCall = Callable[[str, str, Phase], None]

# Plain http to a local name keeps S3 on path-style addresses and its checksums out of chunked trailers.
ENDPOINT_URL = "http://localhost"
# Unsigned, as the sandbox checks no signature and signing is a good part of what a call costs; see _scope.
CONFIG = Config(
    retries={"total_max_attempts": 1, "mode": "legacy"}, s3={"addressing_style": "path"}, signature_version=UNSIGNED
)


def connect(sandbox: Sandbox, on_call: OnCall | None = None) -> InProcessSession:
    """A session whose clients speak to ``sandbox``. Nothing is retried, nothing sleeps.

    :param on_call: called around each call as ``on_call(service, operation, phase)``, with botocore's name of the
        service, AWS's name of the operation, and ``before`` or ``after``. What it raises ends the call: an exception
        of ``BaseException``'s own (a killed process) passes through botocore, botocore's ``ConnectionClosedError`` in
        ``after`` is a lost answer.
    """
    return InProcessSession(sandbox, on_call)


class InProcessSession(boto3.session.Session):  # type: ignore[misc]
    """A boto3 session that keeps its clients, and that can be pointed at another sandbox."""

    def __init__(self, sandbox: Sandbox, on_call: OnCall | None = None) -> None:
        session = botocore.session.Session()
        session.register_component("data_loader", _loader())
        region = sandbox.region.name
        super().__init__("sandbox", "sandbox", region_name=region, botocore_session=session)
        self._clients: dict[tuple[str, str | None], Any] = {}
        self.point_at(sandbox, on_call)

    def point_at(self, sandbox: Sandbox, on_call: OnCall | None = None) -> None:
        """Send all further calls, also of clients that exist, to ``sandbox``."""
        self._sandbox = sandbox
        self._on_call = on_call

    def client(self, service_name: str, region_name: str | None = None, **options: Any) -> Any:
        """The client of a service; the same one each time. Options but ``config`` are without meaning here and
        ignored.
        """
        key = (service_name, region_name)
        if key not in self._clients:
            config = CONFIG if options.get("config") is None else options["config"].merge(CONFIG)
            client = super().client(service_name, region_name=region_name, endpoint_url=ENDPOINT_URL, config=config)
            client.meta.events.register("before-send", partial(self._send, service_name, _scope(client)))
            self._clients[key] = client
        return self._clients[key]

    def _send(
        self, service: str, scope: dict[str, str], request: AWSPreparedRequest, event_name: str, **_: Any
    ) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        if self._on_call:
            self._on_call(service, operation, "before")
        try:
            response = self._sandbox.handle(_received(request, scope))
        except AnswerLost:
            raise ConnectionClosedError(endpoint_url=request.url) from None
        if self._on_call:
            self._on_call(service, operation, "after")
        date = formatdate(self._sandbox.clock.now(), usegmt=True)
        return AWSResponse(request.url, response.status, {"Date": date, **response.headers}, _Raw(response))


@cache
def _loader() -> Any:
    return botocore.session.Session().get_component("data_loader")


def _scope(client: Any) -> dict[str, str]:
    """The header by which AWS, and the sandbox, tells which service a request is for."""
    credential = f"sandbox/20240101/{client.meta.region_name}/{client.meta.service_model.signing_name}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"}


def _received(request: AWSPreparedRequest, scope: dict[str, str]) -> HttpRequest:
    url = urlsplit(request.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    return HttpRequest(
        request.method,
        url.path or "/",
        url.query,
        headers | scope | {"host": url.netloc},
        body.encode() if isinstance(body, str) else body,
    )


class _Raw(io.BytesIO):
    """A response's body as botocore reads it from urllib3."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.body)

    def stream(self) -> Iterator[bytes]:
        yield self.read()
