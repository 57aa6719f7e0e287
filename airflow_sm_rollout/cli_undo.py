"""``sm-rollout undo``: takes an endpoint back to what it was before the rollout that was promoted last."""

from __future__ import annotations

import argparse
import getpass
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_sm_rollout.cli_numbers import in_days, in_seconds
from airflow_sm_rollout.core.converge import ON_DRIFT
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.undo import UNDO_WITHIN, Undone, describe_steps

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients


def add_options(parser: argparse.ArgumentParser) -> None:
    """Its options, beside the endpoint and those of all commands."""
    days = UNDO_WITHIN / timedelta(days=1)
    parser.add_argument("--dry-run", action="store_true", help="say what it would do and how long that takes, no more")
    parser.add_argument("--note", default="", help="why, for whoever looks later")
    parser.add_argument(
        "--on-drift",
        choices=ON_DRIFT,
        help="where somebody has changed something since: refuse, or restore blue over it (default: as its plan says)",
    )
    within = "days after the promotion in which it can be undone (default: %(default)g)"
    parser.add_argument("--within", type=in_days, default=days, metavar="DAYS", help=within)
    parser.add_argument("--poke-interval", type=in_seconds, default=5.0, help="seconds between two looks (default: 5)")
    parser.add_argument("--timeout", type=in_seconds, default=7200.0, help="seconds until it gives up (default: 7200)")


def undo(clients: Clients, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Undo, or say what that would do.

    :param say: takes a line for a person.
    """
    from airflow_sm_rollout.aws.undo import Possible, Wanted, begin_undo, find_undo

    within = timedelta(days=options.within)
    wanted = Wanted(options.endpoint_name, getpass.getuser(), options.note, options.on_drift, within)
    found = find_undo(clients, wanted) if options.dry_run else begin_undo(clients, wanted)
    if isinstance(found, Undone):
        say(f"nothing to do: {found.describe()}")
    elif isinstance(found, Possible):
        for line in describe_steps(found.rollout, found.seen):
            say(line)
    elif options.dry_run:
        say(f"in progress already: {found.describe_owner()}")
    else:
        _drive(clients, found, options, say)


def _drive(clients: Clients, rollout: Rollout, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from airflow_sm_rollout.aws.guardian import SIGNS
    from airflow_sm_rollout.aws.undo import end_undo
    from airflow_sm_rollout.aws.world import AwsWorld
    from airflow_sm_rollout.core.advance import drive

    say(f"undoing {rollout.describe_owner()}")
    world = AwsWorld(clients, options.endpoint_name, rollout.rollout_id)
    deadline = world.now() + timedelta(seconds=options.timeout)

    def wait(reason: str, at_least: timedelta) -> None:
        SIGNS.leave(clients, options.endpoint_name)  # where this is killed, a guardian goes on
        say(f"waiting: {reason}")
        time.sleep(max(options.poke_interval, at_least.total_seconds()))

    done = drive(AsBefore(rollout), rollout.rollout_id, world, deadline, tell=say, wait=wait)
    say(end_undo(clients, rollout, done))
