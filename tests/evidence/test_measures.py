"""What the user counts, from the DAGs of docs/measures.md to the judgement: a good green, a harmful one, and answers that are none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.guardian import watch_whole
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.watch.judge import Look
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.hooks.outside import AirflowOutside
from answering import Answer
from evidence.test_looks import BakingLab
from hooks.counting import Orders, install_sqlite

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"
BAKE = 10


def documented() -> dict[str, Evidence]:
    """What the page's DAGs let green be judged by."""
    found = {}
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        names: dict[str, Any] = {}
        exec(text.replace("schedule=None):", "schedule=None) as dag:"), names)
        dag: DAG = names["dag"]
        found[dag.dag_id] = next(task.evidence for task in dag.tasks if task.task_id.endswith("snapshot"))
    return found


DOCUMENTED = documented()
BY_MEANS = DOCUMENTED.pop("by_means")


class CountingLab(BakingLab):
    """A canary under traffic, whose orders are counted everywhere."""

    def __init__(self, evidence: Evidence, **orders: Any) -> None:
        super().__init__()
        self.pass_time(60 - self.sandbox.clock.now() % 60)
        began = self.now()
        self.rollout = replace(
            self.rollout,
            plan=replace(self.rollout.plan, evidence=replace(evidence, tolerances=None)),
            started_at=began,
            green_traffic_since=began,
        )
        self.bake = replace(self.bake, started_at=began, ends_at=began + timedelta(minutes=BAKE), min_requests=0)
        self.share = 10.0
        self.orders = Orders(since=began, green_model=self.rollout.green_model_name, **orders)
        self.outside = AirflowOutside(lambda: self.now().timestamp(), lambda work: work())
        self.clients = replace(self.clients, outside=self.outside)

    def publish(self, minutes: int) -> None:
        """The orders as metrics in CloudWatch."""
        models = {"green": self.rollout.green_model_name, "blue": self.rollout.blue.model_name}
        for row in self.orders.rows(self.bake.started_at - timedelta(hours=3), self.now() + timedelta(minutes=minutes)):
            at = datetime.fromisoformat(row["period"]).timestamp()
            for name, value in (("Failed", row["events"]), ("Orders", row["trials"])):
                dimensions = {"Model": models[row["variant"]]}
                self.sandbox.cloudwatch.record("Shop", name, dimensions, float(value), "None", at, at)

    def look_on(self) -> Look:
        """A look with its connections looked up."""
        self.look()
        self.outside.look_up()
        return self.look()

    def bake_on(self, minutes: int = BAKE + 1) -> Look:
        """A look each minute, to the end."""
        for _ in range(minutes):
            self.pass_time(60)
            seen = self.look_on()
            if seen.judgement.verdict is not Verdict.WATCHING:
                break
        return seen


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CountingLab]]:
    """``counting(evidence, green=1)``: a lab whose orders are in each of the page's sources."""
    install_sqlite(monkeypatch)
    with ExitStack() as stack:

        def begin(evidence: Evidence, **orders: Any) -> CountingLab:
            lab = CountingLab(evidence, **orders)
            begin = lab.bake.started_at - timedelta(hours=3)
            monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", lab.orders.write(tmp_path / "orders", begin, 240))
            monkeypatch.setenv("AIRFLOW_CONN_ORDERS", stack.enter_context(lab.orders.served()))
            module: Any = ModuleType("shop.counts")
            module.count_orders = lambda since, until, green, blue: lab.orders.rows(since, until)
            monkeypatch.setitem(sys.modules, "shop.counts", module)
            lab.publish(60)
            return lab

        yield begin


@pytest.mark.parametrize("dag_id", DOCUMENTED)
def test_a_good_green_passes_by_each_source(dag_id: str, counting: Callable[..., CountingLab]) -> None:
    lab = counting(DOCUMENTED[dag_id], green=1, blue=9)
    seen = lab.bake_on()
    assert seen.judgement.verdict is Verdict.HEALTHY, seen
    assert lab.now() >= lab.bake.ends_at
    assert "orders that fail: 9 of green's 900" in seen.judgement.reason


@pytest.mark.parametrize("dag_id", DOCUMENTED)
def test_a_green_whose_orders_fail_more_often_goes_back_by_each_source(
    dag_id: str, counting: Callable[..., CountingLab]
) -> None:
    lab = counting(DOCUMENTED[dag_id], green=8, blue=9)
    seen = lab.bake_on()
    assert seen.judgement.verdict is Verdict.HARMFUL
    assert lab.now() < lab.bake.ends_at
    assert re.search(
        r"orders that fail: \d+ of green's [\d,]+ \(8 %\); of blue's in the same periods", seen.judgement.reason
    )


