"""Every event between any two steps of a rollout, and right before any of its effects: when it has been decided, and not yet done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_sm_rollout.core.errors import RolloutGaveUp
from convergence.conftest import WALKED
from convergence.guardrails_lab import GuardrailsLab
from convergence.histories import (
    DRIFTS,
    EVENTS,
    Event,
    History,
    assert_promises,
    pointer_is_written,
    process_dies,
    rises_after_harm,
)
from convergence.lab import ENDPOINT, Lab
from convergence.lambda_lab import LambdaLab
from convergence.live_lab import LiveLab

pytestmark = pytest.mark.usefixtures("direct")

Make = Callable[..., Lab]
LABS: list[Make] = [Lab, LiveLab, LambdaLab, GuardrailsLab]
RANDOM_HISTORIES = 250
EVERY = {LambdaLab: 4}  # its rules are those of two endpoints, and some more


@cache
def effects(make: Make) -> int:
    """How many effects an undisturbed rollout has."""
    lab = make()
    history = History(lab, [])
    history.run()
    return history.count + 1


def check(history: History, case: str, may_rise: int) -> None:
    assert_promises(history, case)
    if not isinstance(
        history.lab, GuardrailsLab
    ):  # there it is SageMaker that shifts, and looks at an alarm at times only
        assert rises_after_harm(history) <= may_rise, case


def events_for(make: Make) -> list[Event]:
    return [event for event in EVENTS if event is not pointer_is_written or make in (LiveLab, LambdaLab)]


@pytest.mark.parametrize("then", ["go on", "roll back"])
@pytest.mark.parametrize("make", LABS)
def test_whatever_comes_between_two_tasks_the_end_is_promoted_or_as_before(
    make: Make, then: str, record_property: Callable[[str, Any], None]
) -> None:
    cases = [(event, number) for event in events_for(make) for number in range(1, len(make().tasks()))]
    for event, number in cases:
        history = History(make(on_drift="restore"), [])
        before = [event] if then == "go on" else [event, process_dies]
        history.run(before_tasks={number: before})
        check(history, f"{event.__name__} before task {number}, then {then}", may_rise=0)
    record_property(WALKED, len(cases))


@pytest.mark.parametrize("then", ["go on", "roll back"])
@pytest.mark.parametrize("make", LABS)
def test_whatever_comes_between_a_decision_and_its_effect_the_end_is_promoted_or_as_before(
    make: Make, then: str, record_property: Callable[[str, Any], None]
) -> None:
    cases = [(event, at) for event in events_for(make) for at in range(1, effects(make))]  # from behind the record on
    cases = cases[:: EVERY.get(make, 1)]
    for event, at in cases:
        history = History(make(on_drift="restore"), [(at, event)])
        if then == "roll back":
            history.events.append((at, process_dies))
        history.run()
        assert event in history.happened
        check(history, f"{event.__name__} before effect {at}, then {then}", may_rise=1)
    record_property(WALKED, len(cases))


def is_still_theirs(lab: Lab, drift: Event) -> bool:
    """Whether what somebody else has changed is as they have left it."""
    lab.hook = None
    if isinstance(lab, LiveLab) and drift is pointer_is_written:
        return lab.live() == "theirs"
    return bool(lab.describe_endpoint(ENDPOINT)["EndpointConfigName"] == "theirs")


@pytest.mark.parametrize("make", LABS)
def test_somebodys_change_is_never_overwritten_by_a_plan_that_does_not_say_so(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    drifts = [drift for drift in DRIFTS if drift in events_for(make)]
    # While SageMaker shifts, AWS refuses everybody's change.
    tasks = len(make().tasks()) if make is not GuardrailsLab else 2
    cases = [(drift, number) for drift in drifts for number in range(1, tasks)]
    for drift, number in cases:
        history = History(make(), [])
        with contextlib.suppress(RolloutGaveUp):
            history.run(before_tasks={number: [drift]})
        assert is_still_theirs(history.lab, drift), f"{drift.__name__} before task {number}"
    record_property(WALKED, len(cases))


@pytest.mark.parametrize("make", LABS)
def test_random_histories_end_promoted_or_as_before(make: Make, record_property: Callable[[str, Any], None]) -> None:
    walked: set[str] = set()

    @settings(
        max_examples=RANDOM_HISTORIES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([*events_for(make), process_dies])), max_size=6))
    def one(events: list[tuple[int, Event]]) -> None:
        history = History(make(on_drift="restore"), sorted(events, key=lambda each: each[0]))
        history.run()
        case = str([(at, event.__name__) for at, event in events])
        assert_promises(history, case)
        walked.add(case)

    one()
    record_property(WALKED, len(walked))
