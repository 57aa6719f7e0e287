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
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any

from airflow_sm_rollout.sandbox import control_routes
from airflow_sm_rollout.sandbox.app import Sandbox, process_sandbox
from airflow_sm_rollout.sandbox.timings import Timings
from airflow_sm_rollout.sandbox.wire import AnswerLost, HttpRequest, HttpResponse

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
TICK_SECONDS = 0.1


def serve(sandbox: Sandbox, port: int = 0, address: str = HOST) -> RunningServer:
    """Serve a sandbox in threads of this process until :meth:`RunningServer.close`.

    :param port: 0 for one that is free.
    :param address: to listen on; anybody who reaches it may do anything, so leave it at this machine's own.
    :raises OSError: if the port is taken.
    """
    return RunningServer(sandbox, port, address)


def run(port: int = 0, speed: float = 1.0, address: str = HOST, real_containers: bool = True) -> None:
    """Serve a new sandbox, ``speed`` times faster than AWS, until Ctrl-C.

    :param port: see :func:`serve`, like ``address``.
    :param real_containers: whether a real model process stands behind each instance; else every instance answers ``{}``.
    :raises OSError: if the port is taken.
    """
    timings = Timings().hurried(speed)
    sandbox = process_sandbox(timings) if real_containers else Sandbox(timings=timings)
    with contextlib.closing(sandbox), serve(sandbox, port, address) as server, contextlib.suppress(KeyboardInterrupt):
        print(f"AWS_ENDPOINT_URL={server.url}", flush=True)
        threading.Event().wait()


class RunningServer:
    """A sandbox's server and its ticker. A context manager; the sandbox itself stays open."""

    def __init__(self, sandbox: Sandbox, port: int, address: str = HOST) -> None:
        self._sandbox = sandbox
        self._address = address
        self._server = _Server(sandbox, port, address)
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

    def __init__(self, sandbox: Sandbox, port: int, address: str) -> None:
        self.sandbox = sandbox
        self._connections: set[socket.socket] = set()
        super().__init__((address, port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Wake the threads of idle kept-alive connections, so that they end."""
        for connection in list(self._connections):
            # The client may have been faster.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def handle_any_method(self) -> None:
        """Read one request, and answer it or close the connection."""
        try:
            response = self._respond(self._request())
        except AnswerLost:
            self.close_connection = True
            return
        self.send_response(response.status)
        headers = {"Content-Length": str(len(response.body)), **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
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
        except ConnectionError:
            log.debug("a client closed its connection")

    def _respond(self, request: HttpRequest) -> HttpResponse:
        try:
            if request.path.startswith(control_routes.PREFIX):
                return control_routes.answer(self.server.sandbox, request)
            return self.server.sandbox.handle(request)
        except AnswerLost:
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return HttpResponse(500, {"Content-Type": "application/json"}, b'{"__type": "InternalFailure"}')

    def _request(self) -> HttpRequest:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return HttpRequest(self.command, path, query, headers, self._body(headers))

    def _body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self.rfile.read(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)
