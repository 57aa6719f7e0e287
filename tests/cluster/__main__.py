"""Rollouts on a whole cluster while its parts are killed, and a table of what became of each: ``make cluster``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from airflow_sm_rollout.live import live_endpoint
from cluster.celery_cluster import Cluster, cluster
from cluster.services import NotInstalled
from production import BAD, GOOD, Production, Shares, alarm_of, meanwhile
from wiring.runs import Run

SPEED = 20
REQUESTS_PER_SECOND = 8.0
BAKE = "30"
AT_ONCE = 4
TOLERATED = 5  # refused requests, before the user's alarm rings
PLANNED = {"canary": (25.0, 100.0), "linear": (50.0, 100.0), "switched": (0.0,), "guardrails": (25.0, 50.0, 100.0)}
"""By DAG, each share that green may have; two endpoints have no shares, and SageMaker rounds to instances."""


@dataclass(slots=True)
class Clients:
    """What an endpoint's clients met."""

    served: int = 0
    refused: int = 0
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Story:
    """One rollout.

    :param kind: its DAG.
    :param model: good, bad or, while the cluster is being killed, killed.
    """

    kind: str
    model: str

    @property
    def endpoint(self) -> str:
        return f"{self.kind}-{self.model}".replace("_", "-")


@dataclass(frozen=True, slots=True)
class Told:
    """How a story ended."""

    story: Story
    outcome: str
    seconds: float
    shares: tuple[float, ...]
    clients: Clients
    kills: tuple[str, ...] = ()
    fault: str = ""


@contextmanager
def clients(production: Production, endpoint: str) -> Iterator[Clients]:
    """Requests to an endpoint, or to what is live under its name, for the length of the block; none is tried again."""
    session = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1})
    runtime = session.client("sagemaker-runtime", endpoint_url=production.server.url, config=config)
    ssm = session.client("ssm", endpoint_url=production.server.url)
    met, ended = Clients(), threading.Event()

    def send() -> None:
        while not ended.wait(1 / REQUESTS_PER_SECOND):
            try:
                name = live_endpoint(endpoint, client=ssm)
                runtime.invoke_endpoint(EndpointName=name, Body=b"{}", ContentType="application/json")
                met.served += 1
            except runtime.exceptions.ModelError:
                met.refused += 1
            except Exception as error:  # noqa: BLE001 - each is counted, and shown
                met.dropped.append(repr(error))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield met
    finally:
        ended.set()
        thread.join()


def tell(all_of_it: Cluster, story: Story, kill: Callable[[Cluster, Run], tuple[str, ...]] | None = None) -> Told:
    """Run a rollout to its end, killing what is to be killed in its middle."""
    production = all_of_it.site.production
    artifact = BAD if story.model == "bad" else GOOD
    began = time.monotonic()
    run = all_of_it.site.start(story.endpoint, story.kind, artifact=artifact, bake=BAKE)
    with ExitStack() as while_it_runs:
        seen = while_it_runs.enter_context(production.watched(story.endpoint))
        met = while_it_runs.enter_context(clients(production, story.endpoint))
        while_it_runs.enter_context(meanwhile(lambda: met.refused > TOLERATED, lambda: ring(production, story)))
        kills = kill(all_of_it, run) if kill else ()
        run.wait_for_end()
    outcome, fault = judged(run, story, seen[story.endpoint], met)
    shares = tuple(sorted({looked.green for looked in seen[story.endpoint]}))
    return Told(story, outcome, time.monotonic() - began, shares, met, kills, fault)


def stands(described: dict[str, Any]) -> dict[str, Any]:
    """What an endpoint is, without what AWS remembers of how it became that."""
    endpoint = {member: value for member, value in described["endpoint"].items() if member != "LastDeploymentConfig"}
    return {**described, "endpoint": endpoint}


def ring(production: Production, story: Story) -> None:
    """The user's alarm, which has seen that requests are refused."""
    production.set_alarm(alarm_of(story.endpoint), "ALARM", f"more than {TOLERATED} requests were refused")


