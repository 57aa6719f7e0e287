"""What a look at a bake costs, from its first minute to its last hour.

    python -m benchmarks.looks

A bake of 24 hours with figures every ten seconds is looked at every 15 s, on a clock of its own, with everything that a plan can ask for:
the comparison, limits on errors and latency, a KPI relative to blue, two alarms. Prints the processor time and the datapoints of a look,
hour by hour, what reading all from the start costs then, and the memory that a bake keeps from look to look. CloudWatch's answers are made
up here, which is counted; what botocore needs to send a request and read the answer is not.

Finer figures than by the minute are kept by CloudWatch for three hours: a bake that is older is read by the minute, once from its start.
That one look is the dearest.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from botocore.session import get_session

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.control import Control, Wish, control_to_json
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
EVERY = timedelta(seconds=15)
HOUR = timedelta(hours=1)
ALARMS = ("fraud-errors", "fraud-latency")
KPI = Kpi(
    "refused", {"m": Metric("Shop", "Refused", "Sum", {"Variant": "{variant}"})}, at_most=1.5, relative_to_blue=True
)
CALLS = {"AllTraffic": 15.0, "model-0badcafe": 1.5}
"""Calls a second, by variant."""
_GOLDEN = (math.sqrt(5) - 1) / 2
RATES = {
    "TC(100000:)": 0.5,
    "TC(:100000)": 0.5,
    "TC(200000:)": 0.05,
    "TC(300000:)": 0.01,
    "TC(600000:)": 0.0001,
    "TC(500000:)": 0.001,
    "TC(:500000)": 0.999,
}
"""Of these calls, those that a statistic of their latency counts."""


class Made:
    """An answer of CloudWatch or SSM, made up."""

    def __init__(self, missing: str) -> None:
        self.meta = get_session().create_client("cloudwatch", region_name="us-east-1").meta
        self.now = BEGIN
        self.datapoints = 0
        self._missing = missing

    def describe_alarms(self, **_: Any) -> dict[str, Any]:
        """Quiet alarms."""
        quiet = {
            "StateValue": "OK",
            "StateReason": "no datapoint was beyond",
            "StateTransitionedTimestamp": BEGIN - HOUR,
        }
        return {"MetricAlarms": [{"AlarmName": name, **quiet} for name in ALARMS]}

    def get_parameters(self, **_: Any) -> dict[str, Any]:
        """The rollout's record, and a wish that has been taken back."""
        return {"Parameters": [{"Name": name, "Value": text} for name, text in _parameters().items()]}

    def get_paginator(self, _: str) -> Made:
        """Its answers have one page."""
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """The figures that are asked for."""
        start, end = asked["StartTime"], asked["EndTime"]
        results = [self._series(query, start, end) for query in asked["MetricDataQueries"] if query["ReturnData"]]
        yield {"MetricDataResults": results}

    def _series(self, query: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
        stat, seconds = query["MetricStat"], query["MetricStat"]["Period"]
        names = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
        variant = names.get("VariantName") or names["Variant"]
        first = math.ceil(start.timestamp() / seconds) * seconds
        times = range(first, math.ceil(end.timestamp()), seconds) if variant != self._missing else ()
        self.datapoints += len(times)
        values = [_value(stat["Metric"]["MetricName"], stat["Stat"], CALLS[variant] * seconds, at) for at in times]
        return {
            "Id": query["Id"],
            "StatusCode": "Complete",
            "Timestamps": [datetime.fromtimestamp(at, timezone.utc) for at in times],
            "Values": values,
        }


@cache
def _parameters() -> dict[str, str]:
    rollout, wish = watch_of(1).rollout, Control("0badcafe", Wish.GO_ON, BEGIN)
    return {rollout.names.record: to_json(rollout), rollout.names.control: control_to_json(wish)} if rollout else {}


def _value(metric: str, stat: str, calls: float, at: int) -> float:
    """Calm traffic that breathes a little; an error now and then."""
    calls = round(calls * (1 + 0.1 * math.sin(at / 600)))
    if metric == "ModelLatency":
        # What rounding leaves over comes with later periods: green's few calls are to be as slow as blue's many.
        return float(int(RATES[stat] * calls + at * _GOLDEN % 1))
    if metric == "Invocations":
        return float(calls)
    return float(round(calls / 15) if at % 600 == 0 else 0)


@dataclass
class Cost:
    """What looks cost.

    :param milliseconds: of processor time, of each look.
    :param datapoints: of each look.
    """

    milliseconds: list[float] = field(default_factory=list)
    datapoints: list[int] = field(default_factory=list)

    def render(self) -> str:
        """The usual look and the dearest, for people."""
        usual, dearest = statistics.median(self.milliseconds), max(self.milliseconds)
        return f"{usual:8.2f} {dearest:8.2f} {statistics.median(self.datapoints):11.0f} {max(self.datapoints):8d}"


def watch_of(hours: float) -> Watch:
    """A bake of so many hours that asks for everything."""
    evidence = Evidence(limits=Limits(0.05, 500.0, 100, (KPI,)))
    rollout = Rollout(
        endpoint_name="fraud",
        rollout_id="0badcafe",
        owner={},
        started_at=BEGIN,
        blue=Blue(
            "fraud-2024",
            {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "v1"}]},
            "AllTraffic",
            1.0,
            1,
            {},
        ),
        green=Green(model_name="v2"),
        plan=Plan(canary([10, 100], bake=hours * HOUR), alarms=ALARMS, evidence=evidence),
        green_traffic_since=BEGIN,
        thresholds=Thresholds(100_000, 200_000, 300_000),
        metric_period_seconds=10,
    )
    return Watch(
        BEGIN, BEGIN + hours * HOUR, BEGIN, 100, alarms=ALARMS, rollout=rollout, judges_evidence=True, share=10.0
    )


