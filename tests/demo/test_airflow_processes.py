"""Airflow as the demo and the wiring tests start it: the real thing, and gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from airflow_sm_rollout.demo.airflow_api import AirflowApiError
from airflow_sm_rollout.demo.airflow_processes import (
    COMPONENTS,
    SQLITE,
    AirflowDidNotStart,
    AirflowProcesses,
    inherited_environment,
    kill_session,
    local_settings,
    session_members,
    uninterrupted,
)

DAG = """
import os, time
from airflow.sdk import DAG, Param, task

with DAG("echo", params={"seconds": Param(0, type="integer", minimum=0)}):

    @task
    def speak():
        print("a line of the log")
        return {"word": os.environ["WORD"]}

    @task
    def wait(spoken, params):
        time.sleep(params["seconds"])

    wait(speak())

with DAG("paused", is_paused_upon_creation=True):
    speak()
"""


def wait_until(happens: Callable[[], bool], within_seconds: float = 60) -> None:
    deadline = time.monotonic() + within_seconds
    while not happens():
        assert time.monotonic() < deadline, f"not within {within_seconds:g} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowProcesses]:
    directory = tmp_path_factory.mktemp("airflow")
    (directory / "dags").mkdir()
    (directory / "dags/echo.py").write_text(DAG)
    with AirflowProcesses(directory / "home", directory / "dags", {"WORD": "blue"}) as airflow:
        yield airflow
    assert [session_members(process.pid) for process in airflow.processes.values()] == []


@pytest.mark.slow
def test_a_run_gets_the_given_environment_and_its_results_can_be_read(airflow: AirflowProcesses) -> None:
    run_id = airflow.trigger("echo")
    wait_until(lambda: airflow.run_state("echo", run_id) == "success")
    assert airflow.task_states("echo", run_id) == {"speak": "success", "wait": "success"}
    assert airflow.xcom("echo", run_id, "speak") == {"word": "blue"}
    assert airflow.xcom("echo", run_id, "speak", "nothing") is None
    assert "a line of the log" in airflow.logs("echo", run_id, "speak")
    assert airflow.logs("echo", run_id, "nobody") == ""


@pytest.mark.slow
def test_what_tasks_call_is_apart_from_what_people_call(airflow: AirflowProcesses) -> None:
    """So neither waits in the other's event loop for the database."""
    run_id = airflow.trigger("echo")
    wait_until(lambda: airflow.run_state("echo", run_id) == "success")
    for_tasks, for_people = ((airflow.home / f"{name}.log").read_text() for name in ("execution-api", "api-server"))
    assert "path=/execution/task-instances" in for_tasks
    assert "path=/execution/" not in for_people
    assert "path=/api/v2/" in for_people
    assert "path=/api/v2/" not in for_tasks


@pytest.mark.slow
def test_changes_asked_for_at_the_same_time_are_all_made(airflow: AirflowProcesses) -> None:
    """In Airflow 3.3.2 two of them wait for each other in the API server until sqlite's time is over; both were lost, or one."""
    with ThreadPoolExecutor(8) as pool:
        run_ids = list(pool.map(lambda _: airflow.trigger("paused"), range(32)))
    assert [airflow.run_state("paused", run_id) for run_id in set(run_ids)] == ["queued"] * 32


@pytest.mark.slow
def test_a_person_marks_a_task_and_a_run(airflow: AirflowProcesses) -> None:
    first, second = airflow.trigger("echo", {"seconds": 60}), airflow.trigger("echo", {"seconds": 60})
    for run_id in (first, second):
        wait_until(lambda run_id=run_id: airflow.task_states("echo", run_id)["wait"] == "running")  # type: ignore[misc]
    airflow.set_task_state("echo", first, "wait", "failed")
    airflow.set_run_state("echo", second, "failed")
    for run_id in (first, second):
        wait_until(lambda run_id=run_id: airflow.run_state("echo", run_id) == "failed")  # type: ignore[misc]


@pytest.mark.slow
def test_what_airflow_refuses_is_an_error_with_its_words(airflow: AirflowProcesses) -> None:
    with pytest.raises(AirflowApiError, match=r"answered 400: .*Invalid input for param seconds") as refused:
        airflow.trigger("echo", {"seconds": -1})
    assert refused.value.status == 400


@pytest.mark.slow
def test_a_component_is_restarted_and_says_so_itself(airflow: AirflowProcesses) -> None:
    before, heard = airflow.processes["triggerer"].pid, airflow.health()["triggerer"]["latest_triggerer_heartbeat"]
    airflow.restart("triggerer")
    assert airflow.processes["triggerer"].pid != before
    assert airflow.health()["triggerer"]["latest_triggerer_heartbeat"] > heard
    assert session_members(before) == []


@pytest.mark.slow
def test_only_this_machine_is_listened_to(airflow: AirflowProcesses) -> None:
    members = [member for process in airflow.processes.values() for member in session_members(process.pid)]
    listening = {
        connection.laddr.ip
        for member in members
        for connection in member.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.slow
def test_workers_of_a_killed_scheduler_do_not_outlive_the_block(tmp_path: Path) -> None:
    """``kill -9`` of the scheduler leaves its idle workers without anybody who would end them."""
    (tmp_path / "dags").mkdir()
    sessions: list[int] = []

    def kill_the_scheduler() -> None:
        with AirflowProcesses(tmp_path / "home", tmp_path / "dags", {}) as airflow:
            sessions.extend(process.pid for process in airflow.processes.values())
            scheduler = airflow.processes["scheduler"]
            wait_until(lambda: len(session_members(scheduler.pid)) > 1)
            scheduler.kill()
            scheduler.wait()
            assert session_members(scheduler.pid), "there are no orphans, so this proves nothing"
            airflow.start("scheduler")
            sessions.append(airflow.processes["scheduler"].pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kill_the_scheduler()
    assert len(sessions) > len(COMPONENTS)
    assert [session_members(session) for session in sessions] == [[]] * len(sessions)


@pytest.mark.slow
def test_no_write_to_its_database_waits_for_the_disk(tmp_path: Path) -> None:
    asked = (
        "from airflow.settings import engine; print(engine.connect().exec_driver_sql('PRAGMA synchronous').scalar())"
    )
    environment = {**inherited_environment(), **local_settings(tmp_path, tmp_path, "http://127.0.0.1:1", ""), **SQLITE}
    told = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split()[-1] == "0"


def test_an_airflow_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = AirflowProcesses(
        tmp_path / "home", tmp_path, {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "nonsense://nowhere"}
    )
    with pytest.raises(AirflowDidNotStart, match=r"(?s)airflow db migrate failed:.*nonsense"), broken:
        pass


def test_an_interruption_waits_until_the_block_has_ended() -> None:
    steps: list[str] = []

    def interrupted() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            steps.append("the block went on")
        steps.append("and the program too")

    # A shell that starts something in the background has it ignore Ctrl-C, and Python then leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == ["the block went on"]


def test_somebodys_own_airflow_and_account_are_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("SHELL_OF_MINE", "zsh")
    inherited = inherited_environment()
    assert "zsh" in inherited.values()
    assert not [name for name in inherited if name.startswith(("AIRFLOW", "AWS_"))]


def test_a_session_is_killed_with_its_orphans() -> None:
    leader = subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout is not None
    with leader.stdout as started:
        started.readline()
    leader.kill()
    leader.wait()
    (orphan,) = session_members(leader.pid)
    kill_session(leader)
    assert session_members(leader.pid) == []
    assert not orphan.is_running()
    assert os.getpid() not in [member.pid for member in session_members(leader.pid)]
