"""The pages as Airflow's API server serves them, with its login and its permissions, over what DAG runs have left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.traces import APPROVAL, EVIDENCE, PLANNED
from airflow_sm_rollout.plugin import live
from operators.dag_runs import run_dag
from operators.test_group_run import build
from production import BAD, Production, alarm_of, meanwhile, wait_until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

Headers = Callable[[str], dict[str, str]]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def rolled_back(airflow_database: None) -> Iterator[str]:
    """Path of a run that was rolled back, by an alarm whose reason has a script in it."""
    production, dag = Production(speed=600), DAG("pages", schedule=None)
    build(dag, artifact=BAD, bake=3, tolerances=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", production.server.url)
        production.put_endpoint("fraud")
        with meanwhile(
            lambda: is_over(dag, "canary.shift_25"),
            lambda: production.set_alarm(alarm_of("fraud"), "ALARM", f"37.0 > 5.0 {SCRIPT}"),
        ):
            run_dag(dag)
        yield path_of(dag)
    production.close()


def is_over(dag: DAG, task_id: str) -> bool:
    """Whether a task of the DAG's run has succeeded."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        state = select(TaskInstance.state).where(TaskInstance.dag_id == dag.dag_id, TaskInstance.task_id == task_id)
        return session.scalar(state) == "success"


@pytest.fixture(autouse=True)
def no_clients_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_clients", {})


def path_of(dag: DAG) -> str:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run_id = session.scalar(select(DagRun.run_id).where(DagRun.dag_id == dag.dag_id))
    return f"/dags/{dag.dag_id}/runs/{quote(str(run_id), safe='')}"


def of_path(path: str) -> tuple[str, str]:
    """DAG and run."""
    found = re.fullmatch(r"/dags/(.+)/runs/(.+)", unquote(path))
    assert found is not None
    return found[1], found[2]


def test_a_rolled_back_run_is_told_by_what_its_tasks_have_left_also_where_aws_is_out_of_reach(
    rolled_back: str, pages: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, api: TestClient, login: Headers
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    [report] = json.loads(pages(f"{rolled_back}/report.json"))
    assert (report["outcome"], report["endpoint"], report["strategy"]) == ("rolled_back", "fraud", "canary")
    assert "37.0" in dict(report["facts"])["What proved it"]
    assert [share for _, share in report["shares"]] == [25, 0]
    assert report["figures"]["blue"] is not None
    deployed = next(task for task in report["tasks"] if task["name"] == "deploy_green")
    assert any("create endpoint config" in what for _, what in deployed["did"])
    assert [task["name"] for task in report["tasks"]][:3] == ["snapshot", "deploy_green", "shift_25"]
    assert [task["name"] for task in report["tasks"]][-2:] == ["settle", "verdict"]

    page = pages(rolled_back)
    assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "Rolled back: fraud-v1 serves all requests as before" in page
    assert 'class="controls"' not in page
    assert SCRIPT not in pages(f"{rolled_back}/chart.svg?group=canary")
    assert SCRIPT not in pages("/")
    assert "rolled back" in pages("/?endpoint=frau&outcome=rolled_back")
    assert "None that fits" in pages("/?endpoint=nothing")

    answer = api.get(f"/sm-rollout{rolled_back}", headers=login("viewer"))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"https?://[\w.]+", page.replace("http://www.w3.org", "")) == []


def test_the_screen_is_saved_as_one_file_by_the_page_and_by_the_command_line(
    rolled_back: str,
    api: TestClient,
    login: Headers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    answer = api.get(f"/sm-rollout{rolled_back}/report.html", headers=login("viewer"))
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="rollout-pages-manual')
    dag_id, run_id = of_path(rolled_back)
    file = tmp_path / "rollout.html"
    assert main(["report", dag_id, run_id, "--html", str(file), "--offline"]) == 0
    assert capsys.readouterr().out.endswith(f"{file}: fraud Rolled back\n")
    for page in (answer.text, file.read_text()):
        assert "Rolled back: fraud-v1 serves all requests as before" in page
        assert SCRIPT not in page
        assert re.findall(r"<(?:link|img|iframe|script src)", page) == []
    assert main(["report", dag_id, "never", "--html", "-"]) == 1
    assert "has planned no rollout, or there is no such run" in capsys.readouterr().err


def test_nobody_gets_anything_without_login_and_viewers_change_nothing(
    rolled_back: str, api: TestClient, login: Headers
) -> None:
    api.cookies.clear()
    paths = (
        "/",
        rolled_back,
        f"{rolled_back}/report.json",
        f"{rolled_back}/chart.svg",
        f"{rolled_back}/report.html",
        "/static/page.js",
    )
    assert {path: api.get(f"/sm-rollout{path}").status_code for path in paths} == dict.fromkeys(paths, 401)

    wishes, body = f"/sm-rollout{rolled_back}/wishes", {"rollout_id": "0123abcd", "wish": "abort"}
    marked = {"X-SM-Rollout": "wish"}
    assert api.post(wishes, json=body, headers=marked).status_code == 401
    assert api.post(wishes, json=body, headers=marked | login("viewer")).status_code == 403
    assert api.post(wishes, json=body, headers=login("user")).status_code == 422, "another site's page can send that"
    assert api.post(wishes, json=body, headers=marked | login("user")).status_code == 404
    answer = api.post(wishes, json={**body, "note": "x" * 501}, headers=marked | login("user"))
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "body.note: String should have at most 500 characters.",
    )
    assert 'id="confirm"' in api.get(f"/sm-rollout{rolled_back}", headers=login("user")).text


