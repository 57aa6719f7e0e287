"""CloudWatch's facts. They need no endpoint: metrics and alarms of the probe's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.probe.lab import Lab

_VALUES = (10.0, 20.0, 30.0, 40.0)


def _points(lab: Lab) -> datetime:
    """The minute in which the probe has put its points, once they can be read."""

    def put() -> datetime:
        minute = lab.clock.now().replace(second=0, microsecond=0) - timedelta(minutes=7)
        while minute.minute % 5 != 2:  # inside of five minutes, neither at their begin nor at their end
            minute -= timedelta(minutes=1)
        lab.put_metric("points", *_VALUES, at=minute)
        lab.eventually(lambda: _statistics(lab, minute, 60, Statistics=["Sum"]))
        return minute

    return lab.once("points", put)


def _statistics(lab: Lab, minute: datetime, period: int, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.cloudwatch.get_metric_statistics(
        Namespace=lab.own_namespace,
        MetricName="points",
        StartTime=minute - timedelta(minutes=1),
        EndTime=minute + timedelta(minutes=5),
        Period=period,
        **wanted,
    )["Datapoints"]
    return found


def percentile(lab: Lab) -> str:
    """The median of 10, 20, 30 and 40."""
    [point] = _statistics(lab, _points(lab), 60, ExtendedStatistics=["p50"])
    return f"{point['ExtendedStatistics']['p50']:.0f}"


def periods(lab: Lab) -> str:
    """Where five minutes begin that are asked for from a minute inside of them."""
    minute = _points(lab)
    found = _statistics(lab, minute, 300, Statistics=["Sum"])
    begins = min(point["Timestamp"] for point in found)
    return (
        "at the start that was asked for" if begins.minute == (minute.minute - 1) % 60 else "at multiples of the period"
    )


def _data(lab: Lab, start: datetime, end: datetime) -> dict[str, Any]:
    metric = {"Namespace": lab.own_namespace, "MetricName": "points"}
    query = {"Id": "asked", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    found = lab.cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=start, EndTime=end)
    result: dict[str, Any] = found["MetricDataResults"][0]
    return result


def label(lab: Lab) -> str:
    """The label of a metric that was given none."""
    minute = _points(lab)
    return str(_data(lab, minute, minute + timedelta(minutes=1))["Label"])


def one_second(lab: Lab) -> str:
    """What a range of one second inside a minute is answered with."""
    start = _points(lab) + timedelta(seconds=10)
    found: dict[str, Any] = {}
    refused = lab.refusal(lambda: found.update(_data(lab, start, start + timedelta(seconds=1))))
    return refused or f"{len(found['Values'])} values"


def first_state(lab: Lab) -> str:
    """The state of an alarm that was just made."""
    return lab.state_of(lab.put_alarm("new", "nothing", "notBreaching"))


def set_state(lab: Lab) -> str:
    """What becomes of a state that was set by hand."""
    alarm = lab.put_alarm("set", "nothing", "notBreaching")
    lab.eventually(lambda: lab.state_of(alarm) == "OK")
    lab.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a probe")
    began = lab.clock.now()
    lab.eventually(lambda: lab.state_of(alarm) == "OK")
    return (
        "it goes back within two minutes" if lab.clock.now() - began <= timedelta(minutes=2) else "it goes back later"
    )


def stopped_metric(lab: Lab) -> str:
    """How long an alarm keeps its state after its metric has stopped."""
    alarm = lab.put_alarm("stopped", "stopping", "missing")
    lab.put_metric("stopping", 5.0)
    last = lab.clock.now()
    lab.eventually(lambda: lab.state_of(alarm) == "ALARM")
    lab.eventually(lambda: lab.state_of(alarm) != "ALARM", 1800)
    minutes = (lab.clock.now() - last) / timedelta(minutes=1)
    return f"{lab.state_of(alarm)} {'within 10 minutes' if minutes <= 10 else 'later'}"


def composites(lab: Lab) -> str:
    """Whether a composite alarm is listed where no type is asked for."""
    child, parent = lab.put_alarm("child", "nothing", "notBreaching"), f"{lab.name}-composite"
    lab.alarms.append(parent)
    lab.cloudwatch.put_composite_alarm(AlarmName=parent, AlarmRule=f"ALARM({child})")
    found = lab.cloudwatch.describe_alarms(AlarmNames=[parent])
    return "listed" if found.get("CompositeAlarms") else "left out"
