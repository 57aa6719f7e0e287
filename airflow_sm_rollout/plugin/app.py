"""The pages' routes. All are behind Airflow's login and its permissions on the DAG."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.outcome import Outcome, find_outcome
from airflow_sm_rollout.core.report import Report, build_report
from airflow_sm_rollout.core.traces import settled_at
from airflow_sm_rollout.core.undo import Undone
from airflow_sm_rollout.plugin.address import run_path
from airflow_sm_rollout.plugin.live import (
    BACKDROP_SECONDS,
    COMPARED_SECONDS,
    UNDONE_SECONDS,
    WAIT_SECONDS,
    LiveReads,
    read_backdrop,
    read_compared,
    read_live,
    read_undone,
    wish,
)
from airflow_sm_rollout.plugin.page import POLICY, STATIC, render_chart, render_file, render_list, render_rollouts
from airflow_sm_rollout.plugin.reads import WISH_EVENT, Found, Row, list_rollouts, read_rollouts
from airflow_sm_rollout.plugin.undo import undo

CHECKED = 20
"""So many of the newest rollouts in the list that their runs have not settled are looked up on AWS."""

EARLIER_SECONDS = 60.0
EARLIER_USERS = 100
"""So many users' lists are kept."""

WORTH_A_LOOK = timedelta(hours=3)
"""How long after its end CloudWatch has a rollout's figures to 10 seconds."""

_PICTURES_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"  # its style sheet is inside
_RUN = "/dags/{dag_id}/runs/{run_id}"
_MAY_READ = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))
_MAY_EDIT = Depends(requires_access_dag("PUT"))
_AUDITED = Depends(action_logging(WISH_EVENT))  # behind the permission, as Airflow's own routes have it
_live = LiveReads(read_live)
_backdrop = LiveReads(read_backdrop, BACKDROP_SECONDS)
_compared = LiveReads(read_compared, COMPARED_SECONDS)
_undone = LiveReads(read_undone, UNDONE_SECONDS, key=lambda row: json.dumps((row.connection, row.endpoint)))
_earlier: dict[str, tuple[float, list[Row]]] = {}


class WishBody(BaseModel):
    """What a button sends."""

    rollout_id: str
    wish: Wish | Literal["undo"]
    note: str = Field(default="", max_length=500)


def build_app() -> FastAPI:
    """The app that Airflow mounts."""
    app = FastAPI(title="SageMaker rollouts", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_guarded)
    app.exception_handler(RequestValidationError)(_say_what_is_wrong)
    app.get("/")(_list)
    app.get("/static/{name}")(_static)
    app.get(_RUN, dependencies=[_MAY_READ])(_page)
    app.get(_RUN + "/report.json", dependencies=[_MAY_READ])(_report)
    app.get(_RUN + "/report.html", dependencies=[_MAY_READ])(_file)
    app.get(_RUN + "/chart.svg", dependencies=[_MAY_READ])(_chart)
    app.post(_RUN + "/wishes", dependencies=[_MAY_EDIT, _AUDITED])(_wish)
    return app


