"""A real Airflow on this machine for the length of a ``with`` block: API servers, scheduler, triggerer, DAG processor.

``airflow standalone`` would be shorter, but leaves its four children running when it is ended, can't keep two of them from listening on
all addresses of the machine, and starts 32 workers (docs/facts-airflow.md#processes).
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType, TracebackType

import psutil

from airflow_sm_rollout.demo import DemoFailed
from airflow_sm_rollout.demo.airflow_api import AirflowApi
from airflow_sm_rollout.demo.settings import AIRFLOW_SETTINGS

HOST = "127.0.0.1"
HEALTHY_WITHIN_SECONDS = 180.0
"""About 10 s on two idle cores; much longer on a machine that is busy with other things."""

COMPONENTS = {
    "api-server": ("api-server",),
    # The log servers of these two listen on all addresses. On one machine the API server reads the logs from the disk.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
"""Of every Airflow, with the arguments of ``airflow``."""

SQLITE = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "airflow_sm_rollout.demo.sqlite.CONNECT_ARGS",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC": "airflow_sm_rollout.demo.sqlite.CONNECT_ARGS",
}
"""Settings of the database that needs no server."""


class AirflowDidNotStart(DemoFailed):
    """Airflow ended by itself or did not become healthy; the message has the end of its log."""


class AirflowProcesses(AirflowApi):
    """Airflow's components, each a process in a session of its own, so that Ctrl-C in a terminal reaches only their starter.

    What the tasks call (``execution-api``) is apart from what people call (``api-server``). The latter notes each change that is asked
    for in the database from its event loop, and waits there for sqlite's lock for writing, which an answer to a task may hold that needs
    the event loop to come to its end: in one process both wait for as long as the lock is waited for (seen with 60 s, Airflow 3.3.2).

    Entering makes the database and returns when all are healthy; leaving kills every process of their sessions, idle workers too.
    The login is off, and only 127.0.0.1 is listened on. Neither Airflow's nor AWS's variables of this process's environment reach it.

    :param home: becomes ``AIRFLOW_HOME``; made if need be. Database (sqlite) and logs are there.
    :param dags_folder: where the DAG files are.
    :param environment: variables added to this process's, e.g. ``AWS_ENDPOINT_URL``.
    :param settings: Airflow's settings as variables, instead of :data:`.settings.AIRFLOW_SETTINGS`.
    :param components: what runs beside the API server, by name, with the arguments of ``airflow``.
    :param database: settings of the database.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        environment: Mapping[str, str],
        settings: Mapping[str, str] = AIRFLOW_SETTINGS,
        components: Mapping[str, tuple[str, ...]] = COMPONENTS,
        database: Mapping[str, str] = SQLITE,
    ) -> None:
        self.port, execution_port = free_ports(2)
        super().__init__(f"http://{HOST}:{self.port}")
        self._commands = {
            **components,
            "api-server": ("api-server", "--apps", "core"),
            "execution-api": ("api-server", "--apps", "execution", "--port", str(execution_port)),
        }
        self._execution_url = f"http://{HOST}:{execution_port}/execution/"
        self.home = home.resolve()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        # Beyond those above: what somebody killed without its session, and then started again.
        self._sessions: list[subprocess.Popen[bytes]] = []
        own = local_settings(self.home, dags_folder.resolve(), self.url, self._execution_url)
        self._environment = {**inherited_environment(), **own, **database, **settings, **environment}

    def __enter__(self) -> AirflowProcesses:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._migrate()
            for component in self._commands:
                self.start(component)
            self.wait_until_healthy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, component: str) -> None:
        """Start one of :data:`COMPONENTS` or ``execution-api``; its output is appended to ``<home>/<component>.log``."""
        self.processes[component] = self._popen(component, *self._commands[component])

    def kill(self, component: str) -> None:
        """Kill a component with all processes of its session (SIGKILL), and wait until they are gone."""
        process = self.processes.pop(component)
        kill_session(process)
        self._sessions.remove(process)

    def restart(self, component: str) -> None:
        """Kill a component, start it again, and wait until all are healthy."""
        self.kill(component)
        restarted_at = datetime.now(timezone.utc)
        self.start(component)
        self.wait_until_healthy({component: restarted_at})

    def wait_until_healthy(
        self, since: Mapping[str, datetime] = MappingProxyType({}), within_seconds: float = HEALTHY_WITHIN_SECONDS
    ) -> None:
        """Wait until every component says that it is well.

        :param since: by component, from when on its word counts; its predecessor may have spoken half a minute ago, and count as healthy.
        :raises AirflowDidNotStart: if one has ended, or after ``within_seconds``.
        """
        deadline = time.monotonic() + within_seconds
        while not self._is_healthy(since):
            self._refuse_ended()
            if time.monotonic() > deadline:
                raise AirflowDidNotStart(f"after {within_seconds:g} s Airflow's health is {self.health()}")
            time.sleep(0.2)

    def close(self) -> None:
        """Kill everything that was started. A second Ctrl-C has to wait until that is done."""
        with uninterrupted():
            while self._sessions:
                kill_session(self._sessions[-1])
                self._sessions.pop()
            self.processes.clear()

    def _is_healthy(self, since: Mapping[str, datetime]) -> bool:
        health = self.health()
        well = [told for told in health.values() if told["status"] == "healthy"]
        heard = [
            datetime.fromisoformat(health[name][f"latest_{name}_heartbeat"]) > moment
            for name, moment in ((component.replace("-", "_"), moment) for component, moment in since.items())
            if name in health
        ]
        # The API server speaks for the database, every other component for itself.
        return len(well) == len(COMPONENTS) and all(heard) and self._told(f"{self._execution_url}health") is not None

    def _refuse_ended(self) -> None:
        for component, process in self.processes.items():
            if process.poll() is not None:
                raise AirflowDidNotStart(
                    f"airflow {component} ended with exit code {process.returncode}:\n{self._log_end(component)}"
                )

    def _migrate(self) -> None:
        if self._popen("migrate", "db", "migrate").wait() != 0:
            raise AirflowDidNotStart(f"airflow db migrate failed:\n{self._log_end('migrate')}")

    def _popen(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        # An interruption between the start of a process and its being noted would leave it to nobody.
        with self._log_file(name).open("ab") as log, uninterrupted():
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
            self._sessions.append(process)
        return process

    def _log_file(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _log_end(self, name: str) -> str:
        return "\n".join(self._log_file(name).read_text(errors="replace").splitlines()[-20:])


def local_settings(home: Path, dags_folder: Path, url: str, execution_url: str) -> dict[str, str]:
    """What an Airflow on one machine needs: where it is, who may enter, and how much of the machine it takes."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # The executor forks that many workers at once, needed or not.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": execution_url,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": url.rpartition(":")[2],
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        # A proxy has no business between the processes of one machine.
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }


def inherited_environment() -> dict[str, str]:
    """This process's environment without what would lead Airflow to somebody's own database or AWS account.

    Without bytecode Airflow would start 2.5 times slower, in every process.
    """
    left_out = ("AIRFLOW", "AWS_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens on at this moment."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a session's leader and everything else in its session, orphans too, and wait until they are gone.

    Killed at once rather than asked: a scheduler that is asked to end waits for its running tasks.
    """
    while members := session_members(process.pid):
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.poll()
        psutil.wait_procs(members, timeout=5)
    process.wait()


def session_members(session: int) -> list[psutil.Process]:
    """Processes of a session that are alive; one that has ended and was not waited for yet is not.

    :param session: the session's id, which is its leader's process id.
    """
    return [process for process in psutil.process_iter() if _is_alive_in(session, process)]


def _is_alive_in(session: int, process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and the like wait until the block has ended; they come to the main thread, so elsewhere there is nothing to do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
        for caught_number in caught:
            signal.raise_signal(caught_number)
