"""All of a real Airflow killed (SIGKILL) at random moments of rollouts, with a guardian beside, and a table of what became of each.

It takes minutes, so it is no test of the suite::

    PYTHONPATH=.:tests python -m wiring.killed --rounds 3

In each round one rollout of each kind is under way when Airflow is killed. Behind the kill an alarm of some of them rings; the others are
good, and nobody drives them any more. Then Airflow is started again.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow_sm_rollout.aws.live import read_pointer
from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from production import BAD, GOOD, Production, alarm_of, wait_until
from wiring.runs import FAST, OTHERS_FILE, SPEED, Run, Site

KINDS = ("canary", "linear", "blue_green", "switched")
BACK_WITHIN = 120.0
ABANDONED_AFTER, BETWEEN_TASKS = 1.5, 2.0  # minutes
BAKE = "120"
GUARDIAN = "lighthouse"


@dataclass(slots=True)
class Told:
    """What became of one rollout.

    :param killed_at: what green had when Airflow was killed, in percent.
    :param back_after: seconds from the harm, or from the kill, until blue had everything.
    """

    kind: str
    is_harmful: bool
    killed_at: float
    back_after: float | None = None
    fault: str = ""

    @property
    def allowed(self) -> float:
        """Seconds; a good green is taken back only when nobody has driven it for some minutes."""
        return BACK_WITHIN + (0 if self.is_harmful else 60 * max(ABANDONED_AFTER, BETWEEN_TASKS))

    def describe(self) -> str:
        """For a person, in one line."""
        why = "alarm" if self.is_harmful else "nobody drives"
        back = "never" if self.back_after is None else f"after {self.back_after:.1f} s"
        end = self.fault or "exactly as before, run failed with the guardian's sentence"
        return f"{self.kind:10} green at {self.killed_at:3.0f} %, {why:13}: blue back {back}: {end}"


@contextmanager
def guardian(production: Production, log: Path) -> Iterator[None]:
    """A guardian in a process of its own."""
    minutes = ["--abandoned-after", str(ABANDONED_AFTER), "--between-tasks", str(BETWEEN_TASKS)]
    program = "from airflow_sm_rollout.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "guardian", "--every", "2", "--name", GUARDIAN, "-o", "json", *minutes]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env={**os.environ, **production.environment}, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def green_share(run: Run) -> float:
    """In percent."""
    production = run.site.production
    if run.dag_id != "switched":
        return production.shares(run.endpoint).green
    pointer = read_pointer(production.ssm, run.endpoint)
    split = pointer.split if pointer else None
    return 0.0 if split is None else 100.0 - split.share_of(run.endpoint)


def stands(run: Run) -> dict[str, Any]:
    """What there is of an endpoint, without what AWS remembers of how it became that."""
    described = run.site.production.describe(run.endpoint)
    described["endpoint"].pop("LastDeploymentConfig", None)
    return described


def why_not_as_before(run: Run) -> str:
    before, after = {**run.before, "endpoint": {**run.before["endpoint"]}}, stands(run)
    before["endpoint"].pop("LastDeploymentConfig", None)
    changed = sorted(member for member in before if before[member] != after[member])
    listed = run.site.production.sagemaker.list_endpoints(NameContains=run.endpoint)["Endpoints"]
    left = [each["EndpointName"] for each in listed if each["EndpointName"] != run.endpoint]
    return "; ".join([f"not as before: {member}" for member in changed] + [f"left: {name}" for name in left])


def kill_all(airflow: AirflowProcesses) -> None:
    for component in list(airflow.processes):
        airflow.kill(component)


def start_all(airflow: AirflowProcesses, components: list[str]) -> None:
    since = datetime.now(timezone.utc)
    for component in components:
        airflow.start(component)
    spoken = {name: since for name in components if name not in ("api-server", "execution-api")}
    airflow.wait_until_healthy(spoken, within_seconds=300)


def one_round(site: Site, number: int, chance: random.Random) -> list[Told]:
    harmful = {kind: chance.random() < 0.6 for kind in KINDS}
    runs = {
        kind: site.start(f"{kind.replace('_', '-')}-{number}", kind, artifact=BAD if harmful[kind] else GOOD, bake=BAKE)
        for kind in KINDS
    }
    wait_until(lambda: all(green_share(run) > 0 for run in runs.values()), 300, 0.5)
    time.sleep(chance.uniform(0, 20))
    told = [(run, Told(kind, harmful[kind], green_share(run))) for kind, run in runs.items()]
    components = list(site.airflow.processes)
    kill_all(site.airflow)
    for run in (run for run, each in told if each.is_harmful):
        site.production.set_alarm(alarm_of(run.endpoint), "ALARM", "7 of 9 were refused")
    watch_blue_come_back(told)
    wait_until(lambda: not any(site.production.belongings(run.endpoint)["records"] for run in runs.values()), 300, 0.5)
    for run, each in told:
        is_late = each.back_after is None or each.back_after > each.allowed
        each.fault = "blue came back too late" if is_late else why_not_as_before(run)
    start_all(site.airflow, components)
    for run, each in told:
        run.wait_for_end()
        if run.state != "failed" or f"guardian {GUARDIAN} took it back" not in run.reason():
            each.fault += f" the run is {run.state}: {run.reason()}"
    return [each for _, each in told]


def watch_blue_come_back(told: list[tuple[Run, Told]]) -> None:
    """Until each has, or the longest that any may take is over."""
    began = time.monotonic()
    while time.monotonic() < began + max(each.allowed for _, each in told):
        for run, each in told:
            if each.back_after is None and green_share(run) == 0:
                each.back_after = time.monotonic() - began
        if all(each.back_after is not None for _, each in told):
            return
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    chance, told = random.Random(options.seed), []
    folder = Path(tempfile.mkdtemp(prefix="sm-rollout-killed-"))
    (folder / "dags").mkdir()
    production = Production(SPEED)
    print(f"logs are in {folder}", flush=True)
    environment = {**production.environment, **FAST}
    with AirflowProcesses(folder / "home", folder / "dags", environment) as airflow:
        site = Site(production, airflow, folder / "dags")
        site.write_dags("canary", "[25, 100]")
        (site.dags / "others.py").write_text(OTHERS_FILE)
        with guardian(production, folder / "guardian.log"):
            for number in range(options.rounds):
                for each in one_round(site, number, chance):
                    told.append(each)
                    print(number, each.describe(), flush=True)
    production.close()
    failed = sum(bool(each.fault) for each in told)
    print(
        f"{len(told)} rollouts killed in {options.rounds} kills of Airflow, {failed} ended otherwise than they should"
    )
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
