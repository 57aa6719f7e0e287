"""Waits while an endpoint is changing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.control import read_control
from airflow_sm_rollout.aws.world import read_endpoint, translated_errors, utc_now
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.hooks.rollout import AwsConnection
from airflow_sm_rollout.triggers.base import SHORTEST_DEFERRAL


class EndpointSettledTrigger(BaseTrigger):
    """Fires when an endpoint is no longer changing and its rollout not paused, or at the deadline.

    What that means, the resumed task finds out by looking itself.

    :param endpoint_name: the endpoint.
    :param rollout_id: the rollout whose pause counts; a paused rollout has no deadline.
    :param deadline: ISO 8601 with time zone; absolute, since a trigger starts anew after its triggerer was killed.
    :param poke_interval: seconds between two looks.
    :param connection: see :class:`~airflow_sm_rollout.hooks.rollout.AwsConnection`.
    """

    def __init__(
        self, *, endpoint_name: str, rollout_id: str, deadline: str, poke_interval: float, connection: dict[str, Any]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoint_name = endpoint_name
        self.rollout_id = rollout_id
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.connection = connection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "endpoint_name": self.endpoint_name,
                "rollout_id": self.rollout_id,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
                "connection": self.connection,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deadline = datetime.fromisoformat(self.deadline)
        clients = await asyncio.to_thread(AwsConnection(**self.connection).clients)
        await asyncio.sleep(max(self.poke_interval, SHORTEST_DEFERRAL.total_seconds()))
        while await asyncio.to_thread(self._has_to_wait, clients, deadline):
            await asyncio.sleep(self.poke_interval)
        yield TriggerEvent({"deadline": self.deadline})  # type: ignore[no-untyped-call]

    def _has_to_wait(self, clients: Clients, deadline: datetime) -> bool:
        """Whether to go on waiting. An error that does not pass is the task's to meet, and to say."""
        try:
            with translated_errors("could not look"):
                control = read_control(clients.ssm, self.endpoint_name, self.rollout_id)
                endpoint = read_endpoint(clients.sagemaker, self.endpoint_name)
        except Passing as error:
            self.log.warning("%s", error)
            return utc_now() < deadline
        except RolloutGaveUp:
            return False
        if control is not None and control.is_paused:
            self.log.info("The rollout was %s", control.describe())
            return True
        if endpoint is not None:
            self.log.info("%s", endpoint.describe())
        return endpoint is not None and endpoint.is_busy and utc_now() < deadline
