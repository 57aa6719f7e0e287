"""When Airflow tries a task again that has failed, and how a guardian learns of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_sm_rollout.operators.handle import read_handle

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_sm_rollout.operators.base import RolloutTask

_LONGEST = timedelta(days=1)  # Airflow's MAX_RETRY_DELAY


@contextmanager
def saying_when_next(task: RolloutTask, context: Context) -> Iterator[None]:
    """Where an error that is not about the rollout leaves a task to be tried again, say on AWS until when nobody drives."""
    try:
        yield
    except (AirflowFailException, AirflowSkipException):
        raise
    except Exception:
        _say(task, context)
        raise


def _say(task: RolloutTask, context: Context) -> None:
    from airflow_sm_rollout.aws.guardian import SIGNS
    from airflow_sm_rollout.aws.world import utc_now

    try:
        waits = retried_after(task, context["ti"])
        name = read_handle(task.rollout)["endpoint_name"] if task.rollout else task.endpoint_name
        if waits is not None and name:
            SIGNS.leave_until(task.connection.clients(), name, utc_now() + waits)
    except Exception as error:  # noqa: BLE001 - the task has failed for a reason of its own
        task.log.warning("A guardian may take the rollout back before the next try: %s", error)


def retried_after(task: BaseOperator, ti: Any) -> timedelta | None:
    """How long at most until a task's next try, if it fails now; ``None``: there is none.

    With a backoff Airflow draws a delay between one and two times ``retry_delay * multiplier ** (try - 1)`` (Airflow's
    ``TaskInstance.next_retry_datetime``).

    :param ti: the task instance, which says which try this is.
    """
    if not 0 < ti.try_number <= ti.max_tries:
        return None
    delay, backoff = _duration(task.retry_delay), task.retry_exponential_backoff
    multiplier = 2.0 if backoff is True else float(backoff or 1.0)
    if multiplier == 1.0:
        return delay
    most = min(_duration(task.max_retry_delay or _LONGEST), _LONGEST)
    try:
        longest = 2 * delay * multiplier ** int(ti.try_number - 1) + timedelta(seconds=2)  # Airflow rounds up
    except OverflowError:
        return most
    return min(longest, most)


def _duration(given: timedelta | float) -> timedelta:
    return given if isinstance(given, timedelta) else timedelta(seconds=given)
