"""The body of an HTTP request, read within bounds."""

from __future__ import annotations

import re
from io import BufferedIOBase

from airflow_sm_rollout.sandbox.wire import HttpRequest, is_invocation

MAX_BODY_BYTES = 128 * 1024 * 1024
"""For everything but invocations: enough for a model of the sandbox's, and too little to fill a machine's memory."""

MAX_INVOCATION_BYTES = 6_291_456
"""Documented for InvokeEndpoint."""

_LENGTH = re.compile(r"\d{1,18}")
_CHUNK_SIZE = re.compile(rb"\s*([0-9a-fA-F]{1,16})\s*(;.*)?\s*")
_LINE_BYTES = 8192
_MAX_TRAILERS = 100


class BadBody(Exception):
    """A body that can't be read, or is too large to be.

    :param code: for AWS's error answer.
    :param status: HTTP status of that.
    """

    def __init__(self, text: str, code: str = "SerializationException", status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


def read_body(head: HttpRequest, source: BufferedIOBase) -> bytes:
    """The body that follows a head.

    :raises BadBody: if it is larger than the sandbox takes, which is known before it is read, or it breaks off.
    """
    limit = MAX_INVOCATION_BYTES if is_invocation(head) else MAX_BODY_BYTES
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return _chunks(source, limit)
    announced = head.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(announced):
        raise BadBody(f"Content-Length {announced!r} is no length")
    return _exactly(source, int(announced), limit)


def _exactly(source: BufferedIOBase, length: int, limit: int) -> bytes:
    if length > limit:
        # AWS's front end refuses an invocation before there is an operation to fail: the code is the bare status.
        raise BadBody(f"Payload of {length} bytes exceeds the limit of {limit} bytes.", "413", 413)
    body = source.read(length)
    if len(body) < length:
        raise BadBody(f"the body has {len(body)} of {length} bytes")
    return body


def _chunks(source: BufferedIOBase, limit: int) -> bytes:
    body = bytearray()
    while size := _chunk_size(source.readline(_LINE_BYTES)):
        body += _exactly(source, size, limit - len(body))
        if source.readline(_LINE_BYTES).strip():
            raise BadBody("a chunk is longer than it says")
    for _ in range(_MAX_TRAILERS):
        if not source.readline(_LINE_BYTES).strip():
            return bytes(body)
    raise BadBody("too many trailers")


def _chunk_size(line: bytes) -> int:
    size = _CHUNK_SIZE.fullmatch(line)
    if size is None:
        raise BadBody("a chunk's size is no number")
    return int(size[1], 16)
