"""Containers as real processes: one :mod:`.serve_model` per instance, spoken to over HTTP."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import urllib3

from airflow_sm_rollout.sandbox.archives import unpack
from airflow_sm_rollout.sandbox.containers import Container, ModelSpec, Reply

log = logging.getLogger(__name__)

INVOCATION_TIMEOUT_SECONDS = 60.0
"""A container must answer within 60 s (AWS guide, "Use your own inference code", container response time)."""

PING_TIMEOUT_SECONDS = 1.0

DRAIN_SECONDS = 1.0
"""How long a stopped container still answers: a request may have been routed to it just before, and a load balancer deregisters a
target before the target ends, too."""

SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Many small containers share one machine: a thread pool for linear algebra in each would only make them slower."""


PASSED_ON = re.compile(r"SAGEMAKER_\w+|SM_\w+|[A-Z]+_NUM_THREADS")
"""The variables of a model or a job that its process gets. Others could make the interpreter or the loader run something, and
the sandbox's own containers read none."""


def start_python(
    module: str, *arguments: str, environment: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start a module as a process in its own session, so that Ctrl-C in a terminal reaches only its starter.

    The process holds a pipe as standard input that nobody writes to, see :mod:`.lifeline`.

    :param module: its dotted name.
    :param environment: added to this process's environment; what a request brings goes through :func:`passed_on` first.
    :param output: file, or ``subprocess.PIPE``, that gets both standard output and standard error.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **SINGLE_THREADED, **environment},
        start_new_session=True,
    )


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What a container's process gets of the variables that a request has named; see :data:`PASSED_ON`."""
    return {name: value for name, value in environment.items() if PASSED_ON.fullmatch(name)}


class ProcessHost:
    """Runs every container as a process of this machine.

    All of them end with this process, even when it is killed. Model data is fetched anew for each instance, as SageMaker does, and
    what is unpacked of it goes with the instance.

    :param fetch: gets the bytes behind an ``s3://`` URL; called from a thread of its own, as it may well take time, and may raise
        anything, which leaves the container without a model, so that its pings fail.
    :param drain_seconds: see :data:`DRAIN_SECONDS`.
    """

    def __init__(self, fetch: Callable[[str], bytes], drain_seconds: float = DRAIN_SECONDS) -> None:
        self._fetch = fetch
        self._drain_seconds = drain_seconds
        self._directory = Path(tempfile.mkdtemp(prefix="sm-rollout-models-"))
        self._numbers = itertools.count(1)
        self._containers: set[ProcessContainer] = set()
        self._close = weakref.finalize(self, _close, self._containers, self._directory)

    def start(self, model: ModelSpec) -> Container:
        """Start a container for ``model``; returns at once."""
        workplace = self._directory / f"instance-{next(self._numbers)}"
        container = ProcessContainer(
            model, workplace, self._unpack_model, drain_seconds=self._drain_seconds, on_end=self._containers.discard
        )
        self._containers.add(container)
        return container

    def close(self) -> None:
        """Kill every container that still runs, wait until it is gone, and remove what was unpacked. Done at exit at the latest."""
        self._close()

    def _unpack_model(self, model: ModelSpec, directory: Path) -> None:
        if model.model_data_url is None:
            raise ValueError("the sandbox's container needs model data, and the model has no ModelDataUrl")
        unpack(self._fetch(model.model_data_url), directory)


def _close(containers: set[ProcessContainer], directory: Path) -> None:
    for container in list(containers):
        container.kill()
    shutil.rmtree(directory, ignore_errors=True)


