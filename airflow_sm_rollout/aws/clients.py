"""The AWS clients a rollout needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class ClientFactory(Protocol):
    """What makes clients: a boto3 session, or Airflow's hook behind the same method."""

    def client(self, service_name: str) -> Any:
        """A boto3 client of that service."""
        ...


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of one account and region."""

    sagemaker: Any
    cloudwatch: Any
    ssm: Any
    autoscaling: Any

    @classmethod
    def of(cls, factory: ClientFactory) -> Clients:
        """Make them all from a boto3 session."""
        return cls(*(factory.client(name) for name in ("sagemaker", "cloudwatch", "ssm", "application-autoscaling")))
