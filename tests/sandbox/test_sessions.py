"""What STS gives for a role ends by the sandbox's clock, and is refused from then on as AWS refuses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import boto3
import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.server import serve

ROLE = "arn:aws:iam::123456789012:role/airflow"
EXPIRED = "The security token included in the request is expired"


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """Over HTTP, as clients in this process sign nothing."""
    with serve(sandbox) as server:
        yield server.url


def assume(url: str, **options: Any) -> tuple[boto3.Session, datetime]:
    """A session of the role, and when AWS says that it ends."""
    sts = boto3.client("sts", endpoint_url=url, region_name="us-east-1")
    given = sts.assume_role(RoleArn=ROLE, RoleSessionName="task", **options)["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return boto3.Session(*keys, region_name="us-east-1"), given["Expiration"]


def test_a_session_works_until_its_end_and_then_no_service_takes_it(
    sandbox: Sandbox, url: str, refused: Callable[[Callable[[], object]], tuple[str, str, int]]
) -> None:
    session, end = assume(url, DurationSeconds=900)
    assert end == datetime.fromtimestamp(sandbox.clock.now() + 900, timezone.utc)
    names = ("sagemaker", "cloudwatch", "s3")
    sagemaker, cloudwatch, s3 = (session.client(name, endpoint_url=url) for name in names)
    calls = (sagemaker.list_endpoints, cloudwatch.describe_alarms, s3.list_buckets)
    sandbox.schedule.advance(899)
    for call in calls:
        call()
    sandbox.schedule.advance(1)
    assert [refused(call) for call in calls] == [
        ("ExpiredTokenException", EXPIRED, 400),
        ("ExpiredToken", EXPIRED, 403),
        ("ExpiredToken", EXPIRED, 403),
    ]
    assert sandbox.calls[-2].error_code == "ExpiredTokenException"


def test_a_session_of_no_said_length_lasts_an_hour_and_one_that_ends_ends_no_other(sandbox: Sandbox, url: str) -> None:
    assume(url, DurationSeconds=900)
    _, end = assume(url)
    assert end == datetime.fromtimestamp(sandbox.clock.now() + 3600, timezone.utc)
    longer, _ = assume(url, DurationSeconds=7200)
    sandbox.schedule.advance(7199)
    longer.client("sagemaker", endpoint_url=url).list_endpoints()
    boto3.client("sagemaker", endpoint_url=url, region_name="us-east-1").list_endpoints()
