"""What counts as the same scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_rollout.core.scaling import Scaling

CONFIGURATION: dict[str, Any] = {
    "TargetValue": 70.0,
    "CustomizedMetricSpecification": {"MetricName": "CPU", "Dimensions": [{"Name": "EndpointName", "Value": "wine"}]},
}
POLICY = {
    "PolicyName": "cpu",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": CONFIGURATION,
}
SCALING = Scaling(1, 4, {}, (POLICY,))


def changed(**members: Any) -> Scaling:
    configuration = {**CONFIGURATION, **members}
    return replace(SCALING, policies=({**POLICY, "TargetTrackingScalingPolicyConfiguration": configuration},))


@pytest.mark.parametrize(
    "other", [replace(SCALING, policies=()), changed(TargetValue=50.0), changed(CustomizedMetricSpecification={})]
)
def test_a_policy_that_is_missing_or_says_something_else_is_to_be_written_again(other: Scaling) -> None:
    assert other.policies_unlike(SCALING) == (POLICY,)


def test_what_aws_adds_to_a_policy_is_no_difference() -> None:
    assert changed(DisableScaleIn=False).policies_unlike(SCALING) == ()
    assert SCALING.policies_unlike(replace(SCALING, policies=())) == ()
