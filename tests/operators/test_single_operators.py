"""Operators one by one, in a DAG that a user has already."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, chain, task

from airflow_sm_rollout import (
    AlarmSensor,
    DeployGreenOperator,
    PlanError,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    ShadowGreenOperator,
    ShiftWeightOperator,
    SnapshotOperator,
    VerdictOperator,
)
from airflow_sm_rollout.aws.guardian import leave_look
from airflow_sm_rollout.aws.world import utc_now
from airflow_sm_rollout.core.guardian import GuardianLook
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.sandbox.faults import Fault
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production, alarm_of, meanwhile

QUICK: dict[str, Any] = {"poke_interval": 0.2}
GREEN: dict[str, Any] = {
    "endpoint_name": "fraud",
    "image": IMAGE,
    "model_data_url": GOOD,
    "default_alarms": None,
    **QUICK,
}
PLANNED = {name: value for name, value in GREEN.items() if name not in QUICK}
REASON = "Threshold Crossed: 1 datapoint [37.0 (24/11/26 10:00:00)] was greater than the threshold (5.0)."


def test_operators_linked_by_the_handle_promote_green(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    with dag:
        deploy = DeployGreenOperator(task_id="deploy", alarms=[alarm_of("fraud")], **GREEN)
        handle = {"rollout": deploy.output, **QUICK}
        first = ShiftWeightOperator(task_id="first", share="{{ 20 }}", **handle)
        watch = AlarmSensor(task_id="watch", duration=0.2, **handle)
        rest = ShiftWeightOperator(task_id="rest", share=100, **handle)
        promote = PromoteOperator(task_id="promote", **handle)
        deploy >> first >> watch >> rest >> promote
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert ended.state == "success"
    assert {looked.green for looked in seen["fraud"]} == {0, 20, 100}
    assert ended.xcoms["promote", "return_value"]["outcome"] == "promoted"
    assert ended.xcoms["watch", "return_value"]["verdict"] == "healthy"
    assert ended.xcoms["watch", "calls"]["DescribeAlarms"] >= 1
    assert ended.xcoms["first", "calls"]["UpdateEndpointWeightsAndCapacities"] == 1


def test_a_rollback_needs_nothing_in_xcom(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        deploy = DeployGreenOperator(task_id="deploy", do_xcom_push=False, **GREEN)
        shift = ShiftWeightOperator(task_id="shift", endpoint_name="fraud", share=20, **QUICK)
        rollback = RollbackOperator(task_id="rollback", rollout=deploy.output, endpoint_name="fraud", **QUICK)
        deploy >> shift >> rollback
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert ended.states == dict.fromkeys(("deploy", "shift", "rollback"), "success")
    assert ("deploy", "return_value") not in ended.xcoms
    assert {looked.green for looked in seen["fraud"]} == {0, 20}
    assert ended.xcoms["rollback", "return_value"]["outcome"] == "as_before"
    assert production.describe("fraud") == before


def test_a_rollback_where_nothing_was_rolled_out_does_nothing_and_succeeds(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    already = len(production.writes())
    with dag:
        RollbackOperator(task_id="rollback", endpoint_name="fraud", **QUICK)
    ended = run(dag)
    assert ended.state == "success"
    assert production.writes()[already:] == []


def test_a_step_after_the_rollback_moves_no_traffic(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        deploy = DeployGreenOperator(task_id="deploy", **GREEN)
        rollback = RollbackOperator(task_id="rollback", rollout=deploy.output, **QUICK)
        late = ShiftWeightOperator(task_id="late", rollout=deploy.output, share=50, **QUICK)
        deploy >> rollback >> late
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert {looked.green for looked in seen["fraud"]} == {0}
    assert production.describe("fraud") == before
    assert ended.states["late"] == "failed"
    assert "is not in progress" in ended.reason("late")


def test_a_deployment_goes_on_from_the_handle_of_a_shadow(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        shadow = ShadowGreenOperator(task_id="shadow", **GREEN)
        deploy = DeployGreenOperator(task_id="deploy", rollout=shadow.output, **QUICK)
        shift = ShiftWeightOperator(task_id="shift", rollout=deploy.output, share=30, **QUICK)
        deploy >> shift >> RollbackOperator(task_id="rollback", rollout=deploy.output, **QUICK)
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert ended.state == "success"
    assert ended.xcoms["shadow", "return_value"] == ended.xcoms["deploy", "return_value"]
    assert 30 in {looked.green for looked in seen["fraud"]}
    assert ended.xcoms["shift", "linked"] == {"region": "us-east-1", "endpoint": "fraud", "name": "fraud"}
    assert "/sagemaker/home?region=us-east-1#/endpoints/fraud" in ended.xcoms["shift", "_link_EndpointLink"]
    assert production.describe("fraud") == before


def one_by_one(dag: DAG) -> None:
    """The wiring of docs/operators.md."""
    with dag:
        snapshot = SnapshotOperator(task_id="snapshot", **PLANNED).as_setup()
        handle = {"rollout": snapshot.output, **QUICK}
        steps = [
            DeployGreenOperator(task_id="deploy", **handle),
            ShiftWeightOperator(task_id="shift", share=10, **handle),
            AlarmSensor(task_id="watch", duration=0.2, alarms=[alarm_of("fraud")], **handle),
            ShiftWeightOperator(task_id="rest", share=100, **handle),
            PromoteOperator(task_id="promote", **handle),
        ]
        settle = SettleOperator(task_id="settle", endpoint_name="fraud", snapshot_task_id="snapshot", **QUICK)
        names = [step.task_id for step in steps]
        verdict = VerdictOperator(
            task_id="verdict", snapshot_task_id="snapshot", settle_task_id="settle", watched_task_ids=names
        )
        settle.as_teardown(setups=snapshot)
        chain(snapshot, *steps, settle, verdict.as_teardown(on_failure_fail_dagrun=True))


def test_single_operators_end_in_a_run_that_succeeded_after_a_promotion(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    one_by_one(dag)
    ended = run(dag)
    assert ended.state == "success"
    assert set(ended.states.values()) == {"success"}


def by_name(production: Production) -> dict[str, str]:
    container = {"Image": IMAGE, "ModelDataUrl": GOOD}
    production.sagemaker.create_model(
        ModelName="their-own", PrimaryContainer=container, ExecutionRoleArn="arn:aws:iam::123456789012:role/other"
    )
    return {"model_name": "{{ 'their-own' }}"}


def by_package(production: Production) -> dict[str, str]:
    return {"model_package_arn": f"{{{{ '{registered(production)}' }}}}"}


def registered(production: Production) -> str:
    """The ARN of a model package that waits for its approval."""
    production.sagemaker.create_model_package_group(ModelPackageGroupName="frauds")
    container = {"Image": IMAGE, "ModelDataUrl": GOOD}
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    created = production.sagemaker.create_model_package(
        ModelPackageGroupName="frauds", InferenceSpecification={"Containers": [container], **types}
    )
    return str(created["ModelPackageArn"])


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected", "Approved"])
def test_a_model_package_that_must_be_approved_is_refused_until_it_is(
    status: str, dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    package = registered(production)
    production.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus=status)
    already = len(production.writes())
    with dag:
        plan = {"endpoint_name": "fraud", "default_alarms": None, "alarms": [alarm_of("fraud")]}
        SnapshotOperator(task_id="snapshot", model_package_arn=package, require_approved=True, **plan)
    ended = run(dag)
    assert ended.state == ("success" if status == "Approved" else "failed")
    refused = f"model package {package} is {status}, and require_approved=True asks for Approved. Nothing was changed"
    assert refused in ended.reason("snapshot") or status == "Approved"
    assert production.writes()[already:] == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "(none ever has)"),
        (180, "(guardian lighthouse looked last 3 min "),
        (90, ""),
    ],
)
def test_a_rollout_that_insists_on_a_guardian_is_refused_where_none_has_looked_lately(
    seconds: float | None, words: str, dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    if seconds is not None:
        leave_look(production.ssm, GuardianLook("lighthouse", utc_now() - timedelta(seconds=seconds)))
    already = len(production.writes())
    with dag:
        SnapshotOperator(
            task_id="snapshot", guardian="required", endpoint_name="fraud", image=IMAGE, model_data_url=GOOD
        )
    ended = run(dag)
    assert ended.state == ("failed" if words else "success")
    assert words in ended.reason("snapshot")
    assert "no guardian has looked at endpoint fraud within 2 min" in ended.reason("snapshot") or not words
    assert production.writes()[already:] == []


@pytest.mark.parametrize(
    "options",
    [{"model_name": "v2", "require_approved": True}, {"model_package_arn": "arn", "require_approved": "yes"}],
)
def test_only_a_model_package_can_be_asked_for_its_approval(options: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"^require_approved="):
        SnapshotOperator(task_id="snapshot", **{"endpoint_name": "fraud", **options})


@pytest.mark.parametrize("register", [by_name, by_package])
def test_green_may_be_a_model_by_name_or_a_model_package(
    register: Callable[[Production], dict[str, str]],
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
) -> None:
    named = register(production)
    before = production.describe("fraud")
    models = production.sagemaker.list_models()["Models"]
    served: list[str] = []

    @task
    def look() -> None:
        served.extend(production.shares("fraud").of)

    with dag:
        deploy = DeployGreenOperator(task_id="deploy", endpoint_name="fraud", default_alarms=None, **named, **QUICK)
        rollback = RollbackOperator(task_id="rollback", rollout=deploy.output, **QUICK)
        deploy >> look() >> rollback
    ended = run(dag)
    assert ended.state == "success"
    assert served == ["AllTraffic", ended.xcoms["deploy", "return_value"]["green_variant"]]
    assert production.describe("fraud") == before
    assert production.sagemaker.list_models()["Models"] == models


def put_composite(production: Production) -> None:
    production.put_alarm("child")
    production.cloudwatch.put_composite_alarm(AlarmName="any-of-them", AlarmRule="ALARM(child)")


def test_a_composite_alarm_is_watched_and_no_default_argument_makes_the_watch_again(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    put_composite(production)
    dag.default_args["retries"] = 3
    with dag:
        AlarmSensor(task_id="watch", alarms=["any-of-them"], duration=5, **QUICK)
    with meanwhile(lambda: True, lambda: production.set_alarm("child", "ALARM", REASON)):
        ended = run(dag)
    assert ended.states == {"watch": "failed"}
    assert ended.tries == {"watch": 1}
    assert "alarm any-of-them is in ALARM" in ended.reason("watch")


def test_a_watch_of_quiet_alarms_succeeds_when_its_time_is_over(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    put_composite(production)
    production.set_alarm("child", "OK")
    with dag:
        AlarmSensor(task_id="watch", alarms="{{ 'any-of-them, fraud-refused' }}", duration="{{ 0.3 }}", **QUICK)
    ended = run(dag)
    assert ended.states == {"watch": "success"}
    assert "any-of-them, fraud-refused quiet" in ended.xcoms["watch", "return_value"]["reason"]


def test_a_watch_of_no_alarm_at_all_is_refused(dag: DAG, run: Callable[[DAG], Ended], production: Production) -> None:
    with dag:
        AlarmSensor(task_id="watch", alarms="{{ '' }}", duration=0.3, **QUICK)
    ended = run(dag)
    assert ended.states == {"watch": "failed"}
    assert "alarms=''" in ended.reason("watch")


def test_too_few_requests_to_tell_is_not_healthy(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    with dag:
        deploy = DeployGreenOperator(task_id="deploy", alarms=[alarm_of("fraud")], **GREEN)
        shift = ShiftWeightOperator(task_id="shift", rollout=deploy.output, share=20, **QUICK)
        watch = AlarmSensor(task_id="watch", rollout=deploy.output, duration=0.3, min_requests=30, **QUICK)
        rollback = RollbackOperator(task_id="rollback", endpoint_name="fraud", trigger_rule="all_done", **QUICK)
        deploy >> shift >> watch >> rollback
    ended = run(dag)
    assert ended.states["watch"] == "failed"
    assert "green had 0 requests in this bake, at least 30 were needed" in ended.reason("watch")
    assert ended.xcoms["watch", "return_value"]["verdict"] == "inconclusive"
    assert production.describe("fraud") == before


def ring_before(production: Production) -> None:
    production.set_alarm(alarm_of("fraud"), "ALARM", REASON)


def change_nothing(production: Production) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "options", "told"),
    [
        (ring_before, {"alarms": alarm_of("fraud")}, [alarm_of("fraud"), "from before green had traffic", "37.0"]),
        (change_nothing, {"alarms": "fraud-refusd"}, ["alarms=", "fraud-refusd does not exist"]),
        (change_nothing, {"endpoint_name": "froud"}, ["endpoint_name='froud'", "no such endpoint"]),
        (change_nothing, {"endpoint_name": "{{ 'fr_aud' }}"}, ["endpoint_name='fr_aud'", "hyphens"]),
        (change_nothing, {"image": None, "model_name": "fraud-v9"}, ["model_name='fraud-v9'", "no such"]),
        (change_nothing, {"image": "{{ '' }}"}, ["model_name=None", "one of model_name, model_package_arn, or image"]),
        (change_nothing, {"model_data_url": "{{ '' }}"}, ["model_data_url=", "model.tar.gz"]),
        (change_nothing, {"strategy": {"name": "canary", "steps": "{{ '50,10' }}"}}, ["steps='50,10'", "rising"]),
        (change_nothing, {"strategy": {"name": "canary", "steps": "{{ 'ten' }}"}}, ["steps='ten'", "percent"]),
        (change_nothing, {"strategy": {"name": "canary", "bake": "{{ -1 }}"}}, ["bake='-1'", "zero or more"]),
        (change_nothing, {"strategy": {"name": "linear", "step": "{{ 0 }}"}}, ["step='0'", "percentage"]),
    ],
)
def test_what_can_be_known_to_fail_is_refused_by_the_first_task_naming_the_option(
    spoil: Callable[[Production], None],
    options: dict[str, Any],
    told: list[str],
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
) -> None:
    spoil(production)
    before = production.describe("fraud")
    already = len(production.writes())
    with dag:
        SnapshotOperator(task_id="snapshot", retries=2, **{**PLANNED, "strategy": {"name": "canary"}, **options})
    ended = run(dag)
    assert ended.states == {"snapshot": "failed"}
    assert ended.tries == {"snapshot": 1}
    assert production.writes()[already:] == []
    assert production.describe("fraud") == before
    reason = ended.reason("snapshot")
    assert [words for words in told if words not in reason] == [], reason


@pytest.mark.parametrize(
    "operation",
    [
        "GetParameters",
        "DescribeEndpoint",
        "DescribeEndpointConfig",
        "ListTags",
        "DescribeAlarms",
        "DescribeModel",
        "PutParameter",
        "CreateModel",
        "CreateEndpointConfig",
        "UpdateEndpoint",
    ],
)
def test_a_denied_call_of_deploying_leaves_nothing_behind_and_is_named(
    operation: str, dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    production.sandbox.faults.add(Fault("denied", operation, times=1))
    with dag:
        DeployGreenOperator(task_id="deploy", alarms=[alarm_of("fraud")], **GREEN)
    ended = run(dag)
    assert production.describe("fraud") == before
    assert ended.states == {"deploy": "failed"}
    assert f"{operation} answered AccessDenied" in ended.reason("deploy")


def test_a_second_rollout_is_refused_with_the_name_of_the_first(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    with dag:
        DeployGreenOperator(task_id="first", **GREEN)
    first = run(dag)
    halfway = production.describe("fraud")
    with DAG("another", schedule=None) as another:
        deploy = DeployGreenOperator(task_id="second", **GREEN)
        deploy >> RollbackOperator(task_id="rollback", endpoint_name="fraud", trigger_rule="all_done", **QUICK)
    second = run(another)
    assert first.state == "success"
    assert second.states == {"second": "failed", "rollback": "success"}
    assert f"dag_id {dag.dag_id}" in second.reason("second")
    assert "sm-rollout rollback fraud" in second.reason("second")
    assert production.describe("fraud") == halfway


def test_the_way_to_split_traffic_and_its_drain_may_come_from_a_form(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    form = {"traffic": "{{ 'endpoints' }}", "drain": "{{ 7 }}", "strategy": {"name": "blue_green"}}
    with dag:
        SnapshotOperator(task_id="snapshot", **{**PLANNED, **form})
    plan = from_json(run(dag).xcoms["snapshot", "return_value"]["frozen"]).plan
    assert (plan.traffic, plan.drain) == ("endpoints", timedelta(seconds=7))
