"""What SageMaker Model Monitor says of green: violations that it found since green has had traffic.

It looks at the endpoint's captured data as a whole, hourly at most, and is 12 to 17 minutes late; AWS has closed it to new customers
(docs/facts-aws.md#model-monitor). A drift metric of your own in CloudWatch, as a :class:`~airflow_sm_rollout.core.plan.limits.Kpi`, tells
sooner, and by variant.

An execution looks at what was captured since the one before was due; so the first one of green has looked at data from before green had
traffic, too. What it finds is green's, unless the one before has found violations as well, when blue was alone: then it tells nothing.
That it finds nothing speaks for green only where green had traffic for at least half of that time. (A schedule whose
``DataAnalysisStartTime`` reaches further back looks at more of blue than is assumed here.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict

LONGEST = timedelta(hours=25)
"""Between two executions: a schedule is daily at the least often, and starts up to 20 minutes late (AWS's ScheduleExpression)."""
_SHORTEST = timedelta(hours=1)  # and hourly at the most
_VIOLATED = "CompletedWithViolations"


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


def judge_schedule(name: str, executions: Sequence[Execution], since: datetime) -> Judgement:
    """Judge by a schedule's executions that were due since green has had traffic: one that is late, or failed, tells nothing.

    :param executions: in any order; those of the day before are needed to know what the first one has looked at.
    :param since: when green first had traffic.
    """
    looks = _looks(executions, since)
    violated = next((look for look in looks if look.found_violations and not look.is_blues), None)
    if violated is not None:
        told = (
            f"monitoring schedule {name} found violations in its execution of {_time(violated.execution.scheduled_at)}"
        )
        return Judgement(Verdict.HARMFUL, told + _tell_mixture(violated, since))
    if not looks:
        return Judgement(Verdict.INCONCLUSIVE, f"monitoring schedule {name} has not looked since green had traffic")
    last = looks[-1]
    told = f"monitoring schedule {name}: its execution of {_time(last.execution.scheduled_at)}"
    if last.found_violations:
        return Judgement(Verdict.INCONCLUSIVE, f"{told} found violations, as the one before, when green had no traffic")
    told = f"{told} is {last.execution.status}"
    if last.execution.status != "Completed":
        return Judgement(Verdict.INCONCLUSIVE, f"{told} {last.execution.reason}".rstrip())
    if last.is_mostly_of_before:
        return Judgement(Verdict.INCONCLUSIVE, f"{told}{_tell_mixture(last, since)}, so only the next one tells")
    return Judgement(Verdict.HEALTHY, f"{told}, without violations")


@dataclass(frozen=True, slots=True)
class _Look:
    """An execution that was due since green has had traffic.

    :param begin: since when what it has looked at was captured.
    :param is_mixed: whether that began before green had traffic.
    :param is_mostly_of_before: whether most of it did.
    :param is_blues: whether violations in it are blue's as well, as the execution before shows.
    """

    execution: Execution
    begin: datetime
    is_mixed: bool
    is_mostly_of_before: bool
    is_blues: bool

    @property
    def found_violations(self) -> bool:
        return self.execution.status == _VIOLATED


def _looks(executions: Sequence[Execution], since: datetime) -> list[_Look]:
    ordered = sorted(executions, key=lambda each: each.scheduled_at)
    looks = []
    for before, execution in zip([None, *ordered], ordered, strict=False):
        if execution.scheduled_at <= since:
            continue
        begin = before.scheduled_at if before else execution.scheduled_at - _SHORTEST
        is_mixed = begin < since
        is_blues = is_mixed and before is not None and before.status == _VIOLATED
        middle = begin + (execution.scheduled_at - begin) / 2
        looks.append(_Look(execution, begin, is_mixed, since > middle, is_blues))
    return looks


def _tell_mixture(look: _Look, since: datetime) -> str:
    if not look.is_mixed:
        return ""
    return (
        f", which looked at what was captured since {_time(look.begin)}, and green has had traffic since {_time(since)}"
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%H:%M:%S UTC")
