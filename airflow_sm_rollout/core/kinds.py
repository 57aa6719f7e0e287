"""The kinds of SageMaker endpoint. What a way to split traffic can't do with one of them, the way's object says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SERVERLESS = "serverless"
"""It has no instances, but concurrency."""


def kinds_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What an endpoint config makes of its endpoint; empty: it has instances that answer at once.

    :param config: as DescribeEndpointConfig tells it.
    """
    is_serverless = any("ServerlessConfig" in variant for variant in config.get("ProductionVariants", ()))
    return (SERVERLESS,) if is_serverless else ()
