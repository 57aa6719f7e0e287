"""What SageMaker Model Monitor says of green: violations that it found since green has had traffic.

It looks at the endpoint's captured data as a whole, hourly at most, and is 12 to 17 minutes late (AWS_FACTS.md section 9); AWS has closed
it to new customers. A drift metric of your own in CloudWatch, as a :class:`~airflow_sm_rollout.core.evidence.limits.Kpi`, tells sooner, and
by variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from airflow_sm_rollout.core.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a monitoring schedule.

    :param status: AWS's: ``Pending``, ``InProgress``, ``Completed``, ``CompletedWithViolations``, ``Failed``, ``Stopping``, ``Stopped``.
    :param scheduled_at: when it was due; it looks at what was captured before that.
    :param reason: why it failed, or empty.
    """

    status: str
    scheduled_at: datetime
    reason: str = ""


def judge_schedule(name: str, executions: Sequence[Execution]) -> Judgement:
    """Judge by a schedule's executions that were due since green has had traffic: one that is late, or failed, tells nothing.

    :param executions: in any order.
    """
    ordered = sorted(executions, key=lambda each: each.scheduled_at)
    violated = next((each for each in ordered if each.status == "CompletedWithViolations"), None)
    if violated is not None:
        told = f"monitoring schedule {name} found violations in its execution of {_time(violated.scheduled_at)}"
        return Judgement(Verdict.HARMFUL, told)
    if not ordered:
        return Judgement(Verdict.INCONCLUSIVE, f"monitoring schedule {name} has not looked since green had traffic")
    last = ordered[-1]
    told = f"monitoring schedule {name}: its execution of {_time(last.scheduled_at)} is {last.status}"
    if last.status == "Completed":
        return Judgement(Verdict.HEALTHY, f"{told}, without violations")
    return Judgement(Verdict.INCONCLUSIVE, f"{told} {last.reason}".rstrip())


def _time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%H:%M:%S UTC")
