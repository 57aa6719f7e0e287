from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.goals import GreenDeployed, GreenShare
from convergence.lab import ENDPOINT, STRATEGY, Lab


def test_a_canary_ends_with_green_alone_and_nothing_else_left() -> None:
    lab = Lab()
    lab.run()
    after = lab.describe()
    assert after["endpoint"]["EndpointConfigName"] == lab.names.final_config
    [variant] = after["endpoint"]["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentInstanceCount"]) == (lab.names.variant, 4)
    assert after["configs"] == sorted([*lab.before["configs"], lab.names.final_config])
    assert after["models"] == sorted([*lab.before["models"], lab.names.model])
    assert after["alarms"] == lab.before["alarms"]
    assert after["records"] == []
    assert max(lab.shares) == 100
    assert not lab.under_capacity


def test_it_is_noted_when_green_began_to_serve_from_more_instances() -> None:
    lab = Lab()
    lab.reach(GreenDeployed(lab.plan()))
    noted = []
    for step in STRATEGY.steps:
        before = lab.now()
        lab.reach(GreenShare(step.share))
        record = read_record(lab.clients.ssm, ENDPOINT)
        assert record is not None
        count, since = list(record.instances_since.items())[-1]
        noted.append(int(count))
        assert before <= since + timedelta(seconds=1) <= lab.now()
    assert noted == [1, 2, 4]
