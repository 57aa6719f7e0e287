"""The sandbox in a process of its own: what it answers takes no time away from what watches it."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from airflow_sm_rollout.demo import DemoFailed
from airflow_sm_rollout.sandbox.lifeline import end_with_stdin

ENDS_WITHIN_SECONDS = 10.0

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox", "AWS_DEFAULT_REGION": REGION}
"""Keys that only the sandbox takes."""


class SandboxDidNotStart(DemoFailed):
    """The sandbox's process ended; the message has the end of its log."""


class SandboxProcess:
    """A sandbox with real containers, for the length of a ``with`` block.

    It is in a session of its own, so that Ctrl-C in a terminal reaches only its starter, and ends with it however that ends.

    :param log_file: gets what it prints.
    :param speed: how much faster than AWS it provisions.
    """

    def __init__(self, log_file: Path, speed: float) -> None:
        self._log_file = log_file
        self._speed = speed
        self.url = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an AWS client here."""
        return {"AWS_ENDPOINT_URL": self.url, **CREDENTIALS}

    def client(self, service_name: str) -> Any:
        """A boto3 client that speaks to this sandbox and to nobody else."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service_name,
            REGION,
            endpoint_url=self.url,
            config=Config(proxies={}),
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def __enter__(self) -> SandboxProcess:
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, f"--speed={self._speed}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        self.url = self._read_url()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            # Its lifeline is let go of afterwards only: that would end it before it has cleaned up.
            self._process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.communicate()

    def _read_url(self) -> str:
        try:
            line = self._process.stdout.readline() if self._process.stdout else ""
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise
        name, _, url = line.strip().partition("=")
        if name != "AWS_ENDPOINT_URL":
            self._process.communicate()
            raise SandboxDidNotStart("\n".join(self._log_file.read_text(errors="replace").splitlines()[-20:]))
        return url


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the process; it ends on SIGTERM, or at once when its standard input is closed."""
    from airflow_sm_rollout.sandbox.server import run

    parser = argparse.ArgumentParser(description="Run a sandbox until standard input is closed.")
    parser.add_argument("--speed", type=float, required=True)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_with_stdin()
    run(speed=options.speed)


if __name__ == "__main__":
    main()
