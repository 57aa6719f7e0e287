"""The interval of a difference that people are shown holds at all looks together; the marks it is made of stay few."""

from __future__ import annotations

import copy
import itertools
import random
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.comparison.difference import difference_of, tolerated_difference
from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from airflow_sm_rollout.core.comparison.track import MOST_MARKS, Mark, Track, read_marks
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Margin

BEGUN = datetime(2026, 1, 1, tzinfo=timezone.utc)
INDEPENDENT = Dispersion(1.0, 0.0)


def binomial(chance: random.Random, calls: int, rate: float) -> int:
    return sum(chance.random() < rate for _ in range(calls))


def test_the_true_difference_is_in_the_interval_at_every_look_nearly_always() -> None:
    chance, runs, missed = random.Random(7), 150, 0
    for _ in range(runs):
        counts = [0, 0, 0, 0]
        for look in range(40):
            counts[0] += binomial(chance, 30, 0.06)
            counts[1] += 30
            counts[2] += binomial(chance, 60, 0.05)
            counts[3] += 60
            found = difference_of((*counts,), DEFAULTS.over_p95, INDEPENDENT, look)  # type: ignore[arg-type]
            assert found is not None
            if not found.low <= 0.01 <= found.high:
                missed += 1
                break
    assert missed <= 0.05 * runs


def test_with_more_calls_the_interval_is_narrower_and_scatter_makes_it_wider() -> None:
    few = difference_of((3, 100, 5, 500), DEFAULTS.errors_5xx, INDEPENDENT, 10)
    many = difference_of((300, 10_000, 500, 50_000), DEFAULTS.errors_5xx, INDEPENDENT, 10)
    bunched = difference_of((300, 10_000, 500, 50_000), DEFAULTS.errors_5xx, Dispersion(4.0, 0.0), 10)
    assert few is not None
    assert many is not None
    assert bunched is not None
    assert many.high - many.low < few.high - few.low
    assert bunched.high - bunched.low > 1.5 * (many.high - many.low)
    assert many.middle == few.middle


def test_without_calls_there_is_no_difference() -> None:
    assert difference_of((0, 0, 5, 500), DEFAULTS.errors_5xx, INDEPENDENT, 1) is None


def test_what_is_tolerated_is_the_larger_of_ratio_and_points() -> None:
    margin = Margin(1.5, 0.01, 2.0, 0.02)
    assert tolerated_difference(margin, 0.001) == 0.01
    assert tolerated_difference(margin, 0.1) == 0.05


def mark(minutes: int, evidence: float = 1.0) -> Mark:
    return Mark((BEGUN + timedelta(minutes=minutes)).timestamp(), evidence, 1.0, ((1, 2, 3, minutes),))


@given(st.integers(0, 700))
def test_marks_stay_few_are_even_and_end_with_the_last(periods: int) -> None:
    track = Track(1)
    for number in range(periods):
        if track.count():
            track.add(mark(number))
    last = mark(periods, 2.0)
    marks = track.ended_by(last)
    assert len(marks) <= MOST_MARKS
    assert len({later.at - before.at for before, later in itertools.pairwise(marks[:-1])}) <= 1
    assert marks[-1] == last
    assert read_marks([each.as_list() for each in marks]) == marks


def test_a_copy_takes_nothing_from_the_track_it_is_of() -> None:
    track = Track(1)
    track.add(mark(1))
    copy.deepcopy(track).add(mark(2))
    assert track.ended_by(None) == (mark(1),)
