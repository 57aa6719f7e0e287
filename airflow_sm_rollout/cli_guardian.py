"""``sm-rollout guardian``: watches rollouts, and takes them back, without Airflow; or prints what runs it on AWS Lambda."""

from __future__ import annotations

import argparse
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow_sm_rollout.cli_calls import make_clients
from airflow_sm_rollout.cli_numbers import in_minutes, in_seconds
from airflow_sm_rollout.core.guardian import Finding, Patience, State

_EVERY, _ONCE_AT_MOST = 15.0, 50.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    _add_what(parser)
    _add_patience(parser)
    parser.add_argument("--region", help="AWS region, by default as boto3 finds it")
    parser.add_argument(
        "--every", type=in_seconds, default=_EVERY, help="seconds between two looks (default: %(default)g)"
    )
    once = f"one look, for cron; what that takes back it drives for {_ONCE_AT_MOST:g} s, and the next look goes on"
    parser.add_argument("--once", action="store_true", help=once)
    parser.add_argument(
        "--prefix", default="", help="only endpoints whose names begin so (default: all of the account)"
    )
    parser.add_argument(
        "--name", dest="by", default=socket.gethostname(), help="who it is, for people (default: this host)"
    )
    _add_policy(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="(default: %(default)s)")


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = "instead of guarding: write the archive for AWS Lambda, or print its CloudFormation template"
    parser.add_argument("what", nargs="?", choices=("package", "template"), help=what)
    parser.add_argument("--file", default="guardian.zip", help="of package: where to (default: %(default)s)")


def _add_patience(parser: argparse.ArgumentParser) -> None:
    patience, minute = Patience(), timedelta(minutes=1)
    parser.add_argument(
        "--abandoned-after",
        type=in_minutes,
        default=patience.in_task / minute,
        metavar="MINUTES",
        help="take a rollout back whose task has given no sign of life for so long (default: %(default)g)",
    )
    parser.add_argument(
        "--between-tasks",
        type=in_minutes,
        default=patience.between_tasks / minute,
        metavar="MINUTES",
        help="the same behind a task that has ended well: your own tasks give no sign (default: %(default)g)",
    )


def _add_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", action="store_true", help="print the IAM policy that it needs, and end")
    in_front = "with --policy and template: a Lambda function in front of one of the endpoints (traffic lambda)"
    parser.add_argument("--function", dest="functions", action="append", default=[], metavar="NAME", help=in_front)


def guard(options: argparse.Namespace, sleep: Callable[[float], None] = time.sleep) -> int:
    """Guard until Ctrl-C, or for one look.

    :return: exit code: 1 where one look has found something that it could not do.
    """
    if options.policy or options.what:
        _print_what_runs_it(options)
        return 0
    from airflow_sm_rollout.aws.world import utc_now
    from airflow_sm_rollout.guardian.guardian import Guardian
    from airflow_sm_rollout.guardian.run import look_on, look_once

    printer = _Printer(options.output)
    guardian = Guardian(
        make_clients(options.region),
        name=options.by,
        prefix=options.prefix,
        patience=Patience(timedelta(minutes=options.abandoned_after), timedelta(minutes=options.between_tasks)),
        tell=printer.tell,
        now=utc_now,
    )
    if options.once:
        findings = look_once(guardian, _ONCE_AT_MOST, sleep)
        printer.tell_all(findings)
        return int(any(finding.state is State.FAILED for finding in findings))
    for findings in look_on(guardian, options.every, sleep):
        printer.tell_all(findings)
    return 0


def _print_what_runs_it(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.iam import guardian_policy
    from airflow_sm_rollout.guardian.package import build_archive
    from airflow_sm_rollout.guardian.template import render_template

    if options.what == "package":
        Path(options.file).write_bytes(build_archive())
        print(f"wrote {options.file}: copy it to S3, and deploy what sm-rollout guardian template prints")
    elif options.what == "template":
        minutes = {
            "SM_ROLLOUT_ABANDONED_AFTER": f"{options.abandoned_after:g}",
            "SM_ROLLOUT_BETWEEN_TASKS": f"{options.between_tasks:g}",
        }
        print(json.dumps(render_template(options.prefix, minutes, options.functions), indent=2))
    else:
        policy = guardian_policy(options.prefix, region=options.region or "*", functions=options.functions)
        print(json.dumps(policy, indent=2))


class _Printer:
    """Prints each thing that is done, and of each rollout what is new."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._last: dict[str, State] = {}
        self._is_idle = False

    def tell(self, finding: Finding) -> None:
        """Print a line."""
        now = datetime.now(timezone.utc)
        if self._output == "json":
            print(json.dumps({"at": now.isoformat(timespec="seconds"), **asdict(finding)}), flush=True)
        else:
            about = f"{finding.endpoint_name}: " if finding.endpoint_name else ""
            state = finding.state.value.replace("_", " ")
            print(f"{now:%H:%M:%S} {about}{state}: {finding.sentence}", flush=True)

    def tell_all(self, findings: Sequence[Finding]) -> None:
        """Print of a look what the one before has not said already: that a rollout is watched, once."""
        if not findings and not self._is_idle:
            self.tell(Finding(State.WATCHED, "no rollout is in progress"))
        self._is_idle = not findings
        for finding in findings:
            if self._last.get(finding.endpoint_name) is not finding.state or finding.state in (
                State.FAILED,
                State.TAKEN_BACK,
            ):
                self.tell(finding)
        self._last = {finding.endpoint_name: finding.state for finding in findings}
