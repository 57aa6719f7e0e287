"""In AWS's other partitions, China's and GovCloud's, a rollout goes as elsewhere, and its policy allows what it calls there."""

from __future__ import annotations

from functools import cache

import pytest

from airflow_sm_rollout.aws.iam import client_policy, guardian_policy, policy
from airflow_sm_rollout.core.converge import WAYS
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect
from convergence import lab as labs
from convergence.lab import ENDPOINT, ROLE, Lab
from convergence.test_iam import is_allowed, resources_of

ACCOUNT = "123456789012"
PARTITIONS = {"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}


@cache
def session_in(region: str) -> InProcessSession:
    return connect(Sandbox(clock=ManualClock(), region=region))


def lab_in(region: str, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(labs, "shared_session", lambda: session_in(region))
    return Lab(Sandbox(clock=ManualClock(), region=region))


def not_allowed(lab: Lab, region: str) -> set[tuple[str, str]]:
    """Calls that the policy of that Region does not allow on what they name."""
    statements = policy("variants", ENDPOINT, region=region, account=ACCOUNT)["Statement"]
    there = f"arn:{PARTITIONS[region]}:"
    named = [
        (
            f"{call.service}:{call.operation}",
            arn.replace("arn:aws:", there).replace(":us-east-1:1:", f":{region}:{ACCOUNT}:"),
        )
        for call in lab.sandbox.calls
        for arn in resources_of(call)
    ]
    assert "sagemaker:CreateEndpointConfig" in dict(named)
    return {each for each in named if not is_allowed(*each, statements)}


def arns_in(value: object) -> set[str]:
    """Every ARN somewhere in what a call was sent."""
    if isinstance(value, str):
        return {value} if value.startswith("arn:") else set()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {arn for each in inner for arn in arns_in(each)}


@pytest.mark.parametrize("region", PARTITIONS)
def test_a_rollout_is_promoted_there(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = lab_in(region, monkeypatch)
    lab.sandbox.calls.clear()
    lab.run()
    assert not_allowed(lab, region) == set()
    named = {arn for call in lab.sandbox.calls for arn in arns_in(dict(call.params))} - {ROLE}
    assert named
    assert {arn.split(":")[1] for arn in named} == {PARTITIONS[region]}
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize("region", PARTITIONS)
def test_a_rollout_is_taken_back_there(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = lab_in(region, monkeypatch)
    lab.sandbox.calls.clear()
    lab.run(until=2)
    lab.roll_back()
    assert not_allowed(lab, region) == set()
    assert lab.describe() == lab.before


@pytest.mark.parametrize(
    ("region", "partition"), [*PARTITIONS.items(), ("eu-west-1", "aws"), ("eusc-de-east-1", "aws-eusc"), ("*", "*")]
)
def test_every_grant_is_in_the_partition_of_its_region(region: str, partition: str) -> None:
    documents = [policy(way, ENDPOINT, region=region, function="scorer") for way in WAYS]
    documents += [client_policy(ENDPOINT, region=region), guardian_policy(region=region, functions=["scorer"])]
    granted = {arn for each in documents for statement in each["Statement"] for arn in statement["Resource"]} - {"*"}
    assert granted
    assert {arn.split(":")[1] for arn in granted} == {partition}
