"""Airflow on Celery: two schedulers, two triggerers, two workers; each is started again when it ends, as every supervisor does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from airflow_sm_rollout.demo.airflow_processes import COMPONENTS, HOST, AirflowProcesses
from cluster.services import Service, postgres, redis
from production import Production, meanwhile
from wiring.runs import FAST, OTHERS_FILE, Site

WORKERS = ("worker-1", "worker-2")
SCHEDULERS = ("scheduler", "scheduler-2")
TRIGGERERS = ("triggerer", "triggerer-2")
SUPERVISED_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that runs, to be killed and restarted by name."""

    site: Site
    database: Service
    broker: Service
    lock: threading.RLock = field(default_factory=threading.RLock)

    def kill(self, component: str) -> None:
        """Kill a component with all its children (SIGKILL); it is started again at once."""
        with self.lock:
            self.site.airflow.kill(component)
            self.site.airflow.start(component)

    def restart_airflow(self) -> None:
        """Kill all components at once, start them again, and wait until they are healthy."""
        with self.lock:
            for component in list(self.site.airflow.processes):
                self.kill(component)
        self.site.airflow.wait_until_healthy()

    def supervise(self) -> bool:
        """Start each component again that has ended; ``False``, as this never comes to an end."""
        with self.lock:
            for component, process in list(self.site.airflow.processes.items()):
                if process.poll() is not None:
                    self.kill(component)
        return False


@contextmanager
def cluster(home: Path, production: Production) -> Iterator[Cluster]:
    """Start everything, wait until it is healthy, and kill all of it at the block's end."""
    (home / "dags").mkdir(parents=True)
    with postgres(home / "postgres") as database, redis(home / "redis") as broker:
        environment = {**production.environment, **FAST, **celery(broker.port, database.port)}
        airflow = AirflowProcesses(
            home / "airflow", home / "dags", environment, components=components(), database=address(database.port)
        )
        with airflow:
            site = Site(production, airflow, home / "dags")
            site.write_dags("canary", "[25, 100]")
            (site.dags / "others.py").write_text(OTHERS_FILE)
            all_of_it = Cluster(site, database, broker)
            with meanwhile(all_of_it.supervise, lambda: None, SUPERVISED_EVERY_SECONDS):
                yield all_of_it


def components() -> dict[str, tuple[str, ...]]:
    """What runs, by name, with the arguments of ``airflow``."""
    twice = {name: COMPONENTS[name.removesuffix("-2")] for name in (*SCHEDULERS, *TRIGGERERS)}
    options = ("--skip-serve-logs", "--without-gossip", "--without-mingle", "--concurrency", "4")
    workers = {name: ("celery", "worker", "--celery-hostname", f"{name}@{HOST}", *options) for name in WORKERS}
    return {**COMPONENTS, **twice, **workers}


def celery(broker_port: int, database_port: int) -> Mapping[str, str]:
    """The executor's settings."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "16",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{broker_port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://airflow@{HOST}:{database_port}/airflow",
        # What a worker had taken and not finished comes back to the queue when it is killed; seconds, an hour by default.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    }


def address(port: int) -> Mapping[str, str]:
    """Where the database is."""
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow@{HOST}:{port}/airflow"}
