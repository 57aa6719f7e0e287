"""An endpoint in production, clients who call it, and a green that behaves in one way."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.core.names import pointer_name
from airflow_sm_rollout.core.rhythm import EVERY
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect

ENDPOINT, VARIANT, CONFIG = "fraud", "AllTraffic", "fraud-1"
INSTANCES, CALLS_A_SECOND = 10, 10.0
HISTORY, HORIZON = 1200, 1800
POLL, BACK, BETWEEN_TASKS = EVERY, 5, 3
SHARES = (10.0, 50.0, 100.0)
MEDIAN, SPREAD = 0.020, 0.5
P99 = MEDIAN * math.exp(2.326 * SPREAD)
MEAN_MICROSECONDS = 1e6 * MEDIAN * math.exp(SPREAD**2 / 2)
Call = tuple[int, float, bool]
"""A call's status and seconds, and whether green has harmed it."""


def calm(rng: random.Random, age: float) -> Call:
    """As blue usually is."""
    return 200, MEDIAN * math.exp(rng.gauss(0, SPREAD)), False


def failing(share: float, status: int = 500) -> Callable[[random.Random, float], Call]:
    """Some of its calls fail."""

    def call(rng: random.Random, age: float) -> Call:
        return (status, 0.005, True) if rng.random() < share else calm(rng, age)

    return call


def slow_tail(rng: random.Random, age: float) -> Call:
    """Its slowest calls take half as long again."""
    seconds = calm(rng, age)[1]
    return (200, 1.5 * seconds, True) if seconds > P99 / 1.5 else (200, seconds, False)


def twice_as_slow(rng: random.Random, age: float) -> Call:
    """Each call takes twice as long."""
    return 200, 2 * calm(rng, age)[1], True


def cold(rng: random.Random, age: float) -> Call:
    """Slow for three minutes, and then as good as blue."""
    return 200, (2.0 if age < HARMLESS_COLD else 1.0) * calm(rng, age)[1], False


HARMLESS_COLD = 180
GREENS: Mapping[str, Callable[[random.Random, float], Call]] = {
    "5XX 100 %": failing(1.0),
    "5XX 5 %": failing(0.05),
    "5XX 1 %": failing(0.01),
    "4XX + 5 points": failing(0.05, 400),
    "p99 + 50 %": slow_tail,
    "p50 x 2": twice_as_slow,
    "healthy": calm,
    "noisy": failing(0.002),
    "cold": cold,
}
HARMLESS = ("healthy", "noisy", "cold")


@cache
def session() -> InProcessSession:
    """Clients are slow to make, so that all worlds share them."""
    return connect(Sandbox(clock=ManualClock()))


@dataclass
class World:
    """An endpoint in production, its clients, and a green that behaves in one way.

    :ivar harmed: when green harmed a request.
    :ivar called: when clients sent one, and ``on_green`` when green got one.
    """

    green: str
    seed: int
    harmed: list[float] = field(default_factory=list)
    on_green: list[float] = field(default_factory=list)
    called: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.sandbox = Sandbox(clock=ManualClock(), host=FunctionHost(self._answer), seed=self.seed)
        session().point_at(self.sandbox)
        self.clients = Clients.of(session())
        self._put_into_production()
        self.serve(HISTORY)
        self.sandbox.calls.clear()
        self.started = self.clock

    @property
    def clock(self) -> float:
        """Seconds since the epoch."""
        return self.sandbox.clock.now()

    def now(self) -> datetime:
        """The world's time."""
        return datetime.fromtimestamp(self.clock, timezone.utc)

    def serve(self, seconds: float) -> None:
        """Let time pass, with clients who call."""
        for _ in range(round(seconds)):
            for _ in range(self._arriving()):
                self.called.append(self.clock)
                with contextlib.suppress(AwsError):
                    self.sandbox.invoke(self.live())
            self.sandbox.schedule.advance(1.0)

    def peak(self) -> float:
        """The most that green got of the calls of a minute, in percent."""
        if not self.on_green:
            return 0.0
        begin = self.on_green[0]
        ours, alls = (Counter((at - begin) // 60 for at in each) for each in (self.on_green, self.called))
        return max(100 * ours[minute] / alls[minute] for minute in ours)

    def live(self) -> str:
        """Where clients are sent: they resolve the live pointer, if there is one."""
        [parameters] = self.sandbox.services["ssm"]
        found = parameters.get_parameters({"Names": [pointer_name(ENDPOINT)]})["Parameters"]  # type: ignore[attr-defined]
        return str(json.loads(found[0]["Value"])["endpoint_name"]) if found else ENDPOINT

    def _arriving(self) -> int:
        return max(0, round(self.rng.gauss(CALLS_A_SECOND, math.sqrt(CALLS_A_SECOND))))

    def _answer(self, model: ModelSpec, body: bytes) -> Reply:
        if model.model_data_url == "s3://green":
            self.on_green.append(self.clock)
            status, seconds, is_harmed = GREENS[self.green](self.rng, self.clock - self.on_green[0])
            if is_harmed and self.green not in HARMLESS:
                self.harmed.append(self.clock)
        else:
            status, seconds, _ = (GREENS["noisy"] if self.green == "noisy" else calm)(self.rng, 0.0)
        return Reply(status, b"{}", seconds=seconds)

    def _put_into_production(self) -> None:
        sagemaker = self.clients.sagemaker
        for name in ("blue", "green"):
            container = {"Image": f"{name}:1", "ModelDataUrl": f"s3://{name}"}
            sagemaker.create_model(
                ModelName=name, PrimaryContainer=container, ExecutionRoleArn="arn:aws:iam::123456789012:role/r"
            )
        sagemaker.create_endpoint_config(EndpointConfigName=CONFIG, ProductionVariants=[variant("blue", 1.0)])
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=CONFIG)
        self.sandbox.schedule.advance(600)


def variant(model: str, weight: float, name: str = VARIANT) -> dict[str, Any]:
    """A production variant."""
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": INSTANCES,
        "InstanceType": "ml.m5.xlarge",
        "InitialVariantWeight": weight,
    }