def judged(run: Run, story: Story, seen: list[Shares], met: Clients) -> tuple[str, str]:
    """How a run ended, and what is wrong with that; empty if nothing is."""
    before, after = (stands(described) for described in (run.before, run.site.production.describe(run.endpoint)))
    if run.state == "success":
        outcome = "promoted"
        fault = (
            ""
            if not after["records"] and run.announced() == "success"
            else "its record is left, or its DAG did not go on"
        )
    else:
        changed = sorted(member for member in before if before[member] != after[member])
        outcome, fault = ("half done", f"not as before: {', '.join(changed)}") if changed else ("as before", "")
    expected = {"good": ("promoted",), "bad": ("as before",)}.get(story.model, ("promoted", "as before"))
    faults = [fault] if fault else []
    faults += [] if outcome in expected else [f"{outcome}: {run.reason()}"]
    faults += [f"dropped {len(met.dropped)}: {met.dropped[0]}"] if met.dropped else []
    unplanned = {looked.green for looked in seen} - {0.0, *PLANNED[story.kind]}
    faults += [f"unplanned shares {sorted(unplanned)}"] if unplanned else []
    return outcome, "; ".join(faults)


def in_a_bake(all_of_it: Cluster, run: Run) -> tuple[str, ...]:
    """A triggerer dies in a bake, a worker in the next shift."""
    run.wait_for("bake_25", "deferred", "success")
    all_of_it.kill("triggerer")
    run.wait_for_weights_call(2)
    all_of_it.kill("worker-1")
    return ("triggerer in a bake", "worker in a shift")


def in_a_shift(all_of_it: Cluster, run: Run) -> tuple[str, ...]:
    """A worker dies in a shift, and the broker is restarted."""
    run.wait_for_weights_call(1)
    all_of_it.kill("worker-2")
    all_of_it.broker.restart()
    return ("worker in a shift", "Redis restarted")


def in_a_switch(all_of_it: Cluster, run: Run) -> tuple[str, ...]:
    """A scheduler dies while green's endpoint is made, the database is restarted in the bake."""
    run.wait_for_call("CreateEndpoint")
    all_of_it.kill("scheduler")
    run.wait_for("bake_100", "deferred", "success")
    all_of_it.database.restart()
    return ("scheduler in a deployment", "PostgreSQL restarted")


def in_sagemakers_hands(all_of_it: Cluster, run: Run) -> tuple[str, ...]:
    """Everything of Airflow is restarted, as by an upgrade, while SageMaker shifts."""
    run.wait_for_call("UpdateEndpoint")
    all_of_it.restart_airflow()
    return ("all of Airflow restarted",)


KILLS: dict[str, Callable[[Cluster, Run], tuple[str, ...]]] = {
    "canary": in_a_bake,
    "linear": in_a_shift,
    "switched": in_a_switch,
    "guardrails": in_sagemakers_hands,
}


def rollouts(all_of_it: Cluster) -> Iterator[Told]:
    """The twelve: first good and bad ones side by side, then those that are killed."""
    calm = [Story(kind, model) for kind in KILLS for model in ("good", "bad")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda story: tell(all_of_it, story), calm)
    for kind, kill in KILLS.items():
        yield tell(all_of_it, Story(kind, "killed"), kill)


def line(told: Told) -> str:
    """A row of the table."""
    shares = " ".join(f"{share:g}" for share in told.shares)
    met = f"{told.clients.served:>6} {told.clients.refused:>7} {len(told.clients.dropped):>7}"
    killed = ", ".join(told.kills)
    row = f"{told.story.kind:<11} {told.story.model:<7} {told.outcome:<10} {told.seconds:>4.0f} s {met}  {shares:<14} {killed}"
    return row + (f"\n  FAULT: {told.fault}" if told.fault else "")


def once(number: int) -> int:
    """Start a cluster, run the twelve rollouts, and count the faults."""
    with tempfile.TemporaryDirectory(prefix="sm-rollout-cluster-") as folder:
        production = Production(SPEED)
        try:
            print(f"Round {number}: starting PostgreSQL, Redis and Airflow ...", flush=True)
            with cluster(Path(folder) / "cluster", production) as all_of_it:
                print("kind        model   outcome     time served refused dropped  green's shares killed", flush=True)
                faults = 0
                for told in rollouts(all_of_it):
                    print(line(told), flush=True)
                    faults += bool(told.fault)
        finally:
            production.close()
    return faults


def main() -> int:
    """Exit code 0 if every rollout of every round ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often (default: %(default)s)")
    rounds = parser.parse_args().rounds
    try:
        faults = sum(once(number) for number in range(1, rounds + 1))
    except NotInstalled as missing:
        print(missing, file=sys.stderr)
        return 2
    print(f"{12 * rounds} rollouts, {faults} with a fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
