from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore import parsers, serialize
from moto.core.utils import get_service_model

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.wire import CBOR, HttpRequest, HttpResponse, encode_error, recognise

SCOPE = "AWS4-HMAC-SHA256 Credential=key/20240101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
EVERY_PROTOCOL = pytest.mark.parametrize("protocol", [CBOR, "json", "query"])


def cloudwatch_request(protocol: str, operation: str, params: dict[str, Any]) -> HttpRequest:
    """A request as botocore writes it in one of CloudWatch's protocols."""
    model = get_service_model("cloudwatch").operation_model(operation)
    written = serialize.create_serializer(protocol).serialize_to_request(params, model)
    headers = {name.lower(): value for name, value in written["headers"].items()}
    body = written["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    headers |= {"authorization": SCOPE.format("monitoring")}
    return HttpRequest(
        "POST", written["url_path"], "", headers, body.encode() if isinstance(body, str) else bytes(body)
    )


def read(protocol: str, operation: str, response: HttpResponse) -> dict[str, Any]:
    """A response as botocore reads it."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    shape = get_service_model("cloudwatch").operation_model(operation).output_shape
    parsed: dict[str, Any] = parsers.create_parser(protocol).parse(
        {"status_code": response.status, "headers": headers, "body": response.body}, shape
    )
    return parsed


@EVERY_PROTOCOL
def test_cloudwatch_is_spoken_in_every_protocol_of_its_model(sandbox: Sandbox, protocol: str) -> None:
    alarm = {
        "AlarmName": "errors <&> latency",
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelLatency",
        "Dimensions": [{"Name": "EndpointName", "Value": "orders"}],
        "ExtendedStatistic": "p99",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0.5,
        "ComparisonOperator": "GreaterThanThreshold",
        "ActionsEnabled": False,
    }
    answer = sandbox.handle(cloudwatch_request(protocol, "PutMetricAlarm", alarm))
    assert answer.status == 200, answer.body
    described = read(
        protocol,
        "DescribeAlarms",
        sandbox.handle(cloudwatch_request(protocol, "DescribeAlarms", {"AlarmNames": ["errors <&> latency"]})),
    )["MetricAlarms"][0]
    assert {key: described[key] for key in alarm} == alarm
    assert described["AlarmConfigurationUpdatedTimestamp"].timestamp() == sandbox.clock.now()


@EVERY_PROTOCOL
def test_times_arrive_as_aware_datetimes(protocol: str) -> None:
    start = datetime(2024, 5, 1, 10, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    params = {"StartTime": start, "EndTime": start, "MetricDataQueries": []}
    call = recognise(cloudwatch_request(protocol, "GetMetricData", params))
    assert call is not None
    assert call.params["StartTime"] == start
    assert call.params["StartTime"].utcoffset() is not None


@EVERY_PROTOCOL
def test_an_error_keeps_its_code_and_text_in_every_protocol(sandbox: Sandbox, protocol: str) -> None:
    moment = datetime(2024, 5, 1, tzinfo=timezone.utc)
    params = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "StartTime": moment,
        "EndTime": moment + timedelta(hours=1),
        "Period": 60,
        "Statistics": ["<Sum> & more"],
    }
    response = sandbox.handle(cloudwatch_request(protocol, "GetMetricStatistics", params))
    error = read(protocol, "GetMetricStatistics", response)["Error"]
    assert response.status == 400
    assert error["Code"] == "InvalidParameterValue"
    assert "<Sum> & more" in error["Message"]


@EVERY_PROTOCOL
def test_an_error_without_a_text_has_an_empty_one(sandbox: Sandbox, protocol: str) -> None:
    params = {"AlarmName": "gone", "StateValue": "OK", "StateReason": "a test"}
    response = sandbox.handle(cloudwatch_request(protocol, "SetAlarmState", params))
    error = read(protocol, "SetAlarmState", response)["Error"]
    assert (error["Code"], error["Message"] or "") == ("ResourceNotFound", "")


def test_an_error_is_named_after_its_own_shape_where_another_has_its_name_for_a_code() -> None:
    call = recognise(
        cloudwatch_request("json", "SetAlarmState", {"AlarmName": "a", "StateValue": "OK", "StateReason": ""})
    )
    assert call is not None
    answer = json.loads(encode_error(call, AwsError("ResourceNotFound", "gone", 404)).body)
    assert answer == {"__type": "ResourceNotFound", "message": "gone"}


class Probe:
    """An operation that looks whether anybody else could carry out another one meanwhile."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.others: list[bool] = []

    def get_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        def other() -> None:
            acquired = self.lock.acquire(blocking=False)
            self.others.append(acquired)
            if acquired:
                self.lock.release()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return {}


def test_one_control_operation_at_a_time_is_carried_out(sandbox: Sandbox, ssm: Any) -> None:
    probe = Probe(sandbox.schedule.lock)
    sandbox.services["ssm"].insert(0, probe)
    ssm.get_parameter(Name="x")
    assert probe.others == [False]


def test_sagemaker_and_its_runtime_are_told_apart_though_they_sign_with_one_name() -> None:
    headers = {"authorization": SCOPE.format("sagemaker"), "content-type": "text/csv"}
    invocation = recognise(HttpRequest("POST", "/endpoints/orders/invocations", "", headers, b"1,2"))
    control = recognise(HttpRequest("POST", "/", "", headers | {"x-amz-target": "SageMaker.ListModels"}, b"{}"))
    assert invocation is not None
    assert control is not None
    assert (invocation.service, invocation.operation) == ("sagemaker-runtime", "InvokeEndpoint")
    assert invocation.params["EndpointName"] == "orders"
    assert invocation.params["Body"] == b"1,2"
    assert invocation.params["ContentType"] == "text/csv"
    assert (control.service, control.operation) == ("sagemaker", "ListModels")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": SCOPE.format("s3")},
        {"authorization": SCOPE.format("sagemaker"), "x-amz-target": "SageMaker.NoSuchOperation"},
        {"authorization": SCOPE.format("sagemaker")},
    ],
    ids=["unsigned", "other service", "unknown operation", "unknown path"],
)
def test_what_is_not_ours_is_not_recognised(headers: dict[str, str]) -> None:
    assert recognise(HttpRequest("GET", "/bucket/key", "", headers)) is None


def test_a_target_variant_is_read_from_its_header() -> None:
    headers = {"authorization": SCOPE.format("sagemaker"), "x-amzn-sagemaker-target-variant": "green"}
    call = recognise(HttpRequest("POST", "/endpoints/orders/invocations", "", headers, b""))
    assert call is not None
    assert call.params["TargetVariant"] == "green"
