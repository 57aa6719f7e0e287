"""Strangers stay out: no web page, no page under a name of its own, nobody without a signature."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import botocore.session
import pytest

from airflow_sm_rollout.sandbox import ManualClock, RunningServer, Sandbox, serve, server
from airflow_sm_rollout.sandbox.body import MAX_BODY_BYTES, MAX_INVOCATION_BYTES
from airflow_sm_rollout.sandbox.door import Door
from airflow_sm_rollout.sandbox.wire import HttpRequest

SIGNED = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
CBOR_PATH = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.fixture(scope="module")
def running(sandbox: Sandbox) -> Iterator[RunningServer]:
    with serve(sandbox, names=["sandbox", "sm.internal"]) as running:
        yield running


def port(running: RunningServer) -> int:
    return int(running.url.rpartition(":")[2])


def send(
    running: RunningServer, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port(running), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()


# Every door that a page tried: moto's, ours, the sandbox's own routes.
DOORS = [
    ("POST", "/", {"authorization": SIGNED.format("sagemaker"), "x-amz-target": "SageMaker.ListModels"}),
    ("POST", "/", {"authorization": SIGNED.format("cloudformation")}),
    ("PUT", "/bucket", {"authorization": SIGNED.format("s3")}),
    ("POST", "/endpoints/orders/invocations", {"authorization": SIGNED.format("sagemaker")}),
    ("POST", CBOR_PATH, {"authorization": SIGNED.format("monitoring"), "smithy-protocol": "rpc-v2-cbor"}),
    ("POST", "/moto-api/reset", {}),
    ("GET", "/moto-api/", {}),
    ("GET", "/_sandbox/health", {}),
    ("POST", "/_sandbox/faults", {}),
    ("OPTIONS", "/", {"access-control-request-method": "POST"}),
]
STRANGERS = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"host": "evil.example"},
    {"host": "evil.example:4599"},
    {"host": "127.0.0.1.evil.example"},
    {"host": "localhost.evil.example"},
    {"host": "notlocalhost"},
    {"host": "10.1.2.3"},
    {"host": "localhost@evil.example"},
    {"host": ""},
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
def test_a_stranger_is_refused_at_every_door_and_told_nothing_that_a_browser_could_pass_on(
    running: RunningServer, sandbox: Sandbox, stranger: dict[str, str]
) -> None:
    before = len(sandbox.calls)
    for method, path, headers in DOORS:
        status, answered, _ = send(running, method, path, headers | stranger)
        assert status == 403, (method, path)
        assert not [name for name in answered if name.lower().startswith("access-control-")]
    assert len(sandbox.calls) == before
    assert not sandbox.faults.waiting()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.8.8:1",
        "localhost",
        "LOCALHOST:4599",
        "bucket.localhost",
        "[::1]:4599",
        "sandbox",
        "b.sandbox",
        "sm.internal:80",
        "localhost.",
    ],
)
def test_clients_that_call_it_by_its_address_or_by_a_name_it_was_given_are_answered(
    running: RunningServer, host: str
) -> None:
    assert send(running, "GET", "/_sandbox/health", {"host": host})[0] == 200


def test_one_that_listens_on_all_addresses_answers_to_all_addresses_and_still_to_no_names() -> None:
    door = Door("0.0.0.0")
    asked = {host: door.refuse_stranger(HttpRequest("GET", "/", "", {"host": host})) for host in ("10.1.2.3:1", "evil")}
    assert asked["10.1.2.3:1"] is None
    assert asked["evil"] is not None


def test_the_body_of_a_stranger_is_not_waited_for(running: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", port(running)), 10) as connection:
        connection.sendall(b"PUT /b/k HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


# Signatures


def unsigned_error(service: str, operation: str, answer: tuple[int, Mapping[str, str], bytes]) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(service)
    status, headers, body = answer
    is_cbor = headers["Content-Type"] == "application/cbor"
    parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor" if is_cbor else model.protocol)
    lower = botocore.compat.HTTPHeaders.from_dict({name.lower(): value for name, value in headers.items()})
    parsed = parser.parse(
        {"status_code": status, "headers": lower, "body": body}, model.operation_model(operation).output_shape
    )
    return {"status": status, **parsed["Error"]}


@pytest.mark.parametrize(
    ("service", "operation", "path", "headers", "code"),
    [
        (
            "sagemaker",
            "ListModels",
            "/",
            {"x-amz-target": "SageMaker.ListModels"},
            "MissingAuthenticationTokenException",
        ),
        ("ssm", "GetParameter", "/", {"x-amz-target": "AmazonSSM.GetParameter"}, "MissingAuthenticationTokenException"),
        ("sagemaker-runtime", "InvokeEndpoint", "/endpoints/x/invocations", {}, "MissingAuthenticationToken"),
        ("cloudwatch", "DescribeAlarms", CBOR_PATH, {}, "MissingAuthenticationTokenException"),
        ("sts", "GetCallerIdentity", "/?Action=GetCallerIdentity", {}, "MissingAuthenticationToken"),
        ("s3", "ListObjects", "/bucket", {}, "AccessDenied"),
        ("s3", "ListBuckets", "/moto-api/reset", {}, "AccessDenied"),
    ],
)
def test_an_unsigned_call_gets_403_in_the_form_of_its_service(
    running: RunningServer, service: str, operation: str, path: str, headers: dict[str, str], code: str
) -> None:
    error = unsigned_error(service, operation, send(running, "POST", path, headers, b"{}"))
    assert (error["status"], error["Code"]) == (403, code)


def test_what_aws_answers_without_a_signature_is_answered(running: RunningServer) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    role = "RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=s&WebIdentityToken=eyJ.eyJ.x"
    body = f"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&{role}".encode()
    assert send(running, "POST", "/", form, body)[0] == 200


def test_presigned_addresses_work(running: RunningServer) -> None:
    s3 = boto3.client("s3", endpoint_url=running.url, **KEYS)
    s3.create_bucket(Bucket="signed")
    s3.put_object(Bucket="signed", Key="k", Body=b"content")
    for version in ("s3", "s3v4"):
        signing = boto3.client(
            "s3", endpoint_url=running.url, config=botocore.config.Config(signature_version=version), **KEYS
        )
        address = signing.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "k"})
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read() == b"content"


# What a request may be


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Length: abc", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 1_0", 400),
        ("Content-Length: 99999999999999999999999", 400),
        (f"Content-Length: {MAX_BODY_BYTES + 1}", 413),
        ("Transfer-Encoding: chunked", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_at_once(running: RunningServer, head: str, status: int) -> None:
    signed = f"Authorization: {SIGNED.format('sagemaker')}\r\nX-Amz-Target: SageMaker.ListModels"
    with socket.create_connection(("127.0.0.1", port(running)), 10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\n{signed}\r\n{head}\r\n\r\nzz\r\n".encode())
        assert int(connection.recv(1000).split()[1]) == status


def test_an_invocation_that_is_too_large_is_refused_before_it_is_read(running: RunningServer) -> None:
    head = f"Authorization: {SIGNED.format('sagemaker')}\r\nContent-Length: {MAX_INVOCATION_BYTES + 1}"
    with socket.create_connection(("127.0.0.1", port(running)), 10) as connection:
        connection.sendall(f"POST /endpoints/x/invocations HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


ONE_TOO_MANY = MAX_INVOCATION_BYTES + 1
SIGNED_INVOCATION = {"authorization": SIGNED.format("sagemaker")}


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        (SIGNED_INVOCATION, ONE_TOO_MANY, 413),
        (SIGNED_INVOCATION, ONE_TOO_MANY * 4, 413),
        (SIGNED_INVOCATION | {"origin": "http://page.example"}, ONE_TOO_MANY, 403),
        ({"x-pad": "a" * 70_000}, ONE_TOO_MANY, 431),
    ],
)
def test_a_client_that_sends_all_before_it_reads_hears_why_it_is_refused(
    running: RunningServer, headers: dict[str, str], size: int, status: int
) -> None:
    assert send(running, "POST", "/endpoints/x/invocations", headers, bytes(size))[0] == status


def send_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(bytes(65536))


def test_a_client_that_sends_on_and_on_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LINGER_SECONDS", 0.2)
    head = f"Authorization: {SIGNED.format('sagemaker')}\r\nContent-Length: {10**12}"
    with (
        serve(Sandbox(clock=ManualClock())) as running,
        socket.create_connection(("127.0.0.1", port(running)), 10) as endless,
    ):
        endless.sendall(f"POST /endpoints/x/invocations HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        with pytest.raises(ConnectionError):
            send_for_ever(endless)


@pytest.mark.parametrize(
    "begun",
    ["POST / HTTP/1.1\r\nHost: x\r\nX-Slow", "PUT /b/k HTTP/1.1\r\nHost: localhost\r\n" + "Content-Length: 9\r\n\r\nx"],
)
def test_a_client_that_does_not_end_its_request_is_hung_up_on_and_that_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], begun: str
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "BODY_SECONDS", 0.2)
    with serve(Sandbox(clock=ManualClock())) as running:
        with socket.create_connection(("127.0.0.1", port(running)), 10) as slow:
            slow.sendall(begun.encode())
            while slow.recv(1000):
                pass
        with socket.create_connection(("127.0.0.1", port(running)), 10) as idle:
            idle.settimeout(0.5)
            with pytest.raises(TimeoutError):
                idle.recv(1)
    assert "Traceback" not in capfd.readouterr().err


# Packed bodies


def test_points_that_a_client_packs_arrive(running: RunningServer) -> None:
    cloudwatch = boto3.client("cloudwatch", endpoint_url=running.url, **KEYS)
    sent: list[Any] = []
    cloudwatch.meta.events.register("before-send", lambda request, **_: sent.append(request.headers))
    dimensions = [{"Name": "d", "Value": "x" * 60}]
    points = [{"MetricName": "m", "Value": float(value), "Dimensions": dimensions} for value in range(200)]
    cloudwatch.put_metric_data(Namespace="packed", MetricData=points)
    assert sent[-1]["Content-Encoding"] in ("gzip", b"gzip")
    found = cloudwatch.list_metrics(Namespace="packed")["Metrics"]
    assert [(metric["MetricName"], metric["Dimensions"]) for metric in found] == [("m", dimensions)]


@pytest.mark.parametrize("service", ["sagemaker", "ssm", "application-autoscaling"])
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"no gzip", 400), (gzip.compress(b"x" * 100)[:20], 400), (gzip.compress(bytes(1 << 25)), 413)],
    ids=[
        "no gzip",
        "cut short",
        "too large",
    ],  # the packed bytes hold the time: as names they would differ from process to process
)
def test_a_packed_body_that_is_broken_or_too_large_is_the_clients_fault(
    running: RunningServer, service: str, body: bytes, status: int
) -> None:
    headers = {"authorization": SIGNED.format(service), "x-amz-target": "X.Describe", "content-encoding": "gzip"}
    assert send(running, "POST", "/", headers, body)[0] == status


def test_an_object_keeps_the_encoding_that_it_was_stored_with(running: RunningServer) -> None:
    s3 = boto3.client("s3", endpoint_url=running.url, **KEYS)
    s3.create_bucket(Bucket="packed")
    s3.put_object(Bucket="packed", Key="k", Body=gzip.compress(b"{}"), ContentEncoding="gzip")
    assert gzip.decompress(s3.get_object(Bucket="packed", Key="k")["Body"].read()) == b"{}"
