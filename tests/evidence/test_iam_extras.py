"""What only some plans need is granted for those only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_rollout.aws.iam import EXTRAS, policy
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.converge import WAYS
from airflow_sm_rollout.core.traffic import TRAFFIC


def actions(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("traffic", WAYS)
def test_what_only_some_plans_and_commands_need_is_allowed_only_where_it_is_asked_for(traffic: str) -> None:
    function = "fraud-front" if TRAFFIC[traffic].has_function else None

    def more_with(extra: str) -> set[str]:
        plain = policy(traffic, "fraud", function=function)
        return actions(policy(traffic, "fraud", function=function, extras=(extra,))) - actions(plain)

    assert more_with("validate") == {"sagemaker:InvokeEndpoint"}
    assert more_with("monitoring") == {"sagemaker:ListMonitoringExecutions"}
    assert more_with("registry") == {"sagemaker:DescribeModelPackage"}
    assert more_with("events") == {"events:PutEvents"}
    assert more_with("guardian") == {"ssm:GetParametersByPath"}
    assert more_with("replay") == {"cloudwatch:ListMetrics"}


def test_green_is_asked_on_this_endpoint_and_on_what_a_rollout_makes_of_it_only() -> None:
    [statement] = [s for s in policy("endpoints", "fraud", extras=EXTRAS)["Statement"] if s["Sid"] == "AskGreenAndBlue"]
    assert statement["Resource"] == ["arn:*:sagemaker:*:*:endpoint/fraud", "arn:*:sagemaker:*:*:endpoint/fraud*"]


def test_the_command_prints_them_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iam-policy", "fraud", *(word for extra in EXTRAS for word in ("--with", extra))]) == 0
    printed = actions(json.loads(capsys.readouterr().out))
    assert printed == actions(policy("variants", "fraud", extras=EXTRAS))
