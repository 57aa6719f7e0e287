"""What a task leaves in XCom for people and for the tasks behind it: what it did, how often it asked AWS, why it failed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.traces import CALLS, DID

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


@contextmanager
def diary(context: Context) -> Iterator[Callable[[str], None]]:
    """Takes lines on what the task does, and leaves them at the block's end in XCom :data:`~airflow_sm_rollout.core.traces.DID`, behind
    those from before a deferral.
    """
    lines: list[dict[str, str]] = []

    def note(line: str) -> None:
        lines.append({"at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "what": line})

    try:
        yield note
    finally:
        if lines:
            ti = context["ti"]
            before = left_by(context, ti.task_id, DID) or []
            ti.xcom_push(key=DID, value=[*before, *lines])


def failing_with_reason(context: Context, run: Callable[[], Any]) -> Any:
    """Run; an error of the rollout becomes a failure without retries. Its text is logged, and is the XCom ``reason``."""
    try:
        with noting_calls(context):
            return run()
    except RolloutError as error:
        log.error("%s", error)  # noqa: TRY400 - Airflow logs the traceback
        context["ti"].xcom_push(key="reason", value=str(error))
        raise AirflowFailException(str(error)) from error


@contextmanager
def noting_calls(context: Context) -> Iterator[None]:
    """Counts the block's calls of AWS, and leaves them in XCom :data:`~airflow_sm_rollout.core.traces.CALLS`."""
    from airflow_sm_rollout.aws.counting import counting

    made: Counter[str] = Counter()
    try:
        with counting(made):
            yield
    finally:
        note_calls(context, made)


def note_calls(context: Context, made: Mapping[str, int]) -> None:
    """Leave calls of AWS, by operation, on top of those from before a deferral."""
    if made:
        ti = context["ti"]
        before = left_by(context, ti.task_id, CALLS) or {}
        ti.xcom_push(key=CALLS, value=dict(Counter(before) + Counter(made)))


def left_by(context: Context, task_id: str, key: str = "return_value") -> Any:
    """What another task of the rollout has left in XCom; in a mapped task group, the one of the same run of it."""
    return context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=context["ti"].map_index)
