"""A function in front of a real endpoint, worked by the AWS CLI and boto3 over HTTP as a person would by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import RunningServer, Sandbox, Timings, serve
from tests.sandbox.test_clients import CONTAINER, REGION, ROLE, VARIANTS, aws, client, wait_in_service
from tests.sandbox.test_functions import packed

CODE = """
import json, os, boto3
runtime = boto3.client("sagemaker-runtime")
def handler(event, context):
    answer = runtime.invoke_endpoint(EndpointName=os.environ["ENDPOINT"], Body=json.dumps(event))
    return {"endpoint": os.environ["ENDPOINT"], "body": json.loads(answer["Body"].read())}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    sandbox = Sandbox(timings=Timings().hurried(600))
    with serve(sandbox) as server:
        yield server
    sandbox.close()


@pytest.fixture(scope="module")
def front(server: RunningServer) -> str:
    """A function before two endpoints, blue and green; its version 1 calls blue, and has the alias ``live``."""
    sagemaker = client(server, "sagemaker")
    sagemaker.create_model(ModelName="model", PrimaryContainer=CONTAINER, ExecutionRoleArn=ROLE)
    sagemaker.create_endpoint_config(EndpointConfigName="config", ProductionVariants=VARIANTS)
    for name in ("blue", "green"):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config")
    variables = {"ENDPOINT": "blue", "AWS_ENDPOINT_URL": server.url, "AWS_DEFAULT_REGION": REGION}
    client(server, "lambda").create_function(
        FunctionName="front",
        Runtime="python3.12",
        Role=ROLE,
        Handler="front.handler",
        Code={"ZipFile": packed(CODE)},
        Timeout=60,
        Environment={"Variables": {**variables, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}},
        Publish=True,
    )
    client(server, "lambda").create_alias(FunctionName="front", Name="live", FunctionVersion="1")
    for name in ("blue", "green"):
        wait_in_service(server, name)
    return "front"


def called(functions: Any) -> dict[str, Any]:
    answer = functions.invoke(FunctionName="front", Qualifier="live", Payload=b"[1]")
    assert "FunctionError" not in answer, answer["Payload"].read()
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    return told


def test_a_person_shifts_an_alias_by_the_cli_and_calls_follow(
    server: RunningServer, front: str, tmp_path: Path
) -> None:
    functions = client(server, "lambda")
    assert called(functions) == {"endpoint": "blue", "body": {}}
    known = functions.get_function_configuration(FunctionName=front)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=front, Environment={"Variables": {**known, "ENDPOINT": "green"}}
    )
    functions.get_waiter("function_updated").wait(FunctionName=front, WaiterConfig={"Delay": 1})
    green = aws(server, "lambda", "publish-version", "--function-name", front)["Version"]
    alias = ("--function-name", front, "--name", "live")
    half = json.dumps({"AdditionalVersionWeights": {green: 0.5}})
    answer = aws(server, "lambda", "update-alias", *alias, "--routing-config", half)
    assert (answer["FunctionVersion"], answer["RoutingConfig"]["AdditionalVersionWeights"]) == ("1", {"2": 0.5})
    assert {called(functions)["endpoint"] for _ in range(30)} == {"blue", "green"}
    only_green = ("--function-version", green, "--routing-config", json.dumps({"AdditionalVersionWeights": {}}))
    aws(server, "lambda", "update-alias", *alias, *only_green)
    assert "RoutingConfig" not in aws(server, "lambda", "get-alias", *alias)
    assert {called(functions)["endpoint"] for _ in range(10)} == {"green"}
    answer_file = tmp_path / "answer.json"
    by_hand = ("--function-name", front, "--qualifier", "live", "--payload", "[1]", str(answer_file))
    assert aws(server, "lambda", "invoke", *by_hand)["ExecutedVersion"] == green
    assert json.loads(answer_file.read_text())["endpoint"] == "green"
