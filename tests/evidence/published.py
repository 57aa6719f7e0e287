"""Figures as SageMaker publishes them, put straight into the sandbox's CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.inprocess import connect

BLUE = {"EndpointName": "fraud", "VariantName": "AllTraffic"}
GREEN = {"EndpointName": "fraud", "VariantName": "model-0badcafe"}


class Published:
    """CloudWatch on a clock that stands still."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(clock=ManualClock())
        self.cloudwatch: Any = connect(self.sandbox).client("cloudwatch")

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sandbox.clock.now(), timezone.utc)

    def pass_time(self, **duration: float) -> None:
        self.sandbox.schedule.advance(timedelta(**duration).total_seconds())


def publish(
    sandbox: Sandbox,
    dimensions: Mapping[str, str],
    at: datetime,
    *,
    requests: int = 0,
    e5: int | None = 0,
    e4: int | None = 0,
    milliseconds: Sequence[float] = (),
    visible_at: datetime | None = None,
    counted_at: datetime | None = None,
) -> None:
    """Points of one period: what a variant did in it.

    :param e5: 5XX errors among the requests; ``None``: not published.
    :param milliseconds: latencies, as many as there are requests, or none.
    :param counted_at: when the requests are to be seen, if not with the rest.
    """

    def record(metric: str, value: float) -> None:
        is_call = metric == "Invocations"
        seen = ((is_call and counted_at) or visible_at or at).timestamp()
        sandbox.cloudwatch.record("AWS/SageMaker", metric, dimensions, value, "None", at.timestamp(), seen)

    for metric, events in (("Invocation5XXErrors", e5), ("Invocation4XXErrors", e4)):
        if events is not None:
            for number in range(requests):
                record(metric, float(number < events))
    for _ in range(requests):
        record("Invocations", 1.0)
    if not requests:
        record("Invocations", 0.0)
    for latency in milliseconds:
        record("ModelLatency", 1000.0 * latency)


def minutes(start: datetime, count: int) -> Iterator[datetime]:
    return (start + timedelta(minutes=number) for number in range(count))


@contextmanager
def at_minute() -> Iterator[Published]:
    """CloudWatch with its clock at the start of a minute."""
    published = Published()
    published.pass_time(seconds=60 - published.sandbox.clock.now() % 60)
    yield published
    published.sandbox.close()
