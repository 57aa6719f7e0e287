"""Every AWS call of a rollout, times every way it can go wrong, times what happens next; for any lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_rollout.core.errors import RolloutGaveUp
from convergence.lab import Killed, Lab

WAYS = ("killed before", "killed after", "answer lost", "throttled", "denied")
NEXT = ("retry", "roll back")


@dataclass(frozen=True)
class Strike:
    """What happens to call number ``at``, counted from 0."""

    at: int
    way: str


class Fault:
    """Strikes one call; ``throttled`` three in a row."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike
        self.count = -1
        self.struck = ""

    def __call__(self, service: str, operation: str, phase: str) -> None:
        self.count += phase == "before"
        at, way = self.strike.at, self.strike.way
        reach = 3 if way == "throttled" else 1
        if not at <= self.count < at + reach or phase != (
            "after" if way in ("killed after", "answer lost") else "before"
        ):
            return
        self.struck = f"{service}:{operation}"
        if way.startswith("killed"):
            raise Killed
        if way == "answer lost":
            raise ConnectionClosedError(endpoint_url="http://aws")
        code = "ThrottlingException" if way == "throttled" else "AccessDeniedException"
        raise ClientError(
            {"Error": {"Code": code, "Message": way}, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation
        )


def run_struck(lab: Lab, fault: Fault, then: str) -> None:
    """Run task by task; where one dies, retry it or roll back, as Airflow would."""
    lab.hook = fault
    for task in lab.tasks():
        try:
            task()
        except Killed:
            if then == "roll back":
                return lab.roll_back()
            task()
        except RolloutGaveUp:
            return lab.roll_back()
    if then == "roll back" and not fault.struck:
        pytest.fail("the strike hit nothing")
    return None


def count_calls(make: Callable[[], Lab]) -> int:
    """How many calls a rollout makes that nothing happens to."""
    lab = make()
    lab.run()
    return len(lab.calls)


def check(lab: Lab, case: str) -> str:
    """The promises, on whatever end this is."""
    lab.hook = None
    after = lab.describe()
    assert {round(share, 6) for share in lab.shares} <= lab.planned_shares, case
    assert not lab.under_capacity, f"{case}: {lab.under_capacity[0]}"
    if lab.is_promoted(after):
        return "promoted"
    assert after == lab.before, case
    return "as before"


def strikes(calls: int, part: int, parts: int) -> Iterator[Strike]:
    return (Strike(at, way) for at in range(part, calls, parts) for way in WAYS)


def walk_rollout(make: Callable[[], Lab], calls: int, part: int, parts: int) -> int:
    """Strike every ``parts``-th call of a rollout from number ``part`` on; returns how many cases that were."""
    walked = 0
    for strike in strikes(calls, part, parts):
        for then in NEXT if strike.way.startswith("killed") else NEXT[:1]:
            lab, fault = make(), Fault(strike)
            run_struck(lab, fault, then)
            case = f"call {strike.at} ({fault.struck}) {strike.way}, then {then}"
            end = check(lab, case)
            if strike.way in ("throttled", "answer lost") or (strike.way.startswith("killed") and then == "retry"):
                assert end == "promoted", case
            walked += 1
    return walked


def walk_rollback(make: Callable[[], Lab], tasks_done: int) -> int:
    """Strike every call of a rollback that begins behind task number ``tasks_done``; returns how many cases that were."""
    clean = make()
    clean.run(until=tasks_done)
    clean.calls.clear()
    clean.roll_back()
    assert clean.describe() == clean.before
    for at in range(len(clean.calls)):
        for way in WAYS:
            lab, fault = make(), Fault(Strike(at, way))
            lab.run(until=tasks_done)
            lab.hook = fault
            for _ in range(3):
                try:
                    lab.roll_back()
                    break
                except (Killed, RolloutGaveUp):
                    pass
            case = f"after task {tasks_done}, rollback call {at} ({fault.struck}) {way}"
            assert check(lab, case) == "as before", case
    return len(clean.calls) * len(WAYS)
