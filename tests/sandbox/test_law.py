"""The service model is the law: what breaks it is refused with the service's code, and nothing that a client sends is a failure of ours."""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from moto.core.utils import get_service_model

from airflow_sm_rollout.sandbox import ManualClock, Sandbox, cbor
from airflow_sm_rollout.sandbox.surface import PASSED_ON, PLAYED, operations
from airflow_sm_rollout.sandbox.wire import CBOR, HttpRequest
from tests.sandbox.law import call_of, mutation, protocols_of, valid

REQUESTS = int(os.environ.get("SM_ROLLOUT_FUZZ", "1500"))
"""``SM_ROLLOUT_FUZZ=20000 python -m pytest -s tests/sandbox/test_law.py -k mutation`` for all of them."""

CODES = {
    "cloudwatch": b"Validation",
    "sagemaker-runtime": b"ValidationError",
    "resourcegroupstaggingapi": b"InvalidParameterException",
}


@pytest.fixture(scope="module")
def account() -> Sandbox:
    return Sandbox(clock=ManualClock())


def every_operation(*kinds: str) -> list[tuple[str, str]]:
    return [
        (service, name)
        for service, lists in operations().items()
        for name in sorted(get_service_model(service).operation_names)
        if not kinds or any(name in lists[kind] for kind in kinds)
    ]


def test_no_mutation_of_the_model_is_a_failure_of_the_sandboxs(account: Sandbox) -> None:
    random, statuses = Random(19), Counter[int]()
    names = every_operation()
    slowest = 0.0
    for number in range(REQUESTS):
        # Played ones are where code of ours could fail.
        service, name = random.choice(names if number % 4 == 0 else every_operation_played())
        params = mutation(get_service_model(service).operation_model(name).input_shape, random)
        protocol = random.choice(protocols_of(service))
        try:
            request = call_of(service, name, params, protocol)
        except (TypeError, ValueError):  # not even a client that checks nothing can write it
            continue
        began = time.perf_counter()
        status = account.handle(request).status
        slowest = max(slowest, time.perf_counter() - began)
        statuses[status] += 1
        assert status in (501, 503) or status < 500, (service, name, protocol, params)
    print(f"{statuses.total()} requests: {dict(statuses)}, slowest {slowest:.2f} s")
    assert statuses.total() > 0.8 * REQUESTS
    assert slowest < 5


PLAYED_NAMES: list[tuple[str, str]] = []


def every_operation_played() -> list[tuple[str, str]]:
    if not PLAYED_NAMES:
        PLAYED_NAMES.extend(every_operation(PLAYED))
    return PLAYED_NAMES


def test_each_required_member_that_is_missing_is_named_for_every_operation_and_protocol(account: Sandbox) -> None:
    checked = 0
    for service, name in every_operation(PLAYED, PASSED_ON):
        shape = get_service_model(service).operation_model(name).input_shape
        for member in shape.required_members if shape is not None else ():
            if service == "sagemaker-runtime":  # the path and the body, which every request has
                continue
            params = {key: value for key, value in valid(shape).items() if key != member}
            for protocol in protocols_of(service):
                answer = account.handle(call_of(service, name, params, protocol))
                assert answer.status == 400, (service, name, member, protocol, answer)
                assert CODES.get(service, b"ValidationException") in answer.body
                assert f"'{member[0].lower()}{member[1:]}'".encode() in answer.body
                checked += 1
    print(f"{checked} missing members")


@pytest.mark.parametrize(
    ("operation", "params", "constraint"),
    [
        ("PutMetricData", {"Namespace": "", "MetricData": []}, "namespace"),
        ("PutMetricData", {"Namespace": "n", "MetricData": [{"MetricName": ""}]}, "metricData.1.member.metricName"),
        (
            "PutMetricData",
            {
                "Namespace": "n",
                "MetricData": [
                    {"MetricName": "m", "Dimensions": [{"Name": str(number), "Value": "v"} for number in range(31)]}
                ],
            },
            "metricData.1.member.dimensions",
        ),
        ("GetMetricData", {"MetricDataQueries": [], "ScanBy": "x"}, "scanBy"),
        ("SetAlarmState", {"AlarmName": "a", "StateValue": "OK", "StateReason": "r" * 1024}, "stateReason"),
    ],
)
@pytest.mark.parametrize("protocol", [CBOR, "json", "query"])
def test_what_cloudwatchs_model_forbids_is_refused_in_every_protocol(
    account: Sandbox, protocol: str, operation: str, params: dict[str, Any], constraint: str
) -> None:
    answer = account.handle(call_of("cloudwatch", operation, params, protocol))
    assert answer.status == 400
    assert (b"ValidationError" if protocol == "query" else b"ValidationException") in answer.body
    assert f"'{constraint}'".encode() in answer.body


@pytest.mark.parametrize(
    "body",
    [
        b'{"ModelName": ',
        b"[1,2]",
        b"null",
        b'"x"',
        b'{"ModelName": 5}',
        b'{"ModelName": "\xff"}',
        b'{"a":' * 3000,
        b'{"ModelName": "m", "PrimaryContainer": "x"}',
        b'{"ModelName": "m", "Tags": {"Key": 1}}',
        b'{"Tags": [NaN]}',
    ],
)
def test_json_that_is_broken_or_of_another_type_is_the_clients_fault(account: Sandbox, body: bytes) -> None:
    request = call_of("sagemaker", "CreateModel", {}, "json")
    answer = account.handle(HttpRequest("POST", "/", "", request.headers, body))
    assert (answer.status, b"Exception" in answer.body) == (400, True)


@pytest.mark.parametrize("body", [b'{"MaxResults": ', b'{"NameContains": "\xff"}', b"{}}"])
def test_what_is_no_json_is_not_taken_for_an_empty_request(account: Sandbox, body: bytes) -> None:
    request = call_of("sagemaker", "ListEndpoints", {}, "json")
    answer = account.handle(HttpRequest("POST", "/", "", request.headers, body))
    assert (answer.status, b"SerializationException" in answer.body) == (400, True)


@pytest.mark.parametrize("service", ["sagemaker", "ssm", "application-autoscaling", "resourcegroupstaggingapi"])
def test_an_operation_that_aws_does_not_have_is_the_clients_fault(account: Sandbox, service: str) -> None:
    answer = account.handle(call_of(service, "Nonsense", {}, "json"))
    assert (answer.status, b"UnknownOperationException" in answer.body) == (400, True)


def test_cbor_that_is_broken_is_the_clients_fault(account: Sandbox) -> None:
    for body in (b"\xff\x00\x9f", b"\x81\x01", cbor.encode([1]), b"\xa1", b"\x5b" + b"\xff" * 8):
        request = call_of("cloudwatch", "DescribeAlarms", {}, CBOR)
        answer = account.handle(HttpRequest("POST", request.path, "", request.headers, body))
        assert answer.status == 400, body
