"""What the demo says of a run follows from what was seen, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.demo.inventory import Inventory
from airflow_sm_rollout.demo.progress import TIMELINE_COLUMNS, render_timeline
from airflow_sm_rollout.demo.report import (
    PROMOTED,
    ROLLED_BACK,
    UNSETTLED,
    RunSeen,
    VariantCounts,
    complaints,
    green_share,
    report_on,
)
from airflow_sm_rollout.demo.shares import ShareSample
from airflow_sm_rollout.sandbox.traffic import Record

GREEN = Names("wine", "1")
BLUE = "AllTraffic"
BEFORE = Inventory({"config": "wine-v1", "variants": [{"VariantName": BLUE}]}, frozenset({"model wine-v1"}))


def sample(at: float, green: float) -> ShareSample:
    mixed = {(GREEN.mixed_config, BLUE): 100 - green, (GREEN.mixed_config, GREEN.variant): green}
    return ShareSample(at, mixed if green else {("wine-v1", BLUE): 100.0})


def record(at: float, outcome: str = "answered") -> Record:
    return Record(at, 0.0, 0.01, 200, BLUE, outcome, True, "")  # type: ignore[arg-type]


# Green had 10 % from 10 s to 40 s, the alarm rang at 36 s; ten requests a second.
BAD = RunSeen(
    started_at=0.0,
    ended_at=60.0,
    run_state="failed",
    settled="as_before",
    reason="alarm sm-rollout-wine-1-errors is in ALARM: 40 % of the requests",
    green=GREEN,
    kept=frozenset({"endpoint config wine-1", "model wine-1"}),
    planned_share=10.0,
    samples=[sample(float(at), 10.0 if 10 <= at < 40 else 0.0) for at in range(60)],
    records=[record(at / 10) for at in range(588)] + [record(20.0, "failed"), record(21.0, "failed")],
    green_counts=VariantCounts(requests=30, errors=12),
    alarm_at=36.0,
    harm_at=36.0,
    before=BEFORE,
    after=BEFORE,
)
GOOD = replace(
    BAD,
    run_state="success",
    settled="promoted",
    planned_share=100.0,
    samples=[sample(float(at), 100.0 if at >= 10 else 0.0) for at in range(60)],
    records=[record(at / 10) for at in range(600)],
    green_counts=VariantCounts(requests=500),
    alarm_at=None,
    harm_at=None,
    after=Inventory(
        {"config": "wine-1", "variants": [{"VariantName": GREEN.variant}]},
        BEFORE.names | {"endpoint config wine-1", "model wine-1"},
    ),
)


def test_a_bad_run_is_reported_with_its_figures() -> None:
    report = report_on(BAD)
    assert (report.outcome, report.reason) == (ROLLED_BACK, BAD.reason)
    assert (report.requests, report.failed_requests, report.dropped_requests) == (590, 2, 0)
    assert (report.max_green_share, report.seconds_alarm_to_blue) == (10.0, 4.0)
    assert (report.restored_exactly, report.left_behind) == (True, [])
    assert complaints(BAD, report, ROLLED_BACK) == []


def test_the_estimate_is_greens_failure_rate_on_all_requests_while_it_had_traffic() -> None:
    exposed = [each for each in BAD.records if 10.0 <= each.at <= 40.0]
    assert report_on(BAD).failed_requests_all_at_once == round(len(exposed) * 12 / 30)
    assert report_on(replace(BAD, green_counts=VariantCounts())).failed_requests_all_at_once == 0


def test_a_good_run_keeps_greens_config_and_model() -> None:
    report = report_on(GOOD)
    assert (report.outcome, report.max_green_share, report.left_behind) == (PROMOTED, 100.0, [])
    assert (report.restored_exactly, report.seconds_alarm_to_blue) == (None, None)
    assert complaints(GOOD, report, PROMOTED) == []


def test_a_rollback_keeps_nothing_of_green() -> None:
    left = Inventory(BEFORE.endpoint, BEFORE.names | {"model wine-1", "parameter /sm-rollout/wine"})
    report = report_on(replace(BAD, after=left))
    assert report.left_behind == ["model wine-1", "parameter /sm-rollout/wine"]
    assert complaints(BAD, report, ROLLED_BACK) == ["left behind: model wine-1, parameter /sm-rollout/wine"]


@pytest.mark.parametrize(("run_state", "settled"), [("failed", ""), ("success", "as_before"), ("failed", "promoted")])
def test_where_airflow_and_the_rollout_disagree_nothing_is_settled(run_state: str, settled: str) -> None:
    assert report_on(replace(BAD, run_state=run_state, settled=settled)).outcome == UNSETTLED


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"records": [record(1.0, "dropped")]}, "1 requests were dropped"),
        ({"planned_share": 5.0}, "green had 10 %, planned were 5 %"),
        ({"after": Inventory({"config": "other"}, BEFORE.names)}, "not as before"),
        ({"alarm_at": None, "harm_at": None}, "nobody was seen to notice harm"),
        ({"reason": "somebody stopped it"}, "names no alarm and no task that judges"),
        ({"run_state": "success"}, "outcome is unsettled"),
    ],
)
def test_whatever_goes_wrong_is_complained_about(change: dict[str, object], complaint: str) -> None:
    seen = replace(BAD, **change)  # type: ignore[arg-type]
    found = complaints(seen, report_on(seen), ROLLED_BACK)
    assert [text for text in found if complaint in text], found


@pytest.mark.parametrize(
    ("shares", "green"),
    [
        pytest.param({}, 0, id="nothing serves"),
        pytest.param({("wine-v1", BLUE): 100}, 0, id="blue alone"),
        pytest.param({(GREEN.mixed_config, BLUE): 90, (GREEN.mixed_config, GREEN.variant): 10}, 10, id="two variants"),
        pytest.param(
            {("wine-v1", BLUE): 50, (GREEN.final_config, BLUE): 50}, 50, id="two fleets that SageMaker shifts"
        ),
        pytest.param({(GREEN.final_config, BLUE): 100}, 100, id="the endpoint of green alone"),
        pytest.param({(GREEN.final_config, GREEN.variant): 100}, 100, id="promoted"),
    ],
)
def test_greens_share_is_told_by_whichever_way_traffic_is_split(
    shares: dict[tuple[str, str], float], green: float
) -> None:
    assert green_share(ShareSample(0.0, shares), GREEN) == green
    assert green_share(ShareSample(0.0, shares), None) == 0


def test_blue_has_everything_back_at_the_first_look_after_the_alarm_that_shows_it() -> None:
    """Before green's first share its share is 0 as well; that is not the rollback."""
    assert report_on(replace(BAD, alarm_at=5.0, harm_at=5.0)).seconds_alarm_to_blue == 0.0
    assert report_on(replace(BAD, alarm_at=39.5, harm_at=39.5)).seconds_alarm_to_blue == 0.5
    assert report_on(replace(BAD, samples=BAD.samples[:40])).seconds_alarm_to_blue is None
    assert report_on(replace(BAD, alarm_at=44.0, harm_at=39.5)).seconds_alarm_to_blue is None, "it rang afterwards"


