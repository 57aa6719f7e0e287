"""AWS clients by an Airflow connection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_sm_rollout.aws.clients import Clients


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """Which connection, as the amazon provider's operators take it; travels with a deferral.

    :param aws_conn_id: Airflow connection; ``None``: boto3's own way to find credentials.
    :param region_name: by default the connection's.
    :param verify: TLS verification, see boto3's ``Session.client``.
    :param botocore_config: members of ``botocore.config.Config``.
    """

    aws_conn_id: str | None = "aws_default"
    region_name: str | None = None
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    def client(self, service_name: str) -> Any:
        """A boto3 client; an endpoint URL in the connection or in ``AWS_ENDPOINT_URL`` is honoured."""
        return self._hook(service_name).conn

    def region(self) -> str | None:
        """The region, as the connection or the environment has it."""
        region: str | None = self._hook("sagemaker").conn_region_name
        return region

    def own_config(self) -> dict[str, Any]:
        """Members of ``botocore.config.Config`` that the Airflow connection itself has; the provider reads them only if none are given."""
        return dict(self._hook("ssm").conn_config.extra_config.get("config_kwargs") or {})

    def _hook(self, service_name: str) -> Any:
        # Imported here: a DAG file that only names operators need not load boto3 (docs/facts-airflow.md#import-times).
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        return AwsBaseHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
            client_type=service_name,
        )

    def clients(self) -> Clients:
        return Clients.of(self)

    def as_dict(self) -> dict[str, Any]:
        """For a trigger's ``serialize``."""
        return asdict(self)
