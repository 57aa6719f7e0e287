"""A task that is to be tried again says until when nobody drives its rollout."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout import ShiftWeightOperator
from airflow_sm_rollout.aws.guardian import read_sign
from airflow_sm_rollout.aws.world import utc_now
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.operators.retries import retried_after
from production import Production
from test_cli import ENDPOINT, orphan_a_rollout

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)
DELAYS = st.timedeltas(timedelta(0), timedelta(days=3))


@given(DELAYS, st.sampled_from([0, True, 1.5, 2, 5]), st.none() | DELAYS, st.integers(1, 400))
def test_airflow_never_waits_longer_for_a_try_than_is_said(
    delay: timedelta, backoff: Any, most: timedelta | None, number: int
) -> None:
    task: Any = SimpleNamespace(retry_delay=delay, retry_exponential_backoff=backoff, max_retry_delay=most)
    ti: Any = SimpleNamespace(
        task=SimpleNamespace(**{**vars(task), "retry_exponential_backoff": 2 if backoff is True else backoff}),
        try_number=number,
        max_tries=number,
        end_date=NOW,
        retry_delay_override=None,
        dag_id="d",
        task_id="t",
        logical_date=NOW,
        log=SimpleNamespace(warning=lambda *told: None),
    )
    try:
        due = TaskInstance.next_retry_datetime(ti)  # type: ignore[no-untyped-call]
    except TypeError:
        return  # Airflow's own, of a power too large for a float
    said = retried_after(task, ti)
    assert said is not None
    assert NOW + said >= due


@pytest.mark.parametrize(("number", "tries"), [(1, 0), (3, 2), (0, 2)])
def test_after_the_last_try_there_is_none(number: int, tries: int) -> None:
    task = ShiftWeightOperator(task_id="shift", endpoint_name=ENDPOINT, share=50, retries=tries)
    assert retried_after(task, SimpleNamespace(try_number=number, max_tries=tries)) is None


class Stumbling(ShiftWeightOperator):
    """Fails of something that is no error of the rollout."""

    error: Exception = OSError("no space left on device")

    def run_until(self, context: Any, deadline: datetime | None) -> Any:
        raise self.error


@pytest.mark.parametrize("tries_left", [True, False])
def test_a_task_that_stumbles_says_when_its_next_try_is_due(production: Production, tries_left: bool) -> None:
    orphan_a_rollout(production)
    task = Stumbling(task_id="shift", endpoint_name=ENDPOINT, share=50, retry_delay=timedelta(hours=3))
    with pytest.raises(OSError, match="no space"):
        task.execute({"ti": SimpleNamespace(try_number=1, max_tries=int(tries_left))})  # type: ignore[typeddict-item]
    sign = read_sign(production.ssm, ENDPOINT)
    assert (sign is not None) is tries_left
    if sign is not None:
        assert sign.awaits_retry
        assert timedelta(hours=2, minutes=59) < sign.at - utc_now() <= timedelta(hours=3)


def test_a_task_whose_rollout_has_given_up_is_not_tried_again_and_says_nothing(production: Production) -> None:
    orphan_a_rollout(production)
    task = Stumbling(task_id="shift", endpoint_name=ENDPOINT, share=50)
    task.error = RolloutGaveUp("green does harm")
    ti = SimpleNamespace(try_number=1, max_tries=2, xcom_push=lambda **pushed: None)
    with pytest.raises(AirflowFailException, match="green does harm"):
        task.execute({"ti": ti})  # type: ignore[typeddict-item]
    assert read_sign(production.ssm, ENDPOINT) is None
