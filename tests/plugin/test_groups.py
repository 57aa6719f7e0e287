"""Where in a DAG a rollout stands: in a mapped task group, or in none; and what its tasks link to."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_sm_rollout import (
    DeployGreenOperator,
    PromoteOperator,
    ShadowGreenOperator,
    ShiftWeightOperator,
    SnapshotOperator,
    blue_green_rollout,
    canary_rollout,
)
from airflow_sm_rollout.plugin import live
from airflow_sm_rollout.plugin.live import read_compared
from airflow_sm_rollout.plugin.reads import Found, read_rollouts
from operators.conftest import dag, run  # noqa: F401 - fixtures
from operators.dag_runs import Ended
from plugin.test_pages import of_path, path_of
from production import BAD, GOOD, IMAGE, Production, alarm_of, meanwhile, wait_until

OPTIONS: dict[str, Any] = {
    "image": IMAGE,
    "default_alarms": None,
    "tolerances": None,
    "limits": {"min_requests": 0},
    "poke_interval": 0.2,
}
PLAN = {name: value for name, value in OPTIONS.items() if name != "poke_interval"}


@pytest.fixture(autouse=True)
def no_clients_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_clients", {})


def test_each_run_of_a_mapped_task_group_is_a_rollout_of_its_own(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    production.put_endpoint("prices")
    before = production.describe("prices")
    with dag:

        @task_group
        def each(endpoint: Any, artifact: Any, alarm: Any) -> None:
            canary_rollout(
                endpoint_name=endpoint, model_data_url=artifact, alarms=alarm, steps=[25, 100], bake=1, **OPTIONS
            )

        each.expand_kwargs(
            [
                {"endpoint": "fraud", "artifact": GOOD, "alarm": alarm_of("fraud")},
                {"endpoint": "prices", "artifact": BAD, "alarm": alarm_of("prices")},
            ]
        )
    ring = meanwhile(
        lambda: production.shares("prices").green > 0,
        lambda: production.set_alarm(alarm_of("prices"), "ALARM", "37 > 5"),
    )
    with ring:
        ended = run(dag)
    assert ended.state == "failed"
    assert production.describe("prices") == before
    assert production.shares("fraud").of == dict.fromkeys(production.shares("fraud").of, 100.0) != {}

    path = path_of(dag)
    reports = {report["endpoint"]: report for report in json.loads(pages(f"{path}/report.json"))}
    outcomes = {name: (report["group"], report["outcome"]) for name, report in reports.items()}
    assert outcomes == {"fraud": ("each.canary [0]", "promoted"), "prices": ("each.canary [1]", "rolled_back")}
    assert "37 > 5" in reports["prices"]["sentence"]
    for report in reports.values():
        names = [each["name"] for each in report["tasks"]]
        assert (names[:2], names[-2:]) == (["snapshot", "deploy_green"], ["settle", "verdict"])
        assert len(names) == len(set(names))
    assert "prices: rolled back" in pages(f"{path}/chart.svg?group=each.canary+%5B1%5D")
    listed = pages("/?endpoint=prices")
    assert 'class="chip rolled_back"' in listed
    assert 'class="chip promoted"' in pages("/?endpoint=fraud&outcome=promoted")


def test_a_snapshot_outside_of_any_group_is_a_rollout_of_the_tasks_outside_of_others(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    production.put_endpoint("prices")
    quick = {"poke_interval": 0.2}
    with dag:
        snapshot = SnapshotOperator(task_id="snapshot", endpoint_name="fraud", model_data_url=GOOD, **PLAN)
        deploy = DeployGreenOperator(task_id="deploy", rollout=snapshot.output, **quick)
        shift = ShiftWeightOperator(task_id="shift", rollout=snapshot.output, share=100, **quick)
        promote = PromoteOperator(task_id="promote", rollout=snapshot.output, **quick)
        group = canary_rollout(endpoint_name="prices", model_data_url=GOOD, steps=[100], bake=0.3, **OPTIONS)
        snapshot >> deploy >> shift >> promote >> group
    assert run(dag).state == "success"

    def told() -> Any:
        reports = json.loads(pages(f"{path_of(dag)}/report.json"))
        return reports if reports[0]["outcome"] != "not_settled" else None

    outside, inside = wait_until(told)
    assert [each["name"] for each in outside["tasks"]] == ["snapshot", "deploy", "shift", "promote"]
    assert (outside["group"], outside["outcome"]) == ("", "promoted")
    assert outside["sentence"].startswith("Promoted: ")
    assert (inside["group"], inside["outcome"], len(inside["tasks"])) == ("canary", "promoted", 7)


def test_single_operators_without_a_snapshot_leave_the_tab_empty_and_it_says_why(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    with dag:
        deploy = DeployGreenOperator(task_id="deploy", endpoint_name="fraud", model_data_url=GOOD, **OPTIONS)
        deploy >> task(lambda: None, task_id="nothing")()
    run(dag)
    page = pages(path_of(dag))
    assert "No rollout has been planned in this run" in page
    assert "sm-rollout status ENDPOINT" in page


def test_a_start_that_was_refused_tells_its_reason_wherever_a_person_looks(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    plan: dict[str, Any] = {"model_data_url": GOOD, "steps": [100], "bake": 0.3, **OPTIONS}
    with dag:
        canary_rollout(endpoint_name="froud", **plan)
        canary_rollout(group_id="unknown", endpoint_name="fraud", aws_conn_id="nobody_s", **plan)
    ended = run(dag)
    assert ended.reason("unknown.snapshot").startswith("aws_conn_id='nobody_s' is not possible: a connection that ")
    states = [ended.states[f"canary.{name}"] for name in ("snapshot", "promote", "settle", "verdict")]
    assert (ended.state, states) == ("failed", ["failed", "upstream_failed", "upstream_failed", "failed"])
    why = ended.reason("canary.snapshot")
    assert "froud" in why
    assert ended.reason("canary.verdict") == f"Not started because in canary.snapshot: {why}"
    page, listed = pages(path_of(dag)), pages("/?endpoint=froud&outcome=refused")
    assert "Not started" in page
    for shown in (page, listed):
        assert why in unescape(shown)
    assert "No rollout has been planned in this run" not in page
    assert 'class="chip refused">not started' in listed
    assert pages("/?endpoint=froud&outcome=not_settled").count("<tr>") == 2


def test_a_rollout_that_is_refused_after_its_plan_is_not_called_rolled_back(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    alarm = alarm_of("fraud")
    with dag:
        canary_rollout(endpoint_name="fraud", model_data_url=GOOD, alarms=[alarm], steps=[100], bake=0.3, **OPTIONS)

        @task
        def meanwhile_it_rings() -> None:
            production.set_alarm(alarm, "ALARM", "37 > 5")

        dag.get_task("canary.snapshot") >> meanwhile_it_rings() >> dag.get_task("canary.deploy_green")
    ended = run(dag)
    assert ended.reason("canary.verdict").startswith("Not started because in canary.deploy_green: ")
    [report] = json.loads(pages(f"{path_of(dag)}/report.json"))
    assert (report["outcome"], report["sentence"].startswith("Not started: ")) == ("refused", True)
    assert 'class="chip refused">not started' in pages("/?outcome=refused")


@pytest.mark.parametrize(("wanted", "state"), [(False, "success"), (None, "failed")])
def test_a_rollout_that_nobody_wanted_fails_no_run_and_one_whose_training_failed_says_so(
    wanted: bool | None,
    state: str,
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
) -> None:
    with dag:

        @task.short_circuit
        def train() -> bool:
            if wanted is None:
                raise ValueError("no data")
            return wanted

        train() >> canary_rollout(endpoint_name="fraud", model_data_url=GOOD, steps=[100], bake=0.3, **OPTIONS)
    ended = run(dag)
    assert ended.state == state
    assert ended.states["canary.verdict"] == ("skipped" if state == "success" else "failed")
    told = "Not started because a task before canary.snapshot failed"
    assert ended.reason("canary.verdict") == ("" if state == "success" else told)


def linked(ended: Ended, task_id: str, link: str) -> str:
    return str(ended.xcoms[task_id, f"_link_{link}"]).rpartition(
        "/endpoints/" if link == "EndpointLink" else "search="
    )[2]


@pytest.mark.parametrize("artifact", [GOOD, BAD])
def test_with_two_endpoints_links_lead_to_one_that_is_there(
    artifact: str,
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
) -> None:
    production.ssm.put_parameter(
        Name="/sm-rollout-live/orders", Value=json.dumps({"endpoint_name": "fraud"}), Type="String"
    )
    with dag:
        blue_green_rollout(
            endpoint_name="orders",
            model_data_url=artifact,
            alarms=[alarm_of("fraud")],
            traffic="endpoints",
            delete_blue=True,
            drain=0,
            bake=3,
            **OPTIONS,
        )

    def live_name() -> str:
        found = production.ssm.get_parameter(Name="/sm-rollout-live/orders")["Parameter"]["Value"]
        return str(json.loads(found)["endpoint_name"])

    state = "OK" if artifact == GOOD else "ALARM"
    with meanwhile(lambda: live_name() != "fraud", lambda: production.set_alarm(alarm_of("fraud"), state, "37 > 5")):
        ended = run(dag)
    green = ended.xcoms["blue_green.snapshot", "return_value"]["green_endpoint"]
    assert green.startswith("orders-")
    for name in ("deploy_green", "shift_100"):
        assert linked(ended, f"blue_green.{name}", "EndpointLink") == green
    assert linked(ended, "blue_green.snapshot", "EndpointLink") == "fraud"
    there = [each["EndpointName"] for each in production.sagemaker.list_endpoints()["Endpoints"]]
    assert there == [linked(ended, "blue_green.settle", "EndpointLink")] == [green if artifact == GOOD else "fraud"]
    assert linked(ended, "blue_green.settle", "AlarmsLink") == "orders"


def test_a_shadow_and_the_comparison_so_far_are_told(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    quick = {"poke_interval": 0.2}
    with dag:
        options = {**PLAN, "tolerances": {}, "model_data_url": GOOD}
        snapshot = SnapshotOperator(task_id="snapshot", endpoint_name="fraud", **options)
        snapshot >> ShadowGreenOperator(task_id="shadow", rollout=snapshot.output, percent=50, **quick)
    with production.traffic("fraud", requests_per_second=20):
        run(dag)
        path = path_of(dag)
        [found] = found_in(path)
        compared = wait_until(lambda: (told := read_compared(found)) and told["green_requests"] and told, 90)
        assert compared["metrics"][0]["metric"] == "errors_5xx"
        assert compared["blue_requests"] > compared["green_requests"]

        def told() -> Any:
            [report] = json.loads(pages(f"{path}/report.json"))
            return (
                report
                if report["figures"] and sum(point["requests"] for point in report["figures"]["shadow"])
                else None
            )

        facts = dict(wait_until(told)["facts"])
    assert facts["How much traffic it had"].startswith("copies of 50 % of the requests from ")
    assert "none counted" in facts["How many requests failed"]
    assert "; as a shadow 0 of " in facts["How many requests failed"]


def test_what_a_shadow_has_answered_is_still_told_when_all_is_over(
    dag: DAG,  # noqa: F811
    run: Callable[[DAG], Ended],  # noqa: F811
    production: Production,
    pages: Callable[[str], str],
) -> None:
    with dag:
        options = {**OPTIONS, "shadow": {"bake": 12, "percent": 50}, "alarms": [alarm_of("fraud")]}
        canary_rollout(endpoint_name="fraud", model_data_url=GOOD, steps=[100], bake=0.3, **options)
    with production.traffic("fraud", requests_per_second=20):
        ended = run(dag)
    assert sum(requests for _, requests, *_ in ended.xcoms["canary.settle", "figures"]["shadow"]) > 0

    def as_aws_shows_it() -> Any:
        [report] = json.loads(pages(f"{path_of(dag)}/report.json"))
        return report if report["alarms"] == {alarm_of("fraud"): "OK"} else None

    report = wait_until(as_aws_shows_it)
    assert report["outcome"] == "promoted"
    assert " copies" in dict(report["facts"])["How many requests failed"]


def found_in(path: str) -> tuple[Found, ...]:
    from airflow.utils.session import create_session

    with create_session() as session:
        return read_rollouts(session, *of_path(path)).found
