"""Lambda on AWS's wire: versions stand still, an alias splits real calls by its weights, and a caller who saw another state is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.inprocess import InProcessSession

ROLE = "arn:aws:iam::123456789012:role/front"
CODE = """
import os, time
def handler(event, context):
    if event.get("fail"):
        raise RuntimeError("no model")
    if event.get("sleep"):
        time.sleep(60)
    print("a line that is no answer")
    return {"endpoint": os.environ["ENDPOINT"], "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"]}
"""


def packed(code: str = CODE) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("front.py", code)
    return data.getvalue()


@pytest.fixture
def client(session: InProcessSession) -> Any:
    """Lambda, with a function ``front`` whose version 1 calls blue and has the alias ``live``."""
    client = session.client("lambda")
    client.create_function(
        FunctionName="front",
        Runtime="python3.12",
        Role=ROLE,
        Handler="front.handler",
        Code={"ZipFile": packed()},
        Environment={"Variables": {"ENDPOINT": "blue"}},
        Publish=True,
    )
    client.create_alias(FunctionName="front", Name="live", FunctionVersion="1")
    return client


@pytest.fixture
def green(client: Any, sandbox: Sandbox) -> str:
    """The number of a version that differs in the endpoint alone."""
    client.update_function_configuration(FunctionName="front", Environment={"Variables": {"ENDPOINT": "green"}})
    sandbox.schedule.advance(sandbox.timings.update_function)
    number: str = client.publish_version(FunctionName="front", Description="rollout r1")["Version"]
    return number


def called(client: Any, qualifier: str = "live", **event: Any) -> tuple[dict[str, Any], Any]:
    answer = client.invoke(FunctionName="front", Qualifier=qualifier, Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read()), answer


def test_a_version_keeps_its_variables_when_the_function_gets_others(client: Any, green: str) -> None:
    assert green == "2"
    assert called(client)[0] == {"endpoint": "blue", "version": "1"}
    assert called(client, "2")[0] == {"endpoint": "green", "version": "2"}
    assert called(client, "$LATEST")[0]["endpoint"] == "green"


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_an_alias_gives_the_second_version_its_weight_of_the_calls(client: Any, green: str, weight: float) -> None:
    routing = {"AdditionalVersionWeights": {green: weight}}
    client.update_alias(FunctionName="front", Name="live", RoutingConfig=routing)
    assert client.get_alias(FunctionName="front", Name="live")["RoutingConfig"] == routing
    answers = [called(client) for _ in range(200)]
    assert all(told["version"] == answer["ExecutedVersion"] for told, answer in answers)
    count = Counter(told["endpoint"] for told, _ in answers)["green"]
    assert abs(count - 200 * weight) <= 4 * (200 * weight * (1 - weight)) ** 0.5  # four standard deviations


def test_a_new_version_alone_needs_an_empty_map_too(client: Any, green: str) -> None:
    half = {"AdditionalVersionWeights": {green: 0.5}}
    client.update_alias(FunctionName="front", Name="live", RoutingConfig=half)
    client.update_alias(
        FunctionName="front", Name="live", FunctionVersion=green, RoutingConfig={"AdditionalVersionWeights": {}}
    )
    alias = client.get_alias(FunctionName="front", Name="live")
    assert (alias["FunctionVersion"], "RoutingConfig" in alias) == ("2", False)


def test_publishing_what_was_published_makes_no_second_version(client: Any, green: str) -> None:
    assert client.publish_version(FunctionName="front", Description="asked again")["Version"] == green
    listed = client.list_versions_by_function(FunctionName="front")["Versions"]
    assert [(one["Version"], one["Description"]) for one in listed] == [("$LATEST", ""), ("1", ""), ("2", "rollout r1")]


def test_who_saw_another_revision_is_refused(client: Any, green: str, refused: Callable[..., Any]) -> None:
    seen = client.get_alias(FunctionName="front", Name="live")["RevisionId"]
    client.update_alias(FunctionName="front", Name="live", Description="somebody else")
    change = {"FunctionName": "front", "Name": "live", "FunctionVersion": green, "RevisionId": seen}
    code, _, status = refused(lambda: client.update_alias(**change))
    assert (code, status) == ("PreconditionFailedException", 412)
    assert client.get_alias(FunctionName="front", Name="live")["FunctionVersion"] == "1"
    code, _, status = refused(lambda: client.publish_version(FunctionName="front", RevisionId="another"))
    assert (code, status) == ("PreconditionFailedException", 412)


def test_a_function_takes_one_change_at_a_time(client: Any, sandbox: Sandbox, refused: Callable[..., Any]) -> None:
    client.update_function_configuration(FunctionName="front", Timeout=5)
    assert client.get_function_configuration(FunctionName="front")["LastUpdateStatus"] == "InProgress"
    code, text, status = refused(lambda: client.publish_version(FunctionName="front"))
    assert (code, status) == ("ResourceConflictException", 409)
    assert "An update is in progress" in text
    sandbox.schedule.advance(sandbox.timings.update_function)
    assert client.publish_version(FunctionName="front")["Version"] == "2"


@pytest.mark.parametrize(
    ("version", "weights"),
    [
        ("1", {"1": 0.5}),
        ("1", {"2": 1.5}),
        ("$LATEST", {"2": 0.5}),
        ("1", {"$LATEST": 0.5}),
        ("1", {"2": 0.1, "3": 0.1}),
    ],
)
def test_an_alias_refuses_what_lambda_cannot_split(
    client: Any, green: str, version: str, weights: dict[str, float], refused: Callable[..., Any]
) -> None:
    client.update_function_code(FunctionName="front", ZipFile=packed(CODE + "#"), Publish=True)
    routing = {"AdditionalVersionWeights": weights}
    change = {"FunctionName": "front", "Name": "live", "FunctionVersion": version, "RoutingConfig": routing}
    assert refused(lambda: client.update_alias(**change))[2] == 400
    assert client.get_alias(FunctionName="front", Name="live")["FunctionVersion"] == "1"


def test_a_version_that_an_alias_calls_is_not_deleted(client: Any, green: str, refused: Callable[..., Any]) -> None:
    routing = {"AdditionalVersionWeights": {green: 0.5}}
    client.update_alias(FunctionName="front", Name="live", RoutingConfig=routing)
    code, _, status = refused(lambda: client.delete_function(FunctionName="front", Qualifier=green))
    assert (code, status) == ("ResourceConflictException", 409)
    client.update_alias(FunctionName="front", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    client.delete_function(FunctionName="front", Qualifier=green)
    assert refused(lambda: called(client, green))[0] == "ResourceNotFoundException"
    assert called(client)[0]["endpoint"] == "blue"


def test_an_exception_is_an_answer_and_no_refusal(client: Any) -> None:
    told, answer = called(client, fail=True)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert told == {"errorMessage": "no model", "errorType": "RuntimeError"}


def test_what_is_no_zip_and_no_json_is_refused(client: Any, refused: Callable[..., Any]) -> None:
    assert refused(lambda: client.update_function_code(FunctionName="front", ZipFile=b"no zip"))[2] == 400
    code, _, status = refused(lambda: client.invoke(FunctionName="front", Payload=b"{"))
    assert (code, status) == ("InvalidRequestContentException", 400)


def test_a_call_ends_with_its_timeout_and_the_next_one_is_answered(client: Any, sandbox: Sandbox) -> None:
    client.update_function_configuration(FunctionName="front", Timeout=1)
    told, answer = called(client, "$LATEST", sleep=True)
    assert (answer["FunctionError"], "timed out after 1.00 seconds" in told["errorMessage"]) == ("Unhandled", True)
    assert called(client, "$LATEST")[0]["endpoint"] == "blue"
    assert called(client, "1")[0]["endpoint"] == "blue"


def test_names_may_be_arns_and_a_missing_thing_is_named(client: Any, refused: Callable[..., Any]) -> None:
    arn = client.get_alias(FunctionName="front", Name="live")["AliasArn"]
    assert arn == "arn:aws:lambda:us-east-1:123456789012:function:front:live"
    assert client.get_function_configuration(FunctionName=arn)["Version"] == "1"
    code, text, status = refused(lambda: client.get_alias(FunctionName="front", Name="other"))
    assert (code, status, "function:front:other" in text) == ("ResourceNotFoundException", 404, True)
    assert refused(lambda: client.get_function(FunctionName="none"))[0] == "ResourceNotFoundException"
