"""Counts calls of AWS, by operation, for whoever wants to tell how many a rollout takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_COUNT: ContextVar[Counter[str] | None] = ContextVar("where calls of this context are counted", default=None)


@contextmanager
def counting(count: Counter[str]) -> Iterator[None]:
    """Count the block's calls, each once however often botocore tries it."""
    token = _COUNT.set(count)
    try:
        yield
    finally:
        _COUNT.reset(token)


def count_calls_of(client: Any) -> None:
    """Let a boto3 client's calls be counted. Doing it again changes nothing; what has no wire is not counted."""
    meta = getattr(client, "meta", None)
    if meta is not None:
        meta.events.register("before-call", _count, unique_id=__name__)


def _count(model: Any, **_: Any) -> None:
    count = _COUNT.get()
    if count is not None:
        count[model.name] += 1
