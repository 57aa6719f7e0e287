"""A small HTTP server whose answers a test decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from airflow_sm_rollout.plugin.page import STATIC

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asked:
    """A request, with its whole body as text."""

    method: str
    path: str
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Answer:
    """What it is answered with; ``kind`` is its media type."""

    text: str
    kind: str = "text/html"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def static_file(path: str) -> Answer | None:
    """A file of the plugin's, as the page asks for it; ``None`` for any other path."""
    name = path.removeprefix("/static/")
    return Answer((STATIC / name).read_text(), _KINDS[Path(name).suffix]) if name != path else None


@contextmanager
def answering(answer: Callable[[Asked], Answer]) -> Iterator[str]:
    """Serve on a free port of this machine; its address, without a slash at the end."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any_method(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = answer(Asked(self.command, self.path, dict(self.headers.items()), body.decode()))
            self.send_response(given.status)
            for name, value in {"Content-Type": given.kind, **given.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError):  # whoever asked has lost patience
                self.wfile.write(given.text.encode())

        do_GET = do_POST = do_PATCH = handle_any_method

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
