"""Tells Amazon EventBridge how a rollout goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_sm_rollout.hooks.aws import AwsConnection

if TYPE_CHECKING:
    from airflow.sdk import Context


class EventBridgeNotifier(BaseNotifier):
    """A notifier of a rollout that puts one event for each turn of it, for what other systems do with it.

    The event's ``source`` is ``airflow_sm_rollout``, its ``detail-type`` such as ``rollout promoted``, and its ``detail`` what
    :class:`~airflow_sm_rollout.operators.notices.Notice` has. It needs what ``sm-rollout iam-policy ENDPOINT --with events`` prints.

    :param event_bus: the bus, by its name or ARN.
    :param connection: see :class:`~airflow_sm_rollout.hooks.aws.AwsConnection`.
    """

    def __init__(self, event_bus: str = "default", **connection: Any) -> None:
        super().__init__()
        self.event_bus = event_bus
        self.connection = AwsConnection(**connection)

    def notify(self, context: Context) -> None:
        told = context["rollout"]  # type: ignore[typeddict-item]
        event = {
            "EventBusName": self.event_bus,
            "Source": "airflow_sm_rollout",
            "DetailType": f"rollout {told['event']}",
            "Detail": json.dumps(told),
        }
        [entry] = self.connection.client("events").put_events(Entries=[event])["Entries"]
        if "EventId" not in entry:
            self.log.warning("EventBridge has not taken an event: %s", entry.get("ErrorMessage"))
