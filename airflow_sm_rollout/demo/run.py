"""The demo: models rolled out one after the other (a good and a bad one), on real Airflow, under real traffic."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from airflow_sm_rollout.core.traffic import Traffic, parse_traffic
from airflow_sm_rollout.demo import DemoFailed, clients, front_clients
from airflow_sm_rollout.demo.airflow_processes import HOST, AirflowProcesses
from airflow_sm_rollout.demo.front import FRONT, put_in_front, shares_of_alias
from airflow_sm_rollout.demo.kinds import KINDS
from airflow_sm_rollout.demo.production import ENDPOINT, put_into_production
from airflow_sm_rollout.demo.progress import Progress, render_table, render_timeline
from airflow_sm_rollout.demo.report import Report, RunSeen, complaints, report_on
from airflow_sm_rollout.demo.sandbox_process import SandboxProcess
from airflow_sm_rollout.demo.scripts import Script
from airflow_sm_rollout.demo.shares import ShareWatch
from airflow_sm_rollout.demo.trials import GOOD_AND_BAD, Model, Trial
from airflow_sm_rollout.demo.watched_run import Stage, WatchedRun
from airflow_sm_rollout.live import live_shares
from airflow_sm_rollout.sandbox.traffic import TrafficProcess

if TYPE_CHECKING:
    from rich.console import Console

SPEED = 40.0
_LEFT_RUNNING = "Everything is left running. Ctrl-C stops it."
HURRY = {"SM_ROLLOUT_POKE_INTERVAL": "1"}

Results = Mapping[str, tuple[RunSeen, Report]]


def run_demo(script: Script, *, trial: Trial = GOOD_AND_BAD, keep: bool = False) -> int:
    """Run it; the last line on standard output is the result as JSON.

    :param script: see :func:`~airflow_sm_rollout.demo.scripts.find_script`.
    :param trial: which models; the script must be adapted to it.
    :param keep: leave everything running at the end, until Ctrl-C.
    :return: exit code: 0 if all runs ended as they should.
    """
    from rich.console import Console

    console, started = Console(), time.monotonic()
    with workplace() as directory, ExitStack() as stack:
        stage = set_up(directory, stack, Progress(console), script, trial)
        try:
            results = {label: _roll_out(stage, script, label, model) for label, model in trial.models.items()}
        except DemoFailed as error:
            if keep:
                stage.progress.say(f"{error}. {_LEFT_RUNNING}")
                _wait_for_ctrl_c()
            raise
        _show_results(console, results)
        address = f"{stage.airflow.url}/dags/{script.dag_id}"
        stage.progress.say(f"{time.monotonic() - started:.0f} s in all; the runs in Airflow: {address}")
        if keep:
            stage.progress.say(_LEFT_RUNNING)
        print(json.dumps({label: report.as_dict() for label, (_, report) in results.items()}), flush=True)
        is_as_expected = _complain(results, trial)
        if keep:
            _wait_for_ctrl_c()
    return 0 if is_as_expected else 1


def _wait_for_ctrl_c() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


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


def set_up(directory: Path, stack: ExitStack, progress: Progress, script: Script, trial: Trial = GOOD_AND_BAD) -> Stage:
    """Start everything; ``stack`` stops it again.

    :param script: says how many instances the endpoint in production has, and how clients come to it.
    :param trial: says what else its model is like, and how green is compared with it.
    """
    stack.callback(progress.end_line)
    sandbox = stack.enter_context(SandboxProcess(directory / "sandbox.log", SPEED))
    environment = {**sandbox.environment, **HURRY, **trial.environment}
    airflow = AirflowProcesses(directory / "airflow", find_dags_folder(), environment)
    progress.say(f"Airflow will be at {airflow.url} (no login needed) in about a minute")
    progress.say("Training model v1 and putting it into production ...")
    kind = KINDS[script.endpoint]
    put_into_production(
        sandbox, script.instances, hyperparameters=trial.production, variant=kind.variant, config=kind.config
    )
    way = parse_traffic(script.traffic)
    if way.has_function:
        put_in_front(sandbox, sandbox.environment)
    program = front_clients if way.has_function else kind.clients
    traffic = stack.enter_context(_clients(sandbox, directory, trial.requests_per_second, program))
    watch = stack.enter_context(ShareWatch(sandbox.url, _live(sandbox, way)))
    progress.say(f"Endpoint {ENDPOINT} answers {trial.requests_per_second:g} requests a second. Starting Airflow ...")
    stack.enter_context(airflow)
    progress.say(f"Airflow is at {airflow.url} (no login needed)")
    return Stage(sandbox, ENDPOINT, airflow, watch, traffic, progress, FRONT if way.has_function else None)


def _live(sandbox: SandboxProcess, way: Traffic) -> Callable[[], Mapping[str, float]]:
    """What says where clients are sent."""
    if way.has_function:
        return shares_of_alias(sandbox)
    # It asks as often as the clients do, so that it sees them leave an endpoint as late as they do.
    return partial(live_shares, ENDPOINT, client=sandbox.client("ssm"), max_age=clients.HOLD_SECONDS)


def _clients(
    sandbox: SandboxProcess, directory: Path, requests_per_second: float, program: ModuleType
) -> TrafficProcess:
    return TrafficProcess(
        sandbox.url,
        ENDPOINT,
        requests_per_second,
        records_file=directory / "requests.jsonl",
        program=program.__name__,
        # A proxy has no business between the processes of one machine.
        environment={**sandbox.environment, "NO_PROXY": HOST, "no_proxy": HOST},
    )


def _roll_out(stage: Stage, script: Script, label: str, model: Model) -> tuple[RunSeen, Report]:
    stage.progress.say(f"\nRolling out the {label} model: {dict(model.form)}")
    seen = WatchedRun(stage, label, script, model.form).follow()
    report = report_on(seen)
    stage.progress.say(f"The {label} model was {report.outcome.replace('_', ' ')}. {report.reason}")
    return seen, report


def _show_results(console: Console, results: Results) -> None:
    for label, (seen, _) in results.items():
        lines = [f"\nThe {label} model", *render_timeline(seen)]
        console.print("\n".join(lines), highlight=False, soft_wrap=True)
    console.print(render_table({label: report for label, (_, report) in results.items()}))


def _complain(results: Results, trial: Trial) -> bool:
    """Say on standard error what did not go as it should; whether there was nothing to say."""
    found = [
        f"{label}: {complaint}"
        for label, (seen, report) in results.items()
        for complaint in complaints(seen, report, trial.models[label].expected)
    ]
    for complaint in found:
        print(complaint, file=sys.stderr)
    return not found
