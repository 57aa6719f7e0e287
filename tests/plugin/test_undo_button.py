"""A promotion is undone on the pages: by whoever may edit its DAG, with a note, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout.core.names import previous_name
from airflow_sm_rollout.plugin import live
from airflow_sm_rollout.plugin.live import LiveReads, read_undone
from operators.conftest import dag, run  # noqa: F401 - fixtures
from operators.dag_runs import Ended
from operators.test_group_run import build
from plugin.test_pages import Headers, path_of
from production import Production, alarm_of, meanwhile, wait_until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

Ask = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def no_clients_of_another_test(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_clients", {})


@pytest.fixture
def promoted(dag: DAG, run: Callable[[DAG], Ended], production: Production) -> tuple[str, dict[str, Any]]:  # noqa: F811
    """Path of a run that was promoted; and the endpoint before it."""
    before = production.describe("fraud")
    build(dag)
    assert run(dag).state == "success"
    return path_of(dag), before


@pytest.fixture
def report(promoted: tuple[str, Any], pages: Callable[[str], str]) -> Callable[[], dict[str, Any]]:
    """``report()``: what the run's page tells now."""

    def read() -> dict[str, Any]:
        [told] = json.loads(pages(f"{promoted[0]}/report.json"))
        return dict(told)

    return read


@pytest.fixture
def ask(promoted: tuple[str, Any], api: TestClient, login: Headers, report: Callable[[], dict[str, Any]]) -> Ask:
    """``ask(role)``: what somebody is answered who asks to undo."""

    def asked(role: str = "user", note: str = "") -> tuple[int, str]:
        body = {"rollout_id": report()["rollout_id"], "wish": "undo", "note": note}
        headers = {"X-SM-Rollout": "wish"} | (login(role) if role else {})
        api.cookies.clear()
        answer = api.post(f"/sm-rollout{promoted[0]}/wishes", json=body, headers=headers)
        told = answer.json()
        return answer.status_code, str(told.get("done") or told.get("detail"))

    return asked


def labels(told: dict[str, Any]) -> list[str]:
    return [button["label"] for button in told["buttons"]]


def test_a_user_undoes_a_promotion_and_the_page_says_who_and_why(
    promoted: tuple[str, dict[str, Any]],
    production: Production,
    report: Callable[[], dict[str, Any]],
    ask: Ask,
    pages: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_sm_rollout.plugin import app

    monkeypatch.setattr(live, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(app, "_undone", LiveReads(read_undone, key=lambda row: row.endpoint))
    wait_until(lambda: promoted[0] in pages("/?endpoint=fraud&outcome=promoted"))
    wait_until(lambda: labels(report()) == ["Undo"])
    assert ask("")[0] == 401
    assert ask("viewer")[0] == 403
    assert report()["state"] == "promoted"
    assert ask("user", "complaints") == (200, "fraud: undo begun by a user.")
    told = wait_until(lambda: report() if report()["state"] == "undone" else None)
    assert labels(told) == []
    assert told["chip"] == "Undone"
    assert told["sentence"].startswith("Undone: fraud-v1 serves all requests as before the rollout; ")
    assert "was undone by a user" in told["sentence"]
    assert told["sentence"].endswith(": complaints.")
    assert "asked to undo the promotion (complaints)" in [event["what"] for event in told["events"]]
    assert production.describe("fraud") == promoted[1]
    status, again = ask("user")
    assert (status, "was undone by a user" in again) == (200, True)
    assert ": complaints" in wait_until(lambda: promoted[0] in (page := pages("/?outcome=undone")) and page)
    assert promoted[0] not in pages("/?endpoint=fraud&outcome=promoted")

    promote_another(production)
    wait_until(lambda: report()["state"] == "undone")
    wait_until(lambda: promoted[0] in pages("/?outcome=undone"))


def promote_another(production: Production) -> None:
    """What is kept is another rollout's then."""
    name = previous_name("fraud")
    [kept, _] = production.ssm.get_parameter_history(Name=name)["Parameters"]
    another = json.dumps({**json.loads(kept["Value"]), "rollout_id": "0badcafe"})
    production.ssm.put_parameter(Name=name, Value=another, Type="String", Overwrite=True)


def test_what_can_t_be_undone_is_refused_with_the_reason(production: Production, ask: Ask) -> None:
    production.sagemaker.delete_model(ModelName="fraud-v1")
    status, told = ask("user")
    assert status == 409
    assert told.startswith("blue's model fraud-v1 is gone")


def test_what_was_kept_of_another_run_is_not_undone_whatever_xcoms_say(
    promoted: tuple[str, Any], production: Production, ask: Ask
) -> None:
    name = previous_name("fraud")
    kept = json.loads(production.ssm.get_parameter(Name=name)["Parameter"]["Value"])
    kept["owner"] = {"dag_id": "payroll", "run_id": "theirs"}
    production.ssm.put_parameter(Name=name, Value=json.dumps(kept), Type="String", Overwrite=True)
    after = production.describe("fraud")
    assert ask("user") == (409, "this rollout is not the one that was promoted last, so it can't be undone (any more).")
    assert production.describe("fraud") == after


def test_a_watch_after_the_promotion_that_undoes_is_told_as_such(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    def is_promoted() -> bool:
        return "/sm-rollout-previous/fraud" in str(production.writes("fraud"))

    build(dag, watch_after="1h", default_alarms=None)
    with meanwhile(is_promoted, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")):
        assert run(dag).state == "failed"
    [told] = wait_until(lambda: json.loads(pages(f"{path_of(dag)}/report.json")))
    assert told["outcome"] == "undone"
    assert "7 of 9" in told["sentence"]
    assert 'class="chip undone"' in pages("/?endpoint=fraud&outcome=undone")
