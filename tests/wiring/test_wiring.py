"""Rollouts through Airflow's own processes: what becomes of the endpoint when these, or people, do what they do.

A story is one DAG run on an endpoint of its own. The stories of a chapter run side by side, each in a thread; a test waits for its
story's end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from production import BAD, Shares, alarm_of
from wiring.runs import Run, Site, planned_only

pytestmark = pytest.mark.slow

Story = Callable[[Site], None]


@contextmanager
def followed(site: Site, endpoint: str, dag_id: str = "canary", **conf: str) -> Iterator[tuple[Run, list[Shares]]]:
    """A run, and what its endpoint's clients meet, until it is over."""
    run = site.start(endpoint, dag_id, **conf)
    with site.production.watched(endpoint) as seen:
        yield run, seen[endpoint]
        run.wait_for_end()


def a_healthy_model_is_promoted_with_every_wait_deferred(site: Site) -> None:
    with followed(site, "happy", "canary_deferring") as (run, seen):
        pass
    run.assert_promoted()
    assert planned_only(seen, 25, 100)
    assert [weights for _, weights in run.weight_calls()]


def a_model_that_fails_is_rolled_back_within_seconds_of_its_alarm(site: Site) -> None:
    with (
        followed(site, "harmful", "canary_own_alarms", artifact=BAD, bake="120") as (run, seen),
        site.production.traffic("harmful", requests_per_second=20),
    ):
        run.wait_for("bake_25", "failed")
        handle = site.airflow.xcom(run.dag_id, run.run_id, "canary.snapshot")
    run.assert_rolled_back()
    assert planned_only(seen, 25)
    [error_alarm] = [name for name in handle["alarms"] if name.endswith("-errors")]
    assert f"alarm {error_alarm} is in ALARM" in run.reason()
    rang_at = alarm_transition(site, error_alarm)
    asked_at = next(at for at, weights in run.weight_calls() if at > rang_at)
    back_at = next(looked.at for looked in seen if looked.at > rang_at and looked.green == 0)
    print(f"\nalarm to weights call {asked_at - rang_at:.2f} s, to green's share 0 {back_at - rang_at:.2f} s")
    assert asked_at - rang_at < 10


def alarm_transition(site: Site, alarm_name: str) -> float:
    """When an alarm went into ALARM, seconds since the epoch; its history outlives it."""
    history = site.production.cloudwatch.describe_alarm_history(
        AlarmName=alarm_name, HistoryItemType="StateUpdate", AlarmTypes=["MetricAlarm"]
    )
    [rang_at] = [
        item["Timestamp"].timestamp()
        for item in history["AlarmHistoryItems"]
        if item["HistorySummary"].endswith("to ALARM")
    ]
    return float(rang_at)


def a_worker_killed_in_the_middle_of_a_shift_costs_a_retry_not_the_rollout(site: Site) -> None:
    with followed(site, "killed") as (run, seen):
        run.wait_for_weights_call()
        run.process_of("shift_25").kill()
        run.wait_for("shift_25", "up_for_retry", "success")
    run.assert_promoted()
    assert run.instance("shift_25")["try_number"] == 2
    assert planned_only(seen, 25, 100)


def a_worker_killed_with_its_supervisor_costs_a_retry_after_the_heartbeat_timeout(site: Site) -> None:
    with followed(site, "vanished") as (run, seen):
        run.wait_for_weights_call()
        process = run.process_of("shift_25")
        kill_with_parent(process)
    run.assert_promoted()
    assert run.instance("shift_25")["try_number"] == 2
    assert planned_only(seen, 25, 100)


def kill_with_parent(process: psutil.Process) -> None:
    supervisor = process.parent()
    assert supervisor is not None
    supervisor.kill()
    process.kill()


def a_person_who_marks_the_running_task_failed_gets_everything_back(site: Site) -> None:
    with followed(site, "marked-task") as (run, seen):
        run.wait_for_weights_call()
        run.mark_task("shift_25", "failed")
    run.assert_rolled_back()
    assert planned_only(seen, 25)
    assert "shift_25 ended as failed" in run.reason()


def a_person_who_marks_the_deferred_task_failed_gets_everything_back(site: Site) -> None:
    with followed(site, "marked-bake", bake="120") as (run, seen):
        run.wait_for("bake_25", "deferred")
        run.mark_task("bake_25", "failed")
    run.assert_rolled_back()
    assert planned_only(seen, 25)
    assert "bake_25 ended as failed" in run.reason()


