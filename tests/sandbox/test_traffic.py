from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.traffic import (
    Counts,
    Record,
    Traffic,
    TrafficProcess,
    classify,
    count,
    count_by_second,
    count_by_variant,
    read_records,
    sample_row,
)
from airflow_sm_rollout.sandbox.train_model import LATE_COLUMNS, load_rows


class Runtime(ThreadingHTTPServer):
    """A stand-in for the SageMaker runtime that keeps what it got and answers as told."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, status: int = 200, pause_seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status = status
        self.pause_seconds = pause_seconds
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Runtime

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        time.sleep(self.server.pause_seconds)
        if not self.server.status:
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.send_header("x-amzn-Invoked-Production-Variant", "green")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        pass


@contextmanager
def runtime(status: int = 200, pause_seconds: float = 0.0) -> Iterator[Runtime]:
    with Runtime(status, pause_seconds) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wait_for(traffic: Traffic | TrafficProcess, records: int) -> None:
    deadline = time.monotonic() + 30
    while len(traffic.records) < records:
        assert time.monotonic() < deadline, f"only {len(traffic.records)} records"
        time.sleep(0.02)


def record(**fields: Any) -> Record:
    return Record(**{**ANSWERED, **fields})


ANSWERED: dict[str, Any] = {
    "at": 0.0,
    "late_seconds": 0.0,
    "seconds": 0.1,
    "status": 200,
    "variant": "blue",
    "outcome": "answered",
    "complete": True,
    "error": "",
}


def test_requests_go_to_the_endpoint_over_the_runtimes_wire_and_are_recorded() -> None:
    with runtime() as server:
        with Traffic(server.url, "wine", 100) as traffic:
            wait_for(traffic, 20)
        records = traffic.records
    path, headers, body = server.requests[0]
    assert path == "/endpoints/wine/invocations"
    assert headers["Content-Type"] == "application/json"
    assert "/us-east-1/sagemaker/aws4_request" in headers["Authorization"]
    assert len(body["instances"]) == 1
    assert len(records) == len(server.requests)
    assert {(one.status, one.variant, one.outcome, one.error) for one in records} == {(200, "green", "answered", "")}
    assert all(0 < one.seconds < 10 and abs(one.at - time.time()) < 60 for one in records)


def test_connections_are_kept_alive() -> None:
    with runtime() as server:
        with Traffic(server.url, "wine", 50) as traffic:
            wait_for(traffic, 150)
        assert server.connections <= 100 < len(server.requests)


@pytest.mark.parametrize(("status", "outcome"), [(424, "failed"), (503, "dropped"), (400, "dropped"), (0, "dropped")])
def test_an_error_is_recorded_once_and_never_tried_again(status: int, outcome: str) -> None:
    with runtime(status) as server:
        with Traffic(server.url, "wine", 100) as traffic:
            wait_for(traffic, 10)
        records = traffic.records
    assert {(one.status, one.outcome) for one in records} == {(status, outcome)}
    assert len(server.requests) == len(records)
    assert all(one.error for one in records)


def test_an_endpoint_that_is_not_there_drops_requests() -> None:
    with Traffic("http://127.0.0.1:9", "wine", 100) as traffic:
        wait_for(traffic, 5)
    assert {one.outcome for one in traffic.records} == {"dropped"}


def test_a_slow_endpoint_gets_the_same_load_as_a_fast_one() -> None:
    with runtime(pause_seconds=0.5) as server, Traffic(server.url, "wine", 20) as traffic:
        wait_for(traffic, 1)
        under_way = len(server.requests)
    assert under_way >= 8


def test_the_pace_is_kept() -> None:
    with runtime() as server, Traffic(server.url, "wine", 50) as traffic:
        wait_for(traffic, 50)
        due = sorted(one.at - one.late_seconds for one in traffic.records)
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert gaps == pytest.approx([0.02] * len(gaps), abs=0.005)


def test_40_percent_of_the_rows_are_complete_and_the_others_lack_the_late_columns() -> None:
    rows, _ = load_rows()
    sampled = [sample_row(rows, index) for index in range(5000)]
    complete = [row for row, is_complete in sampled if is_complete]
    assert 0.37 < len(complete) / len(sampled) < 0.43
    assert all(row.keys() == rows[0].keys() for row in complete)
    lacking = [row for row, is_complete in sampled if not is_complete]
    assert all(rows[0].keys() - row.keys() == set(LATE_COLUMNS) for row in lacking)
    assert len({tuple(row.values()) for row, _ in sampled}) > len(rows)


def test_the_same_seed_sends_the_same_rows_and_another_one_others() -> None:
    rows, _ = load_rows()
    assert [sample_row(rows, index, 7) for index in range(50)] == [sample_row(rows, index, 7) for index in range(50)]
    assert [sample_row(rows, index, 7) for index in range(50)] != [sample_row(rows, index, 8) for index in range(50)]


@pytest.mark.parametrize("pace", [0, -1])
def test_a_pace_that_is_not_positive_is_refused(pace: float) -> None:
    with pytest.raises(ValueError, match="requests_per_second"):
        Traffic("http://127.0.0.1:9", "wine", pace)


def test_only_a_model_error_counts_as_the_models_own_failure() -> None:
    assert [classify(status) for status in (200, 424, 0, 400, 429, 500, 503, 504)] == [
        "answered",
        "failed",
        *["dropped"] * 6,
    ]


def test_counts_are_grouped_by_variant_and_by_second() -> None:
    records = [
        record(at=10.1),
        record(at=10.9, variant="green", status=424, outcome="failed"),
        record(at=10.5, variant=None, status=503, outcome="dropped"),
        record(at=12.0, variant="green"),
    ]
    assert count(records) == Counts(4, failed=1, dropped=1)
    assert count_by_variant(records) == {"": Counts(1, 0, 1), "blue": Counts(1, 0, 0), "green": Counts(2, 1, 0)}
    assert count_by_second(records) == {
        10: {"": Counts(1, 0, 1), "blue": Counts(1, 0, 0), "green": Counts(1, 1, 0)},
        12: {"green": Counts(1, 0, 0)},
    }


def test_traffic_in_its_own_process_writes_every_request_that_it_sent(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    with runtime(pause_seconds=0.2) as server:
        with TrafficProcess(server.url, "wine", 100, records_file=file) as traffic:
            wait_for(traffic, 20)
        assert len(read_records(file)) == len(server.requests)
    assert traffic._process is not None
    assert traffic._process.returncode == 0
    assert json.loads(file.read_text().splitlines()[0])["variant"] == "green"


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    assert read_records(file) == []
    with runtime() as server, Traffic(server.url, "wine", 50, records_file=file) as traffic:
        wait_for(traffic, 3)
    whole = read_records(file)
    file.write_text(file.read_text() + '{"at": 1')
    assert read_records(file) == whole == traffic.records


def test_traffic_ends_when_its_starter_is_gone(tmp_path: Path) -> None:
    with (
        runtime() as server,
        TrafficProcess(server.url, "wine", 20, records_file=tmp_path / "records.jsonl") as traffic,
    ):
        wait_for(traffic, 1)
        assert traffic._process is not None
        assert traffic._process.stdin is not None
        traffic._process.stdin.close()
        assert traffic._process.wait(30) == 0
