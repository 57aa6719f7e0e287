"""The pictures' geometry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.figures import Figures, Point
from airflow_sm_rollout.core.report import Limits, Report
from airflow_sm_rollout.plugin.chart import BUCKETS, draw
from airflow_sm_rollout.plugin.scale import WIDTH, nice_top
from core.test_rollout_report import BAKED, FIGURES_SEEN, HARMED, SHIFTED, minute, report, settled


def lines(shown: Report, minutes: float, plot: int = 0) -> dict[str, str]:
    return {line.kind: line.path for line in draw(shown, minute(minutes)).plots[plot].lines}


def test_the_real_share_ends_now_and_the_plan_goes_on_to_its_end() -> None:
    running = lines(report(SHIFTED), 2)
    assert running["real"] == "M0 100H333.3V75H666.7"
    assert running["planned"] == "M0 100H333.3V75H666.7V0H1000V0H1000"


def test_a_rolled_back_share_falls_and_what_was_never_reached_is_not_drawn() -> None:
    shown = report(SHIFTED, HARMED, settled("as_before"))
    assert lines(shown, 60)["real"] == "M0 100H200V75H600V100H1000"
    short = replace(shown, ended_at=minute(1.5))
    assert "V0" not in lines(short, 60)["planned"]


def point(at: float, requests: float, failed: float = 0, p99: float | None = None) -> Point:
    return Point(minute(at).timestamp(), requests, 0, failed, p99, p99, p99)


def test_periods_without_requests_leave_a_gap_and_what_came_afterwards_is_left_out() -> None:
    points = (point(0, 6, 0, 10.0), point(1, 0), point(2, 12, 0, 20.0), point(15, 99, 0, 1))
    shown = replace(
        report(SHIFTED, BAKED, settled("promoted")), figures=Figures(minute(5), 60, green=points), ended_at=minute(5)
    )
    chart = draw(shown, minute(9))
    latency = chart.plots[6]
    assert latency.title == "Latency, p99"
    assert latency.lines[-1].path == "M100 50M500 0"
    assert latency.ticks[0] == "20 ms"
    [table] = chart.tables
    assert [row.cells[-1] for row in table.rows] == ["10 ms", "–", "20 ms"]


def test_errors_are_told_apart_and_are_a_part_of_the_requests() -> None:
    points = (Point(minute(0).timestamp(), 200, 4, 1, None, None, None),)
    shown = replace(report(SHIFTED), figures=Figures(minute(5), 60, green=points))
    plots = {plot.title: plot for plot in draw(shown, minute(5)).plots}
    assert plots["Errors, 4XX"].note.endswith("green last 2 %.")
    assert plots["Errors, 5XX"].note.endswith("green last 0.5 %.")


def test_the_measured_share_is_greens_part_of_what_both_were_asked() -> None:
    figures = Figures(minute(5), 60, (point(1, 75), point(2, 0)), (point(1, 25), point(2, 0)))
    shown = draw(replace(report(SHIFTED), figures=figures), minute(5))
    assert [row.cells[0] for row in shown.tables[0].rows] == ["25 %", "–"]


@given(st.integers(1, 5000), st.sampled_from([10, 60, 300]))
def test_however_many_points_there_are_a_picture_has_few_and_loses_no_request(count: int, period: int) -> None:
    begun = minute(0).timestamp()
    points = tuple(Point(begun + number * period, 3, 1, 0, 1.0, 2.0, float(number)) for number in range(count))
    figures = Figures(minute(5), period, (), points)
    over = minute(0) + timedelta(seconds=(count + 1) * period)
    chart = draw(replace(report(SHIFTED), figures=figures, ended_at=over, planned=()), over)
    [table] = chart.tables
    seconds = float(table.title.removeprefix("Figures, in periods of ").removesuffix(" s"))
    assert len(table.rows) <= BUCKETS + 1
    counted = sum(float(row.cells[7].removesuffix(" /s")) * seconds for row in table.rows)
    assert counted == pytest.approx(3 * count, rel=0.01, abs=seconds * 0.01)
    assert max(row.x for row in table.rows) <= WIDTH


def test_a_limit_far_above_what_there_is_flattens_nothing_and_is_said() -> None:
    figures = Figures(minute(5), 60, green=(point(1, 60, 0, 20.0),))
    shown = replace(report(SHIFTED), figures=figures, limits=Limits(p99_ms=40.0, slow_ms=4000.0))
    [latency] = [plot for plot in draw(shown, minute(5)).plots if plot.title == "Latency, p99"]
    near, far = latency.limits
    assert (near.y, near.label) == (20.0, "limit of the plan: 40 ms")
    assert far.label.endswith("4000 ms (above the picture)")
    assert latency.ticks[0] == "50 ms"


@given(st.floats(1e-6, 1e9))
def test_the_top_of_a_scale_is_easy_to_read_and_not_far_above(value: float) -> None:
    top = nice_top(value)
    assert value * (1 - 1e-6) <= top <= 2.5 * value
    assert len(f"{top:.3g}".replace(".", "").strip("0").split("e")[0]) <= 2


def test_an_alarm_that_still_rings_rings_to_the_right_edge() -> None:
    rang = {"refused": ((minute(1).timestamp(), minute(2).timestamp()), (minute(4).timestamp(), None))}
    shown = replace(
        report(SHIFTED, HARMED, settled("as_before")), figures=replace(FIGURES_SEEN, rang=rang), ended_at=minute(5)
    )
    [unknown] = draw(replace(shown, figures=None), minute(5)).lanes
    assert (unknown.told, unknown.spans) == ("its history was not read", ())
    [lane] = draw(shown, minute(5) + timedelta(hours=1)).lanes
    assert lane.spans == ((200, 200), (800, 200))