async def _guarded(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


async def _say_what_is_wrong(request: Request, error: RequestValidationError) -> JSONResponse:
    """FastAPI's own answer is a list of objects, which nobody reads on a page."""
    wrong = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
    return JSONResponse({"detail": f"{wrong}."}, 422)


def _list(
    request: Request, session: SessionDep, user: GetUserDep, endpoint: str = "", outcome: str = ""
) -> HTMLResponse:
    may_be_told = [row for row in _rows_for(session, user) if endpoint in row.endpoint]
    shown = [row for row in _without_undone(_as_aws_shows(session, may_be_told)) if outcome in ("", row.outcome)]
    return HTMLResponse(render_list(shown, _base(request), endpoint, outcome, _now()))


def _rows_for(session: Any, user: Any) -> list[Row]:
    rows = list_rollouts(session, get_auth_manager().get_authorized_dag_ids(user=user, method="GET"))
    # A row tells what XComs do, as the tab does; a role may see a DAG and not those.
    told = {dag_id for dag_id in {row.dag_id for row in rows} if _may("GET", dag_id, user, DagAccessEntity.XCOM)}
    return [row for row in rows if row.dag_id in told]


def _earlier_for(session: Any, user: Any) -> list[Row]:
    """The list, read once a minute for each user: a tab that refreshes has no news in it."""
    name, now = user.get_name(), time.monotonic()
    read_at, rows = _earlier.get(name, (0.0, []))
    if name not in _earlier or now - read_at > EARLIER_SECONDS:
        rows = _rows_for(session, user)
        if len(_earlier) > EARLIER_USERS:
            _earlier.clear()
        _earlier[name] = (now, rows)
    return rows


def _static(name: str, user: GetUserDep) -> FileResponse:
    if name not in {file.name for file in STATIC.iterdir()}:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(STATIC / name, headers={"Cache-Control": "private, max-age=300"})


def _as_aws_shows(session: Any, rows: list[Row]) -> list[Row]:
    """What their runs have not settled, somebody may have settled since, by the command line or the janitor."""
    unsettled = [row for row in rows if row.outcome is Outcome.NOT_SETTLED][:CHECKED]
    runs = dict.fromkeys((row.dag_id, row.run_id) for row in unsettled)
    found = [(run, each) for run in runs for each in read_rollouts(session, *run).found]
    reports = _build_reports([each for _, each in found])
    told = {(*run, each.rollout.started_at): report for (run, each), report in zip(found, reports, strict=True)}
    return [_row_of(row, told.get((row.dag_id, row.run_id, row.started_at))) for row in rows]


def _without_undone(rows: list[Row]) -> list[Row]:
    """What was promoted, somebody may have undone since, by a button or a command. The endpoints of the newest rows are looked at."""
    promoted = [row for row in rows if row.outcome is Outcome.PROMOTED and row.rollout_id]
    asked = list({(row.connection, row.endpoint): row for row in promoted}.values())[:CHECKED]
    undone = {each: last for told in _undone.latest(asked) if told for each, last in told.items()}
    return [_undone_row(row, undone[row.rollout_id]) if row.rollout_id in undone else row for row in rows]


def _undone_row(row: Row, undone: Undone) -> Row:
    return replace(row, outcome=Outcome.UNDONE, share=0.0, sentence=undone.describe())


def _row_of(row: Row, report: Report | None) -> Row:
    if report is None or row.outcome is not Outcome.NOT_SETTLED:
        return row
    share = report.shares[-1][1] if report.shares else row.share
    return replace(row, outcome=report.outcome, share=share, sentence=report.sentence)


def _page(request: Request, session: SessionDep, user: GetUserDep, dag_id: str, run_id: str) -> HTMLResponse:
    planned = read_rollouts(session, dag_id, run_id)
    page = render_rollouts(
        _build_reports(planned.found),
        _base(request),
        dag_id,
        run_id,
        may_edit=_may("PUT", dag_id, user),
        now=_now(),
        unread=planned.unread,
        refused=planned.refused,
        run_url=run_path(dag_id, run_id),
        rows=_earlier_for(session, user) if planned.found else (),
    )
    return HTMLResponse(page)


def _file(session: SessionDep, dag_id: str, run_id: str) -> HTMLResponse:
    planned = read_rollouts(session, dag_id, run_id)
    reports = _build_reports(planned.found)
    page = render_file(reports, run_id, now=_now(), unread=planned.unread, refused=planned.refused)
    named = "".join(each if each.isalnum() else "-" for each in f"rollout-{dag_id}-{run_id}")
    # It is saved, not shown: what is in it has a policy of its own.
    return HTMLResponse(page, headers={"Content-Disposition": f'attachment; filename="{named}.html"'})


def _report(session: SessionDep, dag_id: str, run_id: str) -> list[Report]:
    return _build_reports(read_rollouts(session, dag_id, run_id).found)


def _chart(session: SessionDep, dag_id: str, run_id: str, group: str = "") -> Response:
    reports = _build_reports(read_rollouts(session, dag_id, run_id).found)
    picture = render_chart(next((each for each in reports if each.group == group), None), _now())
    return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": _PICTURES_POLICY})


def _wish(
    session: SessionDep,
    user: GetUserDep,
    dag_id: str,
    run_id: str,
    body: WishBody,
    x_sm_rollout: Annotated[str, Header()],  # no other site's page can send it with a person's cookie
) -> JSONResponse:
    planned = read_rollouts(session, dag_id, run_id).found
    found = next((each for each in planned if each.rollout.rollout_id == body.rollout_id), None)
    if found is None:
        return _refuse(404, "This run has no such rollout.")
    try:
        done = _ask(found, body, user.get_name(), {"dag_id": dag_id, "run_id": run_id})
    except RolloutError as error:
        return _refuse(409, f"{error}.")
    except Passing as error:
        return _refuse(503, f"{error}. Try again.")
    _live.forget(found)
    return JSONResponse({"done": f"{found.rollout.endpoint_name}: {done}."})


def _ask(found: Found, body: WishBody, by: str, owner: Mapping[str, str]) -> str:
    """What was asked for, in words."""
    if isinstance(body.wish, Wish):
        return wish(found, body.wish, by, body.note, owner).describe()
    return undo(found, by, body.note, owner)


def _refuse(status: int, sentence: str) -> JSONResponse:
    """An answer, no exception: Airflow 3.1 forgets the audit log's entry of a request that ends by one."""
    return JSONResponse({"detail": sentence}, status)


def _build_reports(found: Sequence[Found]) -> list[Report]:
    shown = [each for each in found if _is_worth_a_look(each)]
    judged = [each for each in found if settled_at(each.tasks) is None and not each.is_over]
    until = time.monotonic() + WAIT_SECONDS
    undoable = [each for each in found if each not in shown and _may_be_undone(each)]
    _live.begin([*shown, *undoable])
    _backdrop.begin(shown)
    compared, backdrop, live = (
        _latest(looks, wanted, until)
        for looks, wanted in ((_compared, judged), (_backdrop, shown), (_live, [*shown, *undoable]))
    )
    reports = []
    for each in found:
        key = each.rollout.rollout_id
        now, behind = live.get(key), backdrop.get(key)
        report = build_report(
            each.group,
            each.rollout,
            each.tasks,
            behind.behind(now) if now and behind else now,
            is_over=each.is_over,
            comparison=compared.get(key),
            wishes=each.wishes,
        )
        reports.append(replace(report, failure=_live.failure(each), figures_failure=_backdrop.failure(each)))
    return reports


def _may_be_undone(found: Found) -> bool:
    """Then it is looked at for what became of it, whenever that was."""
    return find_outcome((task.note for task in found.tasks), is_over=False) is Outcome.PROMOTED


def _latest(looks: LiveReads[Found, Any], found: Sequence[Found], until: float) -> dict[str, Any]:
    return dict(zip([each.rollout.rollout_id for each in found], looks.latest(found, until), strict=True))


def _is_worth_a_look(found: Found) -> bool:
    """What is long over is not looked at: of that Airflow knows all, and CloudWatch less."""
    ended = settled_at(found.tasks)
    return ended is None or _now() - ended <= WORTH_A_LOOK


def _may(method: ResourceMethod, dag_id: str, user: Any, entity: DagAccessEntity | None = None) -> bool:
    """What is shown by it; what a person does is guarded by the routes."""
    manager = get_auth_manager()
    return bool(
        manager.is_authorized_dag(method=method, access_entity=entity, details=DagDetails(id=dag_id), user=user)
    )


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _now() -> datetime:
    return datetime.now(timezone.utc)