def a_person_who_marks_the_run_failed_while_a_task_is_running_gets_everything_back(site: Site) -> None:
    with followed(site, "marked-run") as (run, seen):
        run.wait_for("shift_100", "running")
        run.mark("failed")
    run.assert_rolled_back()
    assert planned_only(seen, 25, 100)


def a_person_who_marks_the_run_failed_while_a_task_is_deferred_gets_everything_back(site: Site) -> None:
    with followed(site, "marked-deferred", bake="120") as (run, seen):
        run.wait_for("bake_25", "deferred")
        run.mark("failed")
    run.assert_rolled_back()
    assert planned_only(seen, 25)


def a_step_cleared_after_the_rollback_moves_no_traffic_and_makes_no_run_green(site: Site) -> None:
    with followed(site, "cleared", bake="120") as (run, seen):
        run.wait_for("bake_25", "deferred")
        site.production.set_alarm(alarm_of("cleared"), "ALARM", "37.0 is over 5.0")
    site.production.set_alarm(alarm_of("cleared"), "OK")
    run.assert_rolled_back()
    calls = len(run.weight_calls())
    run.clear("shift_25")
    run.wait_for_end()
    assert site.production.describe("cleared") == run.before
    assert run.state == "failed"
    assert run.weight_calls()[calls:] == []
    assert "no rollout is in progress here" in run.reason()
    assert planned_only(seen, 25)


def a_dag_file_edited_in_the_middle_changes_no_plan_that_is_under_way(site: Site) -> None:
    with followed(site, "edited", "edited", bake="15") as (run, seen):
        run.wait_for("bake_25", "deferred")
        site.write_dags("edited", "[75, 100]")
        run.wait_for("shift_75", "success")
    run.assert_promoted()
    assert planned_only(seen, 25, 100)


AT_ONCE = 5  # so that two busy cores still start a task within seconds
SIDE_BY_SIDE: tuple[Story, ...] = (
    a_healthy_model_is_promoted_with_every_wait_deferred,
    a_model_that_fails_is_rolled_back_within_seconds_of_its_alarm,
    a_worker_killed_with_its_supervisor_costs_a_retry_after_the_heartbeat_timeout,
    a_worker_killed_in_the_middle_of_a_shift_costs_a_retry_not_the_rollout,
    a_dag_file_edited_in_the_middle_changes_no_plan_that_is_under_way,
    a_person_who_marks_the_running_task_failed_gets_everything_back,
    a_person_who_marks_the_deferred_task_failed_gets_everything_back,
    a_person_who_marks_the_run_failed_while_a_task_is_running_gets_everything_back,
    a_person_who_marks_the_run_failed_while_a_task_is_deferred_gets_everything_back,
    a_step_cleared_after_the_rollback_moves_no_traffic_and_makes_no_run_green,
)


@pytest.fixture(scope="module")
def told(site: Site) -> Iterator[dict[Story, Future[None]]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {story: pool.submit(story, site) for story in SIDE_BY_SIDE}


@pytest.mark.parametrize("story", SIDE_BY_SIDE, ids=lambda story: story.__name__)
def test_side_by_side(story: Story, told: dict[Story, Future[None]]) -> None:
    told[story].result()


def test_a_triggerer_and_then_a_scheduler_with_its_workers_that_are_killed_and_come_back_end_no_rollout(
    site: Site,
) -> None:
    with followed(site, "restarted", bake="10") as (run, seen):
        run.wait_for("bake_25", "deferred")
        site.airflow.restart("triggerer")
        run.wait_for("shift_100", "running")
        run.wait_for_weights_call(2)
        site.airflow.restart("scheduler")
    run.assert_promoted()
    assert planned_only(seen, 25, 100)


def test_an_alarm_that_rings_while_the_triggerer_is_dead_is_not_missed(site: Site) -> None:
    with followed(site, "blind", bake="120") as (run, seen):
        run.wait_for("bake_25", "deferred")
        site.airflow.kill("triggerer")
        site.production.set_alarm(alarm_of("blind"), "ALARM", "37.0 is over 5.0")
        site.production.set_alarm(alarm_of("blind"), "OK")
        site.airflow.start("triggerer")
        started = time.time()
    run.assert_rolled_back()
    assert "was in ALARM at" in run.reason()
    print(f"\nseen and rolled back {time.time() - started:.1f} s after the triggerer came back")
    assert planned_only(seen, 25)
