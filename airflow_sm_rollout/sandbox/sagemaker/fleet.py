"""What runs behind an endpoint: variants, their containers, and which of them takes a request."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.containers import Container
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import EndpointConfig

DEFAULT_WEIGHT = 1.0


@dataclass(eq=False, slots=True)
class Variant:
    """A production or shadow variant that has been asked for.

    :param entry: its entry in the endpoint's configuration.
    :param weight: CurrentWeight, as described.
    :param desired_weight: DesiredWeight; differs from ``weight`` while a change is under way.
    :param routed_weight: by what requests are really split. It moves somewhere inside the window of a change, and
        where is not recorded for AWS; so it is neither of the two above.
    :param desired_count: DesiredInstanceCount; CurrentInstanceCount is the number of containers.
    :param concurrency: of a serverless variant, its ServerlessConfig as it is now, which requests are held against.
    :param desired_concurrency: the same as it is wished; differs while a change is under way.
    :param in_flight: requests that its containers have and have not answered.
    :param image: the image its containers were started from, once there are any, and when it was resolved.
    :param deactivated: how many of its containers take no requests, since a deployment gives their share to the other fleet.
    :param active_periods: starts of the metric periods, not yet closed, in which it took a request.
    """

    name: str
    entry: Mapping[str, Any]
    weight: float
    desired_weight: float
    routed_weight: float
    desired_count: int
    concurrency: Mapping[str, int] | None = None
    desired_concurrency: Mapping[str, int] | None = None
    in_flight: int = 0
    image: tuple[str, float] | None = None
    containers: list[Container] = field(default_factory=list)
    deactivated: int = 0
    turn: int = 0
    active_periods: set[float] = field(default_factory=set)

    @property
    def model_name(self) -> str | None:
        name: str | None = self.entry.get("ModelName")
        return name

    @property
    def active_count(self) -> int:
        """CurrentInstanceCount: instances that take requests."""
        return len(self.containers) - self.deactivated

    def activate(self, portion: float) -> None:
        """Let that portion of its containers take requests, 0.0 to 1.0, rounded up."""
        self.deactivated = len(self.containers) - portion_of(len(self.containers), portion)

    def next_container(self) -> Container | None:
        """The instance whose turn it is; ``None`` if the variant has none that takes requests."""
        if self.active_count <= 0:
            return None
        self.turn += 1
        return self.containers[self.turn % self.active_count]

    def drop_containers(self, keep: int) -> None:
        """Stop all containers but the first ``keep``; they still answer what they have."""
        for container in self.containers[keep:]:
            container.stop()
        del self.containers[keep:]


def new_variant(entry: Mapping[str, Any], retained: Mapping[str, float]) -> Variant:
    """A variant without instances yet.

    :param retained: ``weight`` and ``count`` that win over the entry's initial values, if there.
    """
    weight = retained.get("weight", entry.get("InitialVariantWeight", DEFAULT_WEIGHT))
    # A serverless variant has no instances; here one container plays its part.
    count = int(retained.get("count", entry.get("InitialInstanceCount", 1)))
    serverless = entry.get("ServerlessConfig")
    return Variant(entry["VariantName"], entry, weight, weight, weight, count, serverless, serverless)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The variants of one configuration, and the share of all requests that they take together, 0.0 to 1.0."""

    config: EndpointConfig
    variants: Sequence[Variant]
    share: float

    def shares(self) -> dict[str, float]:
        """By variant name, its share of all requests of the endpoint."""
        return {name: self.share * share for name, share in shares(self.variants).items()}


def portion_of(count: int, portion: float) -> int:
    """Instances in a portion of a fleet, rounded up; a canary's portion is whole instances of its fleet to begin with."""
    return math.ceil(count * portion - 1e-9)


def shares(variants: Iterable[Variant]) -> dict[str, float]:
    """By variant name, the share of a fleet's requests that really goes to it, 0.0 to 1.0."""
    routed = {variant.name: variant.routed_weight for variant in variants}
    total = sum(routed.values())
    return {name: weight / total if total else 0.0 for name, weight in routed.items()}


def choose(variants: Iterable[Variant], rng: random.Random) -> Variant | None:
    """A variant of a fleet for one request, at random by weight; ``None`` if all weights are zero."""
    able = [variant for variant in variants if variant.routed_weight > 0]
    return rng.choices(able, [variant.routed_weight for variant in able])[0] if able else None


def choose_fleet(fleets: Sequence[Fleet], rng: random.Random) -> Fleet:
    """A fleet for one request, at random by the fleets' shares."""
    return rng.choices(fleets, [fleet.share for fleet in fleets])[0] if len(fleets) > 1 else fleets[0]
