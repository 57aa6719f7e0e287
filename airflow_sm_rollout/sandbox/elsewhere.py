"""The rest of AWS: S3, STS, IAM, logs, tagging, scaling and what else moto's server does well.

moto keeps its state in module globals, so all sandboxes of one process share it; the first use by a new sandbox
empties it.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from werkzeug.test import run_wsgi_app

from airflow_sm_rollout.sandbox.surface import not_played
from airflow_sm_rollout.sandbox.wire import HttpRequest, HttpResponse


class Elsewhere:
    """moto's WSGI application, made on first use, one request at a time: moto's backends are not thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Any = None

    def handle(self, request: HttpRequest) -> HttpResponse:
        """moto's answer to a request."""
        with self._lock:
            if self._app is None:
                self._app = _fresh_app()
            return _run(self._app, request)

    def get_object(self, url: str) -> bytes:
        """The object behind an ``s3://`` URL.

        :raises LookupError: if S3 does not answer with it.
        """
        response = self.handle(HttpRequest("GET", _s3_path(url), headers=_headers("s3")))
        if response.status != 200:
            raise LookupError(f"{url}: S3 answered {response.status}")
        return response.body

    def put_object(self, url: str, body: bytes) -> None:
        """Store an object at an ``s3://`` URL.

        :raises LookupError: if S3 does not take it, e.g. as there is no such bucket.
        """
        response = self.handle(HttpRequest("PUT", _s3_path(url), headers=_headers("s3"), body=body))
        if response.status != 200:
            raise LookupError(f"{url}: S3 answered {response.status}")

    def tagged_resources(self, region: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """moto's answer to the Resource Groups Tagging API's GetResources.

        :raises AwsError: ``NotImplemented`` if moto fails on it. Its own resources would be left out in silence otherwise.
        """
        headers = {
            **_headers("tagging", region),
            "x-amz-target": "ResourceGroupsTaggingAPI_20170126.GetResources",
            "content-type": "application/x-amz-json-1.1",
        }
        try:
            response = self.handle(HttpRequest("POST", "/", headers=headers, body=json.dumps(params).encode()))
        except Exception as error:  # whatever its backends make of what they hold
            raise not_played(f"GetResources over what moto holds: {error}") from error
        if response.status != 200:
            raise not_played(f"GetResources with these parameters: {response.body.decode(errors='replace')}")
        answer: Mapping[str, Any] = json.loads(response.body)
        return answer

    def log(self, region: str, group: str, stream: str, line: str, at: float) -> None:
        """Append a line to a CloudWatch log stream, which is created with its group if need be.

        :param at: seconds since the epoch.
        """
        names = {"logGroupName": group, "logStreamName": stream}
        event = {"timestamp": int(at * 1000), "message": line}
        if self._logs(region, "PutLogEvents", {**names, "logEvents": [event]}).status != 200:
            self._logs(region, "CreateLogGroup", {"logGroupName": group})
            self._logs(region, "CreateLogStream", names)
            self._logs(region, "PutLogEvents", {**names, "logEvents": [event]})

    def _logs(self, region: str, operation: str, params: Mapping[str, Any]) -> HttpResponse:
        headers = {
            **_headers("logs", region),
            "x-amz-target": f"Logs_20140328.{operation}",
            "content-type": "application/x-amz-json-1.1",
        }
        return self.handle(HttpRequest("POST", "/", headers=headers, body=json.dumps(params).encode()))


def _headers(service: str, region: str = "us-east-1") -> dict[str, str]:
    scope = f"Credential=sandbox/20240101/{region}/{service}/aws4_request"
    return {"host": "127.0.0.1", "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}


def _s3_path(url: str) -> str:
    return "/" + quote(url.removeprefix("s3://"))


def _fresh_app() -> Any:
    # Importing moto's server costs a second, which a sandbox that is asked for nothing of moto's does not pay.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    app = DomainDispatcherApplication(create_backend_app)
    _run(app, HttpRequest("POST", "/moto-api/reset", headers={"host": "127.0.0.1"}))
    return app


def _run(app: Any, request: HttpRequest) -> HttpResponse:
    chunks, status, headers = run_wsgi_app(app, _environ(request), buffered=True)
    # The body is whole by now, whatever length or encoding was announced for it.
    kept = {
        name: value for name, value in headers.items() if name.lower() not in ("content-length", "transfer-encoding")
    }
    if request.method == "HEAD" and "Content-Length" in headers:
        kept["Content-Length"] = headers["Content-Length"]
    return HttpResponse(int(status.split()[0]), kept, b"".join(chunks))


def _environ(request: HttpRequest) -> dict[str, Any]:
    host, _, port = request.headers.get("host", "127.0.0.1").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "RAW_URI": f"{request.path}?{request.query}" if request.query else request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    skipped = ("content-type", "content-length", "transfer-encoding")
    return environ | {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in request.headers.items()
        if name not in skipped
    }
