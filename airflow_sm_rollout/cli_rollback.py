"""``sm-rollout rollback``: what takes an endpoint back without Airflow, by the record on AWS or, where that is lost, by the plan."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_rollout.cli_ends import CommandFailed
from airflow_sm_rollout.cli_numbers import in_seconds
from airflow_sm_rollout.core.converge import ON_DRIFT
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.core.rollout import Rollout

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients


def add_options(parser: argparse.ArgumentParser) -> None:
    """Its options, beside the endpoint and those of all commands."""
    parser.add_argument(
        "--on-drift",
        choices=ON_DRIFT,
        help="where somebody else has changed the endpoint: refuse, or restore blue over it (default: as its plan says)",
    )
    plan = "where the record is lost: what the task that planned the rollout has left in XCom return_value, as JSON; -: standard input"
    parser.add_argument("--plan", metavar="FILE", help=plan)
    parser.add_argument("--poke-interval", type=in_seconds, default=5.0, help="seconds between two looks (default: 5)")
    parser.add_argument("--timeout", type=in_seconds, default=7200.0, help="seconds until it gives up (default: 7200)")


def roll_back(
    clients: Clients, record: Rollout | None, options: argparse.Namespace, say: Callable[[str], None]
) -> None:
    """Go back until everything is as before.

    :param record: the rollout that holds the endpoint.
    :param say: takes a line for a person.
    :raises CommandFailed: if there is no plan to go back by, with what stands.
    """
    from airflow_sm_rollout.aws.record import write_record

    rollout = record or (read_plan(options.plan, options.endpoint_name) if options.plan else None)
    if rollout is None:
        _tell_what_stands(clients, options.endpoint_name)
        return
    say(f"rolling back {rollout.describe_owner()}")
    if options.on_drift:
        rollout = replace(rollout, plan=replace(rollout.plan, on_drift=options.on_drift))
        if record is not None:
            write_record(clients.ssm, rollout, overwrite=True)
    _drive_back(clients, rollout, options, say)


def _drive_back(clients: Clients, rollout: Rollout, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from airflow_sm_rollout.aws.world import AwsWorld
    from airflow_sm_rollout.core.advance import drive

    world = AwsWorld(clients, options.endpoint_name, rollout.rollout_id)
    deadline = world.now() + timedelta(seconds=options.timeout)

    def wait(reason: str, at_least: timedelta) -> None:
        say(f"waiting: {reason}")
        time.sleep(max(options.poke_interval, at_least.total_seconds()))

    say(drive(AsBefore(rollout), rollout.rollout_id, world, deadline, tell=say, wait=wait).reason)


def read_plan(file: str, endpoint_name: str) -> Rollout:
    """A rollout as it was planned, from the handle that its first task has left in XCom, or from the text of its record.

    :param file: a file's name, or ``-``.
    :raises CommandFailed: if it is no such thing, or of another endpoint.
    """
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8", errors="replace")
    try:
        given = json.loads(text)
        given = json.loads(given) if isinstance(given, str) else given  # the page of an XCom may show it as a text
        frozen = given["frozen"] if isinstance(given, Mapping) and "frozen" in given else json.dumps(given)
        rollout = from_json(frozen)
    except (ValueError, TypeError, RecursionError, RolloutError) as error:
        raise CommandFailed(f"--plan {file}: this is no plan of a rollout: {error}") from error
    if rollout.endpoint_name != endpoint_name:
        raise CommandFailed(f"--plan {file}: this is the plan of a rollout of endpoint {rollout.endpoint_name}")
    return rollout


def _tell_what_stands(clients: Clients, endpoint_name: str) -> None:
    from airflow_sm_rollout.aws.live import read_live_name
    from airflow_sm_rollout.aws.lost import read_rests
    from airflow_sm_rollout.aws.serving import read_named

    endpoint = read_named(clients.sagemaker, read_live_name(clients.ssm, endpoint_name))
    state = endpoint.describe() if endpoint else "there is no such endpoint"
    rests = read_rests(clients, endpoint_name, endpoint)
    if rests:
        raise CommandFailed(". ".join(each.describe(state) for each in rests))
    print(f"no rollout of endpoint {endpoint_name} is in progress: nothing to roll back")
