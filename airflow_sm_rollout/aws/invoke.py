"""Sends requests to one variant alone, and reads samples from S3."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.validation import Answer, Case, answer_from


def green_target(rollout: Rollout) -> dict[str, str]:
    """Members of InvokeEndpoint that reach green alone, whatever its weight (docs/facts-aws.md#calls)."""
    return _target(rollout, rollout.green_endpoint_name, rollout.green_variant)


def blue_target(rollout: Rollout) -> dict[str, str]:
    """Members of InvokeEndpoint that reach blue alone."""
    return _target(rollout, rollout.blue_endpoint_name, rollout.blue.variant)


def _target(rollout: Rollout, endpoint_name: str, variant: str) -> dict[str, str]:
    both = rollout.green_endpoint_name == rollout.blue_endpoint_name
    return {"EndpointName": endpoint_name, **({"TargetVariant": variant} if both else {})}


def ask(runtime: Any, target: Mapping[str, str], cases: Sequence[Case], content_type: str, accept: str) -> list[Answer]:
    """Send all samples, one after the other; what fails is an answer, too."""
    return [_ask(runtime, target, case, content_type, accept) for case in cases]


def _ask(runtime: Any, target: Mapping[str, str], case: Case, content_type: str, accept: str) -> Answer:
    began = time.perf_counter()
    try:
        answer = runtime.invoke_endpoint(**target, Body=case.body.encode(), ContentType=content_type, Accept=accept)
        body = answer["Body"].read()
    except AWS_ERRORS as error:
        return Answer(error=describe(error), seconds=time.perf_counter() - began)
    return answer_from(body, time.perf_counter() - began)


def read_text(s3: Any, url: str) -> str:
    """A text from S3.

    :param url: ``s3://bucket/key``.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content.decode()
