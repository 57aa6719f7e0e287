"""The client side of ``traffic="endpoints"``: which endpoint serves under a name just now.

::

    from airflow_sm_rollout.live import live_endpoint

    runtime.invoke_endpoint(EndpointName=live_endpoint("fraud"), Body=body)

A rollout moves all clients to another endpoint by one write of the SSM parameter ``/sm-rollout-live/<name>``; where there is no such
parameter, the name is the endpoint's own. This module needs boto3 and nothing else of this package, so a service that should not install
Airflow may copy the file. ``sm-rollout iam-policy <name> --traffic endpoints --clients`` prints what its role needs: ``ssm:GetParameter``
on that parameter, and to invoke what it may name.

The name is cached, so resolve for each request and don't keep the answer: a rollout deletes an endpoint soon after its clients have left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

log = logging.getLogger(__name__)

LIVE_PREFIX = "/sm-rollout-live"
# Now and then a request waits for the answer. botocore's own defaults would let it wait for minutes.
QUICK = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2, "mode": "standard"})


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer, and when it was asked for (seconds on the monotonic clock)."""

    endpoint_name: str
    asked_at: float

    def is_fresh(self, max_age: float) -> bool:
        return time.monotonic() - self.asked_at < max_age


# With the process's id: after a fork nothing is shared, neither a half-asked question nor a connection.
_Key = tuple[str, Any, int]
_known: dict[_Key, _Known] = {}
_asking: dict[_Key, Future[str]] = {}


def live_endpoint(name: str, *, client: Any = None, max_age: float = 5.0) -> str:
    """The endpoint that serves under a name.

    Thread-safe, and without a thread of its own: one caller asks SSM when the answer is too old, the others go on with the old one
    meanwhile. While SSM can't be reached the last known endpoint is the answer, with a warning in the log.

    :param name: what rollouts call ``endpoint_name``.
    :param client: a boto3 SSM client; by default one from the environment, with time-outs of one second.
    :param max_age: how old an answer may be, in seconds; keep it well below the rollout's ``drain`` (65 s by default).
    :raises botocore.exceptions.ClientError: or ``BotoCoreError``, if SSM can't be asked and nothing is known yet: a guess might be an
        endpoint that nobody watches any more.
    :raises ValueError: likewise, if the parameter is not readable.
    """
    key = (name, client, os.getpid())
    known = _known.get(key)
    if known is not None and known.is_fresh(max_age):
        return known.endpoint_name
    mine: Future[str] = Future()
    answer = _asking.setdefault(key, mine)  # atomic: one caller asks
    if answer is mine:
        _settle(answer, key)
    elif known is not None:
        return known.endpoint_name
    return answer.result()


async def live_endpoint_async(name: str, *, client: Any = None, max_age: float = 5.0) -> str:
    """:func:`live_endpoint` for asyncio: a thread waits for SSM, never the event loop."""
    known = _known.get((name, client, os.getpid()))
    if known is not None and known.is_fresh(max_age):
        return known.endpoint_name
    return await asyncio.to_thread(live_endpoint, name, client=client, max_age=max_age)


def _settle(answer: Future[str], key: _Key) -> None:
    """Ask, for all that wait for the answer."""
    try:
        answer.set_result(_ask_or_remember(key))
    except BaseException as error:  # noqa: BLE001 - every waiter raises it
        answer.set_exception(error)
    finally:
        del _asking[key]


def _ask_or_remember(key: _Key) -> str:
    name, client, process = key
    asked_at = time.monotonic()
    known = _known.get(key)
    try:
        endpoint_name = _ask(client or _default_client(process), name)
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        if known is None:
            raise
        log.warning("Could not resolve %s, still calling endpoint %s: %s", name, known.endpoint_name, error)
        endpoint_name = known.endpoint_name
    _known[key] = _Known(endpoint_name, asked_at)
    return endpoint_name


def _ask(client: Any, name: str) -> str:
    parameter = f"{LIVE_PREFIX}/{name}"
    try:
        text = client.get_parameter(Name=parameter).get("Parameter", {}).get("Value", "")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return name
        raise
    try:
        return str(json.loads(text)["endpoint_name"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"SSM parameter {parameter} names no endpoint: {text[:80]!r}") from None


@cache
def _default_client(process: int) -> Any:
    import boto3

    return boto3.session.Session().client("ssm", config=QUICK)
