"""The kinds of SageMaker endpoint. What a way to split traffic can't do with one of them, the way's object says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SERVERLESS = "serverless"
"""It has no instances, but concurrency."""
ASYNCHRONOUS = "asynchronous"
"""Requests wait in a queue of the endpoint's, and are answered to S3."""


def kinds_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What an endpoint config makes of its endpoint; empty: it has instances that answer at once.

    :param config: as DescribeEndpointConfig tells it.
    """
    is_serverless = any("ServerlessConfig" in variant for variant in config.get("ProductionVariants", ()))
    kinds = {SERVERLESS: is_serverless, ASYNCHRONOUS: bool(config.get("AsyncInferenceConfig"))}
    return tuple(kind for kind, is_so in kinds.items() if is_so)
