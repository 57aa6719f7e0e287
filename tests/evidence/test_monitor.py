"""Model Monitor takes part: violations are harm, and what has not looked, or could not, tells nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from airflow_sm_rollout.aws.limits import read_executions
from airflow_sm_rollout.core.watch.monitor import Execution, judge_schedule
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict

SINCE = datetime(2026, 11, 24, 10, tzinfo=timezone.utc)


HOUR = timedelta(hours=1)
VIOLATED = "CompletedWithViolations"


def judge(before: str | None, *statuses: str, minute: int = 1) -> Judgement:
    """Of a schedule that is due every hour, and a green with traffic since so many minutes past the full one.

    :param before: how the last execution ended that was due before that; ``None``: it is not known.
    """
    executions = [Execution(status, SINCE + HOUR * number) for number, status in enumerate(statuses, 1)]
    if before is not None:
        executions.insert(0, Execution(before, SINCE))
    return judge_schedule("fraud-drift", executions[::-1], SINCE + timedelta(minutes=minute))


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((), Verdict.INCONCLUSIVE),
        (("Completed",), Verdict.HEALTHY),
        (("Completed", "InProgress"), Verdict.INCONCLUSIVE),
        (("Failed",), Verdict.INCONCLUSIVE),
        ((VIOLATED, "Completed"), Verdict.HARMFUL),
        (("Completed", VIOLATED), Verdict.HARMFUL),
    ],
)
@pytest.mark.parametrize("before", ["Completed", "Failed", None])
def test_violations_are_harm_and_an_execution_that_is_not_there_tells_nothing(
    before: str | None, statuses: tuple[str, ...], verdict: Verdict
) -> None:
    judgement = judge(before, *statuses)
    assert judgement.verdict is verdict
    assert "fraud-drift" in judgement.reason


def test_violations_that_blue_alone_had_too_are_not_greens_until_an_execution_has_looked_at_nothing_else() -> None:
    assert judge(VIOLATED).verdict is Verdict.INCONCLUSIVE
    first = judge(VIOLATED, VIOLATED)
    assert first.verdict is Verdict.INCONCLUSIVE
    assert "found violations, as the one before, when green had no traffic" in first.reason
    assert judge(VIOLATED, VIOLATED, "Completed").verdict is Verdict.HEALTHY
    second = judge(VIOLATED, VIOLATED, VIOLATED)
    assert second.verdict is Verdict.HARMFUL
    assert second.reason == "monitoring schedule fraud-drift found violations in its execution of 12:00:00 UTC"


@pytest.mark.parametrize("before", ["Completed", None])
def test_what_the_first_execution_has_looked_at_is_said_where_it_is_from_before_green_too(before: str | None) -> None:
    assert judge(before, VIOLATED, minute=50).reason.endswith(
        "in its execution of 11:00:00 UTC, which looked at what was captured since 10:00:00 UTC, "
        "and green has had traffic since 10:50:00 UTC"
    )
    late = judge(before, "Completed", minute=50)
    assert late.verdict is Verdict.INCONCLUSIVE
    assert late.reason.endswith("since 10:50:00 UTC, so only the next one tells")
    assert judge(before, "Completed", minute=30).verdict is Verdict.HEALTHY
    assert judge(before, "Completed", "Completed", minute=50).verdict is Verdict.HEALTHY


def test_executions_are_read_to_the_last_page() -> None:
    sagemaker: Any = boto3.client("sagemaker", region_name="us-east-1")
    day_before = SINCE - timedelta(hours=25)
    asked = {"MonitoringScheduleName": "fraud-drift", "ScheduledTimeAfter": day_before, "MaxResults": 100}
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
