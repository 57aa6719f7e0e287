"""Measure the sandbox of this tree, and of an earlier commit beside it in the same run.

    python -m benchmarks.sandbox [--before COMMIT] [--hours 24] [--requests 10000]

Memory: hours of 50 calls a second, on a clock that is hurried; an hour takes some 20 seconds of processor time. Throughput: clients
in this process that keep their connections, against a server in another, with no model servers and with two.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).parents[2]
MEASURED = Path(__file__).with_name("measured.py")
CLIENTS = 32
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
)
BODY = json.dumps({"instances": [{"alcohol": 13.2, "hue": 1.0}]})
REQUEST = (
    "POST /endpoints/load/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Authorization: {AUTHORIZATION}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT", help="what to measure too")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--requests", type=int, default=10_000)
    asked = parser.parse_args()
    with _trees(asked.before) as trees:
        for name, tree in trees.items():
            for model in (False, True):
                servers = "two model servers" if model else "no model server"
                print(f"{name:10} {servers:18}", _throughput(tree, asked.requests, model=model), flush=True)
        for name, tree in trees.items():
            print(f"{name:10} {asked.hours:g} h, hurried     ", _memory(tree, asked.hours), flush=True)


@contextmanager
def _trees(before: str | None) -> Iterator[dict[str, Path]]:
    if before is None:
        yield {"this tree": ROOT}
        return
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary, "tree")
        tree.mkdir()
        archive = Path(temporary, "tree.tar")
        subprocess.run(["git", "archive", "-o", str(archive), before], cwd=ROOT, check=True)  # noqa: S607
        with tarfile.open(archive) as packed:
            packed.extractall(tree, filter="data")
        yield {before[:10]: tree, "this tree": ROOT}


def _command(tree: Path, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return {"args": [sys.executable, str(MEASURED), *arguments], "env": environment, "cwd": tree, "text": True}


def _memory(tree: Path, hours: float) -> str:
    told = subprocess.run(**_command(tree, "memory", str(hours)), check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(told)
    return (
        f"{found['calls']:,} calls: {found['before']} MiB -> {found['after']} MiB, {found['cpu']} s of processor time"
    )


def _throughput(tree: Path, requests: int, *, model: bool) -> str:
    command = _command(tree, "serve", *(["model"] if model else []))
    with subprocess.Popen(**command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        port = int(cast(IO[str], server.stdout).readline())
        _invoke(port, CLIENTS)
        started = time.monotonic()
        times = sorted(_invoke(port, requests))
        seconds = time.monotonic() - started
        server.communicate()
    middle, late = (1000 * times[int(share * (len(times) - 1))] for share in (0.5, 0.99))
    return f"{len(times) / seconds:,.0f} invocations a second, p50 {middle:.0f} ms, p99 {late:.0f} ms"


def _invoke(port: int, requests: int) -> list[float]:
    """How long each request took, in seconds, by clients that each wait for an answer before they ask again."""
    times: list[float] = []
    selector = selectors.DefaultSelector()
    left = requests

    def ask(connection: socket.socket) -> None:
        connection.sendall(REQUEST)
        selector.modify(connection, selectors.EVENT_READ, time.monotonic())

    for _ in range(min(CLIENTS, requests)):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ, 0.0)
        ask(connection)
        left -= 1
    while len(times) < requests:
        for key, _ in selector.select():
            connection = cast(socket.socket, key.fileobj)
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the sandbox answered {answer!r}")
            times.append(time.monotonic() - key.data)
            if left > 0:
                left -= 1
                ask(connection)
    for key in list(selector.get_map().values()):
        cast(socket.socket, key.fileobj).close()
    return times


if __name__ == "__main__":
    main()
