"""What only some plans need is granted for those only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_rollout.aws.iam import EXTRAS, policy
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.converge import WAYS


def actions(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("traffic", WAYS)
def test_what_only_some_plans_and_commands_need_is_allowed_only_where_it_is_asked_for(traffic: str) -> None:
    plain = actions(policy(traffic, "fraud"))
    assert actions(policy(traffic, "fraud", extras=("validate",))) - plain == {"sagemaker:InvokeEndpoint"}
    assert actions(policy(traffic, "fraud", extras=("monitoring",))) - plain == {"sagemaker:ListMonitoringExecutions"}
    assert actions(policy(traffic, "fraud", extras=("registry",))) - plain == {"sagemaker:DescribeModelPackage"}
    assert actions(policy(traffic, "fraud", extras=("events",))) - plain == {"events:PutEvents"}
    assert actions(policy(traffic, "fraud", extras=("guardian",))) - plain == {"ssm:GetParametersByPath"}
    assert actions(policy(traffic, "fraud", extras=("replay",))) - plain == {"cloudwatch:ListMetrics"}


def test_green_is_asked_on_this_endpoint_and_on_what_a_rollout_makes_of_it_only() -> None:
    [statement] = [s for s in policy("endpoints", "fraud", extras=EXTRAS)["Statement"] if s["Sid"] == "AskGreenAndBlue"]
    assert statement["Resource"] == ["arn:aws:sagemaker:*:*:endpoint/fraud", "arn:aws:sagemaker:*:*:endpoint/fraud*"]


def test_the_command_prints_them_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iam-policy", "fraud", *(word for extra in EXTRAS for word in ("--with", extra))]) == 0
    printed = actions(json.loads(capsys.readouterr().out))
    assert printed == actions(policy("variants", "fraud", extras=EXTRAS))
