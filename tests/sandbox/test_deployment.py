"""Deployments by DeploymentConfig against two recorded canaries: three instances, a canary of one, waits of 300 s and 120 s."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.control_routes import answer
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.sagemaker.deployment import read_policy
from airflow_sm_rollout.sandbox.wire import HttpRequest

Deploy = Callable[..., None]
Refused = Callable[[Callable[[], object]], tuple[str, str, int]]
ALARM = "TestAlarm-ModelLatency"
CANARY = {
    "Type": "CANARY",
    "WaitIntervalInSeconds": 300,
    "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
}
RECORDED = {
    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": CANARY, "TerminationWaitInSeconds": 120},
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}, {"AlarmName": "another"}]},
}


def policy(routing: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **members}}


def routing(kind: str, wait: int = 100, **sizes: tuple[str, int]) -> dict[str, Any]:
    members = {name: {"Type": size, "Value": value} for name, (size, value) in sizes.items()}
    return {"Type": kind, "WaitIntervalInSeconds": wait, **members}


class Deployment:
    """The endpoint ``orders``, on its way from config ``orders-1`` to ``orders-2`` of the same variant name."""

    def __init__(self, sandbox: Sandbox, session: Any, instances: int = 3) -> None:
        self.sandbox = sandbox
        self.sagemaker, self.cloudwatch = session.client("sagemaker"), session.client("cloudwatch")
        self.runtime = session.client("sagemaker-runtime")
        self.started_at = 0.0
        for version in ("1", "2"):
            self.sagemaker.create_model(ModelName=f"v{version}", PrimaryContainer={"Image": f"repo:{version}"})
            self.configure(f"orders-{version}", f"v{version}", instances)
        self.sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="orders-1")
        for name in (ALARM, "another"):
            self.cloudwatch.put_metric_alarm(
                AlarmName=name,
                Namespace="Shop",
                MetricName=name,
                Statistic="Sum",
                Period=3600,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="ignore",
            )
        sandbox.schedule.advance(1000)

    def configure(self, name: str, model: str, instances: int = 3, **entry: Any) -> None:
        variant = {"VariantName": "AllTraffic", "ModelName": model, "InitialInstanceCount": instances}
        variant |= {"InstanceType": "ml.m5.xlarge", **entry}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def begin(self, deployment: dict[str, Any] | None = RECORDED, config: str = "orders-2", **members: Any) -> None:
        if deployment is not None:
            members["DeploymentConfig"] = deployment
        self.sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName=config, **members)
        self.started_at = self.sandbox.clock.now()

    def at(self, seconds: float) -> None:
        """Let the time be that many seconds after UpdateEndpoint."""
        self.sandbox.schedule.advance(self.started_at + seconds - self.sandbox.clock.now())

    def ring(self, alarm: str = ALARM) -> None:
        self.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="4347 us")

    def describe(self) -> dict[str, Any]:
        return dict(self.sagemaker.describe_endpoint(EndpointName="orders"))

    def stage(self) -> dict[str, Any]:
        return dict(self.describe()["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0])

    def new_share(self) -> float:
        endpoint = self.sandbox.endpoints.serving("orders")
        assert endpoint is not None
        return sum(fleet.share for fleet in endpoint.fleets if fleet.config.name == "orders-2")

    def seconds_since_start(self, moment: datetime) -> float:
        return (moment - datetime.fromtimestamp(self.started_at, timezone.utc)).total_seconds()


@pytest.fixture
def deployment(sandbox: Sandbox, session: Any) -> Deployment:
    return Deployment(sandbox, session)


def test_one_second_in_only_the_last_deployment_config_tells_of_it(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(1)
    described = deployment.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", "orders-1")
    assert described["LastDeploymentConfig"] == RECORDED
    assert "PendingDeploymentSummary" not in described


def test_the_launch_is_reported_with_no_instance_yet(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(10)
    summary = deployment.describe()["PendingDeploymentSummary"]
    assert summary["EndpointConfigName"] == "orders-2"
    assert deployment.seconds_since_start(summary["StartTime"]) == 3
    [variant] = summary["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (0, 3)
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (0.0, 1.0)
    assert variant["InstanceType"] == "m5.xlarge"
    [status] = variant["VariantStatus"]
    assert (status["Status"], status["StatusMessage"]) == ("Creating", "Launching 3 instance(s).")


def test_a_canary_moves_traffic_when_the_recorded_one_did(deployment: Deployment) -> None:
    deployment.begin()
    moved: dict[float, float] = {}
    for second in range(600):
        deployment.at(second)
        moved.setdefault(round(deployment.new_share(), 6), second)
    assert moved == {0.0: 0, 0.333333: 190, 1.0: 470}
    described = deployment.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-2")
    assert "PendingDeploymentSummary" not in described
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 3


@pytest.mark.parametrize(
    ("second", "status", "message", "active", "blue"),
    [
        (160, "ActivatingTraffic", "Activating traffic on canary capacity of 1 instance(s).", 1, 3),
        (
            200,
            "Baking",
            "Baking for 300 seconds (TerminationWaitInSeconds) with traffic enabled on canary capacity of 1 instance(s).",
            1,
            2,
        ),
        (
            500,
            "Baking",
            "Baking for 120 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 3 instance(s).",
            3,
            0,
        ),
    ],
)
def test_stages_are_told_in_aws_words_with_the_old_config_above_them(
    deployment: Deployment, second: float, status: str, message: str, active: int, blue: int
) -> None:
    deployment.begin()
    deployment.at(second)
    told = deployment.stage()
    assert (told["Status"], told["StatusMessage"]) == (status, message)
    described = deployment.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", "orders-1")
    assert deployment.seconds_since_start(described["LastModifiedTime"]) == 0
    [pending] = described["PendingDeploymentSummary"]["ProductionVariants"]
    assert (pending["CurrentInstanceCount"], pending["CurrentWeight"]) == (active, 1.0)
    [old] = described["ProductionVariants"]
    assert (old["CurrentInstanceCount"], old["DesiredInstanceCount"], old["CurrentWeight"]) == (blue, 3, 1.0)


def test_traffic_moves_twenty_seconds_after_the_final_bake_is_reported(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(469)
    assert deployment.seconds_since_start(deployment.stage()["StartTime"]) == 450
    assert deployment.new_share() == pytest.approx(1 / 3)


def test_an_alarm_in_the_final_bake_ends_on_the_old_config_with_the_recorded_reason(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(539)
    deployment.ring()
    deployment.at(539 + 21)
    assert deployment.seconds_since_start(deployment.describe()["LastModifiedTime"]) == 0
    deployment.at(539 + 28)
    acted = deployment.seconds_since_start(deployment.describe()["LastModifiedTime"])
    assert 539 + 22 <= acted <= 539 + 28
    deployment.at(acted + 27)
    assert deployment.describe()["EndpointStatus"] == "Updating"
    assert deployment.new_share() == 1.0
    deployment.at(acted + 28)
    described = deployment.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-1")
    assert described["FailureReason"] == (
        f"One or more configured alarm for automatic rollback deployment is in ALARM state: [{ALARM}]."
    )
    assert deployment.seconds_since_start(described["LastModifiedTime"]) == acted
    assert "PendingDeploymentSummary" not in described
    assert described["LastDeploymentConfig"] == RECORDED
    [variant] = described["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"], variant["CurrentWeight"]) == (3, 3, 1.0)
    assert deployment.new_share() == 0.0


def test_an_alarm_while_instances_are_launched_is_acted_on_when_the_bake_begins(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(20)
    deployment.ring()
    deployment.at(169)
    assert deployment.stage()["Status"] == "ActivatingTraffic"
    deployment.at(170)
    assert deployment.seconds_since_start(deployment.describe()["LastModifiedTime"]) == 170
    assert deployment.describe()["EndpointConfigName"] == "orders-1"


def test_an_alarm_too_late_for_sagemaker_does_not_stop_the_promotion(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(560)
    deployment.ring()
    deployment.at(600)
    assert deployment.describe()["EndpointConfigName"] == "orders-2"


@pytest.mark.parametrize(
    ("kind", "reason"), [("empty_reason", None), ("stale_reason", "The primary container"), (None, "ALARM state")]
)
def test_the_reason_of_a_rollback_can_be_set_empty_or_stale(
    deployment: Deployment, kind: str | None, reason: str | None
) -> None:
    deployment.sandbox.faults.add(Fault("bad_ping"))
    deployment.begin()
    deployment.at(2000)
    assert "ping health check" in deployment.describe()["FailureReason"]
    if kind:
        deployment.sandbox.faults.add(Fault(kind, "UpdateEndpoint"))
    deployment.begin()
    deployment.at(180)
    assert "ping health check" in deployment.describe()["FailureReason"]  # still that of the update before
    deployment.ring()
    deployment.at(280)
    described = deployment.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-1")
    assert (reason is None) == ("FailureReason" not in described)
    assert reason is None or reason in described["FailureReason"]


def test_a_success_takes_an_old_reason_away(deployment: Deployment) -> None:
    deployment.sandbox.faults.add(Fault("bad_ping"))
    deployment.begin()
    deployment.at(2000)
    deployment.begin()
    deployment.at(600)
    described = deployment.describe()
    assert described["EndpointConfigName"] == "orders-2"
    assert "FailureReason" not in described


def test_linear_steps_are_whole_instances_at_equal_intervals(sandbox: Sandbox, session: Any) -> None:
    deployment = Deployment(sandbox, session, instances=4)
    linear = routing("LINEAR", 100, LinearStepSize=("CAPACITY_PERCENT", 25))
    deployment.begin(policy(linear, TerminationWaitInSeconds=60))
    moved: dict[float, int] = {}
    for second in range(620):
        deployment.at(second)
        moved.setdefault(deployment.new_share(), second)
    assert moved == {0.0: 0, 0.25: 190, 0.5: 290, 0.75: 390, 1.0: 470}
    assert deployment.describe()["EndpointConfigName"] == "orders-2"


def test_all_at_once_bakes_for_the_termination_wait_with_alarms_watched(deployment: Deployment) -> None:
    once = policy(routing("ALL_AT_ONCE", 0), TerminationWaitInSeconds=300)
    deployment.begin(once | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]}})
    deployment.at(300)
    assert deployment.new_share() == 1.0
    assert "full capacity of 3 instance(s)" in deployment.stage()["StatusMessage"]
    deployment.ring()
    deployment.at(360)
    assert deployment.describe()["EndpointConfigName"] == "orders-1"


def test_a_wait_shorter_than_aws_takes_never_moves_traffic_back(deployment: Deployment) -> None:
    deployment.begin(policy({**CANARY, "WaitIntervalInSeconds": 0}, TerminationWaitInSeconds=120))
    shares = []
    for second in range(140, 240):
        deployment.at(second)
        shares.append(deployment.new_share())
    assert shares == sorted(shares)
    assert "full capacity of 3" in deployment.stage()["StatusMessage"]
    deployment.at(300)
    assert deployment.describe()["EndpointConfigName"] == "orders-2"


def test_the_old_fleet_stays_until_traffic_has_really_moved(deployment: Deployment) -> None:
    deployment.begin(policy(routing("ALL_AT_ONCE", 0)))
    deployment.at(169)
    assert deployment.describe()["EndpointStatus"] == "Updating"
    deployment.at(170)
    assert deployment.describe()["EndpointConfigName"] == "orders-2"


def test_half_of_a_single_instance_is_all_of_it() -> None:
    half = policy(routing("CANARY", CanarySize=("CAPACITY_PERCENT", 50)))
    assert read_policy(half, instances=1).portions == (1.0,)
    assert read_policy(half, instances=3).portions == (2 / 3, 1.0)


def test_deactivated_instances_take_no_requests(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(300)
    endpoint = deployment.sandbox.endpoints.serving("orders")
    assert endpoint is not None
    for fleet, active in zip(endpoint.fleets, (2, 1), strict=True):
        [variant] = fleet.variants
        assert len(variant.containers) == 3
        taking = {id(variant.next_container()) for _ in range(12)}
        assert taking == {id(container) for container in variant.containers[:active]}


def test_without_alarms_nothing_is_watched(deployment: Deployment) -> None:
    deployment.begin(policy(CANARY, TerminationWaitInSeconds=120))
    deployment.at(200)
    deployment.ring()
    deployment.at(600)
    assert deployment.describe()["EndpointConfigName"] == "orders-2"


@pytest.mark.parametrize("faults", [[], [Fault("bad_ping")]], ids=["baking", "launching"])
def test_a_deployment_that_takes_too_long_is_rolled_back(deployment: Deployment, faults: list[Fault]) -> None:
    for fault in faults:
        deployment.sandbox.faults.add(fault)
    slow = policy({**CANARY, "WaitIntervalInSeconds": 3600}, MaximumExecutionTimeoutInSeconds=600)
    deployment.begin(slow)
    deployment.at(599)
    assert deployment.describe()["EndpointStatus"] == "Updating"
    deployment.at(5000)
    described = deployment.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-1")
    assert "MaximumExecutionTimeoutInSeconds" in described["FailureReason"]
    assert deployment.seconds_since_start(described["LastModifiedTime"]) == 600
    assert deployment.new_share() == 0.0


def test_the_last_deployment_config_can_be_used_once_more(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(600)
    deployment.configure("orders-3", "v1")
    deployment.begin(None, "orders-3", RetainDeploymentConfig=True)
    deployment.at(200)
    assert deployment.stage()["Status"] == "Baking"
    deployment.at(600)
    deployment.begin(None, "orders-2")
    deployment.at(140)
    assert deployment.describe()["EndpointConfigName"] == "orders-2"  # plain, all at once
    assert deployment.describe()["LastDeploymentConfig"] == RECORDED


def test_counts_of_the_old_fleet_are_retained_if_asked_for(deployment: Deployment) -> None:
    wish = {"VariantName": "AllTraffic", "DesiredInstanceCount": 5}
    deployment.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="orders", DesiredWeightsAndCapacities=[wish]
    )
    deployment.sandbox.schedule.advance(200)
    deployment.begin(RetainAllVariantProperties=True)
    deployment.at(300)
    assert deployment.new_share() == pytest.approx(1 / 5)
    deployment.at(600)
    assert deployment.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 5


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (policy({"Type": "CANARY", "WaitIntervalInSeconds": 5}), "CanarySize is required"),
        (policy({"Type": "LINEAR", "WaitIntervalInSeconds": 5}), "LinearStepSize is required"),
        (policy(routing("CANARY", CanarySize=("INSTANCE_COUNT", 2))), "between 1 and 50 percent"),
        (policy(routing("CANARY", CanarySize=("CAPACITY_PERCENT", 51))), "between 1 and 50 percent"),
        (policy(routing("LINEAR", LinearStepSize=("CAPACITY_PERCENT", 9))), "between 10 and 50 percent"),
        (policy(routing("CANARY", 3601, CanarySize=("INSTANCE_COUNT", 1))), "less than or equal to 3600"),
        (policy(CANARY, TerminationWaitInSeconds=3601), "less than or equal to 3600"),
        (
            policy(CANARY) | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": str(n)} for n in range(11)]}},
            "less than or equal to 10",
        ),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                    "WaitIntervalInSeconds": 0,
                }
            },
            "RollingUpdatePolicy is not supported",
        ),
    ],
)
def test_what_is_beyond_the_limits_is_refused_with_nothing_changed(
    deployment: Deployment, refused: Refused, config: dict[str, Any], words: str
) -> None:
    code, text, _ = refused(lambda: deployment.begin(config))
    assert code == "ValidationException"
    assert words in text
    described = deployment.describe()
    assert described["EndpointStatus"] == "InService"
    assert "LastDeploymentConfig" not in described


def test_another_variant_name_is_refused_which_a_plain_update_takes(deployment: Deployment, refused: Refused) -> None:
    deployment.configure("renamed", "v2", VariantName="green")
    code, text, _ = refused(lambda: deployment.begin(config="renamed"))
    assert code == "ValidationException"
    assert "must have the same variant name as the old" in text
    deployment.begin(None, "renamed")
    deployment.at(140)
    assert deployment.describe()["EndpointConfigName"] == "renamed"


def test_inf1_instances_are_updated_all_at_once_with_no_final_bake(deployment: Deployment) -> None:
    deployment.configure("chips", "v2", InstanceType="ml.inf1.xlarge")
    deployment.begin(config="chips")
    deployment.at(100)
    assert "PendingDeploymentSummary" not in deployment.describe()
    deployment.at(134)
    assert deployment.describe()["EndpointConfigName"] == "chips"


def test_nothing_else_can_be_changed_while_it_runs(deployment: Deployment, refused: Refused) -> None:
    deployment.begin()
    deployment.at(300)
    code, text, _ = refused(lambda: deployment.begin(None, "orders-1"))
    assert code == "ValidationException"
    assert text.startswith("Cannot update in-progress endpoint")


def requests(deployment: Deployment, count: int) -> None:
    for _ in range(count):
        deployment.runtime.invoke_endpoint(EndpointName="orders", Body=b"{}")


def invocations(deployment: Deployment, config: str | None = None) -> list[float]:
    dimensions = {"EndpointName": "orders", "VariantName": "AllTraffic"}
    dimensions |= {"EndpointConfigName": config} if config else {}
    now = datetime.fromtimestamp(deployment.sandbox.clock.now(), timezone.utc)
    points = deployment.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(seconds=deployment.sandbox.clock.now() - deployment.started_at),
        EndTime=now,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return [point["Sum"] for point in sorted(points, key=lambda point: point["Timestamp"])]


def test_each_fleets_requests_are_counted_apart_by_its_config(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(60)
    requests(deployment, 100)
    deployment.at(250)
    requests(deployment, 300)
    deployment.at(480)
    requests(deployment, 50)
    deployment.at(580)
    deployment.sandbox.schedule.advance(120)
    old, new = invocations(deployment, "orders-1"), invocations(deployment, "orders-2")
    assert sum(old) + sum(new) == sum(invocations(deployment)) == 450
    assert sum(new) - 50 == pytest.approx(100, abs=30)
    assert len(new) == 2  # no zeros, and nothing before the new fleet has traffic


def test_idle_minutes_of_a_shared_name_are_zero_only_if_both_fleets_are_idle(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(480)
    requests(deployment, 7)
    deployment.at(580)
    deployment.sandbox.schedule.advance(200)
    samples = deployment.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": "orders"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        StartTime=datetime.fromtimestamp(deployment.started_at + 480 - 60, timezone.utc),
        EndTime=datetime.fromtimestamp(deployment.started_at + 480 + 60, timezone.utc),
        Period=60,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert {(point["Sum"], point["SampleCount"]) for point in samples} == {(7.0, 7.0), (0.0, 1.0)}


def test_the_sandbox_tells_both_fleets_apart_and_their_sum_by_name(deployment: Deployment) -> None:
    deployment.begin()
    deployment.at(300)
    response = answer(deployment.sandbox, HttpRequest("GET", "/_sandbox/endpoints/orders"))
    told = json.loads(response.body)
    assert told["status"] == "Updating"
    assert told["fleets"]["orders-1"]["AllTraffic"] == {"share": pytest.approx(2 / 3), "instances": 2}
    assert told["fleets"]["orders-2"]["AllTraffic"] == {"share": pytest.approx(1 / 3), "instances": 1}
    assert told["variants"] == {"AllTraffic": {"share": pytest.approx(1.0), "instances": 3}}
