"""How the command line calls AWS: a person waits, so no call may take long, and each failure is a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from traceback import walk_tb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients

ANSWER_SECONDS = 10.0
"""How long AWS has for an answer, where nobody says."""

_NO_REGION = "no AWS region is set. Give --region, or set AWS_DEFAULT_REGION"
_NO_CREDENTIALS = "there are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (aws sso login)"
_NO_ANSWER = "AWS does not answer ({}). Look at the network, a proxy, --region and AWS_ENDPOINT_URL"
_MISCONFIGURED = (
    "AWS can't be called as it is configured ({}). Look at the variables AWS_* and *_PROXY, and at ~/.aws/config"
)
_SENTENCES = {
    "NoRegionError": _NO_REGION,
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "ProfileNotFound": "{}. AWS's configuration lists the profiles that there are (aws configure list-profiles)",
    "ConnectTimeoutError": _NO_ANSWER,
    "ReadTimeoutError": _NO_ANSWER,
    "EndpointConnectionError": _NO_ANSWER,
    "ConnectionClosedError": _NO_ANSWER,
    "ProxyConnectionError": _NO_ANSWER,
}


def make_clients(region: str | None, answer_seconds: float = ANSWER_SECONDS, profile: str | None = None) -> Clients:
    """See :meth:`~airflow_sm_rollout.aws.clients.Clients.impatient`."""
    from airflow_sm_rollout.aws.clients import Clients

    return Clients.impatient(region, answer_seconds, profile)


def describe_failure(error: BaseException) -> str | None:
    """A failed call to AWS as a sentence; ``None``: it was something else."""
    from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe

    for each in _chain(error):
        if isinstance(each, AWS_ERRORS):
            said = next((_SENTENCES[kind.__name__] for kind in type(each).__mro__ if kind.__name__ in _SENTENCES), None)
            return said.format(each) if said else describe(each)
    return _MISCONFIGURED.format(error) if _is_of_botocore(error) else None


def _is_of_botocore(error: BaseException) -> bool:
    """Whether botocore or what is below it has raised it. It checks little of what a variable or a file says."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in walk_tb(error.__traceback__)]
    return any(name.startswith("botocore.") for name in modules) and not modules[-1].startswith("airflow_sm_rollout")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
