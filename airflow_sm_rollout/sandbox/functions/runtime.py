"""Where functions run: processes of this machine, kept warm between calls as Lambda keeps its environments."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.functions.function import Version

UNHANDLED = "Unhandled"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call came to.

    :param payload: JSON: the handler's answer, or the error.
    :param error: empty, or how AWS calls the failure.
    """

    payload: bytes
    error: str = ""


class FunctionHost:
    """Runs the code of each version in processes of its own: one call at a time in each, another process where all are busy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[_Process]] = {}
        self._all: set[_Process] = set()
        self._is_closed = False

    def invoke(self, arn: str, version: Version, event: Any) -> Reply:
        """One call of a version.

        :param arn: the version's.
        :param event: what JSON has.
        :raises AwsError: if the host is closed.
        """
        process = self._take(arn, version)
        reply = process.call(event, version.settings["Timeout"])
        if reply is None:
            self._end(process)
            text = f"Task timed out after {version.settings['Timeout']:.2f} seconds, or its process ended"
            return Reply(json.dumps({"errorMessage": text}).encode(), UNHANDLED)
        with self._lock:
            if process in self._all:
                self._idle.setdefault(process.key, []).append(process)
        return reply

    def forget(self, arn: str) -> None:
        """End what runs of a version, or of a whole function."""
        for process in [one for one in list(self._all) if one.arn == arn or one.arn.startswith(f"{arn}:")]:
            self._end(process)

    def close(self) -> None:
        """End all that runs, and run nothing more."""
        with self._lock:
            self._is_closed = True
        for process in list(self._all):
            self._end(process)

    def _take(self, arn: str, version: Version) -> _Process:
        key = f"{arn}@{version.revision}"  # $LATEST is another one after each change
        with self._lock:
            if self._idle.get(key):
                return self._idle[key].pop()
        process = _Process(arn, key, version)
        with self._lock:
            if not self._is_closed:
                self._all.add(process)
                return process
        process.end()
        raise AwsError("ServiceException", "The sandbox is closing", 500)

    def _end(self, process: _Process) -> None:
        with self._lock:
            self._all.discard(process)
            if process in self._idle.get(process.key, []):
                self._idle[process.key].remove(process)
        process.end()


class _Process:
    def __init__(self, arn: str, key: str, version: Version) -> None:
        self.arn, self.key = arn, key
        self._directory = Path(tempfile.mkdtemp(prefix="sm-rollout-function-"))
        with zipfile.ZipFile(io.BytesIO(version.code)) as packed:
            packed.extractall(self._directory)
        variables = version.settings.get("Environment", {}).get("Variables", {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.serve_function", str(self._directory), version.settings["Handler"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "AWS_LAMBDA_FUNCTION_VERSION": version.number, **variables},
            start_new_session=True,
        )
        self._events = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)

    def call(self, event: Any, seconds: float) -> Reply | None:
        """``None``: it did not answer in time, or ended."""
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.start()
        try:
            self._events.write(json.dumps(event).encode() + b"\n")
            self._events.flush()
            line = self._answers.readline()
        except OSError:
            return None
        finally:
            watchdog.cancel()
        if not line:
            return None
        answer = json.loads(line)
        return Reply(json.dumps(answer["payload"]).encode(), answer["error"])

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._events, self._answers):
            with contextlib.suppress(OSError):  # what it was still to be told
                pipe.close()
        shutil.rmtree(self._directory, ignore_errors=True)