def measure(hours: float, missing: str = "") -> tuple[list[Cost], Cost]:
    """The cost of looks hour by hour, and of one look at the end of each hour that reads all from the start.

    :param missing: a variant that has no figures at all.
    """
    watch, made = watch_of(hours), Made(missing)
    clients, memory = Clients(made, made, made, made), Memory()
    costs, afresh = [], Cost()
    while made.now < watch.ends_at:
        cost = Cost()
        until = min(made.now + HOUR, watch.ends_at)
        while made.now < until:
            _look(clients, watch, memory, cost)
            made.now += EVERY
        made.now -= EVERY
        _look(clients, watch, Memory(), afresh)
        made.now += EVERY
        costs.append(cost)
    return costs, afresh


def _look(clients: Clients, watch: Watch, memory: Memory, cost: Cost) -> None:
    made = clients.cloudwatch
    before, begun = made.datapoints, time.process_time()
    looked = look(clients, watch, made.now, memory)
    cost.milliseconds.append(1000 * (time.process_time() - begun))
    cost.datapoints.append(made.datapoints - before)
    if looked.judgement.verdict is not Verdict.WATCHING:
        raise RuntimeError(f"this bake was to be calm: {looked.judgement.reason}")


def weigh(looks: int, bakes: int = 20) -> float:
    """Kilobytes that a bake keeps after so many looks."""
    watch, made = watch_of(24), Made("")
    clients, memories = Clients(made, made, made, made), [Memory() for _ in range(bakes)]
    look(clients, watch, made.now, Memory())
    tracemalloc.start()
    for _ in range(looks):
        for memory in memories:
            look(clients, watch, made.now, memory)
        made.now += EVERY
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / bakes / 1024


def main(arguments: list[str]) -> None:
    """Look at a bake, and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looks", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="how long the bake is")
    options = parser.parse_args(arguments)
    for told, missing in (("all figures come", ""), ("green's figures never come", "model-0badcafe")):
        costs, afresh = measure(options.hours, missing)
        print(f"{told}\n{'hour':12}{'ms':>8} {'at most':>8} {'datapoints':>11} {'at most':>8}")
        for number, cost in enumerate(costs, 1):
            print(f"{number:<12}{cost.render()}")
        print(f"{'from start':12}{afresh.render()}\n")
    for minutes in (5, 60):
        print(f"kept of a bake after {minutes} minutes: {weigh(4 * minutes):.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
