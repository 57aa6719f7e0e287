"""Model Monitor takes part: violations are harm, and what has not looked, or could not, tells nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from airflow_sm_rollout.aws.limits import read_executions
from airflow_sm_rollout.core.evidence.monitor import Execution, judge_schedule
from airflow_sm_rollout.core.verdict import Verdict

SINCE = datetime(2026, 11, 24, 10, tzinfo=timezone.utc)


def executions(*statuses: str) -> list[Execution]:
    return [Execution(status, SINCE + timedelta(hours=hour)) for hour, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((), Verdict.INCONCLUSIVE),
        (("Completed",), Verdict.HEALTHY),
        (("Completed", "InProgress"), Verdict.INCONCLUSIVE),
        (("Failed",), Verdict.INCONCLUSIVE),
        (("CompletedWithViolations", "Completed"), Verdict.HARMFUL),
    ],
)
def test_violations_are_harm_and_an_execution_that_is_not_there_tells_nothing(
    statuses: tuple[str, ...], verdict: Verdict
) -> None:
    judgement = judge_schedule("fraud-drift", executions(*statuses)[::-1])
    assert judgement.verdict is verdict
    assert "fraud-drift" in judgement.reason


def test_executions_are_read_to_the_last_page() -> None:
    sagemaker: Any = boto3.client("sagemaker", region_name="us-east-1")
    asked = {"MonitoringScheduleName": "fraud-drift", "ScheduledTimeAfter": SINCE}
    stored = {"MonitoringScheduleName": "fraud-drift", "CreationTime": SINCE, "LastModifiedTime": SINCE}
    first = {**stored, "ScheduledTime": SINCE, "MonitoringExecutionStatus": "Completed"}
    second = {**first, "MonitoringExecutionStatus": "Failed", "FailureReason": "no data"}
    with Stubber(sagemaker) as stub:
        stub.add_response(
            "list_monitoring_executions", {"MonitoringExecutionSummaries": [first], "NextToken": "2"}, asked
        )
        stub.add_response(
            "list_monitoring_executions", {"MonitoringExecutionSummaries": [second]}, {**asked, "NextToken": "2"}
        )
        found = read_executions(sagemaker, "fraud-drift", SINCE)
    assert found == [Execution("Completed", SINCE), Execution("Failed", SINCE, "no data")]