@pytest.mark.parametrize("task", ["bake_10", "promote"])
def test_harm_that_a_task_has_proven_without_an_alarm_is_as_good_as_one(task: str) -> None:
    reason = f"in canary.{task}: green fails 40 % of its calls, blue 0 %"
    proven = replace(BAD, alarm_at=None, harm_at=20.0, reason=reason)
    report = report_on(proven)
    assert (report.seconds_alarm_to_blue, report.seconds_harm_to_blue) == (None, 20.0)
    assert complaints(proven, report, ROLLED_BACK) == []
    scale = render_timeline(proven)[2]
    assert scale.index("^ proven") == render_timeline(proven)[0].index("|") + 1 + 20


def test_the_timeline_shows_when_green_had_traffic_and_when_requests_failed() -> None:
    shares, failures, scale = render_timeline(BAD)
    share_bars, failure_bars = (line.split("|")[1] for line in (shares, failures))
    assert len(share_bars) == len(failure_bars) == TIMELINE_COLUMNS
    assert [bool(bar.strip()) for bar in share_bars] == [10 <= at < 40 for at in range(60)]
    assert [at for at, bar in enumerate(failure_bars) if bar.strip()] == [20, 21]
    assert scale.index("^ alarm") == shares.index("|") + 1 + 36
    assert "alarm" not in render_timeline(GOOD)[2]
