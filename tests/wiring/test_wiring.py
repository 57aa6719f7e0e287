"""Rollouts through Airflow's own processes: what becomes of the endpoint when these, or people, do what they do.

A story is one DAG run on an endpoint of its own. The stories of a chapter run side by side, each in a thread; a test waits for its
story's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from production import BAD, Shares, alarm_of
from wiring.runs import Run, Site, planned_only

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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
    assert asked_at - rang_at < LATEST_SECONDS


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


def workers_killed_in_the_middle_of_a_shift_cost_retries_not_the_rollout(site: Site) -> None:
    with followed(site, "killed") as (run, seen):
        run.wait_for_weights_call(1)
        run.process_of("shift_25").kill()
        run.wait_for_weights_call(2)
        kill_with_supervisor(run.process_of("shift_100"))
    run.assert_promoted()
    assert [run.instance(shift)["try_number"] for shift in ("shift_25", "shift_100")] == [2, 2]
    assert planned_only(seen, 25, 100)


def kill_with_supervisor(process: psutil.Process) -> None:
    """As when a machine dies: nobody tells Airflow, which finds out by the missing heartbeats."""
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
    # Its process may live on until its next heartbeat, and then say itself that it met the rollback.
    assert "shift_25" in run.reason()


def a_person_who_marks_the_run_failed_while_a_task_is_running_gets_everything_back(site: Site) -> None:
    with followed(site, "marked-run") as (run, seen):
        run.wait_for("shift_100", "running")
        run.mark("failed")
    run.assert_rolled_back()
    assert planned_only(seen, 25, 100)


def a_person_who_marks_the_run_failed_during_a_bake_gets_everything_back_and_no_cleared_step_takes_it_away(
    site: Site,
) -> None:
    with followed(site, "marked-bake", bake="120") as (run, seen):
        run.wait_for("bake_25", "deferred")
        run.mark("failed")
        run.wait_for_end()
        run.assert_rolled_back()
        calls = len(run.weight_calls())
        run.clear("shift_25")
    run.assert_rolled_back()
    assert run.weight_calls()[calls:] == []
    assert "in canary.shift_25: no rollout is in progress here" in run.reason()
    assert planned_only(seen, 25)


def a_dag_file_edited_in_the_middle_changes_no_plan_that_is_under_way(site: Site) -> None:
    # Airflow must have read the edited file before the bake ends, or shift_100 has run by then and shift_75 after it.
    with followed(site, "edited", "edited", bake="45") as (run, seen):
        run.wait_for("bake_25", "deferred")
        site.write_dags("edited", "[75, 100]")
        run.wait_for("shift_75", "success")
    run.assert_promoted()
    assert planned_only(seen, 25, 100)


def a_worker_killed_in_a_linear_shift_costs_a_retry_not_the_rollout(site: Site) -> None:
    with followed(site, "by-clock", "linear") as (run, seen):
        run.wait_for_weights_call(2)
        kill_with_supervisor(run.process_of("shift_100"))
    run.assert_promoted()
    assert planned_only(seen, 50, 100)


def a_person_who_marks_the_run_failed_after_the_switch_to_green_gets_everything_back(site: Site) -> None:
    with followed(site, "at-once", "blue_green", bake="120") as (run, seen):
        run.wait_for("bake_100", "deferred")
        run.mark("failed")
    run.assert_rolled_back()
    assert planned_only(seen, 100)


def a_worker_killed_while_greens_endpoint_is_made_and_an_alarm_after_the_switch_leave_blue_as_it_was(
    site: Site,
) -> None:
    with followed(site, "two-endpoints", "switched", bake="120") as (run, _):
        run.wait_for_call("CreateEndpoint")
        run.process_of("deploy_green").kill()
        run.wait_for("bake_100", "deferred")
        site.production.set_alarm(alarm_of("two-endpoints"), "ALARM", "37.0 is over 5.0")
    run.assert_rolled_back()
    assert "37.0 is over 5.0" in run.reason()


def a_worker_killed_while_sagemaker_shifts_by_itself_costs_a_retry_not_the_rollout(site: Site) -> None:
    with followed(site, "by-sagemaker", "guardrails") as (run, _):
        run.wait_for_call("UpdateEndpoint")
        kill_with_supervisor(run.process_of("promote"))
    assert (run.state, run.announced()) == ("success", "success"), run.reason()
    after = site.production.describe("by-sagemaker")
    assert after["endpoint"]["EndpointConfigName"] not in run.before["configs"]
    assert (after["shares"], after["records"]) == (run.before["shares"], [])


LATEST_SECONDS = 60  # about 3 on idle cores
AT_ONCE = 5  # so that two busy cores still start a task within seconds
SIDE_BY_SIDE: tuple[Story, ...] = (
    a_healthy_model_is_promoted_with_every_wait_deferred,
    a_model_that_fails_is_rolled_back_within_seconds_of_its_alarm,
    workers_killed_in_the_middle_of_a_shift_cost_retries_not_the_rollout,
    a_dag_file_edited_in_the_middle_changes_no_plan_that_is_under_way,
    a_person_who_marks_the_running_task_failed_gets_everything_back,
    a_person_who_marks_the_run_failed_while_a_task_is_running_gets_everything_back,
    a_person_who_marks_the_run_failed_during_a_bake_gets_everything_back_and_no_cleared_step_takes_it_away,
    a_worker_killed_in_a_linear_shift_costs_a_retry_not_the_rollout,
    a_person_who_marks_the_run_failed_after_the_switch_to_green_gets_everything_back,
    a_worker_killed_while_greens_endpoint_is_made_and_an_alarm_after_the_switch_leave_blue_as_it_was,
    a_worker_killed_while_sagemaker_shifts_by_itself_costs_a_retry_not_the_rollout,
)


@pytest.fixture(scope="module")
def told(site: Site) -> Iterator[dict[Story, Future[None]]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {story: pool.submit(story, site) for story in SIDE_BY_SIDE}


@pytest.mark.parametrize("story", SIDE_BY_SIDE, ids=lambda story: story.__name__)
def test_side_by_side(story: Story, told: dict[Story, Future[None]]) -> None:
    told[story].result()


def test_killed_triggerers_and_schedulers_neither_end_a_rollout_nor_miss_an_alarm(site: Site) -> None:
    with (
        followed(site, "restarted", bake="20") as (promoted, healthy),
        followed(site, "blind", bake="120") as (rolled_back, harmed),
    ):
        promoted.wait_for("bake_25", "deferred")
        rolled_back.wait_for("bake_25", "deferred")
        site.airflow.kill("triggerer")
        site.production.set_alarm(alarm_of("blind"), "ALARM", "37.0 is over 5.0")
        site.production.set_alarm(alarm_of("blind"), "OK")
        site.airflow.start("triggerer")
        promoted.wait_for_weights_call(2)
        site.airflow.restart("scheduler")
    promoted.assert_promoted()
    assert planned_only(healthy, 25, 100)
    rolled_back.assert_rolled_back()
    assert "was in ALARM at" in rolled_back.reason()
    assert planned_only(harmed, 25)
