"""All of blue is known: each member that an endpoint config, a variant or a model can have is green's too, or it is changed by the plan, or
refused by name. The members are read from the installed botocore's model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.plan.strategy import blue_green
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from aws.answers import change_answers, service_model
from aws.samples import sample
from convergence.lab import ENDPOINT, ROLE, USER_ALARM, Lab
from convergence.live_lab import LiveLab

IMAGE = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
CONFIG_SHAPE = service_model("sagemaker").operation_model("CreateEndpointConfig").input_shape
MODEL_SHAPE = service_model("sagemaker").operation_model("CreateModel").input_shape
VARIANT_SHAPE = CONFIG_SHAPE.members["ProductionVariants"].member
CONTAINER_SHAPE = MODEL_SHAPE.members["PrimaryContainer"]
VARIANT = {
    "VariantName": "AllTraffic",
    "ModelName": "fraud-v1",
    "InitialInstanceCount": 4,
    "InstanceType": "ml.m5.xlarge",
    "InitialVariantWeight": 0.7,
}
CONTAINER = {"Image": "blue:1", "ModelDataUrl": "s3://models/blue.tar.gz"}


def put_into_production(lab: Lab, variant: dict[str, Any], **config: Any) -> None:
    """Put blue on a config of its own, "whole"."""
    sagemaker = lab.clients.sagemaker
    sagemaker.create_endpoint_config(EndpointConfigName="whole", **{"ProductionVariants": [variant], **config})
    lab.clients.autoscaling.deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{ENDPOINT}/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="whole")
    lab.pass_time(300)
    lab.before = lab.describe()


def put_model_into_production(lab: Lab, **model: Any) -> None:
    """Put a model of blue's own, "whole", into production."""
    lab.clients.sagemaker.create_model(ModelName="whole", **{"ExecutionRoleArn": ROLE, **model})
    put_into_production(lab, {**VARIANT, "ModelName": "whole"})


def plan(lab: Lab, green: Green = IMAGE) -> Rollout:
    strategy = blue_green(60) if lab.traffic == "endpoints" else lab.strategy
    planned = Plan(strategy, alarms=(USER_ALARM,), traffic=lab.traffic)
    return plan_rollout(lab.clients, lab.names, {"dag_id": "dag", "run_id": "run"}, green, planned, lab.now())


def greens_config(lab: Lab) -> dict[str, Any]:
    return dict(lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=lab.names.final_config))


def greens_model(lab: Lab) -> dict[str, Any]:
    return dict(lab.clients.sagemaker.describe_model(ModelName=lab.names.model))


def refused(lab: Lab, green: Green = IMAGE) -> str:
    """Why the rollout is refused; and nothing was changed."""
    before = lab.describe()
    with pytest.raises(RolloutRefused) as caught:
        plan(lab, green)
    assert lab.describe() == before
    return str(caught.value)


# Members that green has another value of, as the plan says.
CHANGED_IN_CONFIG = {"EndpointConfigName", "ProductionVariants"}
CHANGED_IN_VARIANT = {"VariantName", "ModelName"}
CHANGED_IN_MODEL = {"ModelName", "PrimaryContainer", "Containers"}
CHANGED_IN_CONTAINER = {"Image", "ModelDataUrl", "ModelDataSource", "ModelPackageName", "InferenceSpecificationName"}
# Members that a rollout is refused for, with a word of the reason beside their names.
REFUSED_IN_CONFIG = {"ShadowProductionVariants": "shadow variant", "AsyncInferenceConfig": "asynchronous"}
REFUSED_IN_VARIANT = {"ServerlessConfig": "serverless", "InstancePools": "ModelNameOverride"}
REFUSED_IN_VARIANT["CapacityReservationConfig"] = "CapacityReservationConfig"
REFUSED_IN_CONTAINER = {
    "MultiModelConfig": "MultiModelConfig",
    "AdditionalModelDataSources": "AdditionalModelDataSources",
}

