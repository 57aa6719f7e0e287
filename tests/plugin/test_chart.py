"""The pictures' geometry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_sm_rollout.core.figures import Figures, Point
from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.plugin.chart import draw
from core.test_rollout_report import BAKED, FIGURES_SEEN, HARMED, SHIFTED, minute, report, settled


def lines(shown: Report, minutes: float, panel: int = 0) -> dict[str, str]:
    return {line.kind: line.path for line in draw(shown, minute(minutes)).panels[panel].lines}


def test_the_real_share_ends_now_and_the_plan_goes_on_to_its_end() -> None:
    running = lines(report(SHIFTED), 2)
    assert running["real"] == "M0 100H333.3V75H666.7"
    assert running["planned"] == "M0 100H333.3V75H666.7V0H1000V0H1000"


def test_a_rolled_back_share_falls_and_what_was_never_reached_is_not_drawn() -> None:
    shown = report(SHIFTED, HARMED, settled("as_before"))
    assert lines(shown, 60)["real"] == "M0 100H200V75H600V100H1000"
    short = replace(shown, ended_at=minute(1.5))
    assert "V0" not in lines(short, 60)["planned"]


def test_periods_without_requests_leave_a_gap_and_what_came_afterwards_is_left_out() -> None:
    at = minute(0).timestamp()
    points = (
        Point(at, 6, 0, 10.0),
        Point(at + 60, 0, 0, None),
        Point(at + 120, 12, 0, 20.0),
        Point(at + 900, 99, 0, 1),
    )
    shown = replace(
        report(SHIFTED, BAKED, settled("promoted")), figures=Figures(minute(5), 60, green=points), ended_at=minute(5)
    )
    latency = draw(shown, minute(9)).panels[3]
    assert latency.lines[0].path == "M100 50.0M500 0.0"
    assert latency.top == "20 ms"


def test_an_alarm_that_still_rings_rings_to_the_right_edge() -> None:
    rang = {"refused": ((minute(1).timestamp(), minute(2).timestamp()), (minute(4).timestamp(), None))}
    shown = replace(
        report(SHIFTED, HARMED, settled("as_before")), figures=replace(FIGURES_SEEN, rang=rang), ended_at=minute(5)
    )
    [unknown] = draw(replace(shown, figures=None), minute(5)).bands
    assert (unknown.told, unknown.spans) == ("its history was not read", ())
    [band] = draw(shown, minute(5) + timedelta(hours=1)).bands
    assert band.spans == ((200, 200), (800, 200))
