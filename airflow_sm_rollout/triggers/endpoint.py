"""Waits while an endpoint is changing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_rollout.aws.world import read_endpoint, translated_errors, utc_now
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.hooks.rollout import AwsConnection
from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL


class EndpointSettledTrigger(BaseTrigger):
    """Fires when an endpoint is no longer changing, or at the deadline. What that means, the resumed task finds out by looking itself.

    :param endpoint_name: the endpoint.
    :param deadline: ISO 8601 with time zone; absolute, since a trigger starts anew after its triggerer was killed.
    :param poke_interval: seconds between two looks.
    :param connection: see :class:`~airflow_sm_rollout.hooks.rollout.AwsConnection`.
    """

    def __init__(self, *, endpoint_name: str, deadline: str, poke_interval: float, connection: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoint_name = endpoint_name
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.connection = connection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "endpoint_name": self.endpoint_name,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
                "connection": self.connection,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deadline = datetime.fromisoformat(self.deadline)
        sagemaker = await asyncio.to_thread(AwsConnection(**self.connection).client, "sagemaker")
        await asyncio.sleep(max(self.poke_interval, SHORTEST_DEFERRAL.total_seconds()))
        while utc_now() < deadline and await asyncio.to_thread(self._is_busy, sagemaker):
            await asyncio.sleep(self.poke_interval)
        yield TriggerEvent({"deadline": self.deadline})  # type: ignore[no-untyped-call]

    def _is_busy(self, sagemaker: Any) -> bool:
        """Whether to go on waiting. An error that does not pass is the task's to meet, and to say."""
        try:
            with translated_errors("could not look"):
                endpoint = read_endpoint(sagemaker, self.endpoint_name)
        except Passing as error:
            self.log.warning("%s", error)
            return True
        except RolloutGaveUp:
            return False
        if endpoint is not None:
            self.log.info("%s", endpoint.describe())
        return endpoint is not None and endpoint.is_busy
