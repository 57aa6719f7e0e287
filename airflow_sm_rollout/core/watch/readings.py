"""What one look has read: everything that green is judged by, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.observation import Alarm, Endpoint
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.monitor import Execution
from airflow_sm_rollout.core.watch.rows import Answer
from airflow_sm_rollout.core.watch.sources import Sources


@dataclass(frozen=True, slots=True)
class KpiPeriod:
    """A KPI in one period.

    :param start: its start.
    :param seconds: its length.
    :param green: green's value; ``None``: it had none.
    :param blue: blue's, where the KPI is relative to it.
    """

    start: datetime
    seconds: int
    green: float | None
    blue: float | None = None

    @property
    def end(self) -> datetime:
        """When it was over."""
        return self.start + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class NewFigures:
    """What has become final since the last look.

    :param sources: where it was read; other ones than before mean that everything was read anew, from the start.
    :param baseline: blue's minutes before the rollout, where all is read from the start; later they are not read again.
    :param periods: what blue and green did, period by period.
    :param slow: green's calls above ``max_p99_ms`` by the start of a period; one of which that is not known is not there.
    :param kpis: the new periods of each of the limits' KPIs, in their order.
    :param measures: what the source of each of the plan's measures has answered, in their order.
    """

    sources: Sources
    baseline: Sequence[Period] = ()
    periods: Sequence[Period] = ()
    slow: Mapping[datetime, int] = field(default_factory=dict)
    kpis: Sequence[Sequence[KpiPeriod]] = ()
    measures: Sequence[Answer] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """What is watched, as AWS has it.

    :param record: the rollout that holds the endpoint; ``None``: none does.
    :param pointer: the live pointer, where the rollout has one; ``None``: there is none.
    :param endpoint: where green serves; ``None``: there is none.
    :param blue_endpoint: blue's, where that is another and clients call it; ``None``: there is none, or it is not asked for.
    """

    record: Rollout | None
    pointer: Pointer | None = None
    endpoint: Endpoint | None = None
    blue_endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """One look.

    :param alarms: the watched alarms, with flaps since green had traffic.
    :param control: what a person last wished of the rollout.
    :param requests: green's requests in this watch that are in none of the periods read so far; ``None``: not read, which is enough before
        the end.
    :param figures: what has become final; ``None``: green has had no traffic yet, or no evidence is asked for.
    :param scene: what is watched; ``None``: it could not be read.
    :param unread: what could not be read that the watch does without, each with AWS's answer.
    :param executions: of each monitoring schedule, those since green had traffic and the day before.
    """

    alarms: Sequence[Alarm] = ()
    control: Control | None = None
    requests: float | None = None
    figures: NewFigures | None = None
    executions: Mapping[str, Sequence[Execution]] = field(default_factory=dict)
    scene: Scene | None = None
    unread: Sequence[str] = ()
