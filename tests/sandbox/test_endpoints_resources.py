from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec
from airflow_sm_rollout.sandbox.inprocess import connect

Deploy = Callable[..., None]
Refused = Callable[[Callable[[], object]], tuple[str, str, int]]
ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def reweigh(sagemaker: Any, endpoint: str, **weights: float) -> None:
    wishes = [{"VariantName": name, "DesiredWeight": weight} for name, weight in weights.items()]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=wishes)


def test_nothing_is_created_twice_and_names_differ_by_more_than_case(
    sagemaker: Any, configure: Deploy, deploy: Deploy, refused: Refused
) -> None:
    deploy("orders", blue=(1, 1))
    start = "Cannot create already existing"
    assert refused(lambda: sagemaker.create_endpoint(EndpointName="Orders", EndpointConfigName="orders-1")) == (
        "ValidationException",
        f'{start} endpoint "{ARN}:endpoint/orders".',
        400,
    )
    assert refused(lambda: configure("ORDERS-1", blue=(1, 1))) == (
        "ValidationException",
        f'{start} endpoint configuration "{ARN}:endpoint-config/orders-1".',
        400,
    )
    assert refused(lambda: sagemaker.create_model(ModelName="BLUE", PrimaryContainer={"Image": "i"})) == (
        "ValidationException",
        f'{start} model "{ARN}:model/blue".',
        400,
    )


def test_a_config_needs_the_models_that_it_names(sagemaker: Any, refused: Refused) -> None:
    entry = {"VariantName": "blue", "ModelName": "nowhere", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    assert refused(lambda: sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[entry])) == (
        "ValidationException",
        f'Could not find model "{ARN}:model/nowhere".',
        400,
    )


def test_constraints_are_refused_in_the_words_of_aws(sagemaker: Any, refused: Refused) -> None:
    entry = {"VariantName": "blue", "ModelName": "under_score", "InstanceType": "ml.m5.large"}
    code, text, _ = refused(
        lambda: sagemaker.create_endpoint_config(EndpointConfigName="c" * 64, ProductionVariants=[entry])
    )
    assert code == "ValidationException"
    assert text.startswith("3 validation errors detected: Value 'ccc")
    assert (
        "at 'endpointConfigName' failed to satisfy constraint: Member must have length less than or equal to 63" in text
    )
    assert (
        "Value 'under_score' at 'productionVariants.1.member.modelName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
    ) in text


def test_whatever_a_config_carries_is_described_back(sagemaker: Any) -> None:
    sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i"})
    entry = {
        "VariantName": "blue",
        "ModelName": "m",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1.0,
        "VolumeSizeInGB": 30,
        "RoutingConfig": {"RoutingStrategy": "RANDOM"},
    }
    config = {
        "EndpointConfigName": "full",
        "ProductionVariants": [entry],
        "ShadowProductionVariants": [{**entry, "VariantName": "shadow"}],
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 50,
            "DestinationS3Uri": "s3://capture/here",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
        "KmsKeyId": "alias/key",
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/sagemaker",
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableNetworkIsolation": True,
        "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://out/here"}},
        "MetricsConfig": {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10},
    }
    sagemaker.create_endpoint_config(**config, Tags=[{"Key": "team", "Value": "ml"}])
    described = sagemaker.describe_endpoint_config(EndpointConfigName="full")
    assert {key: described[key] for key in config} == config
    assert sagemaker.list_tags(ResourceArn=described["EndpointConfigArn"])["Tags"] == [{"Key": "team", "Value": "ml"}]


def test_a_shadow_needs_exactly_one_production_variant(sagemaker: Any, refused: Refused) -> None:
    sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i"})
    entry = {"ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    production = [{"VariantName": name, **entry} for name in ("a", "b")]
    code, *_ = refused(
        lambda: sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=production,
            ShadowProductionVariants=[{"VariantName": "shadow", **entry}],
        )
    )
    assert code == "ValidationException"


def test_tags_are_added_replaced_listed_and_deleted(sagemaker: Any, deploy: Deploy, refused: Refused) -> None:
    deploy("orders", blue=(1, 1))
    arn = f"{ARN}:endpoint/orders"
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refused(lambda: sagemaker.add_tags(ResourceArn=arn, Tags=many))[0] == "ValidationException"


def test_lists_page_through_everything_newest_first(sandbox: Sandbox, sagemaker: Any) -> None:
    for number in range(12):
        sagemaker.create_model(ModelName=f"m-{number:02}", PrimaryContainer={"Image": "i"})
        sandbox.schedule.advance(1)
    pages = list(sagemaker.get_paginator("list_models").paginate(MaxResults=5))
    assert [len(page["Models"]) for page in pages] == [5, 5, 2]
    names = [model["ModelName"] for page in pages for model in page["Models"]]
    assert names == [f"m-{number:02}" for number in reversed(range(12))]
    by_name = sagemaker.list_models(NameContains="M-1", SortBy="Name", SortOrder="Ascending")["Models"]
    assert [model["ModelName"] for model in by_name] == ["m-10", "m-11"]


def test_lists_filter_by_status_and_time(sandbox: Sandbox, sagemaker: Any, deploy: Deploy) -> None:
    deploy("first", blue=(1, 1))
    between = sagemaker.describe_endpoint(EndpointName="first")["LastModifiedTime"]
    sandbox.schedule.advance(1)
    deploy("second", blue=(1, 1))
    reweigh(sagemaker, "second", blue=2)

    def names(**filters: Any) -> list[str]:
        return [endpoint["EndpointName"] for endpoint in sagemaker.list_endpoints(**filters)["Endpoints"]]

    assert names() == ["second", "first"]
    assert names(StatusEquals="Updating") == ["second"]
    assert names(CreationTimeBefore=between) == ["first"]
    assert names(LastModifiedTimeAfter=between) == ["second"]


def test_a_model_made_from_a_package_runs_the_image_of_the_package() -> None:
    started: list[ModelSpec] = []

    def healthy(model: ModelSpec) -> bool:
        started.append(model)
        return True

    sandbox = Sandbox(clock=ManualClock(), host=FunctionHost(healthy=healthy))
    sagemaker = connect(sandbox).client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="Churn")
    container = {"Image": "repo/churn:7", "ModelDataUrl": "s3://models/7.tar.gz", "Environment": {"A": "1", "B": "1"}}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    package = sagemaker.create_model_package(
        ModelPackageGroupName="Churn", InferenceSpecification=specification, ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageArn"]
    assert package == f"{ARN}:model-package/churn/1"
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    described = sagemaker.describe_model_package(ModelPackageName=package)
    assert (described["ModelPackageVersion"], described["ModelApprovalStatus"]) == (1, "Approved")
    listed = sagemaker.list_model_packages(ModelPackageGroupName="Churn", ModelApprovalStatus="Approved")
    assert [one["ModelPackageArn"] for one in listed["ModelPackageSummaryList"]] == [package]
    primary = {"ModelPackageName": package, "Environment": {"B": "2"}}
    sagemaker.create_model(ModelName="m", PrimaryContainer=primary, ExecutionRoleArn="arn:aws:iam::123456789012:role/r")
    assert sagemaker.describe_model(ModelName="m")["PrimaryContainer"] == primary
    entry = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[entry])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    sandbox.schedule.advance(134)
    assert (started[0].image, started[0].model_data_url) == ("repo/churn:7", "s3://models/7.tar.gz")
    assert started[0].environment == {"A": "1", "B": "2"}
