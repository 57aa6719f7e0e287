"""Many deferrals at once over a connection that is stored in Airflow's database: does the triggerer live, and what does it take?

Up to Airflow 3.2.1 a trigger that asks Airflow for a connection from a thread can stop all triggers of its triggerer, which still says
that it is healthy (apache/airflow #64620). Each deferral that this process makes would ask so. It takes minutes, so it is no test of the
suite::

    nox -s deferrals-mwaa-3.2.1
    PYTHONPATH=.:tests python -m wiring.deferrals --count 50
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses, session_members
from production import AWS_ENVIRONMENT, Production
from wiring.runs import FAST, PATIENCE_SECONDS

CONNECTION = "stored"
DAG_FILE = """\
from airflow.sdk import DAG
from airflow_sm_rollout import AlarmSensor

for dag_id, count, seconds in (("many", {count}, {seconds}), ("after", 3, 10)):
    with DAG(dag_id, schedule=None):
        for number in range(count):
            AlarmSensor(
                task_id=f"watch_{{number}}",
                alarms=f"fraud-{{number % 10}}",
                duration=seconds,
                poke_interval=6,
                aws_conn_id="{connection}",
                region_name="us-east-1",
            )
"""
MIB = 1024.0 * 1024.0


@dataclass(slots=True)
class Seen:
    """The most of each, at any look.

    :param deferred: tasks that were deferred at once.
    :param largest: MiB of the largest process of the triggerer; that is the one in which triggers run.
    :param together: MiB of all of its processes, with what they share counted once for each.
    """

    deferred: int = 0
    largest: float = 0.0
    together: float = 0.0
    idle: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)


def memory_of(process_id: int) -> tuple[float, float]:
    """MiB of the largest process of a session, and of all."""
    sizes = [0.0]
    for member in session_members(process_id):
        try:
            sizes.append(member.memory_info().rss / MIB)
        except psutil.Error:  # it has just ended
            continue
    return max(sizes), sum(sizes)


def store_connection(airflow: AirflowProcesses, url: str) -> None:
    """In Airflow's database, with what leads to the sandbox: nothing else of this Airflow knows of that."""
    keys = {"login": AWS_ENVIRONMENT["AWS_ACCESS_KEY_ID"], "password": AWS_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]}
    stored = {"connection_id": CONNECTION, "conn_type": "aws", "extra": json.dumps({"endpoint_url": url}), **keys}
    airflow.api("POST", "/connections", stored)


def watch(airflow: AirflowProcesses, dag_id: str, seen: Seen) -> None:
    """Start a run, and look on until all of its tasks have ended."""
    run_id = airflow.trigger(dag_id)
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while time.monotonic() < deadline:
        states = Counter(airflow.task_states(dag_id, run_id).values())
        largest, together = memory_of(airflow.processes["triggerer"].pid)
        seen.deferred = max(seen.deferred, states["deferred"])
        seen.largest, seen.together = max(seen.largest, largest), max(seen.together, together)
        if airflow.run_state(dag_id, run_id) in ("success", "failed"):
            break
        time.sleep(1)
    seen.ended += Counter(airflow.task_states(dag_id, run_id).values())


def run(count: int, seconds: float, folder: Path) -> Seen:
    (folder / "dags").mkdir()
    (folder / "dags" / "many.py").write_text(DAG_FILE.format(count=count, seconds=seconds, connection=CONNECTION))
    production, seen = Production(speed=30), Seen()
    for number in range(10):
        production.put_alarm(f"fraud-{number}")
    try:
        with AirflowProcesses(folder / "home", folder / "dags", FAST) as airflow:
            store_connection(airflow, production.server.url)
            seen.idle = memory_of(airflow.processes["triggerer"].pid)[0]
            watch(airflow, "many", seen)
            watch(airflow, "after", seen)
            assert airflow.processes["triggerer"].poll() is None
            assert airflow.health()["triggerer"]["status"] == "healthy"
    finally:
        production.close()
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long each is deferred; all must begin within")
    parser.add_argument("--most", type=float, default=300.0, help="MiB that the triggerer's process may take")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sm-rollout-deferrals-"))
    print(f"logs are in {folder}", flush=True)
    from airflow import __version__

    seen = run(options.count, options.seconds, folder)
    print(f"Airflow {__version__}: {seen.deferred} of {options.count} were deferred at once, and 3 after them")
    print(f"tasks ended: {dict(seen.ended)}; the triggerer is alive and healthy")
    print(
        f"its largest process took {seen.largest:.0f} MiB, {seen.idle:.0f} MiB before; all its processes {seen.together:.0f} MiB"
    )
    is_good = seen.ended == {"success": options.count + 3} and seen.deferred == options.count
    return 0 if is_good and seen.largest <= options.most else 1


if __name__ == "__main__":
    raise SystemExit(main())
