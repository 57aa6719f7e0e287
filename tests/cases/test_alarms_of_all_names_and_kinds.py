"""Alarms that are no plain names: ARNs, another Region's, log alarms, odd names, many of them and twice."""

from __future__ import annotations

import pytest

from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.goals import GreenDeployed
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from convergence.lab import USER_ALARM, Lab

ARN = "arn:aws:cloudwatch:{region}:123456789012:alarm:{name}"
ODD_NAMES = [
    "a, b",
    "fraud/business: 5xx > 1 %",
    "Überwachung ✓",
    "a" * 255,
    "<script>alert(1)</script>",
    "x-(1)",
    'a"b',
]


def planned(lab: Lab, *alarms: str) -> Rollout:
    green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
    return plan_rollout(lab.clients, lab.names, {}, green, Plan(lab.strategy, alarms=alarms), lab.now())


def put(lab: Lab, *names: str) -> None:
    for name in names:
        lab.put_alarm(name)
    lab.pass_time(120)


@pytest.mark.parametrize(("region", "name"), [("us-east-1", USER_ALARM), ("eu-west-1", "other")])
def test_an_arn_is_refused_and_not_taken_for_deleted(region: str, name: str) -> None:
    with pytest.raises(RolloutRefused) as caught:
        planned(Lab(), ARN.format(region=region, name=name))
    assert "deleted?" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_alarm_of_an_odd_name_is_watched(name: str) -> None:
    lab = Lab()
    put(lab, name)
    lab.reach(GreenDeployed(planned(lab, name)))
    lab.roll_back()
    assert lab.describe()["records"] == []


def test_many_alarms_some_of_them_twice_are_watched() -> None:
    lab, names = Lab(), [f"alarm-{number}" for number in range(30)]
    put(lab, *names)
    lab.reach(GreenDeployed(planned(lab, *names, *names)))


class LogAlarms:
    """CloudWatch, as it tells of log alarms: where it is asked for them."""

    def describe_alarms(self, **asked: object) -> dict[str, object]:
        told = {"AlarmName": "errors-in-logs", "StateValue": "OK", "StateReason": ""}
        return {"LogAlarms": [told] if "LogAlarm" in asked["AlarmTypes"] else []}  # type: ignore[operator]


def test_an_alarm_on_logs_is_read_as_what_it_is() -> None:
    [alarm] = read_alarms(LogAlarms(), ["errors-in-logs"], None)
    assert alarm.state == "OK"
