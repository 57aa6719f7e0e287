"""How an ARN begins."""

from __future__ import annotations

_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}


def arn_of(service: str, region: str, account: str, resource: str) -> str:
    """An ARN in the partition of its Region: China's, for one, is not the others'.

    :param resource: what stands behind the account, e.g. ``endpoint/orders``.
    """
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{resource}"


def partition_of(region: str) -> str:
    """``aws`` for most Regions."""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")
