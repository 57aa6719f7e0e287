"""Harm and drift at whatever second of a rollout: green's share never rises from then on, and the way back is asked for within one look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from convergence.blinking import CALLS_TAKE, POLL, SCENARIOS, Event, Scenario, Second, check, sample
from convergence.conftest import WALKED

pytestmark = pytest.mark.usefixtures("direct")

SAMPLED = 8
EACH = [(scenario, event) for scenario in SCENARIOS for event in scenario.events]


@pytest.mark.parametrize(("scenario", "event"), EACH, ids=lambda each: each.name)
def test_a_watch_never_blinks(scenario: Scenario, event: Event, record_property: Callable[[str, Any], None]) -> None:
    seconds = [scenario.second(event, float(at)) for at in sample(scenario, event, SAMPLED)]
    for second in seconds:
        check(second)
    happened = [second for second in seconds if second.happened_at is not None]
    record_property(WALKED, len(happened))
    assert happened, "AWS let none of them happen: walk other seconds"


def test_a_rollout_that_blinks_is_told_from_one_that_does_not() -> None:
    [seen, *_] = [each for each in _alarms() if each.turned_at is not None and not each.is_over]
    check(seen)
    assert seen.happened_at is not None
    seen.turned_at = seen.happened_at + POLL + CALLS_TAKE + 1
    with pytest.raises(AssertionError, match=r"it turned around 21.0 s later"):
        check(seen)
    seen.turned_at = seen.happened_at
    seen.lab.shares.append(seen.allowed + 1)
    with pytest.raises(AssertionError, match=r"% after"):
        check(seen)


def _alarms() -> list[Second]:
    scenario, event = EACH[0]
    return [scenario.second(event, float(at)) for at in sample(scenario, event, SAMPLED)]
