"""The demo: a good and a bad model, one after the other, on real Airflow, under real traffic."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from airflow_sm_rollout.demo.production import ENDPOINT, REQUESTS_PER_SECOND, put_into_production
from airflow_sm_rollout.demo.progress import Progress, render_table, render_timeline
from airflow_sm_rollout.demo.report import PROMOTED, ROLLED_BACK, Report, RunSeen, complaints, report_on
from airflow_sm_rollout.demo.sandbox_process import SandboxProcess
from airflow_sm_rollout.demo.scripts import SCRIPTS, Script
from airflow_sm_rollout.demo.shares import ShareWatch
from airflow_sm_rollout.demo.watched_run import Stage, WatchedRun
from airflow_sm_rollout.sandbox.traffic import TrafficProcess

if TYPE_CHECKING:
    from rich.console import Console

SPEED = 40.0
HURRY = {"SM_ROLLOUT_POKE_INTERVAL": "1"}

MODELS: Mapping[str, Mapping[str, Any]] = {"good": {"C": 0.5, "random_state": 7}, "bad": {"drop_column": "proline"}}
EXPECTED = {"good": PROMOTED, "bad": ROLLED_BACK}

Results = Mapping[str, tuple[RunSeen, Report]]


def run_demo(*, strategy: str = "canary", keep: bool = False) -> int:
    """Run it; the last line on standard output is the result as JSON.

    :param strategy: a key of :data:`~airflow_sm_rollout.demo.scripts.SCRIPTS`.
    :param keep: leave everything running at the end, until Ctrl-C.
    :return: exit code: 0 if both runs ended as they should.
    """
    from rich.console import Console

    console = Console()
    script, started = SCRIPTS[strategy], time.monotonic()
    with workplace() as directory, ExitStack() as stack:
        stage = set_up(directory, stack, Progress(console))
        results = {label: _roll_out(stage, script, label) for label in MODELS}
        _show_results(console, results)
        address = f"{stage.airflow.url}/dags/{script.dag_id}"
        stage.progress.say(f"{time.monotonic() - started:.0f} s in all; the runs in Airflow: {address}")
        if keep:
            stage.progress.say("Everything is left running. Ctrl-C stops it.")
        print(json.dumps({label: report.as_dict() for label, (_, report) in results.items()}), flush=True)
        is_as_expected = _complain(results)
        if keep:
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
    return 0 if is_as_expected else 1


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary directory for databases and logs, which stays where something goes wrong."""
    directory = Path(tempfile.mkdtemp(prefix="sm-rollout-demo-"))
    try:
        yield directory
    except Exception:
        print(f"logs are in {directory}", file=sys.stderr)
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)


def find_dags_folder() -> Path:
    """The sample DAGs: in an installed wheel within the package, in a source checkout beside it."""
    package = Path(__file__).parent.parent
    installed = package / "dags"
    return installed if installed.exists() else package.parent / "dags"


def set_up(directory: Path, stack: ExitStack, progress: Progress) -> Stage:
    """Start everything; ``stack`` stops it again."""
    stack.callback(progress.end_line)
    progress.say("Starting the sandbox, training model v1 and putting it into production ...")
    sandbox = stack.enter_context(SandboxProcess(directory / "sandbox.log", SPEED))
    put_into_production(sandbox)
    records = directory / "requests.jsonl"
    traffic = stack.enter_context(TrafficProcess(sandbox.url, ENDPOINT, REQUESTS_PER_SECOND, records_file=records))
    watch = stack.enter_context(ShareWatch(sandbox.url, ENDPOINT))
    progress.say(f"Endpoint {ENDPOINT} answers {REQUESTS_PER_SECOND:g} requests a second. Starting Airflow ...")
    environment = {**sandbox.environment, **HURRY}
    airflow = stack.enter_context(AirflowProcesses(directory / "airflow", find_dags_folder(), environment))
    progress.say(f"Airflow is at {airflow.url} (no login needed)")
    return Stage(sandbox, ENDPOINT, airflow, watch, traffic, progress)


def _roll_out(stage: Stage, script: Script, label: str) -> tuple[RunSeen, Report]:
    stage.progress.say(f"\nRolling out the {label} model: {MODELS[label]}")
    seen = WatchedRun(stage, label, script, MODELS[label]).follow()
    report = report_on(seen)
    stage.progress.say(f"The {label} model was {report.outcome.replace('_', ' ')}. {report.reason}")
    return seen, report


def _show_results(console: Console, results: Results) -> None:
    for label, (seen, _) in results.items():
        lines = [f"\nThe {label} model", *render_timeline(seen)]
        console.print("\n".join(lines), highlight=False, soft_wrap=True)
    console.print(render_table({label: report for label, (_, report) in results.items()}))


def _complain(results: Results) -> bool:
    """Say on standard error what did not go as it should; whether there was nothing to say."""
    found = [
        f"{label}: {complaint}"
        for label, (seen, report) in results.items()
        for complaint in complaints(seen, report, EXPECTED[label])
    ]
    for complaint in found:
        print(complaint, file=sys.stderr)
    return not found
