"""Which rollouts nobody drives any more. Where in doubt, one is taken for alive: better rolled back a day late than from under its run."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from airflow_sm_rollout.core.rollout import Rollout

CHANGES_TAKE = timedelta(hours=2)
"""What SageMaker may take for all the changes of a rollout, besides its bakes; as long as an operator waits for one of them."""


class Run(str, Enum):
    """What Airflow says of the DAG run that a record names.

    ``LEFT``: it goes on, but the task that is to end the rollout is over.
    ``UNKNOWN`` may mean that it was deleted, and as well that it is another Airflow's, which works on the same AWS account.
    """

    ALIVE = "alive"
    LEFT = "left"
    OVER = "over"
    UNKNOWN = "unknown"


def why_orphaned(
    record: Rollout, run: Run, now: datetime, *, unknown_after: timedelta, max_age: timedelta | None = None
) -> str:
    """Why nobody will bring this rollout to its end any more, as a half sentence; empty while somebody may.

    :param unknown_after: how much older than its plan takes a rollout must be whose run this Airflow does not know.
    :param max_age: the age at which any does, whatever its run's state, as that of a run whose DAG is paused; ``None``: none.
    """
    age = now - record.started_at
    if run is Run.OVER:
        return "its DAG run is over"
    if run is Run.LEFT:
        return "its task settle is over, though its DAG run goes on"
    planned = _planned(record)
    if run is Run.UNKNOWN and age >= planned + unknown_after:
        begun = f"it was begun {describe_age(age)} ago, and its plan takes {describe_age(planned)}"
        return f"this Airflow has no such DAG run; {begun}"
    if max_age is not None and age >= max_age:
        return f"it was begun {describe_age(age)} ago, and none may take longer than {describe_age(max_age)}"
    return ""


def why_stale(record: Rollout, now: datetime, paused: timedelta) -> str:
    """Why a rollout looks as if nobody drove it, as far as that shows without Airflow; empty if it does not.

    :param paused: how long it has been paused so far.
    """
    planned = _planned(record) + paused
    age = now - record.started_at
    if age <= planned + CHANGES_TAKE:
        return ""
    begun = f"it was begun {describe_age(age)} ago"
    return f"{begun}, and its plan takes {describe_age(planned)} and what SageMaker takes for the changes"


def _planned(record: Rollout) -> timedelta:
    """How long its bakes may take; a rollout by single operators has none that is known."""
    strategy, kept = record.plan.strategy, record.plan.keep_blue or timedelta()
    bakes = (
        strategy.minimum_duration + len(strategy.steps) * record.plan.evidence.extension if strategy else timedelta()
    )
    return bakes + kept


def describe_age(age: timedelta) -> str:
    """A duration in its two largest units: ``2 d 3 h``, ``1 h 5 min``, ``40 s``."""
    minutes, seconds = divmod(max(0, int(age.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counted = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(counted) if count), len(counted))
    return " ".join(f"{count} {unit}" for count, unit in counted[first : first + 2] if count) or "0 s"
