"""``sm-rollout probe``: whether AWS does what the sandbox says."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.cli_ends import CommandFailed

if TYPE_CHECKING:
    from airflow_sm_rollout.probe.fact import Fact, Finding


class RealClock:
    """The machine's."""

    def now(self) -> datetime:
        """The time in UTC."""
        return datetime.now(timezone.utc)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


def add_options(parser: Any) -> None:
    """The options of ``probe``."""
    parser.add_argument("--model", help="a model of your account's that answers; nothing of it is changed")
    parser.add_argument(
        "--body", type=Path, metavar="FILE", help="a request that it answers with success (default: {})"
    )
    parser.add_argument("--content-type", default="application/json", help="of that request (default: %(default)s)")
    text = "the cheapest that it runs on (default: %(default)s)"
    parser.add_argument("--instance-type", default="ml.t2.medium", metavar="TYPE", help=text)
    parser.add_argument("--price", type=float, help="dollars for an hour of that in your Region")
    text = "a model whose container never answers its ping, for the facts that need one"
    parser.add_argument("--broken-model", metavar="MODEL", help=text)
    parser.add_argument("--only", action="append", default=[], metavar="FACT", help="ask this one, and others so named")
    parser.add_argument("--list", action="store_true", help="show the facts, and ask nothing")
    parser.add_argument("--yes", action="store_true", help="don't ask before it spends money")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="(default: %(default)s)")
    parser.add_argument("--region", help="AWS region, by default as boto3 finds it")
    parser.add_argument("--profile", help="a profile of AWS's configuration, by default as boto3 finds it")


def probe(options: argparse.Namespace) -> int:
    """The command ``probe``."""
    import boto3

    from airflow_sm_rollout.probe.lab import Asked, Lab
    from airflow_sm_rollout.probe.run import ask

    facts = _chosen(options)
    if options.list:
        print("\n".join(f"{fact.id:<22} {fact.question} It {fact.how}. ({fact.source})" for fact in facts))
        return 0
    if options.model is None:
        raise CommandFailed(
            "--model is needed: a model of your account's, to which the probe's endpoint sends requests"
        )
    body = b"{}" if options.body is None else options.body.read_bytes()
    asked = Asked(options.model, body, options.content_type, options.instance_type, options.broken_model)
    session = boto3.Session(region_name=options.region, profile_name=options.profile)
    lab = Lab(session, RealClock(), asked, f"sm-rollout-probe-{datetime.now(timezone.utc):%Y%m%d%H%M%S}")
    _consent(options, facts)
    findings: list[Finding] = []
    try:
        findings.extend(ask(facts, lab, _say))
    finally:  # after Ctrl-C what was found so far is worth its money, too
        _report(findings, options.output, lab.sagemaker.meta.region_name)
    return 0 if all(finding.is_same for finding in findings) else 1


def _report(findings: list[Finding], output: str, region: str) -> None:
    from airflow_sm_rollout.probe.run import as_json, table

    print(json.dumps(as_json(findings, region), indent=2) if output == "json" else "\n".join(table(findings)))


def _chosen(options: argparse.Namespace) -> list[Fact]:
    from airflow_sm_rollout.probe.run import choose

    try:
        return choose(options.only, options.broken_model is not None or options.list)
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def _consent(options: argparse.Namespace, facts: list[Fact]) -> None:
    from airflow_sm_rollout.probe.run import estimate

    _say(estimate(facts, options.instance_type, options.price))
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("nobody can be asked here whether to spend that; --yes says so")
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandFailed("nothing was asked, and nothing was made")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