# AWS takes only these together.
GOES_WITH: dict[str, dict[str, Any]] = {
    "ModelPackageName": {},
    "ServerlessConfig": {"InitialInstanceCount": None, "InstanceType": None},
}


def of_config(member: str) -> Any:
    made = sample(CONFIG_SHAPE.members[member])
    if member == "ShadowProductionVariants":
        return [{**VARIANT, "VariantName": "shadow"}]
    return [{"Key": "team", "Value": "risk"}] if member == "Tags" else made


@pytest.mark.parametrize("member", sorted(CONFIG_SHAPE.members.keys() - CHANGED_IN_CONFIG))
def test_each_member_of_an_endpoint_config_is_greens_too_or_refused_by_name(member: str) -> None:
    lab, value = Lab(), of_config(member)
    put_into_production(lab, VARIANT, **{member: value})
    if member in REFUSED_IN_CONFIG:
        assert REFUSED_IN_CONFIG[member] in refused(lab)
        return
    lab.run()
    if member == "Tags":
        arn = greens_config(lab)["EndpointConfigArn"]
        assert lab.clients.sagemaker.list_tags(ResourceArn=arn)["Tags"] == value
    else:
        assert greens_config(lab)[member] == value


# AWS refuses it beside a model (docs/facts-aws.md#components).
OF_COMPONENTS_ONLY = {"ManagedInstanceScaling"}


@pytest.mark.parametrize("member", sorted(VARIANT_SHAPE.members.keys() - CHANGED_IN_VARIANT - OF_COMPONENTS_ONLY))
def test_each_member_of_a_variant_is_greens_too_or_refused_by_name(member: str) -> None:
    lab, value = Lab(), VARIANT.get(member) or sample(VARIANT_SHAPE.members[member])
    variant = {**VARIANT, member: value, **GOES_WITH.get(member, {})}
    put_into_production(lab, {name: each for name, each in variant.items() if each is not None})
    if member in REFUSED_IN_VARIANT:
        assert REFUSED_IN_VARIANT[member] in refused(lab)
        return
    lab.run()
    [green] = greens_config(lab)["ProductionVariants"]
    assert green[member] == value


@pytest.mark.parametrize("member", sorted(MODEL_SHAPE.members.keys() - CHANGED_IN_MODEL))
def test_each_member_of_a_model_is_greens_too(member: str) -> None:
    lab, value = Lab(), sample(MODEL_SHAPE.members[member])
    form = "Containers" if member == "InferenceExecutionConfig" else "PrimaryContainer"
    put_model_into_production(lab, **{form: [CONTAINER] if form == "Containers" else CONTAINER, member: value})
    lab.run()
    made = greens_model(lab)
    if member == "Tags":
        assert lab.clients.sagemaker.list_tags(ResourceArn=made["ModelArn"])["Tags"] == value
    else:
        assert made[member] == value


@pytest.mark.parametrize("form", ["PrimaryContainer", "Containers"])
@pytest.mark.parametrize("member", sorted(CONTAINER_SHAPE.members))
def test_each_member_of_a_models_container_is_greens_too_or_greens_own_or_refused_by_name(
    member: str, form: str
) -> None:
    lab, value = Lab(), sample(CONTAINER_SHAPE.members[member])
    if member == "ModelPackageName":
        value = package_arn(lab)
    container = {member: value} if member == "ModelPackageName" else {**CONTAINER, member: value}
    put_model_into_production(lab, **{form: [container] if form == "Containers" else container})
    if member in REFUSED_IN_CONTAINER:
        assert REFUSED_IN_CONTAINER[member] in refused(lab)
        return
    lab.run()
    made = greens_model(lab)
    [green] = made["Containers"] if form == "Containers" else [made["PrimaryContainer"]]
    own = {"Image": IMAGE.image, "ModelDataUrl": IMAGE.model_data_url}
    assert green == (own if member in CHANGED_IN_CONTAINER else {**own, member: value})


