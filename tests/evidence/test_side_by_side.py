"""What this project promises beside what people use without it, on some cells of ``benchmarks/side_by_side``."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.side_by_side.__main__ import Ended, render, run


@pytest.mark.parametrize(("green", "seconds", "percent"), [("5XX 100 %", 90, 1.0), ("5XX 5 %", 200, 3.0)])
def test_a_green_that_fails_is_taken_back_before_users_have_met_much_of_it(
    green: str, seconds: float, percent: float
) -> None:
    ended = run("variants", green, bake=180, seed=3)
    assert not ended.promoted
    assert 0 < ended.lasted <= seconds
    assert 0 < ended.harmed <= percent


def test_a_green_that_is_slow_is_stopped_at_the_first_share_though_a_bake_is_shorter_than_the_warm_up() -> None:
    ended = run("variants", "p50 x 2", bake=180, seed=3)
    assert not ended.promoted
    assert 5 < ended.peak < 20
    assert ended.harmed < 3


def test_a_plain_canary_lets_a_failing_green_serve_for_longer() -> None:
    by_hand, ours = (run(arm, "5XX 100 %", bake=180, seed=3) for arm in ("by hand, sample alarms", "variants"))
    assert ours.lasted < by_hand.lasted
    assert ours.harmed < by_hand.harmed


def test_a_cell_says_how_many_were_taken_back_or_that_all_were_missed() -> None:
    back = Ended(promoted=False, harmed=0.5, lasted=61.0, peak=11.0, seconds=400.0, calls=run_of(3), refused=1)
    gone = Ended(promoted=True, harmed=9.0, lasted=900.0, peak=100.0, seconds=1000.0, calls=run_of(7), refused=0)
    assert render("5XX 5 %", [back, gone]) == "1 of 2: 0.5 %; 61 s; at 11 %"
    assert render("5XX 5 %", [gone]) == "missed"
    assert render("healthy", [back, gone]) == "1 of 2 back; 700 s, 5 calls, 1 refused"


def run_of(calls: int) -> Counter[str]:
    return Counter({"DescribeEndpoint": calls})
