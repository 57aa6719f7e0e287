"""The pages' HTML and SVG. Everything that comes from outside goes through the templates' escaping."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.core.screen.log import as_markdown
from airflow_sm_rollout.core.screen.proof import Proof, last_comparison, proofs_of
from airflow_sm_rollout.core.screen.state import State
from airflow_sm_rollout.core.screen.stepper import DONE, MISSED, NOW, STOPPED, Stop
from airflow_sm_rollout.core.traces import compared_rows, describe_moment
from airflow_sm_rollout.plugin.address import run_path, task_path
from airflow_sm_rollout.plugin.chart import Chart, draw

if TYPE_CHECKING:
    from airflow_sm_rollout.plugin.reads import Row

_STILL_COUNTED = timedelta(minutes=2)  # CloudWatch publishes a minute's figures within another
_TROUBLE = {Outcome.NOT_SETTLED: 2, Outcome.RUNNING: 1}
_EARLIER = 10
_GLANCE = {"Serves now": "What serves now", "Decided by": "Who decided", "When": "When"}
_LONGEST = 100
STATIC = Path(__file__).parent / "static"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "img-src 'self'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)
"""What the pages may load and do: nothing but what is ours."""
WORDS = {
    Outcome.RUNNING: "in progress",
    Outcome.PROMOTED: "promoted",
    Outcome.ROLLED_BACK: "rolled back",
    Outcome.NOT_SETTLED: "NOT SETTLED",
    Outcome.REFUSED: "not started",
    Outcome.UNDONE: "undone",
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """Another rollout of the endpoint, in a line."""

    href: str
    outcome: str
    word: str
    model: str
    started: str
    sentence: str


@dataclass(frozen=True, slots=True)
class View:
    """A report with all that is drawn of it.

    :param age: how old AWS's figures are, in words, and ``freshness`` as a class: ``live``, ``asking``, ``unreachable`` or ``over``.
    :param task_url: the task that tells more.
    :param glance: what is asked first, and the answers in a few words each.
    :param lacking: why there are no figures, in words.
    :param earlier: the endpoint's last rollouts before it.
    """

    report: Report
    chart: Chart
    proofs: tuple[Proof, ...]
    markdown: str
    age: str
    freshness: str
    read_at: str
    task_url: str
    glance: tuple[tuple[str, str], ...]
    lacking: str
    earlier: tuple[Earlier, ...] = ()


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
    run_url: str = "",
    rows: Sequence[Row] = (),
) -> str:
    """The tab of a DAG run.

    :param base: the path that the app is mounted at.
    :param may_edit: whether there are buttons.
    :param unread: in words, the rollouts that can't be shown.
    :param refused: in words, those that did not begin.
    :param run_url: the run in Airflow's UI; empty: no links lead there.
    :param rows: rollouts in the list, newest first, of which those of the same endpoints are shown.
    """
    values = _values(reports, run_id, now, unread, refused, run_url)
    values["views"] = [replace(view, earlier=tuple(_earlier(view.report, rows, base))) for view in values["views"]]
    here = f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return _render("rollout.html", base=base, here=here, may_edit=may_edit, **values)


def render_file(
    reports: Sequence[Report],
    run_id: str,
    *,
    now: datetime,
    unread: Sequence[str] = (),
    refused: Sequence[str] = (),
) -> str:
    """The same screen as one file that needs no server: for an audit, or a post-mortem."""
    values = _values(reports, run_id, now, unread, refused, "")
    script = f'addEventListener("DOMContentLoaded", () => {{\n{(STATIC / "page.js").read_text()}}});'
    digest = b64encode(sha256(script.encode()).digest()).decode()
    own = {"style": (STATIC / "style.css").read_text(), "script": script, "script_hash": f"sha256-{digest}"}
    return _render("report.html", base="", here="", may_edit=False, **own, **values)


def _values(
    reports: Sequence[Report],
    run_id: str,
    now: datetime,
    unread: Sequence[str],
    refused: Sequence[str],
    run_url: str,
) -> dict[str, Any]:
    return {
        "views": [_view(report, now, run_url) for report in reports],
        "unread": unread,
        "refused": refused,
        "run_id": run_id,
        "run_url": run_url,
        "now": now,
        "changes": any(_changes(report, now) for report in reports),
        "rows": compared_rows,
        "words": describe_stop,
    }


def _changes(report: Report, now: datetime) -> bool:
    """Whether there may be news of it."""
    return not report.state.is_over or report.ended_at is None or now - report.ended_at < _STILL_COUNTED


def _view(report: Report, now: datetime, run_url: str) -> View:
    comparison = last_comparison(report.comparison, report.verdicts)
    age, freshness = _age_of(report, now)
    task = task_path(run_url, report.group, report.cause.task) if run_url and report.cause.task else ""
    proofs = proofs_of(comparison) if comparison else ()
    return View(
        report=report,
        chart=draw(report, now),
        proofs=proofs,
        markdown=as_markdown(f"Rollout {report.rollout_id} of {report.endpoint}", report.facts, report.events),
        age=age,
        freshness=freshness,
        read_at=report.read_at.isoformat() if report.read_at and freshness == "live" else "",
        task_url=f"{task}/required_actions" if report.state is State.ASKING else task,
        glance=tuple(_glance(report, proofs)),
        lacking=_lacking(report, freshness),
    )


def _earlier(report: Report, rows: Sequence[Row], base: str) -> Iterator[Earlier]:
    before = [row for row in rows if row.endpoint == report.endpoint and row.started_at < report.started_at]
    for row in before[:_EARLIER]:
        yield Earlier(
            f"{base}/dags/{quote(row.dag_id, safe='')}/runs/{quote(row.run_id, safe='')}",
            row.outcome,
            WORDS[row.outcome],
            row.model,
            f"{row.started_at:%Y-%m-%d %H:%M} UTC",
            _short(row.sentence),
        )


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1].rstrip()}…"


def _glance(report: Report, proofs: Sequence[Proof]) -> Iterator[tuple[str, str]]:
    facts = dict(report.facts)
    yield from ((short, facts[question]) for short, question in _GLANCE.items() if question in facts)
    if proofs:
        harm, health = (proof.describe_shortly() for proof in proofs)
        yield "Evidence", f"that green is worse {harm}, that it is as good {health} (1 is none)"


def _lacking(report: Report, freshness: str) -> str:
    why = report.figures_failure or report.failure
    if why or freshness not in {"asking", "live"}:
        return f"CloudWatch was not read. {why}".strip()
    return "CloudWatch is being asked."


def _age_of(report: Report, now: datetime) -> tuple[str, str]:
    if report.failure:
        last = f", last at {report.read_at:%H:%M:%S} UTC" if report.read_at else ""
        return f"AWS can't be reached{last}: this is what Airflow knows", "unreachable"
    if report.state.is_over and report.ended_at is not None and now - report.ended_at >= _STILL_COUNTED:
        return f"over since {report.ended_at:%Y-%m-%d %H:%M:%S} UTC", "over"
    if report.read_at is None:
        return "AWS is being asked …", "asking"
    return f"figures {max(0, round((now - report.read_at).total_seconds()))} s old", "live"


def describe_stop(stop: Stop) -> str:
    """A stop's state, in a few words."""
    if stop.state == DONE:
        return f"took {_length(stop.took)}" if stop.took else "done"
    if stop.state == NOW:
        return f"now, since {stop.since:%H:%M:%S} UTC" if stop.since else "now"
    if stop.state == STOPPED:
        return f"stopped at {stop.until:%H:%M:%S} UTC" if stop.until else "stopped"
    if stop.state == MISSED:
        return "not reached"
    return f"bakes {_length(stop.bake)}" if stop.bake else ""


def _length(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def render_list(rows: Sequence[Row], base: str, endpoint: str, outcome: str, now: datetime) -> str:
    """The page over all rollouts, with the filter as it is set: what needs a person first, then what is under way, then the newest.

    :param rows: newest first.
    """
    return _render(
        "rollouts.html",
        rows=sorted(rows, key=lambda row: _TROUBLE.get(row.outcome, 0), reverse=True),
        base=base,
        endpoint=endpoint,
        outcome=outcome,
        words=WORDS,
        run_path=run_path,
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
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"moment": describe_moment, "short": _short}
    return environment


def _age(since: datetime, now: datetime) -> str:
    minutes = int((now - since).total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"
