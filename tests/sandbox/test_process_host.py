from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from airflow_sm_rollout.sandbox.archives import MAX_BYTES, MAX_MEMBERS, UnsafeArchive, unpack
from airflow_sm_rollout.sandbox.containers import ModelSpec
from airflow_sm_rollout.sandbox.process_host import ProcessContainer, ProcessHost
from airflow_sm_rollout.sandbox.train_model import LATE_COLUMNS, HyperParameters, fit, load_rows

ROWS, _ = load_rows()


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended but whose parent, a container's init perhaps, doesn't reap it, runs no more either.
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def archive_of(parameters: HyperParameters, directory: Path) -> bytes:
    classifier, signature = fit(parameters)
    classifier.save(directory)
    signature.save(directory)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(directory, arcname=".")
    return archive.getvalue()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    models = {
        "good": HyperParameters(),
        "lost-a-column": HyperParameters(drop_column="proline"),
        "slow": HyperParameters(slow_milliseconds=700),
        "failing": HyperParameters(fail_percent=100),
    }
    return {f"s3://models/{name}": archive_of(of, tmp_path_factory.mktemp(name)) for name, of in models.items()}


@pytest.fixture
def host(bucket: dict[str, bytes]) -> Iterator[ProcessHost]:
    host = ProcessHost(bucket.__getitem__, drain_seconds=0.1)
    yield host
    host.close()


def start(host: ProcessHost, name: str, environment: dict[str, str] | None = None) -> ProcessContainer:
    container = host.start(ModelSpec(name, "image", f"s3://models/{name}", environment or {}))
    assert isinstance(container, ProcessContainer)
    return container


def start_and_wait(host: ProcessHost, name: str) -> ProcessContainer:
    container = start(host, name)
    eventually(container.ping)
    return container


def ask(container: ProcessContainer, *rows: object) -> tuple[int, dict[str, object]]:
    reply = container.invoke(json.dumps({"instances": rows}).encode(), "application/json", "application/json")
    return reply.status, json.loads(reply.body)


def older(row: dict[str, float]) -> dict[str, float]:
    return {column: value for column, value in row.items() if column not in LATE_COLUMNS}


def test_a_trained_model_answers_rows_whether_or_not_they_have_every_column(host: ProcessHost) -> None:
    container = start_and_wait(host, "good")
    assert ask(container, ROWS[0], older(ROWS[0]), ROWS[100]) == (
        200,
        {"predictions": ["class_0", "class_0", "class_1"]},
    )


def test_a_model_that_lost_a_column_fails_the_rows_that_have_it_and_answers_the_others(host: ProcessHost) -> None:
    container = start_and_wait(host, "lost-a-column")
    status, answer = ask(container, ROWS[0])
    assert status == 400
    assert "unseen at fit time: proline" in str(answer["error"])
    assert ask(container, older(ROWS[0])) == (200, {"predictions": ["class_0"]})


def test_a_model_can_be_trained_to_fail(host: ProcessHost) -> None:
    assert ask(start_and_wait(host, "failing"), ROWS[0])[0] == 500


def test_csv_with_a_header_gets_the_same_answers_as_json(host: ProcessHost) -> None:
    container = start_and_wait(host, "good")
    lines = [",".join(ROWS[0]), ",".join(map(str, ROWS[0].values())), ",".join(map(str, ROWS[100].values()))]
    reply = container.invoke("\n".join(lines).encode(), "text/csv; charset=utf-8", "application/json")
    assert (reply.status, json.loads(reply.body)) == (200, {"predictions": ["class_0", "class_1"]})


@pytest.mark.parametrize(
    ("body", "content_type", "complaint"),
    [
        (b"{", "application/json", "not JSON"),
        (b'{"rows": []}', "application/json", "not JSON of the form"),
        (b'{"instances": []}', "application/json", "at least one"),
        (b'{"instances": [{"hue": "blue"}]}', "application/json", "hue='blue'"),
        (b'{"instances": [{"hue": Infinity}]}', "application/json", "infinity"),
        (b"hue\n1,2\n", "text/csv", "beyond the header"),
        (b"hue", "image/png", "image/png"),
    ],
)
def test_a_request_that_makes_no_sense_is_the_clients_error_and_names_what_is_wrong(
    served: ProcessContainer, body: bytes, content_type: str, complaint: str
) -> None:
    reply = served.invoke(body, content_type, "application/json")
    assert reply.status == 400
    assert complaint in json.loads(reply.body)["error"]


