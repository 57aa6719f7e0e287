"""Make the clients' environments, run each client's script against one sandbox, and print which steps it got through."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from airflow_sm_rollout.sandbox import Sandbox, Timings, serve
from tests.clients.environments import CLIENTS, Client
from tests.clients.told import MARK, ROLE

HERE = Path(__file__).parent
STEPS = ("deploy", "invoke", "refused", "update", "weights", "lists", "metrics", "alarm", "delete")
SPEED = 200
BUCKET = "clients"
LIMIT_SECONDS = 420
AT_ONCE = 4


@dataclass(frozen=True)
class Result:
    """What became of one client's script.

    :param steps: by its name each step's error, or ``None``.
    :param trouble: what went wrong beside the steps.
    """

    steps: Mapping[str, str | None]
    trouble: str | None = None

    def cell(self, step: str, client: Client) -> str:
        """A table's cell: what became of a step."""
        if step in client.lacks:
            return "-"
        if step not in self.steps:
            return "missing"
        return "ok" if self.steps[step] is None else "FAILED"

    def failures(self, client: Client) -> list[str]:
        """A sentence for each thing that went wrong."""
        failed = [f"{step}: {error}" for step, error in self.steps.items() if error is not None]
        missing = [f"{step}: not reached" for step in STEPS if self.cell(step, client) == "missing"]
        return [*failed, *missing, *([self.trouble] if self.trouble else [])]


def run(name: str, client: Client, url: str) -> Result:
    """Make a client's environment where there is none yet, and run its script."""
    try:
        command = client.command(HERE)
        ran = subprocess.run(
            command, env=environment(name, url), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        out = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return Result(steps_in(out), f"not done after {LIMIT_SECONDS} s")
    except (OSError, subprocess.CalledProcessError) as error:
        return Result({}, f"its environment can't be made: {error}")
    trouble = f"exit code {ran.returncode}: {ran.stderr[-2000:]}" if ran.returncode else None
    return Result(steps_in(ran.stdout), trouble)


def environment(name: str, url: str) -> dict[str, str]:
    """What a script knows: the sandbox, and nothing of this machine's AWS."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PYTHON", "VIRTUAL_ENV"))}
    aws = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {**kept, **aws, "CLIENT_NAME": name, "CLIENT_BUCKET": BUCKET, "PYTHONUNBUFFERED": "1"}


def steps_in(out: str) -> dict[str, str | None]:
    """The steps that a script told of."""
    # SDKs leave a line unfinished, such as their row of dots.
    told = [json.loads(line.partition(MARK)[2]) for line in out.splitlines() if MARK in line]
    return {line["step"]: line["error"] for line in told}


def table(results: Mapping[str, Result]) -> list[str]:
    """Clients by steps, in columns."""
    rows = [("client", *STEPS)] + [
        (f"{name} {CLIENTS[name].version()}", *(result.cell(step, CLIENTS[name]) for step in STEPS))
        for name, result in results.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def prepare(url: str) -> None:
    """Make what all of them expect to be there: the model's file, and a role that SageMaker may take."""
    s3 = boto3_client("s3", url)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=b"a model")
    may_take = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [may_take]}
    boto3_client("iam", url).create_role(RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=json.dumps(trust))


def boto3_client(service: str, url: str) -> Any:
    """A client of this process's own, for the sandbox."""
    return boto3.client(service, "us-east-1", endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="y")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if a step of any client failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CLIENT", help=f"{', '.join(CLIENTS)} (default: all)")
    names = parser.parse_args(arguments).names or list(CLIENTS)
    if unknown := [name for name in names if name not in CLIENTS]:
        parser.error(f"no client {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    sandbox = Sandbox(timings=Timings().hurried(SPEED))
    with serve(sandbox) as server, ThreadPoolExecutor(AT_ONCE) as threads:
        prepare(server.url)
        results = dict(zip(names, threads.map(lambda name: run(name, CLIENTS[name], server.url), names), strict=True))
    sandbox.close()
    print("\n".join(table(results)))
    failures = [f"{name}: {text}" for name, result in results.items() for text in result.failures(CLIENTS[name])]
    print("\n".join(failures))
    print(f"{len(results)} clients, {sum(len(r.steps) for r in results.values())} steps, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