class ProcessContainer:
    """One instance: a process, and a pool of kept-alive connections to it.

    :param model: what it serves.
    :param workplace: directory for its model data, its port file and its log, made here and removed with the process.
    :param unpack_model: puts the model data into a directory; runs in a thread, and may raise.
    :param drain_seconds: how long it still answers after :meth:`stop`.
    :param on_end: called with this container once its process is gone.
    """

    def __init__(
        self,
        model: ModelSpec,
        workplace: Path,
        unpack_model: Callable[[ModelSpec, Path], None],
        *,
        drain_seconds: float,
        on_end: Callable[[ProcessContainer], None],
    ) -> None:
        self._model = model
        self._workplace = workplace
        self._drain_seconds = drain_seconds
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._state = threading.Condition()
        self._answering = 0
        self._stopped = False
        self._killed = threading.Event()
        threading.Thread(target=self._launch, args=(unpack_model,), name=f"launch-{model.name}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The process's id, or None as long as there is no process."""
        return None if self._process is None else self._process.pid

    def ping(self) -> bool:
        """Whether ``GET /ping`` is answered with 200 within a second."""
        pool = self._connect()
        if pool is None:
            return False
        try:
            return pool.request("GET", "/ping", timeout=PING_TIMEOUT_SECONDS, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        """``POST /invocations``; status 0 if the container is not there, breaks off, or takes over 60 s."""
        started = time.monotonic()
        with self._state:
            self._answering += 1
        try:
            return self._post(body, {"Content-Type": content_type, "Accept": accept}, started)
        finally:
            with self._state:
                self._answering -= 1
                self._state.notify_all()

    def stop(self) -> None:
        """Answer what is under way, then end; returns at once."""
        with self._state:
            if self._stopped:
                return
            self._stopped = True
        threading.Thread(target=self._drain, name=f"drain-{self._model.name}", daemon=True).start()

    def kill(self) -> None:
        """End now, and wait until the process is gone; the model server keeps nothing that could get lost."""
        with self._state:
            self._stopped = True
        self._killed.set()
        self._reap()
        self._clean_up()
        self._on_end(self)

    def _clean_up(self) -> None:
        shutil.rmtree(self._workplace, ignore_errors=True)

    def _launch(self, unpack_model: Callable[[ModelSpec, Path], None]) -> None:
        model_data = self._workplace / "model"
        try:
            model_data.mkdir(parents=True)
            unpack_model(self._model, model_data)
            self._spawn(model_data)
        except Exception:
            if not self._killed.is_set():
                log.exception("container of model %s could not start", self._model.name)
        if self._killed.is_set():  # while its model was fetched
            self._clean_up()

    def _spawn(self, directory: Path) -> None:
        with self._state:
            if self._killed.is_set():
                return
            with (self._workplace / "container.log").open("wb") as output:
                self._process = start_python(
                    f"{__package__}.serve_model",
                    f"--model-dir={directory}",
                    f"--port-file={self._workplace / 'port'}",
                    environment=passed_on(self._model.environment),
                    output=output,
                )

    def _connect(self) -> urllib3.HTTPConnectionPool | None:
        port_file = self._workplace / "port"
        if self._pool is None and port_file.exists():
            self._pool = urllib3.HTTPConnectionPool("127.0.0.1", int(port_file.read_text()), maxsize=32)
        return self._pool

    def _post(self, body: bytes, headers: Mapping[str, str], started: float) -> Reply:
        pool = self._connect()
        if pool is None:
            return Reply(0, b"the container is not ready")
        try:
            answer = pool.request(
                "POST", "/invocations", body=body, headers=headers, timeout=INVOCATION_TIMEOUT_SECONDS, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            return Reply(0, str(error).encode(), seconds=time.monotonic() - started)
        content_type = answer.headers.get("Content-Type", "application/octet-stream")
        return Reply(answer.status, answer.data, content_type, time.monotonic() - started)

    def _drain(self) -> None:
        self._killed.wait(self._drain_seconds)
        with self._state:
            self._state.wait_for(lambda: self._answering == 0 or self._killed.is_set(), INVOCATION_TIMEOUT_SECONDS)
        self.kill()

    def _reap(self) -> None:
        with self._state:
            process = self._process
            self._state.notify_all()
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if self._pool is not None:
            self._pool.close()
