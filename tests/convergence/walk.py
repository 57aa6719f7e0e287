"""Every AWS call of a rollout, times every way it can go wrong, times what happens next; for any lab.

A call that is asked again while nothing has changed but the time is the same call: it is struck once. And of what can happen to a call
that only reads, a lost answer is like a throttled call, and being killed after it like being killed before the next one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_rollout.core.errors import RolloutGaveUp
from convergence.lab import Killed, Lab

Make = Callable[[], Lab]
READ_WAYS = ("killed before", "throttled", "denied", "expired")
WAYS = (*READ_WAYS, "killed after", "answer lost")
THROTTLED_CALLS = 3
EXPIRED_FOR = timedelta(minutes=10)
CODES = {"throttled": "ThrottlingException", "denied": "AccessDeniedException", "expired": "ExpiredTokenException"}


@dataclass(frozen=True)
class Strike:
    """What happens to call number ``at``, counted from 0, and then to a task that was killed by it."""

    at: int
    way: str
    then: str = "retry"


class Fault:
    """Strikes one call; ``throttled`` three in a row, ``expired`` all of some minutes."""

    def __init__(self, strike: Strike, now: Callable[[], datetime]) -> None:
        self.strike = strike
        self.now = now
        self.count = -1
        self.struck = ""
        self.since: datetime | None = None

    def __call__(self, service: str, operation: str, phase: str) -> None:
        self.count += phase == "before"
        way = self.strike.way
        if phase != ("after" if way in ("killed after", "answer lost") else "before") or not self._hits():
            return
        self.since = self.since or self.now()
        self.struck = self.struck or f"{service}:{operation}"
        if way.startswith("killed"):
            raise Killed
        if way == "answer lost":
            raise ConnectionClosedError(endpoint_url="http://aws")
        error = {"Error": {"Code": CODES[way], "Message": way}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(error, operation)  # type: ignore[arg-type]

    def _hits(self) -> bool:
        if self.strike.way == "expired":
            return self.count >= self.strike.at and (self.since is None or self.now() < self.since + EXPIRED_FOR)
        reach = THROTTLED_CALLS if self.strike.way == "throttled" else 1
        return self.strike.at <= self.count < self.strike.at + reach


def is_read(call: str) -> bool:
    return call.split(":")[1].startswith(("Describe", "Get", "List"))


class Sites:
    """Notes which of a run's calls are distinct: by what is asked, and in which world."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.count = -1
        self.effects = 0
        self.seen: set[str] = set()
        self.reads: list[int] = []
        self.writes: list[int] = []

    def __call__(self, service: str, operation: str, phase: str) -> None:
        if phase != "before":
            return
        self.count += 1
        call = f"{service}:{operation}"
        world = json.dumps([call, self.effects, self.lab.describe()])
        self.effects += not is_read(call)
        if world not in self.seen:
            self.seen.add(world)
            (self.reads if is_read(call) else self.writes).append(self.count)


def strikes_on(sites: Sites, choices: tuple[str, ...]) -> list[Strike]:
    ways = [(at, way) for at in sites.reads for way in READ_WAYS] + [(at, way) for at in sites.writes for way in WAYS]
    return [
        Strike(at, way, then)
        for at, way in sorted(ways)
        for then in (choices if way.startswith("killed") else choices[:1])
    ]


@cache
def rollout_strikes(make: Make) -> list[Strike]:
    """All that can happen to a rollout's calls."""
    lab = make()
    lab.hook = sites = Sites(lab)
    lab.run()
    return strikes_on(sites, ("retry", "roll back"))


@cache
def rollback_strikes(make: Make, tasks_done: int) -> list[Strike]:
    """All that can happen to the calls of a rollback that begins behind task number ``tasks_done``."""
    lab = make()
    lab.run(until=tasks_done)
    lab.hook = sites = Sites(lab)
    lab.roll_back()
    assert lab.describe() == lab.before
    return strikes_on(sites, ("retry",))


def run_struck(lab: Lab, fault: Fault) -> None:
    """Run task by task; where one dies, retry it or roll back, as Airflow would."""
    lab.hook = fault
    for task in lab.tasks():
        try:
            task()
        except Killed:
            if fault.strike.then == "roll back":
                return lab.roll_back()
            task()
        except RolloutGaveUp:
            return lab.roll_back()
    if not fault.struck:
        pytest.fail("the strike hit nothing")
    return None


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


def walk_rollout(make: Make, part: int, parts: int) -> int:
    """Walk every ``parts``-th case of a rollout from number ``part`` on; returns how many that were."""
    strikes = rollout_strikes(make)[part::parts]
    for strike in strikes:
        lab = make()
        fault = Fault(strike, lab.now)
        run_struck(lab, fault)
        case = f"{strike} on {fault.struck}"
        end = check(lab, case)
        if strike.way != "denied" and strike.then == "retry":
            assert end == "promoted", case
    return len(strikes)


def walk_rollback(make: Make, tasks_done: int, every: int = 1) -> int:
    """Walk all cases, or one of ``every``, of a rollback that begins behind task number ``tasks_done``; returns how many that were."""
    strikes = rollback_strikes(make, tasks_done)[::every]
    for strike in strikes:
        lab = make()
        lab.run(until=tasks_done)
        lab.hook = fault = Fault(strike, lab.now)
        for _ in attempts():
            try:
                lab.roll_back()
                break
            except (Killed, RolloutGaveUp):
                pass
        case = f"after task {tasks_done}, rollback, {strike} on {fault.struck}"
        assert fault.struck, case
        assert check(lab, case) == "as before", case
    return len(strikes)


def attempts() -> Iterator[int]:
    """A task's tries."""
    return iter(range(3))
