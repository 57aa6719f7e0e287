"""Steady traffic against an endpoint, as its clients would send it, and a record of every single answer.

The pace is open-loop: requests leave when they are due, whether or not earlier ones have been answered, so that a slow model meets the
same load as a fast one. Nothing is ever sent twice: a client's retries would hide exactly the requests that we are looking for.

:class:`Traffic` runs in threads of this process; :class:`TrafficProcess` runs the same in a process of its own, so that it does not
disturb what it measures. As a program it appends one JSON object per request to a file::

    python -m airflow_sm_rollout.sandbox.traffic --endpoint-url URL --endpoint-name NAME --requests-per-second 40 --records FILE

with the fields of :class:`Record`. It stops on SIGTERM, or when its standard input is closed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import ClassVar, Literal, Protocol
from urllib.parse import quote

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from airflow_sm_rollout.sandbox.lifeline import end_with_stdin
from airflow_sm_rollout.sandbox.process_host import start_python
from airflow_sm_rollout.sandbox.train_model import LATE_COLUMNS, load_rows

Outcome = Literal["answered", "failed", "dropped"]
OUTCOMES: Mapping[int, Outcome] = {200: "answered", 202: "answered", 424: "failed"}

COMPLETE_PERCENT = 40.0
"""Share of requests whose row has every column; the others come from clients that don't know :data:`.LATE_COLUMNS`."""

TIMEOUT_SECONDS = 65.0
"""Somewhat longer than the 60 s after which SageMaker gives up on a container, as its time-out is an answer, too."""

SECONDS_BETWEEN_USES = 2.0
"""Each worker has a connection of its own and uses it about this often: far below the idle time after which servers close a connection
(5 s in uvicorn), because a request sent into a closing connection would look like one that the endpoint dropped."""


@dataclass(frozen=True, slots=True)
class Record:
    """One request.

    :param at: when it was sent, seconds since the epoch.
    :param late_seconds: how long after it was due.
    :param seconds: from sending to the whole answer.
    :param status: HTTP status; 0 if there was no answer.
    :param variant: the production variant that answered, if the answer says so; AWS's model of a ModelError has no place for it.
    :param outcome: ``answered`` (200, or 202 of a queue), ``failed`` (424, a ModelError: the model's own answer was an error), or
        ``dropped`` (everything else: nobody answered, or somebody other than the model).
    :param complete: whether the row had every column.
    :param error: the beginning of what came instead of an answer; empty if answered.
    """

    at: float
    late_seconds: float
    seconds: float
    status: int
    variant: str | None
    outcome: Outcome
    complete: bool
    error: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests there were, and how many of them failed and were dropped."""

    requests: int
    failed: int
    dropped: int


def classify(status: int) -> Outcome:
    """What an HTTP status of InvokeEndpoint means for the client; see :class:`Record`."""
    return OUTCOMES.get(status, "dropped")


def count(records: Iterable[Record]) -> Counts:
    """Count requests and their outcomes."""
    outcomes = Counter(record.outcome for record in records)
    return Counts(outcomes.total(), outcomes["failed"], outcomes["dropped"])


def count_by_variant(records: Iterable[Record]) -> dict[str, Counts]:
    """Counts by the variant that answered, in alphabetic order; those for which no answer names one are under ``""``."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.variant or "", []).append(record)
    return {variant: count(groups[variant]) for variant in sorted(groups)}


