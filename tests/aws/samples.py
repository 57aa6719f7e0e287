"""Values for any shape of AWS's service models, with every member that it can have."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

# Of shapes whose pattern a plain word does not match.
TEXTS = {
    "AcceleratorPartitionType": "mig-3g.40gb",
    "ClarifyMimeType": "text/csv",
    "CsvContentType": "text/csv",
    "DestinationS3Uri": "s3://b/key",
    "JsonContentType": "application/json",
    "MetricsEndpointPath": "/metrics",
    "MlReservationArn": "arn:aws:sagemaker:us-east-1:123456789012:reservation/green",
    "RoleArn": "arn:aws:iam::123456789012:role/other",
    "S3ModelUri": "s3://bucket/key",
    "SnsTopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
    "Url": "s3://bucket/key",
}


def sample(shape: Any) -> Any:
    """A value of a shape: every member of a structure, one item of a list."""
    made = _MAKERS[shape.type_name](shape)
    pattern = shape.metadata.get("pattern")
    if isinstance(made, str) and pattern and r"\p" not in pattern:
        assert re.fullmatch(pattern, made), f"{shape.name}: {made!r} is no {pattern}"
    return made


def _text(shape: Any) -> str:
    return shape.enum[0] if shape.enum else TEXTS.get(shape.name, "x" * max(1, shape.metadata.get("min", 1)))


def _number(shape: Any) -> int:
    if shape.name == "MetricPublishFrequencyInSeconds":
        return 60
    return max(shape.metadata.get("min", 0), min(3, shape.metadata.get("max", 3)))


_MAKERS: dict[str, Any] = {
    "structure": lambda shape: {name: sample(member) for name, member in shape.members.items()},
    "list": lambda shape: [sample(shape.member) for _ in range(max(1, shape.metadata.get("min", 1)))],
    "map": lambda shape: {_text(shape.key): sample(shape.value)},
    "string": _text,
    "boolean": lambda shape: True,
    "timestamp": lambda shape: datetime(2026, 7, 1, 12, tzinfo=timezone.utc),
    "integer": _number,
    "long": _number,
    "float": lambda shape: 0.5,
    "double": lambda shape: 0.5,
    "blob": lambda shape: b"x",
}
