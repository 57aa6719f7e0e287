"""What deferred tasks cost their triggerer: memory and processor time of bakes that are watched at once, in one process.

    python -m benchmarks.triggers

Twice, each time in a process of its own against a sandbox in this one: with the clients that all triggers of a process share, and with
clients of each trigger's own, made by the amazon provider's hook for each service. Prints what the bakes added to a process that has
everything imported: resident memory at its highest, and seconds of processor time until each has looked ``LOOKS`` times.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import Any

LOOKS = 3
BAKES = {"shared": 100, "own": 20}
_MIB = 1024  # ru_maxrss counts KiB on Linux
_CONNECTION = {"aws_conn_id": None, "region_name": "us-east-1", "verify": None, "botocore_config": None}


def main() -> None:
    """Measure both, print."""
    from airflow_sm_rollout.sandbox.app import Sandbox
    from airflow_sm_rollout.sandbox.server import serve

    sandbox = Sandbox()
    server = serve(sandbox)
    try:
        for clients, bakes in BAKES.items():
            memory, processor = measure(clients, bakes, server.url)
            print(
                f"{clients:>6} clients, {bakes:>3} bakes: {memory:6.1f} MiB ({memory / bakes:5.2f} a bake), "
                f"{processor:5.2f} s of processor time ({processor / bakes:5.3f} a bake)",
                flush=True,
            )
    finally:
        server.close()
        sandbox.close()


def measure(clients: str, bakes: int, url: str) -> tuple[float, float]:
    """MiB and seconds that the bakes added."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, "-m", "benchmarks.triggers", clients, str(bakes)]
    told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    memory, processor = json.loads(told.splitlines()[-1])
    return float(memory), float(processor)


def watch(clients: str, bakes: int) -> None:
    """In a process of its own: watch the bakes, and print what they added."""
    import logging

    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook  # noqa: F401 - a triggerer has it

    logging.disable(logging.CRITICAL)
    triggers = [make_trigger(clients, index) for index in range(bakes)]
    memory, processor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    asyncio.run(until_looked(triggers))
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / _MIB
    print(json.dumps([added, time.process_time() - processor]))


def make_trigger(clients: str, index: int) -> Any:
    """The trigger of a bake that lasts longer than the benchmark, and counts its looks."""
    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
    from airflow_sm_rollout.core.watch.watch import Watch, watch_to_dict
    from airflow_sm_rollout.triggers.bake import BakeTrigger

    class Counted(BakeTrigger):
        looks = 0
        own: Clients | None = None

        async def clients(self) -> Clients:
            self.looks += 1
            if clients == "shared":
                return await super().clients()
            self.own = self.own or await asyncio.to_thread(own_clients)
            return self.own

    now = datetime.now(timezone.utc)
    blue = Blue("config", {}, "AllTraffic", 1.0, 1)
    rollout = Rollout(f"wine-{index}", "0badcafe", {}, now, blue, Green(model_name="wine-v2"), Plan())
    watch = Watch(now, now + timedelta(hours=1), now, 0, rollout=rollout, judges_evidence=True)
    return Counted(watch=watch_to_dict(watch), poke_interval=1.0, connection=_CONNECTION)


def own_clients() -> Any:
    """Clients that nobody else has: a session for each."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    from airflow_sm_rollout.aws.clients import Clients

    class Hooks:
        def client(self, service_name: str) -> Any:
            return AwsBaseHook(aws_conn_id=None, region_name="us-east-1", client_type=service_name).conn

    return Clients.of(Hooks())


async def until_looked(triggers: list[Any]) -> None:
    """Run all of them until each has looked often enough."""
    tasks = [asyncio.ensure_future(anext(trigger.run())) for trigger in triggers]
    while min(trigger.looks for trigger in triggers) <= LOOKS and not any(task.done() for task in tasks):
        await asyncio.sleep(0.2)
    ended = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    if ended:
        raise SystemExit(f"a bake ended: {ended[0].result()}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        watch(sys.argv[1], int(sys.argv[2]))
    else:
        main()
