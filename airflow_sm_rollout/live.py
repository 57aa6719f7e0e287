"""The client side of ``traffic="endpoints"``: which endpoint a request goes to just now.

::

    from airflow_sm_rollout.live import live_endpoint

    runtime.invoke_endpoint(EndpointName=live_endpoint("fraud"), Body=body)
    runtime.invoke_endpoint(EndpointName=live_endpoint("fraud", key=user_id), Body=body)

A rollout moves clients to another endpoint, all of them or a share of their requests, by one write of the SSM parameter
``/sm-rollout-live/<name>``; where there is no such parameter, the name is the endpoint's own.

This module needs boto3 and nothing else of this package, so a service that should not install Airflow may copy the file.
``sm-rollout iam-policy <name> --traffic endpoints --clients`` prints what its role needs: ``ssm:GetParameter`` on that parameter, and to
invoke what it may name.

The parameter is cached, so resolve for each request and don't keep the answer: each request is drawn anew, and a rollout deletes an
endpoint soon after its clients have left.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
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
class _Split:
    """Where requests go: to one endpoint, but for green's share of them, in percent."""

    endpoint_name: str
    green: str = ""
    share: float = 0.0

    def draw(self, key: str | int | None) -> str:
        place = random.random() if key is None else _place(key, self.green)
        return self.green if 100 * place < self.share else self.endpoint_name

    def __str__(self) -> str:
        return self.endpoint_name + (f" and, for {self.share:g} % of the requests, {self.green}" if self.green else "")


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer, and when it was asked for (seconds on the monotonic clock)."""

    split: _Split
    asked_at: float

    def is_fresh(self, max_age: float) -> bool:
        return time.monotonic() - self.asked_at < max_age


# With the process's id: after a fork nothing is shared, neither a half-asked question nor a connection.
_Question = tuple[str, Any, int]
_known: dict[_Question, _Known] = {}
_asking: dict[_Question, Future[_Split]] = {}


def live_endpoint(name: str, *, key: str | int | None = None, client: Any = None, max_age: float = 5.0) -> str:
    """The endpoint that a request goes to, of those that serve under a name.

    Thread-safe, and without a thread of its own: one caller asks SSM when the answer is too old, the others go on with the old one
    meanwhile. While SSM can't be reached the last known answer holds, with a warning in the log.

    :param name: what rollouts call ``endpoint_name``.
    :param key: whose request it is, such as a user's ID. In one rollout a key goes to the same endpoint while the shares stand; as green's
        share rises, keys move from blue to green only, and as it falls back only. Without a key each request is drawn by itself.
    :param client: a boto3 SSM client; by default one from the environment, with time-outs of one second.
    :param max_age: how old an answer may be, in seconds; keep it well below the rollout's ``drain`` (65 s by default).
    :raises botocore.exceptions.ClientError: or ``BotoCoreError``, if SSM can't be asked and nothing is known yet: a guess might be an
        endpoint that nobody watches any more.
    :raises ValueError: likewise, if the parameter is not readable.
    """
    return _split(name, client, max_age).draw(key)


async def live_endpoint_async(
    name: str, *, key: str | int | None = None, client: Any = None, max_age: float = 5.0
) -> str:
    """:func:`live_endpoint` for asyncio: a thread waits for SSM, never the event loop."""
    known = _known.get((name, client, os.getpid()))
    if known is not None and known.is_fresh(max_age):
        return known.split.draw(key)
    return (await asyncio.to_thread(_split, name, client, max_age)).draw(key)


def live_shares(name: str, *, client: Any = None, max_age: float = 5.0) -> dict[str, float]:
    """The endpoints that serve under a name, each with its share of the requests in percent. As :func:`live_endpoint` otherwise."""
    split = _split(name, client, max_age)
    return {split.endpoint_name: 100 - split.share, **({split.green: split.share} if split.green else {})}


def _place(key: str | int, green: str) -> float:
    """Where a key stands among all keys: evenly spread from 0 to below 1, and for each green endpoint anew, so that not always the same
    users are the first. 48 bits, which a number of JavaScript holds exactly.
    """
    digest = hashlib.sha256(f"{green}/{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _split(name: str, client: Any, max_age: float) -> _Split:
    question = (name, client, os.getpid())
    known = _known.get(question)
    if known is not None and known.is_fresh(max_age):
        return known.split
    mine: Future[_Split] = Future()
    answer = _asking.setdefault(question, mine)  # atomic: one caller asks
    if answer is mine:
        _settle(answer, question)
    elif known is not None:
        return known.split
    return answer.result()


def _settle(answer: Future[_Split], question: _Question) -> None:
    """Ask, for all that wait for the answer."""
    try:
        answer.set_result(_ask_or_remember(question))
    except BaseException as error:  # noqa: BLE001 - every waiter raises it
        answer.set_exception(error)
    finally:
        del _asking[question]


def _ask_or_remember(question: _Question) -> _Split:
    name, client, process = question
    asked_at = time.monotonic()
    known = _known.get(question)
    try:
        split = _ask(client or _default_client(process), name)
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        if known is None:
            raise
        log.warning("Could not resolve %s, still calling endpoint %s: %s", name, known.split, error)
        split = known.split
    _known[question] = _Known(split, asked_at)
    return split


def _ask(client: Any, name: str) -> _Split:
    parameter = f"{LIVE_PREFIX}/{name}"
    try:
        text = client.get_parameter(Name=parameter).get("Parameter", {}).get("Value", "")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return _Split(name)
        raise
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(
            f"SSM parameter {parameter} names no endpoint, or a share that is none: {text[:160]!r}"
        ) from None


def _parse(pointer: Any) -> _Split:
    green = pointer.get("green") if isinstance(pointer, dict) else None
    second, share = ("", 0.0) if green is None else (green["endpoint_name"], green["share"])
    split = _Split(pointer["endpoint_name"], second, share)
    is_a_share = green is None or (second and not isinstance(share, bool) and 0 < share < 100)
    if not is_a_share or not isinstance(split.endpoint_name, str) or not isinstance(second, str):
        raise ValueError
    return split


@cache
def _default_client(process: int) -> Any:
    import boto3

    return boto3.session.Session().client("ssm", config=QUICK)
