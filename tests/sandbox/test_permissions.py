"""IAM's policy simulator, which an SDK asks before it uses a role."""

from __future__ import annotations

from typing import Any

import pytest

ROLE = "arn:aws:iam::123456789012:role/sagemaker"


def test_everything_is_allowed_as_the_sandbox_checks_nothing(session: Any) -> None:
    asked = session.client("iam").simulate_principal_policy(
        PolicySourceArn=ROLE, ActionNames=["s3:GetObject", "sagemaker:CreateModel"], ResourceArns=["arn:aws:s3:::a"]
    )
    found = [
        (one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"]) for one in asked["EvaluationResults"]
    ]
    assert found == [
        ("s3:GetObject", "arn:aws:s3:::a", "allowed"),
        ("sagemaker:CreateModel", "arn:aws:s3:::a", "allowed"),
    ]


@pytest.mark.parametrize("resources", [{}, {"ResourceArns": ["*"]}])
def test_without_a_resource_any_is_meant(session: Any, resources: dict[str, Any]) -> None:
    paginator = session.client("iam").get_paginator("simulate_principal_policy")
    [page] = paginator.paginate(PolicySourceArn=ROLE, ActionNames=["s3:GetObject"], **resources)
    assert [one["EvalResourceName"] for one in page["EvaluationResults"]] == ["*"]
