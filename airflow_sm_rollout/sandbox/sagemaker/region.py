"""The account and Region that a sandbox plays: its names, its time and its tags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from airflow_sm_rollout.sandbox.arn import arn_of
from airflow_sm_rollout.sandbox.clock import Schedule
from airflow_sm_rollout.sandbox.sagemaker.tags import Tags
from airflow_sm_rollout.sandbox.timings import Timings


@dataclass(frozen=True, slots=True)
class Region:
    """What every SageMaker resource of a sandbox shares.

    :param name: e.g. ``us-east-1``.
    :param account: twelve digits.
    """

    name: str
    account: str
    schedule: Schedule
    timings: Timings
    tags: Tags

    def arn(self, kind: str, name: str) -> str:
        """A SageMaker ARN. AWS writes the name in lower case there (recorded for endpoints)."""
        return self.arn_of("sagemaker", f"{kind}/{name.lower()}")

    def arn_of(self, service: str, resource: str) -> str:
        """An ARN of any service here."""
        return arn_of(service, self.name, self.account, resource)

    def now(self) -> float:
        return self.schedule.clock.now()


def timestamp(seconds: float) -> datetime:
    """Seconds since the epoch as the aware datetime that an answer carries."""
    return datetime.fromtimestamp(seconds, timezone.utc)
