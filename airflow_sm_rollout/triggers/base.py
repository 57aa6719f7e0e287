"""What the triggers share: their way through the database, AWS's clients, and threads."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.counting import counting
from airflow_sm_rollout.core.traces import CALLS_AWAITED
from airflow_sm_rollout.hooks.aws import AwsConnection
from airflow_sm_rollout.hooks.outside import OUTSIDE

# A deferral that ends sooner may be falsely failed: the executor's report of the task's first half can come up to 5 s late and then
# meets its second half (docs/facts-airflow.md#latency, measured with default settings).
SHORTEST_DEFERRAL = timedelta(seconds=6)

_PATIENCE = timedelta(hours=2)  # as a task's own, by default
_T = TypeVar("_T")

# All triggers of a process look at AWS from these: a look takes a fraction of a second every few, so they serve hundreds of rollouts, and
# an AWS that does not answer holds up no trigger but ours. No more than a client of boto3 keeps connections for.
_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sm-rollout")


async def outlast_shortest_deferral(begun: float) -> None:
    """Wait until a deferral has been long enough.

    :param begun: when it began, by the event loop's clock: AWS's may be found to be another while it lasts.
    """
    left = begun + SHORTEST_DEFERRAL.total_seconds() - asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, left))


class RolloutTrigger(BaseTrigger):
    """Base of the triggers.

    A trigger starts anew, from the arguments that it had, after its triggerer was killed: so times in them are absolute.

    :param poke_interval: seconds between two looks.
    :param connection: see :class:`~airflow_sm_rollout.hooks.aws.AwsConnection`.
    :param unknown: what another version of this package has stored, which this one can't heed.
    """

    def __init__(self, *, poke_interval: float, connection: dict[str, Any], **unknown: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.poke_interval = poke_interval
        self.connection = connection
        self.unknown = unknown
        self.calls: Counter[str] = Counter()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, each of which is an attribute of that name."""
        stored = {name: getattr(self, name) for name in argument_names(type(self))}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**stored, **self.unknown}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """See Airflow's ``BaseTrigger``: :meth:`events`, unless another version has stored what this one can't heed."""
        if self.unknown:
            yield self.unreadable(f"it has {', '.join(self.unknown)}")
            return
        async for event in self.events():
            yield event

    @abstractmethod
    def events(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to tell."""

    def unreadable(self, why: str) -> TriggerEvent:
        """The event for what another version has stored and this one can't read, as half a sentence says."""
        return TaskFailedEvent(
            xcoms={
                "reason": "another version of airflow_sm_rollout has begun to wait here, and this one can't read what it has stored "
                f"({why}). Start a new rollout; install another version only while no rollout is in progress"
            }
        )

    async def look(self, call: Callable[..., _T], *arguments: Any) -> _T:
        """:func:`in_thread`, with its calls of AWS counted."""

        def counted() -> _T:
            with counting(self.calls):
                return call(*arguments)

        return await in_thread(counted)

    @property
    def counted(self) -> dict[str, Any]:
        """Those calls as an XCom of an event that ends the task."""
        return {CALLS_AWAITED: dict(self.calls)} if self.calls else {}

    async def clients(self) -> Clients:
        """AWS's clients, shared by all triggers of the process. Ask for them before each look, so that changed credentials are heeded."""
        connection, until = (
            AwsConnection(**self.connection),
            asyncio.get_running_loop().time() + _PATIENCE.total_seconds(),
        )
        if OUTSIDE.is_wanting:
            await sync_to_async(OUTSIDE.look_up)()
        while True:
            try:
                return connection.clients_at_hand() or await sync_to_async(connection.clients)()
            except Exception as error:  # Airflow's API or AWS's STS may not answer just now, in any way
                if asyncio.get_running_loop().time() >= until:
                    raise
                self.log.warning("AWS can't be reached by connection %s just now: %s", connection.aws_conn_id, error)
            await asyncio.sleep(self.poke_interval)


async def in_thread(call: Callable[..., _T], *arguments: Any) -> _T:
    """Call something that waits for AWS without holding up the triggerer; lines of its log stay the trigger's."""
    inside = functools.partial(contextvars.copy_context().run, call, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, inside)


def argument_names(trigger: type[RolloutTrigger]) -> list[str]:
    """All arguments of a trigger, its bases' included."""
    inits = [inspect.signature(base.__init__) for base in trigger.__mro__ if issubclass(base, RolloutTrigger)]
    return [each.name for init in inits for each in init.parameters.values() if each.kind is each.KEYWORD_ONLY]
