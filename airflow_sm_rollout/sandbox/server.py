"""A sandbox on one local port.

The standard library's threading server: one thread per kept-alive connection suits clients that hold a few of them,
and closing a connection without an answer, which a ``lost_answer`` fault asks for, is a plain return.
(``http.server.HTTPServer`` itself would look up the host's name in DNS before it listens.)
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any

from airflow_sm_rollout.sandbox import control_routes
from airflow_sm_rollout.sandbox.app import Sandbox, process_sandbox
from airflow_sm_rollout.sandbox.body import BadBody, read_body
from airflow_sm_rollout.sandbox.door import Door
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.recording import Recorder
from airflow_sm_rollout.sandbox.timings import Timings
from airflow_sm_rollout.sandbox.wire import AnswerLost, HttpRequest, HttpResponse, encode_refusal

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
TICK_SECONDS = 0.1

HEAD_SECONDS = 10.0
"""How long a client may take over the head of a request, once it has begun it."""

BODY_SECONDS = 60.0
"""How long it may take over the body. A dead client's thread and memory are given back by then."""

LINGER_SECONDS = 5.0
"""How long what a client still sends is thrown away after the last answer. Closing at once would reset the connection, and a
client that writes its whole request first would never read why it was refused."""

_LINGER_BYTES = 1024 * 1024


def serve(sandbox: Sandbox, port: int = 0, address: str = HOST, names: Collection[str] = ()) -> RunningServer:
    """Serve a sandbox in threads of this process until :meth:`RunningServer.close`.

    :param port: 0 for one that is free.
    :param address: to listen on; whoever reaches it may do anything, so leave it at this machine's own.
    :param names: names by which clients call it, beside its address and ``localhost``; see :class:`.Door`.
    :raises OSError: if the port is taken.
    """
    return RunningServer(sandbox, port, address, names)


def run(
    port: int = 0,
    speed: float = 1.0,
    address: str = HOST,
    real_containers: bool = True,
    *,
    names: Collection[str] = (),
    recorder: Recorder | None = None,
) -> None:
    """Serve a new sandbox, ``speed`` times faster than AWS, until Ctrl-C.

    :param port: see :func:`serve`, like ``address`` and ``names``.
    :param real_containers: whether a real model process stands behind each instance; else every instance answers ``{}``.
    :param recorder: is told each call and its answer.
    :raises OSError: if the port is taken.
    """
    timings = Timings().hurried(speed)
    make = process_sandbox if real_containers else partial(Sandbox, policies_act=True)
    sandbox = make(timings=timings, recorder=recorder)
    server = serve(sandbox, port, address, names)
    with contextlib.closing(sandbox), server, contextlib.suppress(KeyboardInterrupt):
        print(f"AWS_ENDPOINT_URL={server.url}", flush=True)
        threading.Event().wait()


class RunningServer:
    """A sandbox's server and its ticker. A context manager; the sandbox itself stays open."""

    def __init__(self, sandbox: Sandbox, port: int, address: str = HOST, names: Collection[str] = ()) -> None:
        self._sandbox = sandbox
        self._address = address
        self._server = _Server(sandbox, port, address, Door(address, names))
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, name="sandbox-server", daemon=True),
            threading.Thread(target=self._tick, name="sandbox-ticker", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        """What ``AWS_ENDPOINT_URL`` is to be set to."""
        return f"http://{self._address}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening, and close what is connected."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._server.close_slow_connections()
            try:
                self._sandbox.schedule.run_due()
            except Exception:
                # One bad callback must not stop the time for everything else.
                log.exception("a scheduled event of the sandbox failed")


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    # A burst of clients connects at once when traffic starts.
    request_queue_size = 128

    def __init__(self, sandbox: Sandbox, port: int, address: str, door: Door) -> None:
        self.sandbox = sandbox
        self.door = door
        self.deadlines: dict[socket.socket, float] = {}
        self._connections: set[socket.socket] = set()
        super().__init__((address, port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        self.deadlines.pop(request, None)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Wake the threads of idle kept-alive connections, so that they end."""
        for connection in list(self._connections):
            _hang_up(connection)

    def close_slow_connections(self) -> None:
        """Hang up on clients that have begun a request and are past the time that they had for it."""
        now = time.monotonic()
        for connection, deadline in list(self.deadlines.items()):
            if now > deadline:
                _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    # The client may have been faster.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def handle_one_request(self) -> None:
        """Wait for a request as long as it takes, then have it read in bounded time."""
        if self.rfile.peek(1):  # type: ignore[attr-defined]  # it is a BufferedReader
            self._allow(HEAD_SECONDS)
        super().handle_one_request()

    def handle_any_method(self) -> None:
        """Read one request, and answer it or close the connection."""
        self._allow(BODY_SECONDS)
        try:
            response = self._answer()
        except AnswerLost:
            self.close_connection = True
            return
        self.send_response(response.status)
        headers = {"Content-Length": str(len(response.body)), **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = handle_any_method

    def handle_expect_100(self) -> bool:
        """Let a client send its body at once; without the flush it would wait a second first."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_message(self, template: str, *args: Any) -> None:
        """Log requests for debugging only, not to standard error."""
        log.debug(template, *args)

    def handle(self) -> None:
        try:
            super().handle()
            self._linger()
        except OSError:
            log.debug("a client closed its connection")

    def finish(self) -> None:
        # A client that hangs up, or is hung up on, before its answer is written is no failure.
        with contextlib.suppress(OSError):
            super().finish()

    def _linger(self) -> None:
        """Say that nothing more is answered, then read until the client closes or its time is over."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self._allow(LINGER_SECONDS)
        while self.connection.recv(_LINGER_BYTES):
            pass

    def _allow(self, seconds: float) -> None:
        self.server.deadlines[self.connection] = time.monotonic() + seconds

    def _answer(self) -> HttpResponse:
        head = self._head()
        refusal = self.server.door.refuse_stranger(head)
        if refusal is not None:
            self.close_connection = True  # its body stays unread
            return refusal
        try:
            body = read_body(head, self.rfile)
        except BadBody as error:
            self.close_connection = True
            return encode_refusal(head, AwsError(error.code, str(error), error.status))
        finally:
            self.server.deadlines.pop(self.connection, None)
        return self._respond(replace(head, body=body))

    def _respond(self, request: HttpRequest) -> HttpResponse:
        try:
            if request.path.startswith(control_routes.PREFIX):
                return control_routes.answer(self.server.sandbox, request)
            return self.server.door.refuse_unsigned(request) or self.server.sandbox.handle(request)
        except AnswerLost:
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return encode_refusal(request, AwsError("InternalFailure", "The sandbox failed; its log says where.", 500))

    def _head(self) -> HttpRequest:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return HttpRequest(self.command, path, query, headers)
