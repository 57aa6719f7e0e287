"""Who was blue when, and which rollouts there were, from calls by the minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_rollout.core.comparison.comparison import Comparison
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS
from airflow_sm_rollout.core.replay.history import (
    Fate,
    Fleet,
    PastRollout,
    describe_past,
    find_idle,
    find_reigns,
    find_rollouts,
    judge_past,
)

MIDNIGHT = datetime(2026, 11, 20, tzinfo=timezone.utc)
BLUE, GREEN, NEXT = Fleet("AllTraffic"), Fleet("model-0badcafe"), Fleet("model-1badcafe")


def at(minute: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=minute)


def calls(minutes: Iterable[int], count: float = 10.0) -> dict[datetime, float]:
    return {at(minute): count for minute in minutes}


def idle(minutes: Iterable[int]) -> dict[datetime, float]:
    return calls(minutes, 0.0)


def test_a_promoted_green_and_one_that_was_rolled_back_are_found_in_order_of_time() -> None:
    found = find_rollouts(
        {
            NEXT: calls(range(800, 830), 5.0),
            BLUE: calls(range(630)),
            GREEN: calls(range(600, 1000), 2.0),
        },
        at(1000),
    )
    assert found == [
        PastRollout(BLUE, GREEN, at(600), at(630), 60, 360, Fate.SERVED_ON),
        PastRollout(GREEN, NEXT, at(800), at(830), 150, 210, Fate.GONE),
    ]


def test_minutes_without_calls_are_no_break_but_hours_are() -> None:
    blue = calls(range(1000))
    once = {**calls(range(300, 310)), **idle(range(310, 488)), **calls(range(488, 490))}
    twice = {**calls(range(300, 310)), **idle(range(310, 489)), **calls(range(489, 500))}
    assert [(each.began, each.ended) for each in find_rollouts({BLUE: blue, GREEN: once}, at(1000))] == [
        (at(300), at(490))
    ]
    assert [(each.began, each.ended, each.green) for each in find_rollouts({BLUE: blue, GREEN: twice}, at(1000))] == [
        (at(300), at(310), GREEN),
        (at(489), at(500), GREEN),
    ]


def test_who_had_no_calls_in_the_hours_before_is_green_even_if_it_was_blue_long_ago() -> None:
    found = find_rollouts(
        {BLUE: {**calls(range(100)), **calls(range(900, 960))}, GREEN: calls(range(90, 1000))}, at(1000)
    )
    assert [(each.blue, each.green, each.fate) for each in found] == [
        (BLUE, GREEN, Fate.SERVED_ON),
        (GREEN, BLUE, Fate.GONE),
    ]


def test_after_a_quiet_night_blue_is_who_ever_had_calls_before() -> None:
    [found] = find_rollouts({GREEN: calls(range(700, 720)), BLUE: {**calls([0]), **calls(range(700, 720))}}, at(1000))
    assert (found.blue, found.green, found.fate) == (BLUE, GREEN, Fate.NEITHER)


@pytest.mark.parametrize(
    ("until", "fate"), [(25, Fate.BOTH), (26, Fate.NEITHER)], ids=["minutes after the last call", "later"]
)
def test_a_rollout_whose_last_minutes_are_the_last_of_all_is_not_over(until: int, fate: Fate) -> None:
    [found] = find_rollouts({BLUE: calls(range(20)), GREEN: calls(range(10, 20))}, at(until))
    assert found.fate is fate


def test_two_that_both_served_from_the_begin_on_can_not_be_judged() -> None:
    [found] = find_rollouts({BLUE: calls(range(50)), GREEN: calls(range(50))}, at(50))
    assert not found.is_order_known
    assert judge_past(found, [], [], DEFAULTS, timedelta(hours=1)) == (
        "which of them came later is not in these days' figures"
    )


def test_two_configs_of_one_variant_are_a_rollout_if_they_serve_for_longer_than_an_update_takes() -> None:
    old, new, newest = (Fleet("AllTraffic", config) for config in ("fraud-1", "fraud-2", "fraud-3"))
    found = find_rollouts(
        {
            BLUE: calls(range(500)),
            old: calls(range(203)),
            new: calls(range(200, 402)),
            newest: calls(range(400, 500)),
            GREEN: calls([1000]),
            Fleet("model-0badcafe", "fraud-1"): calls(range(100)),
        },
        at(2000),
    )
    assert [(each.blue, each.green, each.fate) for each in found] == [(old, new, Fate.SERVED_ON)]
    assert str(new) == "AllTraffic of config fraud-2"
    assert new.dimensions("fraud") == {
        "EndpointName": "fraud",
        "VariantName": "AllTraffic",
        "EndpointConfigName": "fraud-2",
    }


def test_a_variant_without_a_call_is_idle_and_in_no_rollout() -> None:
    seen = {BLUE: calls(range(100)), GREEN: idle(range(50, 100)), NEXT: {}}
    assert find_idle(seen) == [GREEN]
    assert find_rollouts(seen, at(100)) == []


def test_blue_is_who_has_most_calls_in_an_hour_and_stays_it_while_nobody_calls() -> None:
    seen = {
        BLUE: calls(range(150), 9.0),
        GREEN: {**calls(range(100, 150), 1.0), **calls(range(150, 200), 30.0), **calls(range(500, 510))},
        Fleet("AllTraffic", "fraud-1"): calls(range(500), 99.0),
        NEXT: calls(range(600, 610)),
    }
    assert [(each.fleet, each.since, each.until) for each in find_reigns(seen)] == [
        (BLUE, at(0), at(120)),
        (GREEN, at(120), at(540)),
        (NEXT, at(540), at(660)),
    ]
    assert find_reigns({}) == []


def test_an_even_split_does_not_make_another_one_blue_each_hour() -> None:
    green = {**calls(range(60, 120), 11.0), **calls(range(120, 180), 9.0), **calls(range(180, 240), 19.0)}
    [reign] = find_reigns({BLUE: calls(range(240)), GREEN: green})
    assert (reign.fleet, reign.since, reign.until) == (BLUE, at(0), at(240))


def sample(requests: int, errors: int = 0) -> Sample:
    return Sample(requests, errors, 0, requests // 2, requests // 20, requests // 100, requests // 5000)


def periods(start: int, count: int, green: Sample | None = None) -> list[Period]:
    return [Period(at(start + minute), 60, sample(600), green) for minute in range(count)]


ROLLOUT = PastRollout(BLUE, GREEN, at(600), at(630), 1_830, 20_000, Fate.SERVED_ON)
HEAD = "2026-11-20 10:00 UTC: model-0badcafe beside AllTraffic for 30 min, 1,830 of 20,000 calls (9.2 %); green served on alone"


@pytest.mark.parametrize(
    ("green", "told"),
    [
        (sample(61, 30), "would have been rolled back after 1 min, at 10:01: "),
        (sample(600), "would have been proven healthy after 10 min, at 10:10: "),
        (sample(6), "nobody could have told: "),
    ],
    ids=["harm", "health", "doubt"],
)
def test_a_past_rollout_is_told_with_what_a_bake_would_have_said_and_when(green: Sample, told: str) -> None:
    judged = judge_past(ROLLOUT, periods(420, 180), periods(600, 30, green), DEFAULTS, timedelta(minutes=40))
    assert isinstance(judged, Comparison)
    assert describe_past(ROLLOUT, judged) == [HEAD, f"  {told}{judged.sentence}"]


def test_a_past_rollout_without_complete_figures_can_not_be_judged() -> None:
    judged = judge_past(ROLLOUT, periods(420, 180), periods(600, 30), DEFAULTS, timedelta(minutes=40))
    told = "  can't be judged: there is no minute in which the figures of both are complete"
    assert describe_past(ROLLOUT, judged) == [HEAD, told]


def test_without_blues_hours_before_a_rollout_is_not_judged() -> None:
    empty = [Period(each.start, 60, sample(0), None) for each in periods(420, 180)]
    for baseline in ([], empty, [Period(at(420), 60, None, None)]):
        judged = judge_past(ROLLOUT, baseline, periods(600, 30, sample(60)), DEFAULTS, timedelta(minutes=40))
        assert describe_past(ROLLOUT, judged)[1] == (
            "  can't be judged: blue had no calls in the 3 hours before, from which its rates would be known"
        )
