"""A deployment worked by the AWS CLI and boto3 over HTTP as a person would by hand, with a hook that is a real function."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import RunningServer, Sandbox, Timings, serve
from tests.sandbox.test_clients import REGION, ROLE, aws, client
from tests.sandbox.test_codedeploy import GROUP, revision
from tests.sandbox.test_functions import packed

HOOK = """
import boto3, os
def handler(event, context):
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=os.environ["WORD"],
    )
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    sandbox = Sandbox(timings=Timings().hurried(60))
    with serve(sandbox) as server:
        yield server
    sandbox.close()


@pytest.fixture(scope="module")
def functions(server: RunningServer) -> Any:
    """Lambda, with a function of two versions, and two hooks of which one finds everything well."""
    functions = client(server, "lambda")
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    variables = {"AWS_ENDPOINT_URL": server.url, "AWS_DEFAULT_REGION": REGION, **keys}
    for name, code, more in (
        ("front", "def handler(event, context): pass", {}),
        ("well", HOOK, {"WORD": "Succeeded"}),
        ("ill", HOOK, {"WORD": "Failed"}),
    ):
        functions.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=ROLE,
            Handler="front.handler",
            Code={"ZipFile": packed(code)},
            Timeout=60,
            Environment={"Variables": {**variables, **more}},
            Publish=True,
        )
    functions.update_function_code(
        FunctionName="front", ZipFile=packed("def handler(event, context): return 1"), Publish=True
    )
    functions.create_alias(FunctionName="front", Name="live", FunctionVersion="1")
    codedeploy = client(server, "codedeploy")
    codedeploy.create_application(applicationName="app", computePlatform="Lambda")
    codedeploy.create_deployment_group(**GROUP, serviceRoleArn=ROLE)
    return functions


def ended(server: RunningServer, number: str) -> dict[str, Any]:
    """What the AWS CLI tells of a deployment once it has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        info: dict[str, Any] = aws(server, "deploy", "get-deployment", "--deployment-id", number)["deploymentInfo"]
        if info["status"] in ("Succeeded", "Failed", "Stopped"):
            return info
    raise TimeoutError(number)


def test_a_person_deploys_with_a_hook_by_the_cli(server: RunningServer, functions: Any) -> None:
    made = aws(
        server, "deploy", "create-deployment",
        "--application-name", "app", "--deployment-group-name", "group",
        "--revision", json.dumps(revision(BeforeAllowTraffic="ill")),
    )  # fmt: skip
    info = ended(server, made["deploymentId"])
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert functions.get_alias(FunctionName="front", Name="live")["FunctionVersion"] == "1"
    made = aws(
        server, "deploy", "create-deployment",
        "--application-name", "app", "--deployment-group-name", "group",
        "--revision", json.dumps(revision(BeforeAllowTraffic="well", AfterAllowTraffic="well")),
    )  # fmt: skip
    assert ended(server, made["deploymentId"])["status"] == "Succeeded"
    alias = functions.get_alias(FunctionName="front", Name="live")
    assert (alias["FunctionVersion"], "RoutingConfig" in alias) == ("2", False)
    client(server, "codedeploy").get_waiter("deployment_successful").wait(deploymentId=made["deploymentId"])


def test_a_person_stops_a_canary_by_the_cli(server: RunningServer, functions: Any) -> None:
    functions.update_alias(
        FunctionName="front", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}}
    )
    codedeploy = client(server, "codedeploy")
    canary = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    number = codedeploy.create_deployment(**GROUP, revision=revision(), deploymentConfigName=canary)["deploymentId"]
    target = ("--deployment-id", number, "--target-id", "front:live")
    deadline = time.monotonic() + 60
    weight = 0.0
    while not weight and time.monotonic() < deadline:
        found = aws(server, "deploy", "get-deployment-target", *target)["deploymentTarget"]["lambdaTarget"]
        weight = found["lambdaFunctionInfo"].get("targetVersionWeight", 0.0)
    assert weight == 0.1
    aws(server, "deploy", "stop-deployment", "--deployment-id", number, "--auto-rollback-enabled")
    info = ended(server, number)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    back = ended(server, info["rollbackInfo"]["rollbackDeploymentId"])
    assert (back["status"], back["creator"]) == ("Succeeded", "codeDeployRollback")
    alias = functions.get_alias(FunctionName="front", Name="live")
    assert (alias["FunctionVersion"], "RoutingConfig" in alias) == ("1", False)
