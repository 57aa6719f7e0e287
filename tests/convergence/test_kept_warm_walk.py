"""Every call of a rollout that keeps blue warm, times every way it can go wrong: until it is promoted, as the time ends, and in an undo."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import OnlyGreen
from convergence.blinking import green_share_now
from convergence.conftest import WALKED
from convergence.lab import Killed, Lab
from convergence.test_kept_warm import HOUR, LABS, warm
from convergence.test_undo_walk import undo_patiently
from convergence.walk import Fault, Make, Sites, Strike, attempts, check, rollout_strikes, run_struck, strikes_on

pytestmark = pytest.mark.usefixtures("direct")

EVERY = 48
"""A rollout without a warm blue is walked whole elsewhere."""


def end_time(lab: Lab) -> None:
    """Whoever looks first once the time is over."""
    lab.reach(OnlyGreen())


ENDS: dict[str, tuple[Callable[[Lab], object], str]] = {
    "time over": (end_time, "promoted"),
    "undo": (undo_patiently, "as before"),
}


def ending(make: Make, end: str) -> Lab:
    lab = warm(make)
    if end == "time over":
        lab.pass_time(HOUR.total_seconds())
    return lab


@cache
def end_strikes(make: Make, end: str) -> list[Strike]:
    lab = ending(make, end)
    lab.hook = sites = Sites(lab)
    ENDS[end][0](lab)
    return strikes_on(sites, ("retry",))


@pytest.mark.parametrize("make", LABS)
def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    strikes = rollout_strikes(make)[LABS.index(make) :: EVERY]
    for strike in strikes:
        lab = make()
        fault = Fault(strike, lab.now)
        run_struck(lab, fault)
        lab.hook = None
        if green_share_now(lab) == 100:
            lab.pass_time(HOUR.total_seconds())
            end_time(lab)
        case = f"{strike} on {fault.struck}"
        end = check(lab, case)
        assert end == "promoted" or strike.way == "denied" or strike.then == "roll back", case
    record_property(WALKED, len(strikes))
    assert len(strikes) > 5


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("make", LABS)
def test_its_end_struck_at_any_call_is_the_same_end(
    make: Make, end: str, record_property: Callable[[str, Any], None]
) -> None:
    strikes = end_strikes(make, end)[:: EVERY // 4]
    for strike in strikes:
        lab = ending(make, end)
        lab.hook = fault = Fault(strike, lab.now)
        for _ in attempts():
            try:
                ENDS[end][0](lab)
                break
            except (Killed, RolloutGaveUp):
                pass
        case = f"{end}, {strike} on {fault.struck}"
        assert fault.struck, case
        assert check(lab, case) == ENDS[end][1], case
    record_property(WALKED, len(strikes))
    assert len(strikes) > 2
