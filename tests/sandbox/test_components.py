"""Inference components: copies of a model on instances that others share, and SageMaker's own rolling update of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import FunctionHost, ManualClock, Reply, Sandbox, connect
from airflow_sm_rollout.sandbox.faults import Fault

ROLE = "arn:aws:iam::123456789012:role/sandbox"
NEEDS = {"MinMemoryRequiredInMb": 1024}
ALARM = "errors"
POLICY = {
    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
    "WaitIntervalInSeconds": 300,
    "MaximumExecutionTimeoutInSeconds": 3600,
}
DEPLOYMENT = {"RollingUpdatePolicy": POLICY, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]}}
LAUNCH, WAIT, ACT, LOOK = 60, 300, 22, 5.5  # the default timings, and the policy's wait


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose containers answer with the name of their model."""
    sandbox = Sandbox(clock=ManualClock(), host=FunctionHost(lambda model, body: Reply(200, model.name.encode())))
    yield sandbox
    sandbox.close()


class Component:
    """The inference component ``orders`` of four copies of ``v1``, on an endpoint ``shared``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, session = sandbox, connect(sandbox)
        self.sagemaker, self.cloudwatch = session.client("sagemaker"), session.client("cloudwatch")
        self.runtime = session.client("sagemaker-runtime")
        for version in ("v1", "v2"):
            self.sagemaker.create_model(ModelName=version, PrimaryContainer={"Image": f"repo:{version}"})
        host(self.sagemaker)
        sandbox.schedule.advance(200)
        self.sagemaker.create_inference_component(
            InferenceComponentName="orders",
            EndpointName="shared",
            VariantName="all",
            Specification={"ModelName": "v1", "ComputeResourceRequirements": NEEDS},
            RuntimeConfig={"CopyCount": 4},
        )
        self.cloudwatch.put_metric_alarm(
            AlarmName=ALARM, Namespace="Shop", MetricName="m", Statistic="Sum", Period=3600, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        )  # fmt: skip
        sandbox.schedule.advance(LAUNCH)

    def begin(self, model: str = "v2", **members: Any) -> None:
        specification = {"ModelName": model, "ComputeResourceRequirements": NEEDS}
        members = {"DeploymentConfig": DEPLOYMENT, **members}
        self.sagemaker.update_inference_component(
            InferenceComponentName="orders",
            Specification=specification,
            **{name: member for name, member in members.items() if member is not None},
        )

    def advance(self, seconds: float) -> None:
        self.sandbox.schedule.advance(seconds)

    def ring(self) -> None:
        self.cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="ill")

    def describe(self) -> dict[str, Any]:
        return dict(self.sagemaker.describe_inference_component(InferenceComponentName="orders"))

    def invoke(self) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName="shared", InferenceComponentName="orders", Body=b"{}")
        return str(answer["Body"].read().decode())

    def answers(self) -> Counter[str]:
        """Who answers 100 requests."""
        return Counter(self.invoke() for _ in range(100))

    def state(self) -> tuple[str, str, int, int]:
        """Status, model, copies that are there and copies that are wanted."""
        described = self.describe()
        counts = described["RuntimeConfig"]
        model = described["Specification"]["ModelName"]
        return described["InferenceComponentStatus"], model, counts["CurrentCopyCount"], counts["DesiredCopyCount"]


def host(sagemaker: Any, **variant: Any) -> None:
    """Create an endpoint that hosts components."""
    entry = {
        "VariantName": "all",
        "InstanceType": "ml.g5.2xlarge",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 4},
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName="shared-1", ExecutionRoleArn=ROLE, ProductionVariants=[{**entry, **variant}]
    )
    sagemaker.create_endpoint(EndpointName="shared", EndpointConfigName="shared-1")


@pytest.fixture
def component(sandbox: Sandbox) -> Component:
    return Component(sandbox)


def test_a_component_serves_with_the_copies_that_were_wished_for(component: Component) -> None:
    assert component.state() == ("InService", "v1", 4, 4)
    assert component.answers() == {"v1": 100}
    [variant] = component.sagemaker.describe_endpoint(EndpointName="shared")["ProductionVariants"]
    assert variant["ManagedInstanceScaling"]["MaxInstanceCount"] == 4


def test_batches_replace_copies_and_each_bakes(component: Component) -> None:
    component.begin()
    seen = []
    for batch in range(4):
        component.advance(LAUNCH - 1)
        before = component.answers()["v2"]
        component.advance(1)
        seen.append((before, component.answers()["v2"], component.state()[0]))
        assert component.state()[1:] == ("v1", 4, 4), "which specification is shown meanwhile is not recorded: the old"
        component.advance(WAIT if batch < 3 else WAIT - 1)
    assert seen == [(share - 25, share, "Updating") for share in (25, 50, 75, 100)]
    component.advance(1)
    assert component.state() == ("InService", "v2", 4, 4)
    assert "FailureReason" not in component.describe()
    assert component.describe()["LastDeploymentConfig"] == DEPLOYMENT


def test_new_copies_are_there_before_old_ones_go(component: Component) -> None:
    component.begin()
    counts = set()
    for _ in range(100):
        component.advance(20)
        counts.add(component.describe()["RuntimeConfig"]["CurrentCopyCount"])
    assert counts == {4}


def test_a_batch_by_its_number_of_copies(component: Component) -> None:
    batch = {"MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 2}}
    component.begin(DeploymentConfig={"RollingUpdatePolicy": {**POLICY, **batch}})
    component.advance(LAUNCH)
    assert component.answers() == {"v1": 50, "v2": 50}


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_an_alarm_in_any_bake_takes_all_back(component: Component, batches: int) -> None:
    component.begin()
    component.advance((LAUNCH + WAIT) * (batches - 1) + LAUNCH + 100)
    component.ring()
    component.advance(ACT - 1)
    assert component.answers()["v2"] == 25 * batches
    component.advance(1 + LOOK + LAUNCH)
    assert component.state() == ("InService", "v1", 4, 4)
    assert component.answers() == {"v1": 100}
    assert ALARM in component.describe()["FailureReason"]


def test_an_alarm_that_rang_before_counts(component: Component) -> None:
    component.ring()
    component.begin()
    component.advance(LAUNCH + LAUNCH)
    assert component.state()[:2] == ("InService", "v1")


def test_a_rollback_in_batches_puts_copies_back_little_by_little(component: Component) -> None:
    back = {"RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 25}}
    component.begin(DeploymentConfig={**DEPLOYMENT, "RollingUpdatePolicy": {**POLICY, **back}})
    component.advance((LAUNCH + WAIT) * 2 + LAUNCH)
    component.ring()
    component.advance(ACT + LOOK)
    shares = []
    for _ in range(3):
        component.advance(LAUNCH)
        shares.append(component.answers()["v2"])
    assert shares == [50, 25, 0]
    assert component.state()[0] == "InService"


def test_an_update_that_takes_too_long_is_taken_back(component: Component) -> None:
    component.begin(
        DeploymentConfig={"RollingUpdatePolicy": {**POLICY, "WaitIntervalInSeconds": 1000, "MaximumExecutionTimeoutInSeconds": 900}}
    )  # fmt: skip
    component.advance(901 + LAUNCH)
    assert component.state() == ("InService", "v1", 4, 4)
    assert "900 seconds" in component.describe()["FailureReason"]


def test_a_batch_that_finds_no_capacity_is_taken_back(component: Component, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("no_capacity", "UpdateInferenceComponent", skip=1))
    component.begin()
    component.advance(LAUNCH + WAIT + 10)
    assert component.answers() == {"v1": 75, "v2": 25}
    component.advance(1440 + LAUNCH)
    assert component.state() == ("InService", "v1", 4, 4)
    assert "CapacityError" in component.describe()["FailureReason"]


def test_copies_that_come_after_it_was_given_up_serve_nobody(component: Component, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("bad_ping", model="v2"))
    component.begin(DeploymentConfig={"RollingUpdatePolicy": {**POLICY, "MaximumExecutionTimeoutInSeconds": 600}})
    component.advance(601)
    assert component.state() == ("InService", "v1", 4, 4)
    component.advance(2000)
    assert component.state() == ("InService", "v1", 4, 4)


def test_a_rollback_that_finds_no_room_leaves_both_and_is_failed(component: Component, sandbox: Sandbox) -> None:
    component.begin()
    component.advance(LAUNCH)
    sandbox.faults.add(Fault("no_capacity", "UpdateInferenceComponent"))
    component.ring()
    component.advance(ACT + LOOK + 1440)
    assert component.state()[0] == "Failed"
    assert component.answers() == {"v1": 75, "v2": 25}
    assert "could not be completed" in component.describe()["FailureReason"]
    component.begin("v1", DeploymentConfig=None)
    component.advance(LAUNCH)
    assert component.state() == ("InService", "v1", 4, 4)
    assert component.answers() == {"v1": 100}


def test_without_a_deployment_config_all_copies_are_replaced_at_once(component: Component) -> None:
    component.begin(DeploymentConfig=None)
    component.advance(LAUNCH - 1)
    assert component.answers() == {"v1": 100}
    component.advance(1)
    assert component.state() == ("InService", "v2", 4, 4)
    assert component.answers() == {"v2": 100}


@pytest.mark.parametrize("how", ["update_inference_component", "update_inference_component_runtime_config"])
@pytest.mark.parametrize("count", [0, 2, 6])
def test_copies_are_changed(component: Component, how: str, count: int) -> None:
    member = "RuntimeConfig" if how == "update_inference_component" else "DesiredRuntimeConfig"
    getattr(component.sagemaker, how)(InferenceComponentName="orders", **{member: {"CopyCount": count}})
    assert component.state() == ("Updating", "v1", 4, count)
    component.advance(LAUNCH)
    assert component.state() == ("InService", "v1", count, count)


def test_a_component_without_copies_answers_nobody(component: Component, refused: Callable[..., Any]) -> None:
    component.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="orders", DesiredRuntimeConfig={"CopyCount": 0}
    )
    component.advance(LAUNCH)
    code, text, status = refused(component.invoke)
    assert (code, status) == ("ValidationError", 400)
    assert "has no capacity" in text


def test_who_invokes_must_name_a_component_where_and_only_where_there_are_any(
    component: Component, refused: Callable[..., Any]
) -> None:
    component.sagemaker.create_endpoint_config(
        EndpointConfigName="plain-1",
        ProductionVariants=[
            {"VariantName": "a", "ModelName": "v1", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    component.sagemaker.create_endpoint(EndpointName="plain", EndpointConfigName="plain-1")
    component.advance(200)

    def text(endpoint: str, **named: str) -> str:
        code, text, status = refused(
            lambda: component.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{}", **named)
        )
        assert (code, status) == ("ValidationError", 400)
        return str(text)

    assert "header is required" in text("shared")
    assert "header is not allowed" in text("plain", InferenceComponentName="orders")
    assert "not found" in text("shared", InferenceComponentName="other")


def test_while_it_changes_all_else_is_refused(component: Component, refused: Callable[..., Any]) -> None:
    component.begin()
    for call in (
        component.begin,
        lambda: component.sagemaker.delete_inference_component(InferenceComponentName="orders"),
        lambda: component.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName="orders", DesiredRuntimeConfig={"CopyCount": 1}
        ),
    ):
        code, text, _ = refused(call)
        assert code == "ValidationException"
        assert "in-progress" in text


@pytest.mark.parametrize(
    ("size", "word"),
    [
        ({"Type": "CAPACITY_PERCENT", "Value": 4}, "is 4"),
        ({"Type": "CAPACITY_PERCENT", "Value": 51}, "is 51"),
        ({"Type": "COPY_COUNT", "Value": 3}, "is 75"),
    ],
)
def test_a_batch_outside_of_its_bounds_is_refused(
    component: Component, refused: Callable[..., Any], size: dict[str, Any], word: str
) -> None:
    policy = {**POLICY, "MaximumBatchSize": size}
    code, text, _ = refused(lambda: component.begin(DeploymentConfig={"RollingUpdatePolicy": policy}))
    assert code == "ValidationException"
    assert text.endswith(f"{word}.")
    assert component.state()[0] == "InService"


def test_what_a_specification_must_have(component: Component, refused: Callable[..., Any]) -> None:
    def told(**members: Any) -> str:
        code, text, _ = refused(
            lambda: component.sagemaker.update_inference_component(InferenceComponentName="orders", **members)
        )
        return f"{code}: {text}"

    assert "Could not find model" in told(Specification={"ModelName": "v9", "ComputeResourceRequirements": NEEDS})
    assert "ComputeResourceRequirements is required" in told(Specification={"ModelName": "v2"})
    assert "ModelName or a Container" in told(Specification={"ComputeResourceRequirements": NEEDS})
    assert "NotImplemented" in told(Specification={"BaseInferenceComponentName": "orders"})


def test_a_container_of_its_own_stands_in_for_the_models(component: Component) -> None:
    container = {"Image": "repo:v3", "Environment": {"SAGEMAKER_X": "1"}}
    component.sagemaker.update_inference_component(
        InferenceComponentName="orders",
        Specification={"Container": container, "ComputeResourceRequirements": NEEDS},
    )
    component.advance(LAUNCH)
    shown = component.describe()["Specification"]["Container"]
    assert shown == {"DeployedImage": {"SpecifiedImage": "repo:v3"}, "Environment": {"SAGEMAKER_X": "1"}}


def test_an_endpoint_goes_after_its_components(component: Component, refused: Callable[..., Any]) -> None:
    delete = lambda: component.sagemaker.delete_endpoint(EndpointName="shared")  # noqa: E731
    assert "orders" in refused(delete)[1]
    component.sagemaker.delete_inference_component(InferenceComponentName="orders")
    assert component.state()[0] == "Deleting"
    component.advance(31)
    assert "Could not find inference component" in refused(component.describe)[1]
    delete()


def test_lists_find_components_by_what_they_are_and_where(component: Component) -> None:
    for name in ("stock", "prices"):
        component.sagemaker.create_inference_component(
            InferenceComponentName=name,
            EndpointName="shared",
            Specification={"ModelName": "v2", "ComputeResourceRequirements": NEEDS},
            RuntimeConfig={"CopyCount": 1},
        )

    def listed(**filters: Any) -> list[str]:
        found = component.sagemaker.list_inference_components(SortBy="Name", SortOrder="Ascending", **filters)
        return [each["InferenceComponentName"] for each in found["InferenceComponents"]]

    assert listed() == ["orders", "prices", "stock"]
    assert listed(StatusEquals="Creating") == ["prices", "stock"]
    assert listed(EndpointNameEquals="other") == []
    assert listed(VariantNameEquals="all", NameContains="ord") == ["orders"]


def test_its_metrics_are_published_by_its_name_and_by_the_variants(component: Component, sandbox: Sandbox) -> None:
    component.advance(-sandbox.clock.now() % 60)
    component.answers()
    component.advance(200)

    def sums(metric: str, **dimensions: str) -> float:
        found = component.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=sandbox.clock.now() - 300,
            EndTime=sandbox.clock.now(),
            Period=300,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    assert sums("Invocations", InferenceComponentName="orders") == 100
    assert sums("InvocationsPerCopy", InferenceComponentName="orders") == 25
    assert sums("InvocationsPerInstance", InferenceComponentName="orders") == 0
    assert sums("Invocations", EndpointName="shared", VariantName="all") == 100


@pytest.mark.parametrize(
    ("variant", "members", "word"),
    [
        ({"ModelName": "v1"}, {"ExecutionRoleArn": ROLE}, "ManagedInstanceScaling is only supported"),
        ({}, {}, "ExecutionRoleArn is required"),
    ],
)
def test_configs_for_components_are_told_from_others(
    component: Component, refused: Callable[..., Any], variant: dict[str, str], members: dict[str, str], word: str
) -> None:
    entry = {
        "VariantName": "all",
        "InstanceType": "ml.g5.2xlarge",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED"},
        **variant,
    }
    create = component.sagemaker.create_endpoint_config
    assert word in refused(lambda: create(EndpointConfigName="c", ProductionVariants=[entry], **members))[1]
