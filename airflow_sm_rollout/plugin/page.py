"""The pages' HTML and SVG. Everything that comes from outside goes through the templates' escaping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.core.traces import compared_rows, progress_of
from airflow_sm_rollout.plugin.chart import draw
from airflow_sm_rollout.plugin.reads import Row

_STILL_COUNTED = timedelta(minutes=2)  # CloudWatch publishes a minute's figures within another
WORDS = {
    "running": "in progress",
    "promoted": "promoted",
    "rolled_back": "rolled back",
    "not_settled": "NOT SETTLED",
    "refused": "not started",
}
_WISHES = (
    (Wish.PAUSE.value, "Pause"),
    (Wish.GO_ON.value, "Resume"),
    (Wish.PROMOTE.value, "Promote"),
    (Wish.ABORT.value, "Abort"),
)


def render_rollouts(
    reports: Sequence[Report],
    base: str,
    dag_id: str,
    run_id: str,
    *,
    may_edit: bool,
    now: datetime,
    unread: Sequence[str] = (),
    refused: Sequence[str] = (),
) -> str:
    """The tab of a DAG run.

    :param base: the path that the app is mounted at.
    :param may_edit: whether there are buttons.
    :param unread: in words, the rollouts that can't be shown.
    :param refused: in words, those that did not begin.
    """
    return _render(
        "rollout.html",
        reports=reports,
        unread=unread,
        refused=refused,
        charts=[draw(report, now) for report in reports],
        base=base,
        here=f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}",
        run_id=run_id,
        changes=any(report.ended_at is None or now - report.ended_at < _STILL_COUNTED for report in reports),
        may_edit=may_edit,
        wishes=_WISHES,
        time=_time,
        rows=compared_rows,
        progress=progress_of,
    )


def render_list(rows: Sequence[Row], base: str, endpoint: str, outcome: str, now: datetime) -> str:
    """The page over all rollouts, with the filter as it is set."""
    return _render(
        "rollouts.html",
        rows=rows,
        base=base,
        endpoint=endpoint,
        outcome=outcome,
        words=WORDS,
        age=lambda since: _age(since, now),
    )


def render_chart(report: Report | None, now: datetime) -> str:
    """Green's share over time as a picture of its own, for a question's text."""
    return _render("chart.svg", chart=draw(report, now) if report else None, sentence=_head(report)).strip()


def _head(report: Report | None) -> str:
    return f"{report.endpoint}: {report.outcome.replace('_', ' ')}, green's share of the requests" if report else ""


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    # Never read again: an upgrade beside a running API server would give its code the templates of another version.
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _time(at: datetime | None) -> str:
    return at.strftime("%H:%M:%S") if at else "–"


def _age(since: datetime, now: datetime) -> str:
    minutes = int((now - since).total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"
