"""The sandbox as clients see it that were not written here: boto3 over HTTP and in process, the AWS CLI, the amazon
provider.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_rollout.sandbox import Fault, ManualClock, RunningServer, Sandbox, Timings, connect, serve

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
NO_RETRY = Config(retries={"total_max_attempts": 1})
CONTAINER = {"Image": "repo/model:1", "ModelDataUrl": "s3://models/model.tar.gz"}
VARIANTS = [
    {
        "VariantName": name,
        "ModelName": "model",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": weight,
        "InstanceType": "ml.m5.large",
    }
    for name, weight in (("blue", 3), ("green", 1))
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(timings=Timings().hurried(600))
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def server(sandbox: Sandbox) -> Iterator[RunningServer]:
    with serve(sandbox) as server:
        yield server


@pytest.fixture(scope="module")
def orders(server: RunningServer) -> str:
    """An endpoint in service, with blue at weight 3 and green at 1."""
    sagemaker = client(server, "sagemaker")
    sagemaker.create_model(ModelName="model", PrimaryContainer=CONTAINER, ExecutionRoleArn=ROLE)
    sagemaker.create_endpoint_config(EndpointConfigName="orders", ProductionVariants=VARIANTS)
    sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="orders")
    wait_in_service(server, "orders")
    return "orders"


def client(server: RunningServer, service: str, config: Config = NO_RETRY) -> Any:
    return boto3.client(
        service, REGION, endpoint_url=server.url, aws_access_key_id="x", aws_secret_access_key="y", config=config
    )


def wait_in_service(server: RunningServer, endpoint: str) -> None:
    waiter = client(server, "sagemaker").get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200})


def environment(server: RunningServer, **more: str) -> dict[str, str]:
    """An environment in which AWS clients know nothing but the sandbox's address and dummy keys."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": REGION}
    return {**kept, **keys, "AWS_ENDPOINT_URL": server.url, **more}