def test_a_wish_about_a_rollout_that_is_over_is_refused_with_the_reason(
    rolled_back: str, api: TestClient, login: Headers
) -> None:
    [report] = api.get(f"/sm-rollout{rolled_back}/report.json", headers=login("user")).json()
    body = {"rollout_id": report["rollout_id"], "wish": "pause"}
    answer = api.post(f"/sm-rollout{rolled_back}/wishes", json=body, headers={"X-SM-Rollout": "w"} | login("user"))
    assert (answer.status_code, answer.json()["detail"]) == (409, "this rollout is not in progress.")


def test_who_wished_what_is_in_airflows_audit_log(rolled_back: str, api: TestClient, login: Headers) -> None:
    dag_id, run_id = of_path(rolled_back)
    body = {"rollout_id": "0123abcd", "wish": "abort", "note": "too slow"}

    def logged() -> list[tuple[str, str, str]]:
        path = f"/api/v2/eventLogs?dag_id={dag_id}&event=sm_rollout_wish&limit=100"
        events = api.get(path, headers=login("admin")).json()["event_logs"]
        assert {event["run_id"] for event in events} <= {run_id}
        return [
            (event["owner"], json.loads(event["extra"])["wish"], json.loads(event["extra"]).get("note"))
            for event in events
        ]

    before = logged()
    api.post(f"/sm-rollout{rolled_back}/wishes", json=body, headers={"X-SM-Rollout": "w"} | login("user"))
    assert [each for each in logged() if each not in before] == [("a user", "abort", "too slow")]
    api.post(f"/sm-rollout{rolled_back}/wishes", json=body, headers={"X-SM-Rollout": "w"} | login("viewer"))
    assert len(logged()) == len(before) + 1, "what the permissions refuse is no wish"


