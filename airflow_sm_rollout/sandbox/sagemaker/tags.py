"""Tags of SageMaker's resources, by ARN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.surface import PassOn

MAX_TAGS = 50
KINDS = ("endpoint", "endpoint-config", "model", "model-package", "model-package-group", "training-job")
"""Of resources that the sandbox has itself, as their ARNs write them."""


class Tags:
    """AddTags, ListTags and DeleteTags. An ARN that was never tagged has no tags; it is not looked up."""

    def __init__(self) -> None:
        self._by_arn: dict[str, dict[str, str]] = {}

    def put(self, arn: str, tags: Sequence[Mapping[str, str]]) -> None:
        """Set tags, one of the same key is replaced.

        :raises AwsError: ``ValidationException`` for more than 50 on one resource, or one of AWS's own; nothing is set then.
        """
        reserved = [tag["Key"] for tag in tags if tag["Key"].lower().startswith("aws:")]
        if reserved:
            raise AwsError("ValidationException", f"Tag keys that begin with aws: are reserved: {', '.join(reserved)}.")
        merged = self._by_arn.get(arn, {}) | {tag["Key"]: tag["Value"] for tag in tags}
        if len(merged) > MAX_TAGS:
            raise AwsError(
                "ValidationException", f"The number of tags on {arn} would be {len(merged)}, the limit is {MAX_TAGS}."
            )
        if merged:
            self._by_arn[arn] = merged

    def of(self, arn: str) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self._by_arn.get(arn, {}).items()]

    def all(self) -> dict[str, dict[str, str]]:
        """All tags, by ARN."""
        return {arn: dict(tags) for arn, tags in self._by_arn.items()}

    def forget(self, arn: str) -> None:
        """Drop all tags of a resource that is gone."""
        self._by_arn.pop(arn, None)

    def add_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params["ResourceArn"])
        self.put(params["ResourceArn"], params["Tags"])
        return {"Tags": self.of(params["ResourceArn"])}

    def list_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params["ResourceArn"])
        return {"Tags": self.of(params["ResourceArn"])}

    def delete_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_foreign(params["ResourceArn"])
        for key in params["TagKeys"]:
            self._by_arn.get(params["ResourceArn"], {}).pop(key, None)
        return {}


def _leave_foreign(arn: str) -> None:
    if arn.split(":", 5)[-1].partition("/")[0] not in KINDS:
        raise PassOn
