"""The guardian as a Lambda function: which events make it look, and how soon green loses its traffic."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_rollout.aws.guardian import leave_sign
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.guardian import Sign, State
from airflow_sm_rollout.core.names import record_name
from airflow_sm_rollout.guardian import handler
from airflow_sm_rollout.guardian.guardian import Guardian
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.blinking import green_share_now
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab
from convergence.test_exits import ring
from convergence.test_guardian_walk import guardian_of, ring_quietly
from convergence.walk import Make

SCHEDULE = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
LAMBDA_SECONDS = 60.0


def by_event_bridge(alarm: str, state: str = "ALARM") -> dict[str, Any]:
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "detail": {"alarmName": alarm, "state": {"value": state}, "previousState": {"value": "OK"}},
    }


def by_alarm_action(alarm: str, state: str = "ALARM") -> dict[str, Any]:
    told = {"alarmName": alarm, "state": {"value": state}, "previousState": {"value": "OK"}}
    return {"source": "aws.cloudwatch", "alarmArn": f"arn:aws:cloudwatch:::alarm:{alarm}", "alarmData": told}


def with_green(make: Make) -> Lab:
    lab = make()
    lab.run(until=4 if make is Lab else 2)
    leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
    assert green_share_now(lab) > 0
    return lab


def is_losing_traffic(lab: Lab) -> bool:
    """Whether AWS has been asked to take green's traffic away: an update of weights takes it a while."""
    lab.is_test_looking = True
    endpoint = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    lab.is_test_looking = False
    return endpoint["EndpointStatus"] == "Updating" or green_share_now(lab) == 0


def answer(lab: Lab, event: dict[str, Any], seconds: float = LAMBDA_SECONDS) -> list[dict[str, Any]]:
    return handler.answer(event, guardian_of(lab), seconds, lab.pass_time)


@pytest.mark.parametrize("told", [by_event_bridge, by_alarm_action])
@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_from_the_alarm_to_the_request_that_takes_greens_traffic_less_than_two_seconds_pass(
    make: Make, told: Any
) -> None:
    lab = with_green(make)
    ring_quietly(lab)
    rang_at, taken_at = lab.now(), list[datetime]()

    def note(service: str, operation: str, phase: str) -> None:
        if phase == "after" and not taken_at and is_losing_traffic(lab):
            taken_at.append(lab.now())

    lab.hook = note
    answer(lab, told(USER_ALARM))
    assert taken_at, "green keeps its traffic"
    assert taken_at[0] - rang_at < timedelta(seconds=2)


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_each_event_goes_on_from_where_the_last_one_ended(make: Make) -> None:
    lab = with_green(make)
    ring_quietly(lab)
    answer(lab, by_event_bridge(USER_ALARM))
    for _ in range(20):
        if not answer(lab, SCHEDULE):
            break
        lab.pass_time(60)
    assert lab.describe() == lab.before


@pytest.mark.parametrize(
    "event",
    [by_event_bridge(USER_ALARM, "OK"), by_event_bridge("of-somebody-else"), by_alarm_action(USER_ALARM, "OK")],
    ids=["ended", "another", "ended too"],
)
def test_an_alarm_that_has_ended_or_that_nobody_watches_changes_nothing(event: dict[str, Any]) -> None:
    lab = with_green(Lab)
    lab.clients.ssm.put_parameter(
        Name=record_name("aaa"), Value="{}", Type="String"
    )  # of no alarm, said at other events
    ring_quietly(lab)
    assert answer(lab, event) == []
    assert green_share_now(lab) > 0


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("told", [by_event_bridge, by_alarm_action])
def test_a_part_of_a_watched_composite_alarm_starts_a_look_too(depth: int, told: Any) -> None:
    lab = Lab()
    lab.is_test_looking = True
    below = "refunds"
    metric = {"Namespace": "Shop", "MetricName": "Refunds", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    compared = {"Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching"}
    lab.clients.cloudwatch.put_metric_alarm(AlarmName=below, **metric, **compared)
    for number in range(depth):
        name = USER_ALARM if number == depth - 1 else "all-refunds"
        lab.clients.cloudwatch.delete_alarms(AlarmNames=[name])
        lab.clients.cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=f'ALARM("{below}")')
        below = name
    lab.pass_time(120)
    lab.before = lab.describe()
    lab.run(until=4)
    leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
    ring(lab, "refunds")
    lab.pass_time(1)
    lab.is_test_looking = False
    assert answer(lab, told("of-somebody-else")) == []
    assert green_share_now(lab) > 0
    answer(lab, told("refunds"))
    assert is_losing_traffic(lab)


def test_whose_parts_can_t_be_read_is_looked_at() -> None:
    lab = with_green(Lab)
    lab.sandbox.faults.add(Fault("throttle", "DescribeAlarms"))
    [found] = answer(lab, by_event_bridge("of-somebody-else"))
    assert found["state"] == State.WATCHED.value


@pytest.mark.parametrize("event", [SCHEDULE, {}, {"detail": None}, {"detail": {"state": "ALARM"}}])
def test_any_other_event_makes_it_look_at_all(event: dict[str, Any]) -> None:
    lab = with_green(Lab)
    [found] = answer(lab, event)
    assert json.loads(json.dumps(found))["state"] == State.WATCHED.value


def test_it_stops_in_time_and_what_it_could_not_do_is_an_error_after_all_else() -> None:
    lab = with_green(Lab)
    lab.clients.ssm.put_parameter(Name=record_name("aaa"), Value="{}", Type="String")
    ring_quietly(lab)
    began = lab.now()
    with pytest.raises(RolloutError, match=r"^aaa: "):
        answer(lab, SCHEDULE, seconds=20)
    assert lab.now() - began < timedelta(seconds=20)
    assert is_losing_traffic(lab)


def test_what_is_done_stands_in_the_functions_log(capsys: pytest.CaptureFixture[str]) -> None:
    lab = with_green(Lab)
    ring_quietly(lab)
    guardian = Guardian(lab.clients, name="guard", now=lab.now, tell=handler._log)
    handler.answer(by_event_bridge(USER_ALARM), guardian, LAMBDA_SECONDS, lab.pass_time)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0]["endpoint_name"] == ENDPOINT
    assert told[0]["sentence"].startswith("taken back: ")


def test_lambda_gives_its_own_name_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = with_green(Lab)
    monkeypatch.setattr(handler, "_guardian", lambda name: guardian_of(lab, name))
    context = SimpleNamespace(function_name="guard", get_remaining_time_in_millis=lambda: 60_000)
    [found] = handler.handler(SCHEDULE, context)
    assert found["endpoint_name"] == ENDPOINT


def test_what_the_environment_says_holds_and_no_number_of_minutes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    handler._guardian.cache_clear()
    monkeypatch.setenv("SM_ROLLOUT_ABANDONED_AFTER", "20")
    guardian = handler._guardian("guard")
    assert guardian._patience.in_task == timedelta(minutes=20)
    assert guardian._tell is handler._log
    for text in ("soon", "0", "-3", "nan", "inf"):
        monkeypatch.setenv("SM_ROLLOUT_ABANDONED_AFTER", text)
        handler._guardian.cache_clear()
        with pytest.raises(RolloutError, match="SM_ROLLOUT_ABANDONED_AFTER"):
            handler._guardian("guard")
    handler._guardian.cache_clear()