@pytest.fixture(scope="module")
def served(bucket: dict[str, bytes]) -> Iterator[ProcessContainer]:
    host = ProcessHost(bucket.__getitem__)
    yield start_and_wait(host, "good")
    host.close()


def test_a_container_answers_many_clients_at_once(served: ProcessContainer) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda index: ask(served, ROWS[index % len(ROWS)])[0], range(200)))
    assert answers == [200] * 200


def test_starting_does_not_wait_for_the_model_data_and_pings_fail_until_it_is_there(bucket: dict[str, bytes]) -> None:
    uploaded = threading.Event()

    def fetch(url: str) -> bytes:
        uploaded.wait(30)
        return bucket[url]

    host = ProcessHost(fetch)
    container = start(host, "good")
    assert not container.ping()
    assert container.invoke(b"{}", "application/json", "application/json").status == 0
    uploaded.set()
    eventually(container.ping)
    host.close()


def test_every_instance_takes_the_model_data_that_is_in_the_bucket_when_it_starts(bucket: dict[str, bytes]) -> None:
    changing = {"s3://models/good": bucket["s3://models/good"]}
    host = ProcessHost(changing.__getitem__)
    first = start_and_wait(host, "good")
    changing["s3://models/good"] = bucket["s3://models/lost-a-column"]
    second = start_and_wait(host, "good")
    assert (ask(first, ROWS[0])[0], ask(second, ROWS[0])[0]) == (200, 400)
    host.close()


def test_a_container_without_its_model_data_never_becomes_ready(
    host: ProcessHost, caplog: pytest.LogCaptureFixture
) -> None:
    container = start(host, "never-uploaded")
    eventually(lambda: "never-uploaded could not start" in caplog.text)
    assert not container.ping()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_models_environment_reaches_the_process(host: ProcessHost) -> None:
    container = start(host, "good", {"OMP_NUM_THREADS": "3"})
    eventually(container.ping)
    assert b"OMP_NUM_THREADS=3" in Path(f"/proc/{container.pid}/environ").read_bytes().split(b"\0")


def test_a_stopped_container_answers_what_is_under_way_and_then_ends(host: ProcessHost) -> None:
    container = start_and_wait(host, "slow")
    pid = container.pid
    assert pid is not None
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(ask, container, ROWS[0])
        eventually(lambda: container._answering == 1)
        container.stop()
        assert answer.result() == (200, {"predictions": ["class_0"]})
    eventually(lambda: not is_running(pid))
    assert container.invoke(b"{}", "application/json", "application/json").status == 0


def test_a_request_that_was_routed_just_before_the_stop_is_answered(bucket: dict[str, bytes]) -> None:
    host = ProcessHost(bucket.__getitem__, drain_seconds=20)
    container = start_and_wait(host, "good")
    container.stop()
    assert ask(container, ROWS[0])[0] == 200
    host.close()


def test_a_process_that_dies_in_the_middle_of_a_request_is_status_0(host: ProcessHost) -> None:
    container = start_and_wait(host, "slow")
    assert container.pid is not None
    with ThreadPoolExecutor(1) as client:
        reply = client.submit(container.invoke, b'{"instances": [{}]}', "application/json", "application/json")
        eventually(lambda: container._answering == 1)
        os.kill(container.pid, signal.SIGKILL)
        assert reply.result().status == 0
    assert not container.ping()


def test_closing_the_host_leaves_no_process_and_no_file(bucket: dict[str, bytes]) -> None:
    host = ProcessHost(bucket.__getitem__)
    pids = [start_and_wait(host, "good").pid, start_and_wait(host, "slow").pid]
    host.close()
    assert not any(is_running(pid) for pid in pids if pid is not None)
    assert not host._directory.exists()


