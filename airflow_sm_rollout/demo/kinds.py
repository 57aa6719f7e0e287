"""The kinds of endpoint that the demo can have in production, and which way to split traffic goes with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from airflow_sm_rollout.core.kinds import ASYNCHRONOUS, SERVERLESS
from airflow_sm_rollout.core.traffic import parse_traffic
from airflow_sm_rollout.demo import DemoFailed, clients, queue_clients
from airflow_sm_rollout.demo.production import BUCKET


class NoSuchEndpoint(DemoFailed):
    """A kind of endpoint that a way to split traffic can't roll out."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of endpoint.

    :param name: of the kind, as a way to split traffic knows it; empty: instances that answer at once.
    :param variant: members of its variant in place of instances; empty: it has instances.
    :param config: what else its config has.
    :param clients: the module whose program sends requests; a function in front has its own.
    :param not_behind_function: why the demo does not show it behind a Lambda function; empty: it does.
    """

    name: str = ""
    variant: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    clients: ModuleType = clients
    not_behind_function: str = ""

    def refuse(self, traffic: str) -> None:
        """Check that a way to split traffic goes with it.

        :raises NoSuchEndpoint: with why not.
        """
        way = parse_traffic(traffic)
        why = way.why_untaken((self.name,)) or (self.not_behind_function if way.has_function else "")
        if why:
            raise NoSuchEndpoint(f"this endpoint does not go with traffic {traffic}: {why}")


KINDS: Mapping[str, Kind] = {
    "instances": Kind(),
    "serverless": Kind(
        SERVERLESS,
        variant={"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 100, "ProvisionedConcurrency": 5}},
    ),
    "async": Kind(
        ASYNCHRONOUS,
        config={
            "AsyncInferenceConfig": {
                "OutputConfig": {
                    "S3OutputPath": f"s3://{BUCKET}/answers",
                    "S3FailurePath": f"s3://{BUCKET}/failures",
                }
            }
        },
        clients=queue_clients,
        not_behind_function="the demo's function waits for answers, and an asynchronous endpoint has none to wait for",
    ),
}
"""By what the option ``--endpoint`` calls them."""
