"""Clients that call a sandbox's operations themselves, without botocore and the wire between: ten times as many cases in the same time.

What is between is at work in all other tests. Here it would do the same work a million times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.wire import AnswerLost, Call, service_model
from convergence.lab import shared_session

OnCall = Callable[[str, str, Any], None]


def direct_clients(sandbox: Sandbox, on_call: OnCall | None = None) -> Clients:
    """Clients of a sandbox, for what the product and these tests ask of a client."""
    note = on_call or (lambda service, operation, phase: None)
    services = ("sagemaker", "cloudwatch", "ssm", "application-autoscaling")
    made = (DirectClient(service, sandbox, note) for service in services)
    more = {"functions": "lambda", "codedeploy": "codedeploy"}
    return Clients(*made, **{name: DirectClient(service, sandbox, note) for name, service in more.items()})


@dataclass(frozen=True)
class DirectClient:
    """A client with the methods that botocore's has, and its ``meta``."""

    service: str
    sandbox: Sandbox
    on_call: OnCall

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        return partial(self._call, operations(self.service)[method])

    @property
    def meta(self) -> Any:
        return shared_session().client(self.service).meta

    def get_paginator(self, method: str) -> Pages:
        return Pages(getattr(self, method))

    def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        self.on_call(self.service, operation, "before")
        try:
            answer = self.sandbox.carry_out(Call(self.service, operation, "json", params))
        except AwsError as error:
            described = {"Error": {"Code": error.code, "Message": error.message}}
            raise ClientError({**described, "ResponseMetadata": {"HTTPStatusCode": error.status}}, operation) from None  # type: ignore[typeddict-item]
        except AnswerLost:
            raise ConnectionClosedError(endpoint_url="http://aws") from None
        self.on_call(self.service, operation, "after")
        return answer


@dataclass(frozen=True)
class Pages:
    """A paginator of a list that is one page."""

    list_them: Callable[..., Mapping[str, Any]]

    def paginate(self, **params: Any) -> Iterator[Mapping[str, Any]]:
        yield self.list_them(**params)


@cache
def operations(service: str) -> dict[str, str]:
    """AWS's names of a service's operations, by the names of botocore's methods."""
    return {xform_name(name): name for name in service_model(service).operation_names}