STARTER = """
import sys, time
from airflow_sm_rollout.sandbox.containers import ModelSpec
from airflow_sm_rollout.sandbox.process_host import ProcessHost
host = ProcessHost(lambda url: open(url, "rb").read())
container = host.start(ModelSpec("good", "image", sys.argv[1]))
while not container.ping():
    time.sleep(0.02)
print(container.pid, host._directory, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["is killed", "exits"])
def test_the_containers_end_with_the_process_that_started_them(
    end: str, bucket: dict[str, bytes], tmp_path: Path
) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(bucket["s3://models/good"])
    command = [sys.executable, "-c", STARTER, str(archive)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None
        pid, directory = starter.stdout.readline().split()
        assert is_running(int(pid))
        if end == "is killed":
            starter.kill()
        starter.stdin.close()
        starter.wait(30)
    eventually(lambda: not is_running(int(pid)))
    # Nobody is left who could remove the files of a killed one.
    assert Path(directory).exists() == (end == "is killed")
    shutil.rmtree(directory, ignore_errors=True)


def tar_with(member: tarfile.TarInfo) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member.size = 2 if member.isreg() else 0
        tar.addfile(member, io.BytesIO(b"no"))
    return archive.getvalue()


@pytest.mark.parametrize("path", ["../escaped", "/escaped", "inside/../../escaped"])
def test_an_archive_that_leads_out_of_the_models_directory_is_refused(path: str, tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    with pytest.raises(UnsafeArchive, match="escaped"):
        unpack(tar_with(tarfile.TarInfo(path)), target)
    assert list(tmp_path.rglob("escaped")) == []


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    unpack(tar_with(link), tmp_path)
    assert list(tmp_path.iterdir()) == []


class Zeros(io.RawIOBase):
    """As many zeros as are asked for."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_an_archive_that_unpacks_to_more_than_its_bound_is_refused_before_it_does(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("bomb")
        member.size = MAX_BYTES
        tar.addfile(member, Zeros())  # type: ignore[arg-type]
    with pytest.raises(UnsafeArchive, match="bytes"):
        unpack(archive.getvalue(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_header_that_is_longer_than_the_bound_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    archive = io.BytesIO()
    with gzip.GzipFile(fileobj=archive, mode="wb") as plain:
        plain.write(header.tobuf(format=tarfile.USTAR_FORMAT if header.size < 1 << 33 else tarfile.GNU_FORMAT))
        for _ in range(MAX_BYTES // (1 << 20) + 1):
            plain.write(bytes(1 << 20))
    with pytest.raises(UnsafeArchive, match="bytes"):
        unpack(archive.getvalue(), tmp_path)


def test_an_archive_of_more_members_than_its_bound_is_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for number in range(MAX_MEMBERS + 1):
            tar.addfile(tarfile.TarInfo(f"d/{number}"))
    with pytest.raises(UnsafeArchive, match="members"):
        unpack(archive.getvalue(), tmp_path)
    assert len(list((tmp_path / "d").iterdir())) == MAX_MEMBERS


class Command:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["model.joblib", "classifier.json", "signature.json", "model.pkl"])
def test_no_file_of_an_archive_is_unpickled(bucket: dict[str, bytes], name: str, tmp_path: Path) -> None:
    mark, files = tmp_path / "mark", tmp_path / "files"
    files.mkdir()
    unpack(bucket["s3://models/good"], files)
    pickled = pickle.dumps(Command(mark))
    (files / name).write_bytes(pickled)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(files, arcname=".")
    host = ProcessHost(lambda _: archive.getvalue(), drain_seconds=0)
    container = start(host, "evil")
    eventually(lambda: container.ping() or (container._process is not None and container._process.poll() is not None))
    host.close()
    assert not mark.exists()
    pickle.loads(pickled)
    assert mark.exists(), "the mark would have shown it"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "PYTHONWARNINGS", "PYTHONSTARTUP", "LD_PRELOAD", "BROWSER", "PATH", "sm_x"]
)
def test_no_variable_of_a_models_changes_what_its_process_runs(host: ProcessHost, name: str) -> None:
    container = start(host, "good", {name: "/of/a/stranger"})
    eventually(lambda: container.pid is not None)
    assert b"/of/a/stranger" not in Path(f"/proc/{container.pid}/environ").read_bytes()


def test_a_field_of_any_length_in_a_csv_is_looked_at(served: ProcessContainer) -> None:
    reply = served.invoke(b"hue\n" + b"1" * 200_000, "text/csv", "application/json")
    assert (reply.status, "infinity" in reply.body.decode()) == (400, True)


def test_the_classifier_answers_as_the_pipeline_that_it_was_learnt_from() -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_rows()
    matrix = [list(row.values()) for row in rows]
    fitted, _, learnt, _ = train_test_split(matrix, labels, test_size=0.25, random_state=3, stratify=labels)
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.3))
    pipeline.fit(fitted, learnt)
    classifier, _ = fit(HyperParameters(C=0.3, random_state=3))
    random = Random(0)
    asked = [[value if random.random() < 0.8 else float("nan") for value in row] for row in matrix for _ in range(10)]
    assert [classifier.predict(row) for row in asked] == [str(label) for label in pipeline.predict(asked)]
