"""A DAG that takes back what another one has promoted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, task

from airflow_sm_rollout import (
    AlarmSensor,
    DeployGreenOperator,
    PlanError,
    PromoteOperator,
    ShiftWeightOperator,
    UndoOperator,
    WatchPromotedOperator,
    canary_rollout,
)
from airflow_sm_rollout.aws.clock import MACHINE
from airflow_sm_rollout.core.names import record_name
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production, alarm_of, meanwhile

QUICK: dict[str, Any] = {"poke_interval": 0.2}


def losing_its_record(production: Production) -> AbstractContextManager[None]:
    """As soon as there is one, somebody deletes it."""
    asked = {"Names": [record_name("fraud")]}
    return meanwhile(
        lambda: bool(production.ssm.get_parameters(**asked)["Parameters"]),
        lambda: production.ssm.delete_parameters(**asked),
    )


def promote(dag: DAG) -> None:
    with dag:
        deploy = DeployGreenOperator(
            task_id="deploy", endpoint_name="fraud", image=IMAGE, model_data_url=GOOD, default_alarms=None, **QUICK
        )
        rest = ShiftWeightOperator(task_id="rest", rollout=deploy.output, share=100, **QUICK)
        deploy >> rest >> PromoteOperator(task_id="promote", rollout=deploy.output, **QUICK)


def test_an_undo_restores_what_another_dag_has_replaced_and_can_be_run_again(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    promote(dag)
    assert run(dag).state == "success"
    assert production.describe("fraud") != before
    with DAG("undo", schedule=None) as undo:
        UndoOperator(task_id="undo", endpoint_name="fraud", note="{{ 'complaints' }}", **QUICK)
    for words in ("nothing of this rollout is left", "was undone by undo "):
        with losing_its_record(production):
            ended = run(undo)
        assert ended.state == "success"
        told = ended.xcoms["undo", "return_value"]
        assert told["outcome"] == "as_before"
        assert words in told["state"]
        assert production.describe("fraud") == before


def test_where_there_is_nothing_to_undo_it_fails_with_the_reason_and_changes_nothing(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        UndoOperator(task_id="undo", endpoint_name="fraud", retries=3, **QUICK)
    ended = run(dag)
    assert ended.state == "failed"
    assert "nothing was kept of a promotion of endpoint fraud" in ended.xcoms["undo", "reason"]
    assert production.describe("fraud") == before


@pytest.mark.parametrize("rings", [True, False])
def test_an_alarm_that_rings_after_the_promotion_undoes_and_fails_the_run(
    rings: bool, dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    """By single operators, with a watch of seconds."""
    promote(dag)
    with dag:
        watch = AlarmSensor(task_id="watch", alarms=[alarm_of("fraud")], duration=8, poke_interval=0.2)
        which = "{{ ti.xcom_pull('deploy')['rollout_id'] }}"
        undo = UndoOperator(task_id="undo", endpoint_name="fraud", rollout_id=which, trigger_rule="all_failed", **QUICK)
        dag.get_task("promote") >> [watch, EmptyOperator(task_id="tell_everybody")]
        watch >> [undo, EmptyOperator(task_id="stays")]

    def is_promoted() -> bool:
        return "/sm-rollout-previous/fraud" in str(production.writes("fraud"))

    harm = meanwhile(
        lambda: rings and is_promoted(), lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")
    )
    with harm:
        ended = run(dag)
    assert ended.states["tell_everybody"] == "success"
    assert ended.state == ("failed" if rings else "success")
    assert (ended.states["undo"], ended.states["stays"]) == (
        ("success", "upstream_failed") if rings else ("skipped", "success")
    )
    assert (production.describe("fraud") == before) is rings
    assert "7 of 9" in ended.reason("watch") or not rings


LATER = timedelta(hours=20)


def roll_out(dag: DAG, **options: Any) -> TaskGroup:
    """All at once, watched by an alarm alone."""
    watched = {"alarms": [alarm_of("fraud")], "default_alarms": None, "limits": {"min_requests": 0}}
    with dag:
        return canary_rollout(
            endpoint_name="fraud",
            image=IMAGE,
            model_data_url=GOOD,
            steps=[100],
            **{"bake": 0.3, **watched, **QUICK, **options},
        )


@pytest.mark.parametrize("rings", [True, False])
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_groups_watch_after_undoes_at_hour_20_what_later_tasks_work_with_already(
    rings: bool,
    deferrable: bool,
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []

    @task
    def work_with_it() -> None:
        """Behind the group; it takes 20 hours, or 24 and some."""
        local = MACHINE.local
        passed = LATER if rings else timedelta(hours=24, minutes=10)
        monkeypatch.setattr(MACHINE, "local", lambda: local() + passed)
        if rings:
            production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")

    def note(context: Any) -> None:
        told.append(context["rollout"])

    keeps_blue = {"keep_blue": "1h"} if deferrable else {}
    group = roll_out(dag, watch_after="24h", notifiers={"undone": note}, deferrable=deferrable, **keeps_blue)
    with dag:
        group >> work_with_it()
    ended = run(dag)
    assert ended.states["work_with_it"] == ended.states["canary.verdict"] == "success"
    assert ended.states["canary.watch_after"] == ("failed" if rings else "success")
    assert ended.state == ("failed" if rings else "success")
    assert (production.describe("fraud") == before) is rings
    if rings:
        sentence = ended.reason("canary.watch_after")
        assert sentence.startswith("Undone (nothing of this rollout is left")
        assert f"because alarm {alarm_of('fraud')} is in ALARM" in sentence
        assert "7 of 9" in sentence
        assert [(each["event"], each["sentence"]) for each in told] == [("undone", sentence)]
    else:
        assert "no harm was found" in ended.xcoms["canary.watch_after", "return_value"]["reason"]
        assert not told


def test_a_watch_after_of_what_was_rolled_back_is_skipped_and_the_run_stays_failed(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    roll_out(dag, bake=3, watch_after=86400)
    with meanwhile(has_traffic, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")):
        ended = run(dag)
    assert ended.state == "failed"
    assert ended.states["canary.watch_after"] == "skipped"
    assert production.describe("fraud") == before


def watch_fraud(**options: Any) -> DAG:
    with DAG("watch", schedule=None) as watching:
        quick = {"poke_interval": 0.2, "deferrable": False}
        WatchPromotedOperator(
            task_id="watch", **{"endpoint_name": "fraud", "alarms": [alarm_of("fraud")], **quick, **options}
        )
    return watching


def test_another_dag_watches_what_was_promoted_last_and_undoes_it(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    assert "nothing was kept of a promotion" in run(watch_fraud(duration="1h")).reason("watch")
    promote(dag)
    run(dag)
    unwatched = run(watch_fraud(duration="1h", alarms=[])).reason("watch")
    assert "nobody would be watching" in unwatched
    healthy = run(watch_fraud(duration=0.5))
    assert healthy.state == "success"
    assert production.describe("fraud") != before
    ringing = meanwhile(lambda: True, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9"))
    with ringing, losing_its_record(production):
        harmed = run(watch_fraud(duration="1h"))
    assert harmed.state == "failed"
    assert harmed.reason("watch").startswith("Undone (")
    assert production.describe("fraud") == before
    again = run(watch_fraud(duration="1h")).reason("watch")
    assert "was undone by watch " in again


def test_harm_that_can_t_be_undone_is_told_with_the_reason_and_changes_nothing(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    promote(dag)
    run(dag)
    production.sagemaker.delete_model(ModelName="fraud-v1")
    after = production.describe("fraud")
    with meanwhile(lambda: True, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")):
        ended = run(watch_fraud(duration="1h"))
    assert ended.state == "failed"
    assert "7 of 9. It could NOT be undone: blue's model fraud-v1 is gone" in ended.reason("watch")
    assert production.describe("fraud") == after


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"watch_after": "next week"}, "watch_after"),
        ({"watch_after": "24h", "default_alarms": None, "limits": None}, "watch_after"),
        ({"keep_blue": "1h"}, "keep_blue"),
        ({"keep_blue": "1h", "watch_after": "30m"}, "keep_blue"),
        ({"keep_blue": "next week", "watch_after": "24h"}, "keep_blue"),
        ({"keep_blue": "1h", "watch_after": "24h", "traffic": "guardrails", "steps": [10, 100]}, "keep_blue"),
    ],
)
def test_a_watch_after_that_is_not_possible_is_refused_when_the_file_is_read(
    options: dict[str, Any], name: str
) -> None:
    with DAG("undo", schedule=None), pytest.raises(PlanError, match=f"^{name}="):
        canary_rollout(endpoint_name="fraud", model_name="v2", **options)


@pytest.mark.parametrize(
    ("option", "value"),
    [("on_drift", "overwrite"), ("undo_within", "next week"), ("rollout", {"endpoint_name": "fraud"})],
)
def test_an_option_that_is_not_possible_is_refused_when_the_file_is_read(option: str, value: Any) -> None:
    with DAG("undo", schedule=None), pytest.raises(PlanError, match=option):
        UndoOperator(task_id="undo", **{"endpoint_name": "fraud", option: value})
