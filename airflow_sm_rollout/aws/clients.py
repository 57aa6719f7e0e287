"""The AWS clients a rollout needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from airflow_sm_rollout.aws.clock import follow


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

    def __post_init__(self) -> None:
        for client in (self.sagemaker, self.cloudwatch, self.ssm, self.autoscaling):
            follow(client)

    @classmethod
    def of(cls, factory: ClientFactory) -> Clients:
        """Make them all from a boto3 session."""
        return cls(*(factory.client(name) for name in ("sagemaker", "cloudwatch", "ssm", "application-autoscaling")))