def test_the_members_that_were_walked_are_all_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"config": CONFIG_SHAPE, "variant": VARIANT_SHAPE, "model": MODEL_SHAPE, "container": CONTAINER_SHAPE}
    counts = {name: len(shape.members) for name, shape in shapes.items()}
    with capsys.disabled():
        print(f"\nmembers of blue that are carried, changed by the plan, or refused by name: {counts}")
    assert min(counts.values()) >= 8
    # Beside what it takes, AWS tells of a config only which one it is, and since when.
    told = service_model("sagemaker").operation_model("DescribeEndpointConfig").output_shape.members
    assert told.keys() - CONFIG_SHAPE.members == {"EndpointConfigArn", "CreationTime"}


def package_arn(lab: Lab, environment: dict[str, str] | None = None) -> str:
    sagemaker = lab.clients.sagemaker
    sagemaker.create_model_package_group(ModelPackageGroupName="fraud")
    container = {**CONTAINER, "Environment": environment or {}}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    package = sagemaker.create_model_package(
        ModelPackageGroupName="fraud", ModelApprovalStatus="Approved", InferenceSpecification=specification
    )
    return str(package["ModelPackageArn"])


@pytest.mark.parametrize("given", [None, {"LEVEL": "debug"}])
def test_a_model_package_takes_nothing_of_blues_container(given: dict[str, str] | None) -> None:
    lab = Lab()
    container = {name: sample(shape) for name, shape in CONTAINER_SHAPE.members.items()}
    for clashing in ("ModelPackageName", "InferenceSpecificationName", "ModelDataSource"):
        del container[clashing]
    vpc = sample(MODEL_SHAPE.members["VpcConfig"])
    put_model_into_production(lab, PrimaryContainer=container, VpcConfig=vpc, EnableNetworkIsolation=True)
    green = Green(model_package_arn=package_arn(lab, {"SAGEMAKER_PROGRAM": "serve.py"}), environment=given)
    lab.plan = lambda: plan(lab, green)  # type: ignore[method-assign]
    lab.run()
    made = greens_model(lab)
    own: dict[str, Any] = {"ModelPackageName": green.model_package_arn}
    assert made["PrimaryContainer"] == (own | {"Environment": given} if given else own)
    assert (made["VpcConfig"], made["EnableNetworkIsolation"], made["ExecutionRoleArn"]) == (vpc, True, ROLE)


@pytest.mark.parametrize(("given", "expected"), [(None, {"A": "blue"}), ({}, None), ({"B": "green"}, {"B": "green"})])
def test_greens_environment_is_blues_unless_it_is_given(
    given: dict[str, str] | None, expected: dict[str, str] | None
) -> None:
    lab = Lab()
    put_model_into_production(lab, PrimaryContainer={**CONTAINER, "Environment": {"A": "blue"}})
    green = Green(image="g:2", model_data_url="s3://m/g.tar.gz", environment=given)
    lab.plan = lambda: plan(lab, green)  # type: ignore[method-assign]
    lab.run()
    assert greens_model(lab)["PrimaryContainer"].get("Environment") == expected


@pytest.mark.parametrize("count", [2, 3])
def test_a_model_of_several_containers_is_not_made_from_one_image(count: int) -> None:
    lab = Lab()
    containers = [{**CONTAINER, "ContainerHostname": f"c{number}"} for number in range(count)]
    put_model_into_production(lab, Containers=containers)
    assert f"has {count} containers" in refused(lab)
    sagemaker = lab.clients.sagemaker
    sagemaker.create_model(ModelName="mine", Containers=containers, ExecutionRoleArn=ROLE)
    plan(lab, Green(model_name="mine"))


