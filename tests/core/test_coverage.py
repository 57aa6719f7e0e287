"""Whether the figures cover a bake: a gap or two are ordinary, silence at the end and a bake half unseen are not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.watch.coverage import Coverage, VariantCoverage, with_idle

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SOME, IDLE, TIMED = Sample(9, 1, 0), Sample(0, 0, 0, 0, 0, 0, 0), Sample(9, 1, 0, 4, 1, 0, 0)


def fold(what: str, figures: Iterable[tuple[datetime, bool | None]], seconds: int) -> str:
    coverage = Coverage(what, seconds)
    for start, is_there in figures:
        coverage.take(start, is_there)
    return coverage.describe_gap()


def gap(there: Iterable[bool], seconds: int = 60) -> str:
    figures = [(NOON + timedelta(seconds=number * seconds), each) for number, each in enumerate(there)]
    return fold("figures of green", figures, seconds)


def minutes(text: str, seconds: int = 60) -> str:
    """The gap of a bake that is drawn: ``#`` has figures, ``.`` has none."""
    return gap((mark == "#" for mark in text), seconds)


@pytest.mark.parametrize("bake", ["", "#", "##########", "##..", "#.##.#", "########..", "##.##.##.##.##."])
def test_a_missing_minute_or_two_are_ordinary(bake: str) -> None:
    assert minutes(bake) == ""


def test_figures_that_stop_are_said_with_the_time_since_when() -> None:
    assert minutes("#######...") == "CloudWatch has no figures of green since 12:07:00 UTC"
    assert minutes("##.##.#...") == "CloudWatch has no figures of green since 12:07:00 UTC"


def test_a_bake_of_which_too_much_is_missing_is_not_covered_though_its_end_is() -> None:
    assert minutes("##....#####") == "CloudWatch has no figures of green for 4 of the 11 minutes of this bake"
    assert minutes("#" * 19 + "." * 10 + "#") == ""
    assert "for 10 of the 29 minutes of this bake" in minutes("#" * 18 + "." * 10 + "#")


@pytest.mark.parametrize("bake", [".", "..", "........"])
def test_a_bake_without_any_figure_is_not_covered_however_short_it_is(bake: str) -> None:
    assert minutes(bake) == "CloudWatch has no figures of green in this bake"


def test_of_figures_by_ten_seconds_one_a_minute_is_enough() -> None:
    assert minutes("#....." * 10, seconds=10) == ""
    assert minutes("######" * 5 + "......" * 2, seconds=10) == ""
    assert "since 12:05:00 UTC" in minutes("######" * 4 + "#....." + "......" * 2 + ".", seconds=10)


def test_of_figures_by_five_minutes_two_may_be_missing() -> None:
    assert minutes("####..", seconds=300) == ""
    assert "since 12:20:00 UTC" in minutes("####...", seconds=300)
    assert "for 20 of the 55 minutes" in minutes("##....#####", seconds=300)


@given(st.lists(st.booleans(), max_size=40), st.sampled_from([10, 60, 300]))
def test_further_figures_never_open_a_gap(there: list[bool], seconds: int) -> None:
    if gap(there, seconds) == "":
        for number, _ in enumerate(there):
            assert gap([*there[:number], True, *there[number + 1 :]], seconds) == ""


def gaps(periods: list[Period], since: datetime, *, is_compared: bool, by_latency: bool = False) -> str:
    green, blue = VariantCoverage("green", 60), VariantCoverage("blue", 60)
    for period in periods:
        if period.start >= since:
            green.take(period.start, period.green)
            blue.take(period.start, period.blue)
    gap = green.describe_gap(by_latency=is_compared and by_latency)
    return gap or (blue.describe_gap(by_latency=by_latency) if is_compared else "")


def bake(green: str, blue: str) -> list[Period]:
    marks = {"#": SOME, "0": IDLE, "t": TIMED, ".": None}
    return [
        Period(NOON + timedelta(minutes=number), 60, marks[of_blue], marks[of_green])
        for number, (of_green, of_blue) in enumerate(zip(green, blue, strict=True))
    ]


def test_blues_figures_are_needed_only_where_green_is_compared_with_it() -> None:
    silent = bake(green="########", blue="####....")
    assert gaps(silent, NOON, is_compared=True) == "CloudWatch has no figures of blue since 12:04:00 UTC"
    assert gaps(silent, NOON, is_compared=False) == ""
    assert "of green" in gaps(bake(green="####....", blue="########"), NOON, is_compared=False)


def test_latencies_that_stop_are_a_gap_where_they_are_compared() -> None:
    silent = bake(green="ttt00#####", blue="tttttttttt")
    assert gaps(silent, NOON, is_compared=True, by_latency=False) == ""
    assert gaps(silent, NOON, is_compared=False, by_latency=True) == ""
    told = gaps(silent, NOON, is_compared=True, by_latency=True)
    assert told == "CloudWatch has no latencies of green since 12:05:00 UTC"


def test_a_latency_is_missing_only_where_there_was_a_call_and_idle_seconds_hide_none() -> None:
    idle, timed, untimed = [None] * 6, [None, True, None, None, False, None], [None, False, None, None, None, None]
    assert by_ten_seconds(*[idle] * 5, *[timed] * 3, *[idle] * 5) == ""
    assert "has no latencies since 12:03:00" in by_ten_seconds(*[timed] * 3, *[untimed] * 3)


def by_ten_seconds(*bake: list[bool | None]) -> str:
    marks = [mark for minute in bake for mark in minute]
    figures = [(NOON + timedelta(seconds=10 * number), mark) for number, mark in enumerate(marks)]
    return fold("latencies", figures, 10)


def test_minutes_without_calls_are_no_gap() -> None:
    assert gaps(bake(green="#0000000", blue="00000000"), NOON, is_compared=True) == ""


def test_only_what_is_missing_since_the_bake_began_counts() -> None:
    late = bake(green="......####", blue="......####")
    assert gaps(late, NOON + timedelta(minutes=6), is_compared=True) == ""
    assert gaps(late, NOON, is_compared=True) != ""


def test_a_fleet_without_figures_is_idle_where_the_other_one_has_had_all_calls() -> None:
    [before, split, lost, blind] = bake(green="..#.", blue="#.##")[:4]
    totals = {before.start: 9.0, split.start: 0.0, lost.start: 30.0}
    found = with_idle([before, split, lost, blind], totals)
    assert found[0] == Period(before.start, 60, SOME, IDLE)
    assert found[1] == Period(split.start, 60, IDLE, IDLE)
    assert found[2:] == [lost, blind]
    calls = with_idle(bake(green=".", blue="#"), {NOON: 10.0})
    assert calls[0].green is None
