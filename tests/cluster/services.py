"""PostgreSQL and Redis for the length of a ``with`` block, on 127.0.0.1, with their data in a folder that is thrown away."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from airflow_sm_rollout.demo.airflow_processes import HOST, free_ports

READY_WITHIN_SECONDS = 60.0


class NotInstalled(Exception):
    """A program is missing; the message tells the Debian package."""


class Service:
    """A server that can be ended and started again, with what it had.

    :param home: where its data and log are.
    :param command: that runs it in the foreground.
    :param user: as whom; ``None``: as whoever runs this.
    """

    def __init__(self, home: Path, port: int, command: list[str], user: str | None = None) -> None:
        self.port = port
        self._home, self._command, self._user = home, command, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._home,
                user=self._user,
                group=self._user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command[0]} did not start:\n{(self._home / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and wait until it is gone."""
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End it as an upgrade does, and start it again."""
        self.stop(signal.SIGINT)
        self.start()

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGKILL)


def redis(home: Path) -> Service:
    """A Redis that keeps every message on the disk, as a broker should."""
    program = find("redis-server", "redis-server")
    home.mkdir()
    [port] = free_ports(1)
    options = ["--bind", HOST, "--port", str(port), "--dir", str(home), "--appendonly", "yes"]
    return Service(home, port, [program, *options])


def postgres(home: Path) -> Service:
    """A PostgreSQL with an empty database ``airflow``, which belongs to a user of that name without a password."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    if not folders:
        raise NotInstalled("PostgreSQL is missing: apt-get install postgresql")
    # It refuses to run as root; Debian's package has made a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    home.mkdir()
    data = home / "data"
    if user:
        for parent in (home, *home.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o711)
        shutil.chown(home, user)
    programs, [port] = folders[-1], free_ports(1)
    init = [f"{programs}/initdb", "--username=airflow", "--auth=trust", "--no-sync", f"--pgdata={data}"]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, cwd=home, user=user, group=user)
    options = ["-D", str(data), "-h", HOST, "-p", str(port), "-k", str(home)]
    limits = ["-c", "max_connections=300", "-c", "fsync=off"]
    server = Service(home, port, [f"{programs}/postgres", *options, *limits], user)
    with server:
        create = [f"{programs}/createdb", f"--host={HOST}", f"--port={port}", "--username=airflow", "airflow"]
        subprocess.run(create, check=True)
    return server


def prometheus(home: Path, data: Path) -> Service:
    """A Prometheus that scrapes nobody.

    :param data: blocks of samples that it has.
    """
    program, [port] = find("prometheus", "prometheus"), free_ports(1)
    home.mkdir()
    (home / "prometheus.yml").write_text("{}\n")
    options = [f"--config.file={home / 'prometheus.yml'}", f"--web.listen-address={HOST}:{port}"]
    return Service(home, port, [program, *options, f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y"])


def find(program: str, package: str) -> str:
    """Path of a program.

    :raises NotInstalled: with its Debian package.
    """
    found = shutil.which(program)
    if found is None:
        raise NotInstalled(f"{program} is missing: apt-get install {package}")
    return found


def answers(port: int) -> bool:
    """Whether somebody takes connections on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
