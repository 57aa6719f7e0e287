"""A machine whose clock is minutes off, a record that somebody has edited by hand, and options of Airflow's that are for every task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import canary_rollout
from airflow_sm_rollout.core.control import control_from_json
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import GreenShare
from airflow_sm_rollout.core.record import from_json, to_json
from aws.test_clock import on_a_machine_that_is_off
from convergence.lab import USER_ALARM, Lab
from convergence.live_lab import LiveLab
from convergence.test_exits import ring

OTHERS: list[Any] = [None, 0, "", "x", [], {}, [1], True, -1.5, "2024-01-01"]


@pytest.mark.parametrize("minutes", [0, 2, -2])
def test_no_client_meets_a_deleted_endpoint(minutes: int) -> None:
    lab = on_a_machine_that_is_off(LiveLab, minutes)
    lab.run(until=2)
    lab.roll_back()
    assert [each for each in lab.under_capacity if "nobody answers" in each] == []


@pytest.mark.parametrize("minutes", [0, 4, -4])
def test_an_alarm_that_rang_right_after_green_got_traffic_stops_it(minutes: int) -> None:
    lab = on_a_machine_that_is_off(Lab, minutes)
    lab.run(until=2)
    ring(lab, USER_ALARM)
    lab.pass_time(130)  # and it is quiet again
    with pytest.raises(RolloutGaveUp, match="7 of 9"):
        lab.reach(GreenShare(50))


@pytest.mark.parametrize("minutes", [0, 4, -4])
def test_an_alarm_of_before_green_had_traffic_does_not(minutes: int) -> None:
    lab = on_a_machine_that_is_off(Lab, minutes)
    ring(lab, USER_ALARM)
    lab.pass_time(180)
    lab.run(until=2)
    lab.reach(GreenShare(50))


def spoilt(value: Any, other: Any) -> Any:
    """The value with each of its parts replaced, one at a time."""
    yield other
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        for replaced in spoilt(part, other):
            changed = value.copy()
            changed[key] = replaced
            yield changed


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_record_edited_by_hand_is_read_or_refused_in_a_sentence(other: Any) -> None:
    walked, refused = 0, 0
    for record in spoilt(json.loads(to_json(Lab().plan())), other):
        walked += 1
        try:
            from_json(json.dumps(record))
        except RolloutError:
            refused += 1
    print(f"{walked} records spoilt by {other!r} walked, {refused} refused")
    assert walked > 100
    assert refused > walked / 3


@pytest.mark.parametrize("text", ["", "pause", "null", "[]", "{}", '{"wish":"pause"}', '"abort"', "1"])
def test_a_wish_edited_by_hand_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(RolloutError):
        control_from_json(text)


EVERYWHERE: list[dict[str, Any]] = [
    {"pool": "sagemaker"}, {"queue": "aws"}, {"on_failure_callback": print}, {"priority_weight": 9}, {"executor_config": {"x": 1}},
    {"owner": "risk"},
]  # fmt: skip


@pytest.mark.parametrize("option", EVERYWHERE, ids=lambda option: next(iter(option)))
def test_an_option_of_airflows_reaches_every_task(option: dict[str, Any]) -> None:
    with DAG("d", schedule=None) as dag:
        canary_rollout(endpoint_name="wine", model_name="wine-v2", **option)
    [(name, value)] = option.items()
    assert [task.task_id for task in dag.tasks if getattr(task, name) not in (value, [value])] == []
