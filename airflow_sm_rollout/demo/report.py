"""What came of a run, from what was seen while it ran (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.demo.inventory import Inventory
from airflow_sm_rollout.demo.shares import ShareSample
from airflow_sm_rollout.sandbox.traffic import Record, count

BAKE = ".bake_"
PROMOTE = "promote"
"""What is in the id of a task that watches green."""
PROMOTED, ROLLED_BACK, UNSETTLED = "promoted", "rolled_back", "unsettled"


@dataclass(frozen=True, slots=True)
class VariantCounts:
    """Sums of a variant's invocation metrics."""

    requests: float = 0.0
    errors: float = 0.0


@dataclass(frozen=True, slots=True)
class RunSeen:
    """All that was seen of one DAG run. Times are seconds since the epoch.

    :param run_state: Airflow's state of the run.
    :param settled: what the settle task says: ``promoted``, ``as_before``, or nothing.
    :param reason: the verdict's sentence.
    :param green: what the rollout calls what it makes; ``None`` if it never said.
    :param kept: what of green's may stay after a promotion, as in an :class:`.Inventory`.
    :param planned_share: the largest share, in percent, of the steps that the run came to.
    :param samples: looks at the shares, from before the run to after it.
    :param records: requests that were sent during the run.
    :param green_counts: what CloudWatch has of green.
    :param alarm_at: when the first of the rollout's alarms went into ALARM.
    :param harm_at: when harm was first noticed: by that alarm, or by the bake that compared green with blue.
    """

    started_at: float
    ended_at: float
    run_state: str
    settled: str
    reason: str
    green: Names | None
    kept: frozenset[str]
    planned_share: float
    samples: Sequence[ShareSample]
    records: Sequence[Record]
    green_counts: VariantCounts
    alarm_at: float | None
    harm_at: float | None
    before: Inventory
    after: Inventory


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo's JSON says of one run.

    :param outcome: :data:`PROMOTED`, :data:`ROLLED_BACK`, or :data:`UNSETTLED` for anything else.
    :param failed_requests: answered by an error of the model.
    :param dropped_requests: answered by nobody, or by somebody else than the model.
    :param failed_requests_all_at_once: an estimate: green's measured failure rate on all requests from its first share until blue had
        everything back.
    :param max_green_share: percent.
    :param seconds_alarm_to_blue: from the alarm's transition until green's share was 0; ``None`` if none rang before.
    :param seconds_harm_to_blue: the same from when harm was first noticed, by an alarm or by the comparison of green with blue.
    :param restored_exactly: whether the endpoint is described as before; ``None`` for a promotion, which changes it.
    :param left_behind: what the rollout made and should have removed.
    """

    outcome: str
    reason: str
    requests: int
    failed_requests: int
    dropped_requests: int
    failed_requests_all_at_once: int
    max_green_share: float
    seconds_alarm_to_blue: float | None
    seconds_harm_to_blue: float | None
    restored_exactly: bool | None
    left_behind: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def report_on(seen: RunSeen) -> Report:
    """Say what came of a run."""
    outcome = _outcome(seen)
    counts = count(seen.records)
    kept = seen.kept if outcome == PROMOTED else frozenset()
    blue_at = find_blue_at(seen)
    return Report(
        outcome=outcome,
        reason=seen.reason,
        requests=counts.requests,
        failed_requests=counts.failed,
        dropped_requests=counts.dropped,
        failed_requests_all_at_once=_estimate_all_at_once(seen),
        max_green_share=round(max((green_share(sample, seen.green) for sample in seen.samples), default=0.0), 2),
        seconds_alarm_to_blue=_seconds_between(seen.alarm_at, blue_at),
        seconds_harm_to_blue=_seconds_between(seen.harm_at, blue_at),
        restored_exactly=None if outcome == PROMOTED else seen.before.endpoint == seen.after.endpoint,
        left_behind=sorted(seen.after.names - seen.before.names - kept),
    )


def _seconds_between(begin: float | None, end: float | None) -> float | None:
    """``None`` where one of them was not, or not in this order: an alarm may ring after the comparison had proven the harm."""
    return round(end - begin, 1) if begin and end and begin <= end else None


def complaints(seen: RunSeen, report: Report, expected: str) -> list[str]:
    """What did not go as it should; empty if all did.

    :param expected: the outcome that should have come.
    """
    found = {
        f"outcome is {report.outcome}, not {expected}": report.outcome != expected,
        f"{report.dropped_requests} requests were dropped": report.dropped_requests > 0,
        f"green had {report.max_green_share:g} %, planned were {seen.planned_share:g} %": report.max_green_share
        > seen.planned_share,
        f"left behind: {', '.join(report.left_behind)}": bool(report.left_behind),
        f"the endpoint is not as before: {seen.after.endpoint} instead of {seen.before.endpoint}": report.restored_exactly
        is False,
        "nobody was seen to notice harm": expected == ROLLED_BACK and report.seconds_harm_to_blue is None,
        f"the reason names no alarm and no task that judges: {report.reason!r}": expected == ROLLED_BACK
        and not any(named in report.reason for named in ("alarm", BAKE, f".{PROMOTE}: ")),
    }
    return [complaint for complaint, is_so in found.items() if is_so]


def green_share(sample: ShareSample, green: Names | None) -> float:
    """Green's share in percent: what its variant has, or all that is on its config, by whichever way the traffic is split."""
    if green is None:
        return 0.0
    is_green = {green.variant, green.final_config}
    return sum(share for fleet, share in sample.shares.items() if is_green.intersection(fleet))


def find_blue_at(seen: RunSeen) -> float | None:
    """When, after harm was noticed, blue first had everything back; ``None`` if that was not seen."""
    harm_at = seen.harm_at
    if harm_at is None:
        return None
    looks = (sample for sample in seen.samples if sample.at >= harm_at)
    return next((sample.at for sample in looks if not green_share(sample, seen.green)), None)


def _outcome(seen: RunSeen) -> str:
    """What Airflow says and what the rollout says must agree."""
    told: Mapping[tuple[str, str], str] = {("success", "promoted"): PROMOTED, ("failed", "as_before"): ROLLED_BACK}
    return told.get((seen.run_state, seen.settled), UNSETTLED)


def _estimate_all_at_once(seen: RunSeen) -> int:
    first = next((sample.at for sample in seen.samples if green_share(sample, seen.green)), None)
    if first is None or not seen.green_counts.requests:
        return 0
    until = find_blue_at(seen) or seen.ended_at
    exposed = sum(1 for record in seen.records if first <= record.at <= until)
    return round(exposed * seen.green_counts.errors / seen.green_counts.requests)
