"""A whole canary in a user's DAG, from training to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG, task

from airflow_sm_rollout import DeployGreenOperator, ValidateGreenOperator, canary_rollout
from operators.dag_runs import Ended
from production import BAD, BLUE_INSTANCES, GOOD, IMAGE, Production, alarm_of, highest, meanwhile

STEPS = (25, 100)
REASON = "Threshold Crossed: 1 datapoint [37.0 (24/11/26 10:00:00)] was greater than the threshold (5.0)."
GROUP = ("snapshot", "deploy_green", "shift_25", "bake_25", "shift_100", "bake_100", "promote", "settle", "verdict")


@task
def train(artifact: str) -> dict[str, Any]:
    """XCom as the amazon provider's SageMakerTrainingOperator leaves it."""
    return {"Training": {"ModelArtifacts": {"S3ModelArtifacts": artifact}}}


@task(depends_on_past=False)
def announce() -> str:
    return "the new model serves"


def build(dag: DAG, artifact: str = GOOD, **options: Any) -> None:
    """Training, the canary, and the user's own next task."""
    with dag:
        trained = train(artifact)
        canary = canary_rollout(
            **{
                "endpoint_name": "fraud",
                "image": IMAGE,
                "model_data_url": "{{ ti.xcom_pull('train')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}",
                "steps": STEPS,
                "bake": 0.3,
                "alarms": [alarm_of("fraud")],
                "default_alarms": None,
                "limits": {"min_requests": 0},
                "poke_interval": 0.2,
                **options,
            }
        )
        trained >> canary >> announce()


def states(ended: Ended) -> dict[str, str]:
    return {name: ended.states[f"canary.{name}"] for name in GROUP}