@pytest.mark.parametrize(("green", "verdict"), [(1, Verdict.HEALTHY), (12, Verdict.HARMFUL)])
def test_means_of_what_is_in_a_database_decide(
    green: int, verdict: Verdict, counting: Callable[..., CountingLab]
) -> None:
    lab = counting(BY_MEANS, green=green, blue=9)
    lab.pass_time(60 * (BAKE + 1))
    told = lab.look_on().judgement
    assert told.verdict is verdict
    mean = 1 + 9 * green / 100
    assert f"seconds to the first token: {mean:g} in the mean of green's" in told.reason
    assert "; 1.09 in the mean of blue's" in told.reason


def test_by_the_page_there_is_a_dag_for_each_source() -> None:
    kinds = {measure.source.kind for evidence in DOCUMENTED.values() for measure in evidence.measures}
    assert kinds == {"sql", "prometheus", "http", "function", "cloudwatch"}


BY_SERVER = DOCUMENTED["by_http"]


def test_a_source_that_stops_answering_makes_a_bake_inconclusive_after_a_minute_more(
    counting: Callable[..., CountingLab],
) -> None:
    lab = counting(BY_SERVER)
    for _ in range(BAKE - 2):
        lab.pass_time(60)
        lab.look_on()
    lab.orders.answer = Answer("no entry", status=403)
    lab.pass_time(150)
    waiting = lab.look_on().judgement
    assert lab.now() >= lab.bake.ends_at
    assert waiting.verdict is Verdict.WATCHING
    assert "waiting for the source of orders that fail" in waiting.reason
    lab.pass_time(60)
    ended = lab.look_on().judgement
    assert ended.verdict is Verdict.INCONCLUSIVE
    assert "orders that fail: its answer can't be read: HTTP status 403: no entry" in ended.reason


def test_a_source_that_answers_again_within_that_minute_is_enough(counting: Callable[..., CountingLab]) -> None:
    lab = counting(BY_SERVER)
    lab.orders.answer = Answer("", status=503)
    lab.pass_time(60 * BAKE)
    assert lab.look_on().judgement.verdict is Verdict.WATCHING
    lab.orders.answer = None
    lab.pass_time(30)
    assert lab.look_on().judgement.verdict is Verdict.HEALTHY


def test_whoever_begins_anew_comes_to_the_same(counting: Callable[..., CountingLab]) -> None:
    lab = counting(BY_SERVER, green=2)
    for _ in range(7):
        lab.pass_time(60)
        seen = lab.look_on()
    lab.memory = Memory()
    assert lab.look_on() == seen
    assert "of green's 600" in seen.judgement.reason


def test_a_guardian_says_what_it_does_not_watch_and_watches_cloudwatch(counting: Callable[..., CountingLab]) -> None:
    lab = counting(DOCUMENTED["by_cloudwatch"], green=30)
    lab.pass_time(600)
    by_cloudwatch, by_server = (_guarded(lab, evidence) for evidence in (DOCUMENTED["by_cloudwatch"], BY_SERVER))
    assert by_cloudwatch.verdict is Verdict.HARMFUL
    assert by_server.verdict is Verdict.WATCHING
    assert "orders that fail: read by tasks of Airflow alone, so not watched from here" in by_server.reason


def _guarded(lab: CountingLab, evidence: Evidence) -> Judgement:
    """What a guardian says, which has no Airflow."""
    watched = replace(lab.rollout, plan=replace(lab.rollout.plan, evidence=replace(evidence, tolerances=None)))
    watch = watch_whole(watched, 10.0)
    assert watch
    return look(replace(lab.clients, outside=None), watch, lab.now(), Memory()).judgement


def test_a_shadow_is_not_judged_by_what_nobody_gets(counting: Callable[..., CountingLab]) -> None:
    lab = counting(BY_SERVER, green=100)
    lab.rollout = replace(lab.rollout, shadow_since=lab.rollout.green_traffic_since, green_traffic_since=None)
    lab.pass_time(600)
    assert "orders" not in lab.look_on().judgement.reason


def test_a_dry_run_tells_the_harm_and_goes_on(counting: Callable[..., CountingLab]) -> None:
    lab = counting(BY_SERVER, green=50)
    lab.bake = replace(lab.bake, dry_run=True)
    lab.pass_time(300)
    told = lab.look_on().judgement
    assert told.verdict is Verdict.WATCHING
    assert "dry run: orders that fail: " in told.reason


def test_counts_that_come_a_day_late_are_not_waited_for(counting: Callable[..., CountingLab]) -> None:
    [measure] = BY_SERVER.measures
    lab = counting(replace(BY_SERVER, measures=(replace(measure, final_after=86400),)))
    seen = lab.bake_on(BAKE + 2)
    assert seen.judgement.verdict is Verdict.INCONCLUSIVE
    assert "no period of this bake is final, which takes 86400 s" in seen.judgement.reason
