"""What stands behind a variant: containers that hold a model and answer.

The sandbox's control plane knows only these two protocols. :mod:`.process_host` runs a real HTTP server process per instance;
:class:`FunctionHost` answers from a plain function, for tests that walk thousands of rollouts on a manual clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a container is started from: a SageMaker model's primary container."""

    name: str
    image: str
    model_data_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A container's answer: HTTP status, body, its content type, and how long the container took in seconds."""

    status: int
    body: bytes
    content_type: str = "application/json"
    seconds: float = 0.0


class Container(Protocol):
    """One instance of a model."""

    def ping(self) -> bool:
        """Whether it has loaded its model and answers ``GET /ping`` with 200. Never blocks for long."""
        ...

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        """``POST /invocations``. A time-out or a refused connection is ``Reply(status=0, ...)``."""
        ...

    def stop(self) -> None: ...


class ContainerHost(Protocol):
    """Where containers run."""

    def start(self, model: ModelSpec) -> Container:
        """Start one; returns at once, :meth:`Container.ping` tells when it is ready."""
        ...

    def close(self) -> None:
        """Stop every container that is still running."""
        ...


class Bare:
    """An instance without a model: inference components bring theirs."""

    def ping(self) -> bool:
        return True

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        return Reply(status=0, body=b"")

    def stop(self) -> None:
        pass


class FunctionHost:
    """Containers that answer from a function, in this process.

    :param predict: ``(model, body) -> Reply``.
    :param healthy: ``model -> bool``, what a ping says; by default always healthy.
    """

    def __init__(
        self,
        predict: Callable[[ModelSpec, bytes], Reply] = lambda model, body: Reply(200, b"{}"),
        healthy: Callable[[ModelSpec], bool] = lambda model: True,
    ) -> None:
        self._predict = predict
        self._healthy = healthy

    def start(self, model: ModelSpec) -> Container:
        return _FunctionContainer(model, self._predict, self._healthy)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _FunctionContainer:
    model: ModelSpec
    predict: Callable[[ModelSpec, bytes], Reply]
    healthy: Callable[[ModelSpec], bool]

    def ping(self) -> bool:
        return self.healthy(self.model)

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        return self.predict(self.model, body)

    def stop(self) -> None:
        pass