def test_a_healthy_model_ends_up_alone_and_the_users_next_task_runs(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    build(dag)
    with production.watched("fraud") as seen:
        ended = run(dag)
    after = production.describe("fraud")
    assert ended.state == "success"
    assert states(ended) == dict.fromkeys(GROUP, "success")
    assert ended.states["announce"] == "success"
    assert {looked.green for looked in seen["fraud"]} == {0, 25, 100}

    [green] = after["endpoint"]["ProductionVariants"]
    handle = ended.xcoms["canary.snapshot", "return_value"]
    assert green["VariantName"] == handle["green_variant"]
    assert (green["CurrentInstanceCount"], green["DesiredInstanceCount"]) == (BLUE_INSTANCES, BLUE_INSTANCES)
    model = production.sagemaker.describe_model(ModelName=handle["green_model"])
    assert model["PrimaryContainer"]["ModelDataUrl"] == GOOD
    assert model["PrimaryContainer"]["Environment"] == {"LEVEL": "info"}
    kept = ("DataCaptureConfig", "KmsKeyId", "MetricsConfig", "Tags")
    # AWS gives a new config detailed metrics, which cost money, unless it says that it wants none, as blue has none.
    wanted = {"EnableDetailedObservability": False, **before["config"]["MetricsConfig"]}
    known = production.sagemaker.meta.service_model.shape_for("MetricsConfig").members
    metrics = {member: value for member, value in wanted.items() if member in known}
    expected = {**before["config"], "MetricsConfig": metrics}
    assert {member: after["config"][member] for member in kept} == {member: expected[member] for member in kept}
    new_config = after["endpoint"]["EndpointConfigName"]
    assert production.belongings("fraud") == {
        "configs": sorted(["fraud-config", new_config]),
        "models": sorted(["fraud-v1", handle["green_model"]]),
        "alarms": [alarm_of("fraud")],
        "records": [],
    }
    assert "green was promoted" in ended.xcoms["canary.verdict", "return_value"]


@pytest.mark.parametrize("bake", [3, 60], ids=["watched in the worker", "watched by the trigger"])
def test_an_alarm_at_the_first_share_restores_everything_and_the_verdict_tells_its_figures(
    bake: float,
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    build(dag, artifact=BAD, bake=bake)
    with (
        production.watched("fraud") as seen,
        meanwhile(has_traffic, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", REASON)),
    ):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert highest(seen["fraud"]) == 25
    assert ended.state == "failed"
    # It rings the moment traffic moves, while AWS still calls the endpoint Updating: whoever looks first tells it.
    [looked] = [name for name in ("shift_25", "bake_25") if states(ended)[name] == "failed"]
    assert states(ended)["settle"] == "success"
    assert {ended.states[name] for name in ("canary.shift_100", "canary.promote", "announce")} == {"upstream_failed"}
    reason = ended.reason("canary.verdict")
    assert reason.startswith("Rolled back"), reason
    assert f"{looked}: alarm {alarm_of('fraud')} is in ALARM" in reason
    assert "37.0" in reason
    assert "threshold (5.0)" in reason


def test_an_alarm_that_rings_and_is_quiet_again_between_two_looks_is_seen(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    def flap() -> None:
        production.set_alarm(alarm_of("fraud"), "ALARM", REASON)
        production.set_alarm(alarm_of("fraud"), "OK")

    build(dag, bake=1, poke_interval=1)
    with meanwhile(has_traffic, flap):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert ended.state == "failed"
    assert "was in ALARM at" in ended.reason("canary.verdict")
    assert "37.0" in ended.reason("canary.verdict")


def test_an_alarm_that_is_deleted_halfway_ends_the_rollout(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
) -> None:
    build(dag, bake=3)
    with meanwhile(has_traffic, lambda: production.cloudwatch.delete_alarms(AlarmNames=[alarm_of("fraud")])):
        ended = run(dag)
    assert production.describe("fraud") == {**before, "alarms": []}
    assert ended.state == "failed"
    assert f"alarm {alarm_of('fraud')} does not exist (deleted?)" in ended.reason("canary.verdict")


def test_a_rollout_that_may_not_begin_fails_the_run_before_anything_is_changed(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    already = len(production.writes())
    build(dag, alarms=["fraud-refusd"])
    ended = run(dag)
    assert production.writes()[already:] == []
    assert production.describe("fraud") == before
    assert ended.state == "failed"
    assert states(ended) == {**dict.fromkeys(GROUP, "upstream_failed"), "snapshot": "failed", "verdict": "failed"}
    assert ended.states["announce"] == "upstream_failed"
    for told in ("canary.snapshot", "canary.verdict"):
        assert "fraud-refusd does not exist" in ended.reason(told)


def test_a_form_that_asks_for_proof_and_for_no_step_that_could_give_it_fails_before_anything_is_changed(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    already = len(production.writes())
    build(dag, steps="{{ '100' }}", max_steps=1, require_proof=True)
    ended = run(dag)
    assert production.writes()[already:] == []
    assert ended.reason("canary.snapshot").startswith(
        "require_proof=True is not possible: False, or a step below 100 %"
    )


def test_steps_from_a_form_may_be_fewer_than_the_group_has_tasks_for(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    build(dag, steps="{{ '50, 100' }}", bake="{{ '0, 0.1' }}", max_steps=3)
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert ended.state == "success"
    assert {looked.green for looked in seen["fraud"]} == {0, 50, 100}
    assert ended.xcoms.get(("canary.shift_3", "return_value")) is None


def test_green_does_not_pass_a_bake_without_any_request_to_compare(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    build(dag, limits=None)
    ended = run(dag)
    assert ended.state == "failed"
    assert "green had 0 requests in this bake, at least 1 were needed" in ended.reason("canary.verdict")
    assert ended.xcoms["canary.bake_25", "watch"]["share"] == 25
    assert production.describe("fraud") == before


@pytest.mark.parametrize(("when_inconclusive", "state"), [("fail", "failed"), ("go_on", "success")])
def test_a_figure_that_is_not_there_fails_the_bake_unless_the_plan_lets_it_pass(
    when_inconclusive: str,
    state: str,
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
) -> None:
    kpi = {"label": "refused orders", "metrics": {"refused": {"namespace": "Shop", "name": "Refused"}}, "at_most": 5}
    build(dag, limits={"kpis": [kpi], "min_requests": 0}, when_inconclusive=when_inconclusive)
    ended = run(dag)
    assert ended.states["canary.bake_25"] == state
    assert ended.state == state
    told = ended.xcoms["canary.bake_25", "return_value"]
    assert told["verdict"] == "inconclusive"
    assert "refused orders: there are no figures of green" in told["reason"]
    assert ended.xcoms["canary.bake_25", "evidence"]["verdict"] == "cannot tell"
    if state == "failed":
        assert production.describe("fraud") == before
        assert "refused orders" in ended.reason("canary.verdict")


SAMPLES = [{"amount": 12}, {"amount": 99}]


def test_a_green_that_does_not_answer_real_samples_never_gets_traffic(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    build(dag, artifact=BAD, validate={"samples": SAMPLES, "agrees_with": "blue"})
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert highest(seen["fraud"]) == 0
    assert production.describe("fraud") == before
    assert ended.states["canary.validate"] == "failed"
    assert ended.states["canary.shift_25"] == "upstream_failed"
    assert "2 of 2 samples were not answered as they should be" in ended.reason("canary.verdict")
    assert len(ended.xcoms["canary.validate", "report"]["complaints"]) == 2


def test_samples_may_be_on_s3_and_greens_answers_are_compared_with_blues(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    s3 = boto3.client("s3", endpoint_url=production.server.url, region_name="us-east-1")
    s3.create_bucket(Bucket="samples")
    s3.put_object(Bucket="samples", Key="fraud.jsonl", Body="\n".join(map(json.dumps, SAMPLES)))
    with dag:
        deploy = DeployGreenOperator(
            task_id="deploy", endpoint_name="fraud", image=IMAGE, model_data_url=GOOD, poke_interval=0.2
        )
        config = {"s3": {"addressing_style": "path"}}
        deploy >> ValidateGreenOperator(
            task_id="validate",
            rollout=deploy.output,
            samples="{{ 's3://samples/fraud.jsonl' }}",
            agrees_with="blue",
            botocore_config=config,
        )
    ended = run(dag)
    assert ended.state == "success"
    assert ended.xcoms["validate", "return_value"]["sentence"].startswith(
        "green agrees with blue on 100 % of 2 samples"
    )


def test_a_shadow_that_nobody_can_judge_is_taken_away_again_and_no_user_ever_met_it(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    kpi = {"label": "refused orders", "metrics": {"refused": {"namespace": "Shop", "name": "Refused"}}, "at_most": 5}
    build(dag, artifact=BAD, shadow={"bake": 0.3, "percent": 50}, limits={"kpis": [kpi], "min_requests": 0})
    with production.watched("fraud") as seen:
        ended = run(dag)
    assert ended.states["canary.shadow"] == "success"
    assert ended.states["canary.bake_shadow"] == "failed"
    assert ended.states["canary.deploy_green"] == "upstream_failed"
    assert highest(seen["fraud"]) == 0
    assert production.describe("fraud") == before
    assert "in canary.bake_shadow: nobody can tell whether green is healthy: refused orders" in ended.reason(
        "canary.verdict"
    )
