"""Every AWS call of a canary, times every way it can go wrong, times what happens next: it must end promoted or exactly as before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_rollout.core.errors import RolloutGaveUp
from convergence.lab import STRATEGY, Killed, Lab

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


def count_calls() -> int:
    lab = Lab()
    lab.run()
    return len(lab.calls)


def check(lab: Lab, case: str) -> str:
    """The promises, on whatever end this is."""
    lab.hook = None
    after = lab.describe()
    planned = {0.0, *(step.share for step in STRATEGY.steps)}
    assert {round(share, 6) for share in lab.shares} <= planned, case
    assert not lab.under_capacity, f"{case}: {lab.under_capacity[0]}"
    if after["endpoint"]["EndpointConfigName"] == lab.names.final_config:
        assert after["configs"] == sorted([*lab.before["configs"], lab.names.final_config]), case
        assert after["alarms"] == lab.before["alarms"], case
        assert after["records"] == [], case
        return "promoted"
    assert after == lab.before, case
    return "as before"


CALLS = count_calls()


def strikes(part: int, parts: int) -> Iterator[Strike]:
    return (Strike(at, way) for at in range(part, CALLS, parts) for way in WAYS)


@pytest.mark.parametrize("part", range(4))
def test_a_canary_struck_at_any_call_ends_promoted_or_as_before(part: int) -> None:
    walked = 0
    for strike in strikes(part, 4):
        for then in NEXT if strike.way.startswith("killed") else NEXT[:1]:
            lab = Lab()
            fault = Fault(strike)
            run_struck(lab, fault, then)
            case = f"call {strike.at} ({fault.struck}) {strike.way}, then {then}"
            end = check(lab, case)
            if strike.way in ("throttled", "answer lost") or (strike.way.startswith("killed") and then == "retry"):
                assert end == "promoted", case
            walked += 1
    print(f"{walked} cases walked")
    assert walked >= CALLS


@pytest.mark.parametrize("tasks_done", range(1, 8))
def test_a_rollback_struck_at_any_call_restores_everything(tasks_done: int) -> None:
    clean = Lab()
    clean.run(until=tasks_done)
    clean.calls.clear()
    clean.roll_back()
    assert clean.describe() == clean.before
    for at in range(len(clean.calls)):
        for way in WAYS:
            lab = Lab()
            lab.run(until=tasks_done)
            fault = Fault(Strike(at, way))
            lab.hook = fault
            for _ in range(3):
                try:
                    lab.roll_back()
                    break
                except (Killed, RolloutGaveUp):
                    pass
            assert check(lab, f"after task {tasks_done}, rollback call {at} ({fault.struck}) {way}") == "as before"