def test_where_aws_cannot_be_reached_a_wish_is_refused_and_may_be_made_again(
    rolled_back: str, api: TestClient, login: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    [report] = api.get(f"/sm-rollout{rolled_back}/report.json", headers=login("user")).json()
    body = {"rollout_id": report["rollout_id"], "wish": "pause"}
    answer = api.post(f"/sm-rollout{rolled_back}/wishes", json=body, headers={"X-SM-Rollout": "w"} | login("user"))
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("could not write the wish just now")


def test_a_picture_is_of_the_rollout_that_is_asked_about_and_brings_its_own_style(
    rolled_back: str, api: TestClient, login: Headers
) -> None:
    picture = api.get(f"/sm-rollout{rolled_back}/chart.svg?group=canary", headers=login("viewer"))
    assert "fraud: rolled back" in picture.text
    assert "style-src 'unsafe-inline'" in picture.headers["Content-Security-Policy"]
    assert "script-src" not in picture.headers["Content-Security-Policy"]
    of_another = api.get(f"/sm-rollout{rolled_back}/chart.svg?group=other", headers=login("viewer"))
    assert "fraud" not in of_another.text


def test_the_list_tells_nobody_what_xcoms_tell_that_they_may_not_read(
    rolled_back: str, pages: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    assert rolled_back in pages("/?endpoint=fraud")
    manager = get_auth_manager()
    permits = manager.is_authorized_dag

    def without_xcoms(**asked: Any) -> bool:
        return asked.get("access_entity") is not DagAccessEntity.XCOM and permits(**asked)

    monkeypatch.setattr(manager, "is_authorized_dag", without_xcoms)
    assert rolled_back not in pages("/?endpoint=fraud")


@contextmanager
def left(path: str, task_id: str, key: str, value: Any) -> Iterator[None]:
    """What a task of a run has left in XCom, as another version of this package would have, for the length of the block."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    dag_id, run_id = of_path(path)
    where = {"key": key, "task_id": task_id, "dag_id": dag_id, "run_id": run_id}
    with create_session() as session:
        there = session.query(XComModel).filter_by(**where).one_or_none()
        before = None if there is None else XComModel.deserialize_value(there)
        XComModel.set(value=value, session=session, **where)
    try:
        yield
    finally:
        with create_session() as session:
            session.query(XComModel).filter_by(**where).delete()
            if there is not None:
                XComModel.set(value=before, session=session, **where)


@pytest.mark.parametrize(
    ("task", "key", "value"),
    [
        ("shift_100", APPROVAL, {"asked": "yesterday"}),
        ("settle", "figures", {"lines": []}),
        ("bake_25", EVIDENCE, {"metrics": 5}),
        ("shift_25", "did", ["much"]),
    ],
)
def test_the_tab_names_what_it_can_not_read_and_shows_the_rest(
    task: str, key: str, value: Any, rolled_back: str, pages: Callable[[str], str]
) -> None:
    with left(rolled_back, f"canary.{task}", key, value):
        page = pages(rolled_back)
        assert f"XCom {key} of task {task}" in page
        assert "Rolled back: fraud-v1 serves all requests" in page
        assert "</table>" in page
        assert pages(f"{rolled_back}/chart.svg?group=canary")
        assert json.loads(pages(f"{rolled_back}/report.json"))
    assert "Not shown" not in pages(rolled_back)


def test_a_plan_that_can_not_be_read_is_not_taken_for_no_rollout(rolled_back: str, pages: Callable[[str], str]) -> None:
    for task, key, value in (
        ("canary.snapshot", "return_value", {"frozen": '{"version": 99}'}),
        ("canary.snapshot", "return_value", {"plan": "elsewhere"}),
        ("canary.snapshot", PLANNED, "s3://xcoms/1"),
        ("canary.snapshot", PLANNED, {"connection": {"aws_conn_id": ["a"], "region_name": None}}),
    ):
        with left(rolled_back, task, key, value):
            page = pages(rolled_back)
            assert "Not shown: the rollout that task canary.snapshot has planned" in page
            assert "No rollout has been planned" not in page
    assert "Rolled back: fraud-v1" in pages(rolled_back)


def test_what_an_xcom_says_of_the_connection_does_not_lead_the_api_servers_requests_elsewhere(
    rolled_back: str, pages: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"config_kwargs": {"proxies": {"https": "http://ours:3128"}, "read_timeout": 99}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": own}))
    config = {"proxies": {"https": "http://theirs:3128"}, "user_agent_extra": "theirs"}
    connection = {"aws_conn_id": "aws_default", "region_name": "eu-west-1", "verify": False, "botocore_config": config}
    monkeypatch.setattr(live, "FRESH_SECONDS", -1.0)
    with left(rolled_back, "canary.snapshot", PLANNED, {"connection": connection}):
        assert "Rolled back: fraud-v1" in pages(rolled_back)
    [(_, clients)] = wait_until(lambda: list(live._clients.values()))
    found = clients.ssm.meta
    assert found.region_name == "eu-west-1"
    assert found.config.proxies == {"https": "http://ours:3128"}
    assert found.config.read_timeout == 10
    assert "theirs" not in found.config.user_agent


def test_the_list_opens_though_one_rollout_can_not_be_read(rolled_back: str, pages: Callable[[str], str]) -> None:
    with left(rolled_back, "canary.verdict", PLANNED, {"endpoint": "of another version"}):
        assert rolled_back in pages("/?endpoint=fraud")
        assert "Rolled back: fraud-v1" in pages(rolled_back)


def test_a_run_without_a_rollout_says_so(pages: Callable[[str], str]) -> None:
    page = pages("/dags/nothing/runs/never")
    assert "No rollout has been planned in this run" in page
    assert "without a\nSnapshotOperator" in page


def test_airflow_knows_the_tab_the_page_and_the_links(api: TestClient, login: Headers) -> None:
    found: Any = api.get("/api/v2/plugins?limit=100", headers=login("admin")).json()["plugins"]
    [plugin] = [each for each in found if each["name"] == "sm_rollout"]
    assert {view["destination"]: view["url_route"] for view in plugin["external_views"]} == {
        "dag_run": "rollout",
        "nav": "rollouts",
    }
