"""``sm-rollout report``: the Rollout screen of a DAG run as one file, from Airflow's database."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_rollout.cli_ends import CommandFailed
from airflow_sm_rollout.core.report import Live, Report, build_report

if TYPE_CHECKING:
    from airflow_sm_rollout.plugin.reads import Found, Planned


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Which run, and where to."""
    parser.add_argument("dag_id", metavar="DAG")
    parser.add_argument("run_id", metavar="RUN")
    parser.add_argument("--html", metavar="FILE", required=True, help="the file to write; - is standard output")
    parser.add_argument("--offline", action="store_true", help="ask AWS nothing: show what the run's tasks have left")


def save_report(options: argparse.Namespace) -> None:
    """The command ``report``."""
    from airflow_sm_rollout.plugin.page import render_file

    planned = _read(options.dag_id, options.run_id)
    if not (planned.found or planned.unread or planned.refused):
        raise CommandFailed(
            f"run {options.run_id} of DAG {options.dag_id} has planned no rollout, or there is no such run"
        )
    reports = [_report(each, ask_aws=not options.offline) for each in planned.found]
    now = datetime.now(timezone.utc)
    page = render_file(reports, options.run_id, now=now, unread=planned.unread, refused=planned.refused)
    if options.html == "-":
        sys.stdout.write(page)
        return
    Path(options.html).write_text(page, encoding="utf-8")
    print(f"{options.html}: {', '.join(f'{each.endpoint} {each.chip}' for each in reports) or 'not started'}")


def _read(dag_id: str, run_id: str) -> Planned:
    try:
        from airflow.utils.session import create_session
        from sqlalchemy.exc import SQLAlchemyError

        from airflow_sm_rollout.plugin.reads import read_rollouts
    except ModuleNotFoundError as error:
        raise CommandFailed(f"{error.name} is not installed: run this where Airflow's own commands work") from error
    try:
        with create_session() as session:
            return read_rollouts(session, dag_id, run_id)
    except SQLAlchemyError as error:
        why = str(error).partition("\n")[0]
        raise CommandFailed(
            f"Airflow's database can't be read ({why}): run this where Airflow's own commands work"
        ) from error


def _report(found: Found, *, ask_aws: bool) -> Report:
    live = _live(found) if ask_aws else None
    return build_report(found.group, found.rollout, found.tasks, live, is_over=found.is_over, wishes=found.wishes)


def _live(found: Found) -> Live | None:
    from airflow_sm_rollout.cli_calls import describe_failure
    from airflow_sm_rollout.plugin.live import read_backdrop, read_live

    try:
        return read_backdrop(found).behind(read_live(found))
    except Exception as error:
        reason = describe_failure(error)
        if reason is None:
            raise
        print(f"sm-rollout report: without AWS's figures: {reason}", file=sys.stderr)
        return None
