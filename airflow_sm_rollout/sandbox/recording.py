"""What a sandbox was called for and what it answered: one readable line of JSON for each call.

No header is written but those that say what kind of call it is: no signature, no credentials. A secret's value is left out, and so are the
bodies that go to services of secrets. Bodies are cut. ``docs/testing.md`` says what a line has.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlencode

from airflow_sm_rollout.sandbox.containers import Container, ContainerHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.wire import (
    Call,
    HttpRequest,
    HttpResponse,
    named_operation,
    signing_name,
    signing_region,
)

FORMAT = 1
LEFT_OUT = "(left out)"
BODY_BYTES = 2048
"""Of an invocation, and of what goes to moto."""

BLOB_BYTES = 65_536
"""Of any other blob, such as a function's code."""

OWN = "sandbox"
_SECRET = re.compile(
    r"(session|security|auth|[_-])token|^token$|secret|passw|credential|(api|access)_?key", re.IGNORECASE
)
_SECRET_SERVICES = ("iam", "kms", "secretsmanager", "sts", "cognito-idp")
_KEPT_HEADERS = ("content-type", "content-encoding", "x-amz-target", "smithy-protocol", "x-amz-copy-source")
_SIGNED = re.compile(r"X-Amz-|Signature|AWSAccessKeyId|Expires", re.IGNORECASE)


class Recorder:
    """Writes lines as calls end. Thread-safe.

    :param file: open for text; it is flushed after each line.
    :param settings: what the sandbox was started with, for the replay.
    """

    def __init__(self, file: TextIO, **settings: Any) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._asked = threading.local()
        self._write({"recording": FORMAT, **settings})

    def host(self, host: ContainerHost, now: Callable[[], float]) -> ContainerHost:
        """A host whose containers tell what they answer, and when they are healthy."""
        return _ToldHost(host, self, now)

    def call(
        self, call: Call, at: float, *, answer: Any = None, error: AwsError | None = None, lost: bool = False
    ) -> None:
        """A call of an operation that the sandbox plays, with its answer or its refusal."""
        line = _line(at, call.service, call.operation, call.region)
        limit = limit_of(call)
        line["parameters"] = readable(call.params, limit)
        if call.protocol != "json":
            line["protocol"] = call.protocol
        if (reply := self._take_reply()) is not None:
            line["reply"] = {"status": reply.status, "seconds": reply.seconds, "type": reply.content_type}
            line["reply"]["body"] = readable(reply.body, limit)
        line |= {"error": refusal(error)} if error else {"answer": readable(answer, limit)}
        self._write(line | ({"lost": True} if lost else {}))

    def exchange(self, request: HttpRequest, response: HttpResponse, at: float) -> None:
        """A call that moto answered, or one that could not be read; of the answer the status, and an error's text."""
        service = signing_name(request)
        line = _line(at, service or "", named_operation(request) or request.method, signing_region(request))
        is_form = request.headers.get("content-type", "").startswith("multipart/")  # a signature is part of it
        hides = is_form or service in _SECRET_SERVICES
        body = LEFT_OUT if hides else readable(request.body, BODY_BYTES)
        headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        query = urlencode([pair for pair in parse_qsl(request.query, True) if not _SIGNED.match(pair[0])])
        line["request"] = {
            "method": request.method,
            "path": request.path,
            "query": query,
            "headers": headers,
            "body": body,
        }
        line["answer"] = {"status": response.status}
        if response.status >= 400:
            line["answer"]["body"] = readable(response.body, BODY_BYTES)
        self._write(line)

    def fault(self, fault: Fault | None, at: float) -> None:
        """A fault that somebody added; ``None``: all were taken away."""
        if fault is None:
            return self._write(_line(at, OWN, "ClearFaults", None))
        return self._write({**_line(at, OWN, "AddFault", None), "parameters": asdict(fault)})

    def healthy(self, model: str, at: float) -> None:
        """A model's next container answers its ping."""
        self._write({**_line(at, OWN, "ContainerHealthy", None), "parameters": {"model": model}})

    def replied(self, reply: Reply) -> None:
        """A container's answer, in the thread whose call asked for it."""
        self._asked.reply = reply

    def _take_reply(self) -> Reply | None:
        reply: Reply | None = getattr(self._asked, "reply", None)
        self._asked.reply = None
        return reply

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False)
        with self._lock:
            self._file.write(text + "\n")
            self._file.flush()


def readable(value: Any, limit: int = BODY_BYTES) -> Any:
    """A parameter or an answer in JSON's types, without secrets, and with bytes cut after ``limit``."""
    if isinstance(value, Mapping):
        secret = value.get("Type") == "SecureString"
        return {
            str(name): LEFT_OUT if _is_secret(str(name), item, secret) else readable(item, limit)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [readable(item, limit) for item in value]
    if isinstance(value, bytes | bytearray):
        return _text_of(bytes(value), limit)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value


def limit_of(call: Call) -> int:
    """After how many bytes what a call sends or gets is cut."""
    return BODY_BYTES if call.is_invocation else BLOB_BYTES


def refusal(error: AwsError) -> dict[str, Any]:
    """An error as a line has it."""
    return {"code": error.code, "message": error.message, "status": error.status, **readable(error.fields)}


def _is_secret(name: str, value: Any, in_secure_string: bool) -> bool:
    if in_secure_string and name == "Value":
        return True
    return isinstance(value, str) and bool(_SECRET.search(name))


def _text_of(body: bytes, limit: int) -> Any:
    """Bytes as text where they are; else in base64. What is cut says how long it was."""
    kept = body[:limit]
    try:
        told: dict[str, Any] | str = kept.decode()
    except UnicodeDecodeError:
        told = {"base64": base64.b64encode(kept).decode()}
    if len(body) <= limit:
        return told
    return {"bytes": len(body), "begins": told}


def _line(at: float, service: str, operation: str, region: str | None) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"at": moment, "service": service, "operation": operation, **({"region": region} if region else {})}


class _ToldHost:
    def __init__(self, host: ContainerHost, recorder: Recorder, now: Callable[[], float]) -> None:
        self._host, self._recorder, self._now = host, recorder, now

    def start(self, model: ModelSpec) -> Container:
        return _ToldContainer(model.name, self._host.start(model), self._recorder, self._now)

    def close(self) -> None:
        self._host.close()


class _ToldContainer:
    def __init__(self, model: str, container: Container, recorder: Recorder, now: Callable[[], float]) -> None:
        self._model, self._container, self._recorder, self._now = model, container, recorder, now
        self._is_told = False

    def ping(self) -> bool:
        healthy = self._container.ping()
        if healthy and not self._is_told:
            self._is_told = True
            self._recorder.healthy(self._model, self._now())
        return healthy

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        reply = self._container.invoke(body, content_type, accept)
        self._recorder.replied(reply)
        return reply

    def stop(self) -> None:
        self._container.stop()