@pytest.mark.parametrize("traffic", [Lab, LiveLab])
@pytest.mark.parametrize("green", [IMAGE, Green(model_name="fraud-v2")], ids=["image", "model_name"])
def test_a_rollout_whose_way_back_names_a_deleted_model_is_refused_at_once(
    traffic: Callable[[], Lab], green: Green
) -> None:
    lab = traffic()
    lab.clients.sagemaker.create_model(ModelName="fraud-v2", PrimaryContainer=CONTAINER, ExecutionRoleArn=ROLE)
    lab.clients.sagemaker.delete_model(ModelName="fraud-v1")
    assert "blue's model fraud-v1 was deleted" in refused(lab, green)


POOLS = [{"InstanceType": "ml.m5.xlarge", "Priority": 1}, {"InstanceType": "ml.c5.xlarge", "Priority": 2}]
IN_POOLS = {**{name: each for name, each in VARIANT.items() if name != "InstanceType"}, "InstancePools": POOLS}


def test_pools_that_name_no_model_are_greens_too() -> None:
    lab = Lab()
    put_into_production(lab, IN_POOLS)
    lab.run()
    [green] = greens_config(lab)["ProductionVariants"]
    assert green["InstancePools"] == POOLS
    assert "InstanceType" not in green


def test_an_instance_type_can_not_replace_pools() -> None:
    lab = Lab()
    put_into_production(lab, IN_POOLS)
    reason = refused(lab, Green(image="g", model_data_url="s3://m/g", instance_type="ml.m5.large"))
    assert "InstancePools, which instance_type='ml.m5.large' can't replace" in reason


RESERVED = {"CapacityReservationPreference": "capacity-reservations-only"}
RESERVED["MlReservationArn"] = "arn:aws:sagemaker:us-east-1:123456789012:reservation/r"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"TotalInstanceCount": 8, "AvailableInstanceCount": 4, "UsedByCurrentEndpoint": 4}, ""),
        ({"TotalInstanceCount": 7, "AvailableInstanceCount": 3, "UsedByCurrentEndpoint": 4}, "3 of 7 are free"),
        ({"TotalInstanceCount": 4, "AvailableInstanceCount": 0, "UsedByCurrentEndpoint": 4}, "0 of 4 are free"),
        ({}, "AWS does not say how many are free"),
    ],
)
def test_a_reservation_without_room_for_green_is_said_before_anything_is_changed(
    told: dict[str, int], reason: str
) -> None:
    lab = Lab()
    put_into_production(lab, {**VARIANT, "CapacityReservationConfig": RESERVED})

    def with_reservation(described: dict[str, Any]) -> dict[str, Any]:
        variants = [{**each, "CapacityReservationConfig": RESERVED | told} for each in described["ProductionVariants"]]
        return {**described, "ProductionVariants": variants}

    change_answers(lab, "DescribeEndpoint", with_reservation)
    if reason:
        assert reason in refused(lab)
    else:
        assert plan(lab).blue.instance_count == 4


def test_another_instance_type_is_not_in_blues_reservation() -> None:
    lab = Lab()
    put_into_production(lab, {**VARIANT, "CapacityReservationConfig": RESERVED})
    reason = refused(lab, Green(image="g", model_data_url="s3://m/g", instance_type="ml.m5.large"))
    assert "instance_type='ml.m5.large' finds no instances there" in reason


@pytest.mark.parametrize(
    ("blues", "greens"),
    [
        ({}, False),
        ({"MetricsConfig": {"EnableEnhancedMetrics": True}}, False),
        ({"MetricsConfig": {"EnableDetailedObservability": True}}, True),
        ({"MetricsConfig": {"EnableDetailedObservability": False}}, False),
    ],
)
@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_detailed_observability_which_costs_stays_as_blue_has_it(
    blues: dict[str, Any], greens: bool, make: Callable[[], Lab]
) -> None:
    lab = make()
    put_into_production(lab, VARIANT, **blues)
    lab.run()
    assert greens_config(lab)["MetricsConfig"]["EnableDetailedObservability"] is greens
