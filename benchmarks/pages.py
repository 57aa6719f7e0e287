"""How long the Rollout tab and the list of rollouts take to be made, on a database that is filled for it.

    AIRFLOW_HOME=$(mktemp -d) python benchmarks/pages.py

One rollout of 20 steps with metrics every ten seconds over three hours, and 1,000 rollouts to list. Prints the median of nine each.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

STEPS, ROLLOUTS, REPEATS = 20, 1000, 9
BEGUN = datetime.now(timezone.utc) - timedelta(hours=4)


def main() -> None:
    """Fill the database, ask, print."""
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    fill()
    from airflow.utils.session import create_session

    from airflow_sm_rollout.core.report import build_report
    from airflow_sm_rollout.plugin.page import render_list, render_rollouts
    from airflow_sm_rollout.plugin.reads import list_rollouts, read_rollouts

    now = datetime.now(timezone.utc)

    def tab() -> str:
        with create_session() as session:
            found = read_rollouts(session, "big", "run-0")
            reports = [build_report(each.group, each.rollout, each.tasks, None) for each in found]
            return render_rollouts(reports, "", "big", "run-0", may_edit=True, now=now)

    def listed() -> str:
        with create_session() as session:
            return render_list(list_rollouts(session, {"big", "small"}), "", "", "", now)

    for name, make in (("tab", tab), ("list", listed)):
        print(f"{name}: {measure(make) * 1000:.0f} ms, {len(make()) / 1024:.0f} KiB")


def measure(make: Callable[[], object]) -> float:
    """Median seconds of a few."""
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        make()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def fill() -> None:
    """A DAG with one long rollout, and one with many short ones."""
    from airflow_sm_rollout.core.plan.strategy import linear

    store("big", 1, list(linear(100 / STEPS, 540).steps), with_figures=True)
    store("small", ROLLOUTS, list(linear(50, 600).steps), with_figures=False)


def store(dag_id: str, runs: int, steps: list[Any], *, with_figures: bool) -> None:
    """Runs of a DAG with a linear rollout, and what its tasks leave."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    from airflow_sm_rollout import linear_rollout

    with DAG(dag_id, schedule=None) as dag:
        linear_rollout(endpoint_name="wine", model_name="wine-v2", step=steps[0].share)
    bag = DagBag(dag_folder=os.devnull, bundle_name="dags-folder")
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        for number in range(runs):
            insert(session, dag, f"run-{number}", steps, with_figures)


def insert(session: Any, dag: Any, run_id: str, steps: list[Any], with_figures: bool) -> None:
    """One run with its task instances and XComs."""
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunType

    run = DagRun(
        dag_id=dag.dag_id, run_id=run_id, run_type=DagRunType.MANUAL, state=DagRunState.SUCCESS, run_after=BEGUN
    )
    session.add(run)
    session.flush()
    version = DagVersion.get_latest_version(dag.dag_id, session=session)
    left = xcoms(steps, with_figures)
    for index, task in enumerate(dag.tasks):
        instance = TaskInstance(task, dag_version_id=version.id, run_id=run_id, state=TaskInstanceState.SUCCESS)
        instance.start_date, instance.end_date = BEGUN + timedelta(minutes=index), BEGUN + timedelta(minutes=index + 1)
        session.add(instance)
    session.flush()
    for (name, key), value in left.items():
        session.add(
            XComModel(
                dag_run_id=run.id,
                task_id=f"linear.{name}",
                key=key,
                dag_id=dag.dag_id,
                run_id=run_id,
                value=value,
                timestamp=BEGUN,
            )
        )


def xcoms(steps: list[Any], with_figures: bool) -> dict[tuple[str, str], Any]:
    """What the tasks of a promoted rollout leave."""
    from airflow_sm_rollout.core.figures import Figures, Point, figures_to_dict
    from airflow_sm_rollout.core.plan.strategy import Strategy
    from airflow_sm_rollout.core.record import to_json
    from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
    from airflow_sm_rollout.core.traces import DID, FIGURES, NOTE, PLANNED

    config = {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "wine-v1"}]}
    blue = Blue("wine-v1", config, "AllTraffic", 1.0, 2)
    rollout = Rollout("wine", "0123abcd", {}, BEGUN, blue, Green("wine-v2"), Plan(Strategy("linear", tuple(steps))))
    identity = {"endpoint": "wine", "model": "wine-v2", "strategy": "linear", "traffic": "variants"}
    left: dict[tuple[str, str], Any] = {
        ("snapshot", PLANNED): identity | {"started_at": BEGUN.isoformat(), "connection": {}},
        ("snapshot", "return_value"): {"frozen": to_json(rollout)},
        ("settle", NOTE): {"kind": "settled", "outcome": "promoted"},
        ("verdict", NOTE): {"kind": "verdict", "sentence": "Promoted: green alone serves"},
    }
    for step in steps:
        name = f"{step.share:g}"
        left["shift_" + name, "return_value"] = {"share": step.share, "state": f"green has {name} %"}
        left["shift_" + name, NOTE] = {"kind": "share", "share": step.share}
        left["shift_" + name, DID] = [{"at": BEGUN.isoformat(), "what": "set weights"}] * 3
        left["bake_" + name, "return_value"] = {"verdict": "healthy", "reason": "quiet to the end of the bake"}
    if with_figures:
        points = tuple(
            Point(BEGUN.timestamp() + 10 * n, 400 + n % 7, 0, n % 3, 20 + n % 11, 50 + n % 11, 90 + n % 11)
            for n in range(1080)
        )
        left["settle", FIGURES] = figures_to_dict(Figures(BEGUN + timedelta(hours=3), 10, points, points))
    return left


if __name__ == "__main__":
    main()
