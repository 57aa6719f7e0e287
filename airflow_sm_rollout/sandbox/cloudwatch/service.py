"""CloudWatch, as the sandbox has it."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_sm_rollout.sandbox.arn import arn_of
from airflow_sm_rollout.sandbox.clock import Schedule
from airflow_sm_rollout.sandbox.cloudwatch.alarm_operations import AlarmOperations
from airflow_sm_rollout.sandbox.cloudwatch.alarms import State
from airflow_sm_rollout.sandbox.cloudwatch.metric_operations import MetricOperations
from airflow_sm_rollout.sandbox.cloudwatch.store import Entry, MetricStore, make_key


class CloudWatch(MetricOperations, AlarmOperations):
    """Metrics and alarms of one account and region.

    Public methods, :meth:`record` and :meth:`ringing_since` apart, are AWS's operations in snake case: parameters and
    answer in botocore's shapes, errors as :class:`~airflow_sm_rollout.sandbox.errors.AwsError`. Alarms are evaluated on
    ``schedule``; their actions are kept and never run.

    :param schedule: gives the time, and runs evaluations when they are due.
    :param region: for ARNs.
    :param account: 12 digits, for ARNs.
    """

    def __init__(self, schedule: Schedule, region: str = "us-east-1", account: str = "123456789012") -> None:
        store = MetricStore()
        MetricOperations.__init__(self, store, schedule.clock.now)
        AlarmOperations.__init__(self, store, schedule, arn_of("cloudwatch", region, account, "alarm:"))

    def ringing_since(self, name: str) -> float | None:
        """Since when an alarm, metric or composite, is in ALARM, in seconds since the epoch; ``None`` if it is not, or not there."""
        alarm = self._book.alarms.get(name)
        return alarm.transitioned if alarm is not None and alarm.state is State.ALARM else None

    def record(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        unit: str,
        at: float,
        visible_at: float,
    ) -> None:
        """Publish one point as an AWS service does. Safe to call from any thread.

        :param dimensions: names and values.
        :param unit: an AWS unit, e.g. ``Microseconds`` or ``None``.
        :param at: when it was measured, in seconds since the epoch; counted in whole seconds.
        :param visible_at: from when on readers and alarms see it, in seconds since the epoch.
        """
        entry = Entry(at // 1, visible_at, 1.0, value, value, value)
        self._store.add(make_key(namespace, metric, dimensions), unit, entry)