def aws(server: RunningServer, *arguments: str) -> Any:
    """What a command of the AWS CLI answers."""
    command = [str(Path(sys.executable).with_name("aws")), *arguments, "--output", "json"]
    done = subprocess.run(command, env=environment(server), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def control(server: RunningServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and answer of one of the sandbox's own routes."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/_sandbox/{path}", data=content, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


# The AWS CLI


def test_the_cli_describes_an_endpoint_and_invokes_it(server: RunningServer, orders: str, tmp_path: Path) -> None:
    described = aws(server, "sagemaker", "describe-endpoint", "--endpoint-name", orders)
    assert described["EndpointStatus"] == "InService"
    assert [variant["CurrentWeight"] for variant in described["ProductionVariants"]] == [3.0, 1.0]
    answer = tmp_path / "answer.json"
    arguments = ("--endpoint-name", orders, "--body", "MQ==", "--target-variant", "green", str(answer))
    invoked = aws(server, "sagemaker-runtime", "invoke-endpoint", *arguments)
    assert invoked["InvokedProductionVariant"] == "green"
    assert answer.read_text() == "{}"


def test_the_cli_changes_weights(server: RunningServer, orders: str) -> None:
    wish = "VariantName=green,DesiredWeight=1"
    arguments = ("--endpoint-name", orders, "--desired-weights-and-capacities", wish)
    answer = aws(server, "sagemaker", "update-endpoint-weights-and-capacities", *arguments)
    assert answer == {"EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/orders"}
    wait_in_service(server, orders)


def test_the_cli_writes_and_reads_alarms(server: RunningServer) -> None:
    alarm = (
        "--alarm-name errors --namespace AWS/SageMaker --metric-name Invocation4XXErrors --statistic Sum --period 60"
    )
    rule = "--evaluation-periods 1 --threshold 1 --comparison-operator GreaterThanThreshold"
    aws(server, "cloudwatch", "put-metric-alarm", *alarm.split(), *rule.split())
    alarms = aws(server, "cloudwatch", "describe-alarms", "--alarm-names", "errors")
    assert [found["MetricName"] for found in alarms["MetricAlarms"]] == ["Invocation4XXErrors"]


def test_the_cli_copies_to_and_from_s3(server: RunningServer, tmp_path: Path) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    here.write_bytes(bytes(range(256)) * 1000)
    for arguments in (
        ("mb", "s3://copies"),
        ("cp", str(here), "s3://copies/a b"),
        ("cp", "s3://copies/a b", str(back)),
    ):
        command = [str(Path(sys.executable).with_name("aws")), "s3", *arguments]
        subprocess.run(command, env=environment(server), capture_output=True, check=True, timeout=60)
    assert back.read_bytes() == here.read_bytes()


# boto3 over HTTP


def test_boto3_finds_everything_at_one_address(server: RunningServer) -> None:
    assert client(server, "sts").get_caller_identity()["Account"] == "123456789012"
    client(server, "ssm").put_parameter(Name="/a/b", Value="1", Type="String")
    assert client(server, "ssm").get_parameter(Name="/a/b")["Parameter"]["Value"] == "1"
    scaling = client(server, "application-autoscaling")
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_s3_takes_a_body_without_waiting_for_a_go_ahead(server: RunningServer) -> None:
    s3 = client(server, "s3")
    s3.create_bucket(Bucket="prompt")
    started = time.monotonic()
    s3.put_object(Bucket="prompt", Key="k", Body=b"x" * 100_000)
    # botocore sends the body anyway after a second without "100 Continue".
    assert time.monotonic() - started < 0.9
    assert s3.head_object(Bucket="prompt", Key="k")["ContentLength"] == 100_000


def test_many_clients_are_served_at_once_and_each_request_is_counted(
    server: RunningServer, sandbox: Sandbox, orders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    def record(namespace: str, metric: str, dimensions: dict[str, str], value: float, *_: object) -> None:
        if (metric, value, len(dimensions)) == ("Invocations", 1.0, 3):
            counted.append(dimensions["VariantName"])

    monkeypatch.setattr(sandbox.cloudwatch, "record", record)
    runtime = client(server, "sagemaker-runtime", Config(retries={"total_max_attempts": 1}, max_pool_connections=8))
    served: list[str] = []

    def call() -> None:
        for _ in range(25):
            answer = runtime.invoke_endpoint(EndpointName=orders, Body=b"1", ContentType="text/csv")
            answer["Body"].read()
            served.append(answer["InvokedProductionVariant"])

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) == 200
    assert {"blue", "green"} == set(served)
    assert sorted(counted) == sorted(served)


def test_a_lost_answer_closes_the_connection_and_takes_effect(server: RunningServer, orders: str) -> None:
    ssm = client(server, "ssm")
    assert control(server, "POST", "faults", {"kind": "lost_answer", "operation": "PutParameter"})[0] == 200
    with pytest.raises(ConnectionClosedError):
        ssm.put_parameter(Name="/lost", Value="1", Type="String")
    assert ssm.get_parameter(Name="/lost")["Parameter"]["Value"] == "1"


def test_an_error_of_the_sandbox_itself_is_a_500_and_it_lives_on(
    server: RunningServer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(params: object) -> dict[str, object]:
        raise KeyError("bug")

    monkeypatch.setattr(sandbox.endpoints, "list_endpoints", broken)
    with pytest.raises(ClientError) as failure:
        client(server, "sagemaker").list_endpoints()
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    monkeypatch.undo()
    client(server, "sagemaker").list_endpoints()
    assert "KeyError" in caplog.text


def test_a_closed_server_lets_go_of_its_port_and_its_connections() -> None:
    first, second = Sandbox(clock=ManualClock()), Sandbox(clock=ManualClock())
    with serve(first) as server:
        port = int(server.url.rpartition(":")[2])
        sagemaker = client(server, "sagemaker", Config(retries={"total_max_attempts": 3}))
        sagemaker.list_models()
    with serve(second, port) as again:
        assert again.url == server.url
        sagemaker.list_models()
    assert [len(sandbox.calls) for sandbox in (first, second)] == [1, 1]


# The sandbox's own routes


def test_the_control_routes_tell_health_and_true_shares(server: RunningServer, orders: str) -> None:
    assert control(server, "GET", "health")[1]["status"] == "ok"
    status, endpoint = control(server, "GET", f"endpoints/{orders}")
    assert status == 200
    assert endpoint["config"] == orders
    assert endpoint["variants"] == {
        "blue": {"share": 0.75, "instances": 1},
        "green": {"share": 0.25, "instances": 1},
    }
    assert control(server, "GET", "endpoints/none")[0] == 404
    assert control(server, "GET", "nothing")[0] == 404


def test_faults_are_posted_listed_and_deleted(server: RunningServer) -> None:
    posted = {"kind": "throttle", "operation": "ListModels", "times": 3, "skip": 0, "model": "*"}
    assert control(server, "POST", "faults", posted) == (200, {"faults": [posted]})
    with pytest.raises(ClientError, match="Rate exceeded"):
        client(server, "sagemaker").list_models()
    assert control(server, "GET", "faults")[1]["faults"][0]["times"] == 2
    assert control(server, "DELETE", "faults") == (200, {"faults": []})
    refused: list[object] = [{"kind": "flood"}, {"kind": "throttle", "sort": 1}, [], "throttle"]
    for wrong in refused:
        assert control(server, "POST", "faults", wrong)[0] == 400


# boto3 in process


def test_each_call_is_announced_before_and_after() -> None:
    heard: list[tuple[str, str, str]] = []
    session = connect(Sandbox(clock=ManualClock()), lambda *call: heard.append(call))
    session.client("sagemaker").list_models()
    session.client("cloudwatch").describe_alarms()
    assert heard == [
        ("sagemaker", "ListModels", "before"),
        ("sagemaker", "ListModels", "after"),
        ("cloudwatch", "DescribeAlarms", "before"),
        ("cloudwatch", "DescribeAlarms", "after"),
    ]


class Killed(BaseException):
    """What a killed process would leave behind is looked at after this."""


@pytest.mark.parametrize(("phase", "written"), [("before", False), ("after", True)])
def test_a_process_can_be_killed_before_or_after_any_call(phase: str, written: bool) -> None:
    def kill(service: str, operation: str, at: str) -> None:
        if operation == "PutParameter" and at == phase:
            raise Killed

    session = connect(Sandbox(clock=ManualClock()), kill)
    ssm = session.client("ssm")
    with pytest.raises(Killed):
        ssm.put_parameter(Name="x", Value="1", Type="String")
    assert bool(ssm.get_parameters(Names=["x"])["Parameters"]) is written


def test_a_session_pointed_at_another_sandbox_keeps_its_clients() -> None:
    first, second = Sandbox(clock=ManualClock()), Sandbox(clock=ManualClock(2_000_000_000))
    session = connect(first)
    ssm = session.client("ssm")
    ssm.put_parameter(Name="x", Value="1", Type="String")
    session.point_at(second)
    assert session.client("ssm") is ssm
    assert ssm.get_parameters(Names=["x"])["InvalidParameters"] == ["x"]
    assert [call.operation for call in second.calls] == ["GetParameters"]
    session.point_at(first)
    assert ssm.get_parameter(Name="x")["Parameter"]["Value"] == "1"


def test_nothing_is_retried_in_process() -> None:
    sandbox = Sandbox(clock=ManualClock())
    sandbox.faults.add(Fault("throttle", "ListModels"))
    sagemaker = connect(sandbox).client("sagemaker")
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker.list_models()
    assert [call.operation for call in sandbox.calls] == ["ListModels"]


def test_a_fresh_sandbox_finds_s3_empty() -> None:
    first = connect(Sandbox(clock=ManualClock())).client("s3")
    first.create_bucket(Bucket="left-over")
    second = connect(Sandbox(clock=ManualClock())).client("s3")
    assert second.list_buckets()["Buckets"] == []


# The amazon provider

PROVIDER = """
import json, sys
from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerEndpointOperator, SageMakerModelOperator
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerEndpointSensor

config = json.loads(sys.argv[1])
connection = {"aws_conn_id": None, "region_name": "us-east-1"}
for operation in ("create", "update"):
    operator = SageMakerEndpointOperator(
        task_id=operation, config=config, operation=operation, check_interval=1, deferrable=False, **connection
    )
    operator.execute({})
    sensor = SageMakerEndpointSensor(task_id="sense", endpoint_name=config["Endpoint"]["EndpointName"], **connection)
    assert sensor.poke({})
    config["EndpointConfig"]["EndpointConfigName"] += "-2"
    config["Endpoint"]["EndpointConfigName"] += "-2"
    del config["Model"]
    config["Model"] = {"ModelName": "second", "PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": sys.argv[2]}
hook = SageMakerHook(**connection)
print("RESULT", json.dumps(hook.describe_endpoint(config["Endpoint"]["EndpointName"]), default=str))
"""


def test_the_amazon_providers_operator_sensor_and_hook_create_and_update(server: RunningServer, tmp_path: Path) -> None:
    config = {
        "Model": {"ModelName": "first", "PrimaryContainer": CONTAINER, "ExecutionRoleArn": ROLE},
        "EndpointConfig": {
            "EndpointConfigName": "provider",
            "ProductionVariants": [{**VARIANTS[0], "ModelName": "first"}],
        },
        "Endpoint": {"EndpointName": "provider", "EndpointConfigName": "provider"},
    }
    command = [sys.executable, "-c", PROVIDER, json.dumps(config), ROLE]
    home = environment(server, AIRFLOW_HOME=str(tmp_path), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout.partition("RESULT ")[2].splitlines()[0])
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "provider-2")
