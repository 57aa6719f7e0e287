"""What is to be judged is in the record, and SSM holds 8 KB of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record, why_too_large, write_record
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.plan.strategy import linear
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Green, Phase, Plan, Rollout, with_instances
from convergence.lab import ENDPOINT, Lab

EFFECTS = ("Create", "Update", "Put", "Delete")


def planned(lab: Lab, label: str) -> Rollout:
    kpi = Kpi(label, {"m": Metric("Shop", "Refused")}, at_most=5)
    plan = Plan(linear(5), evidence=Evidence(limits=Limits(kpis=(kpi,))))
    green = Green(model_name="fraud-v1")
    return plan_rollout(lab.clients, lab.names, {"dag_id": "dag"}, green, plan, lab.now())


def largest(lab: Lab) -> Rollout:
    """A rollout whose record is as large as one may be at the begin."""
    rollout = planned(lab, "refused")
    room: Any = next(size for size in range(8192, 0, -1) if not why_too_large(planned_with(rollout, size)))
    return planned_with(rollout, room)


def planned_with(rollout: Rollout, size: int) -> Rollout:
    return replace(rollout, owner={"dag_id": "d" * size})


def test_a_record_that_could_not_be_written_to_the_end_is_refused_before_anything_is_changed() -> None:
    lab = Lab()
    with pytest.raises(RolloutRefused, match=r"its record would have 11,\d+ bytes, and SSM holds 7,136"):
        planned(lab, "x" * 8000)
    assert not [call for call in lab.calls if call.partition(":")[2].startswith(EFFECTS)]


def test_the_largest_record_can_still_be_written_when_the_rollout_goes_back() -> None:
    lab = Lab()
    rollout = largest(lab)
    write_record(lab.clients.ssm, rollout, overwrite=False)
    now = lab.now() + timedelta(microseconds=123456)
    for count in range(1, len(rollout.plan.strategy.steps) + 1):
        rollout = with_instances(rollout, 1000 + count, now)
    moments: dict[str, Any] = {"green_traffic_since": now, "shadow_since": now, "endpoint_modified": now}
    back = replace(rollout, phase=Phase.ROLLING_BACK, paused_before_traffic=timedelta(hours=99, seconds=0.1), **moments)
    assert len(to_json(back)) > 7900
    write_record(lab.clients.ssm, back, overwrite=True)
    assert read_record(lab.clients.ssm, ENDPOINT) == back