def count_by_second(records: Iterable[Record]) -> dict[int, dict[str, Counts]]:
    """Counts by the second in which requests were sent (seconds since the epoch, in order), and by variant."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(int(record.at), []).append(record)
    return {second: count_by_variant(groups[second]) for second in sorted(groups)}


def sample_row(rows: Sequence[Mapping[str, float]], index: int, seed: int = 0) -> tuple[Mapping[str, float], bool]:
    """The row that request number ``index`` sends, always the same for the same seed, and whether it is complete."""
    chance = random.Random(f"{seed}-{index}")
    row = chance.choice(rows)
    if chance.uniform(0, 100) < COMPLETE_PERCENT:
        return row, True
    return {column: value for column, value in row.items() if column not in LATE_COLUMNS}, False


def as_named(name: str) -> str:
    """The endpoint of that name, as clients have it that know of no live pointer."""
    return name


class Client(Protocol):
    """What sends one request after the other."""

    def invoke(self, endpoint_name: str, body: bytes) -> tuple[int, str | None, str]:
        """Send one request; see :meth:`EndpointClient.invoke`."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class EndpointClient:
    """Invokes endpoints over one kept-alive connection, signed with credentials that only the sandbox takes.

    :param endpoint_url: of the SageMaker runtime, e.g. ``http://127.0.0.1:4566``.
    :param region: for the signature's scope.
    """

    operation: ClassVar[str] = "invocations"
    says_type: ClassVar[str] = "Content-Type"
    """The header that names the body's type."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._endpoint_url = endpoint_url.rstrip("/")
        self._pool = urllib3.PoolManager(1, maxsize=1, retries=False, timeout=TIMEOUT_SECONDS)
        self._auth = SigV4Auth(Credentials("sandbox", "sandbox"), "sagemaker", region)

    def invoke(self, endpoint_name: str, body: bytes) -> tuple[int, str | None, str]:
        """Send one request: HTTP status (0: no answer), variant that answered, and the error if it is one."""
        url = f"{self._endpoint_url}/endpoints/{quote(endpoint_name)}/{self.operation}"
        request = AWSRequest("POST", url, {self.says_type: "application/json"}, body)
        self._auth.add_auth(request)
        try:
            answer = self._pool.request("POST", url, body=body, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            return 0, None, repr(error)
        variant = answer.headers.get("x-amzn-Invoked-Production-Variant")
        return answer.status, variant, "" if answer.status in (200, 202) else answer.data.decode(errors="replace")

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


class Traffic:
    """Sends requests from entering to leaving the ``with`` block; on leaving, those under way are still waited for.

    :param endpoint_url: of the SageMaker runtime, e.g. ``http://127.0.0.1:4566``.
    :param endpoint_name: the endpoint.
    :param requests_per_second: the pace, over 0.
    :param seed: of the rows that are sent.
    :param region: for the signature's scope.
    :param records_file: gets every record as a line of JSON, too.
    :param resolve: asked for each request which endpoint serves under ``endpoint_name`` then.
    :param connect: makes a client of the runtime's URL and the region.
    """

    def __init__(
        self,
        endpoint_url: str,
        endpoint_name: str,
        requests_per_second: float,
        *,
        seed: int = 0,
        region: str = "us-east-1",
        records_file: Path | None = None,
        resolve: Callable[[str], str] = as_named,
        connect: Callable[[str, str], Client] = EndpointClient,
    ) -> None:
        if requests_per_second <= 0:
            raise ValueError(f"requests_per_second must be positive, got {requests_per_second}")
        self._endpoint_name = endpoint_name
        self._resolve = resolve
        self._interval = 1 / requests_per_second
        self._seed = seed
        self._rows = load_rows()[0]
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._file = None if records_file is None else records_file.open("a", buffering=1)
        workers = max(2, min(64, round(requests_per_second * SECONDS_BETWEEN_USES)))
        clients = [connect(endpoint_url, region) for _ in range(workers)]
        self._workers = [threading.Thread(target=self._work, args=(client,), daemon=True) for client in clients]
        self._started = 0.0

    @property
    def records(self) -> list[Record]:
        """What has been answered so far, in the order of the answers; a copy."""
        with self._lock:
            return list(self._records)

    def __enter__(self) -> Traffic:
        self._started = time.monotonic()
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        for worker in self._workers:
            worker.join()
        if self._file is not None:
            self._file.close()

    def _work(self, client: Client) -> None:
        for index in self._numbers:
            due = self._started + index * self._interval
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                break
            self._keep(self._send(client, index, due))
        client.close()

    def _send(self, client: Client, index: int, due: float) -> Record:
        row, complete = sample_row(self._rows, index, self._seed)
        at, started = time.time(), time.monotonic()
        body = json.dumps({"instances": [row]}).encode()
        status, variant, error = client.invoke(self._resolve(self._endpoint_name), body)
        seconds = time.monotonic() - started
        return Record(at, max(0.0, started - due), seconds, status, variant, classify(status), complete, error[:300])

    def _keep(self, record: Record) -> None:
        with self._lock:
            self._records.append(record)
            if self._file is not None:
                self._file.write(json.dumps(asdict(record)) + "\n")


class TrafficProcess:
    """:class:`Traffic` in a process of its own, for the length of a ``with`` block.

    :param endpoint_url: of the SageMaker runtime.
    :param endpoint_name: the endpoint.
    :param requests_per_second: the pace, over 0.
    :param records_file: gets a line of JSON per request.
    :param seed: of the rows that are sent.
    :param program: the module that is run; it ends in :func:`main`.
    :param environment: added to this process's environment.
    """

    def __init__(
        self,
        endpoint_url: str,
        endpoint_name: str,
        requests_per_second: float,
        *,
        records_file: Path,
        seed: int = 0,
        program: str = __name__,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._program = program
        self._environment = environment
        self._arguments = (
            f"--endpoint-url={endpoint_url}",
            f"--endpoint-name={endpoint_name}",
            f"--requests-per-second={requests_per_second}",
            f"--records={records_file}",
            f"--seed={seed}",
        )
        self._records_file = records_file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def records(self) -> list[Record]:
        """What has been answered so far."""
        return read_records(self._records_file)

    def __enter__(self) -> TrafficProcess:
        self._process = start_python(
            self._program, *self._arguments, environment=self._environment, output=subprocess.DEVNULL
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.terminate()
            self._process.wait()
            # Not before: a closed standard input ends it at once, with the answers that it still waits for.
            self._process.stdin.close()


def read_records(records_file: Path) -> list[Record]:
    """The records that a traffic process has written; the last line may be half written, and is then left out."""
    if not records_file.exists():
        return []
    lines = records_file.read_text().split("\n")[:-1]
    return [Record(**json.loads(line)) for line in lines]


def main(
    arguments: Sequence[str] | None = None,
    resolve: Callable[[str], str] = as_named,
    connect: Callable[[str, str], Client] = EndpointClient,
) -> None:
    """Entry point of the program.

    :param arguments: command line without the program's name; by default that of the process.
    :param resolve: see :class:`Traffic`.
    :param connect: see :class:`Traffic`.
    """
    parser = argparse.ArgumentParser(description="Send steady traffic to a SageMaker endpoint of the sandbox.")
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--endpoint-name", required=True)
    parser.add_argument("--requests-per-second", type=float, required=True)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    end_with_stdin()
    with Traffic(
        options.endpoint_url,
        options.endpoint_name,
        options.requests_per_second,
        seed=options.seed,
        records_file=options.records,
        resolve=resolve,
        connect=connect,
    ):
        stopped.wait()


if __name__ == "__main__":
    main()
