"""What SageMaker refuses beyond its service model, and the order in which it lists versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import Sandbox
from airflow_sm_rollout.sandbox.sagemaker.provisioning import INSTANCE_QUOTA
from tests.sandbox.law import call_of

Refused = Callable[[Callable[[], object]], tuple[str, str, int]]
ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1111, "MaxConcurrency": 1}}, "MemorySizeInMB"),
        ({"InitialInstanceCount": 1}, "InstanceType"),
        ({"InstanceType": "ml.m5.large"}, "InitialInstanceCount"),
    ],
)
def test_a_variant_that_aws_could_not_start_is_refused(
    sagemaker: Any, refused: Refused, change: Mapping[str, Any], named: str
) -> None:
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "i:1"})
    variant = {"VariantName": "a", "ModelName": "m", **change}
    code, text, _ = refused(
        lambda: sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    )
    assert (code, named in text) == ("ValidationException", True)
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


def test_a_model_has_one_container_or_several(sagemaker: Any, refused: Refused) -> None:
    containers = {"PrimaryContainer": {"Image": "i:1"}, "Containers": [{"Image": "i:2"}]}
    code, _, _ = refused(lambda: sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, **containers))
    assert code == "ValidationException"
    assert sagemaker.list_models()["Models"] == []


def test_tag_keys_of_awss_own_are_refused(sagemaker: Any, deploy: Callable[..., None], refused: Refused) -> None:
    deploy("fraud", blue=(1.0, 1))
    arn = sagemaker.describe_endpoint(EndpointName="fraud")["EndpointArn"]
    code, text, _ = refused(
        lambda: sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "t", "Value": "v"}, {"Key": "AWS:x", "Value": "v"}])
    )
    assert (code, "AWS:x" in text) == ("ValidationException", True)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "-1"])
def test_a_weight_that_is_no_share_leaves_the_weights_as_they_were(
    sandbox: Sandbox, sagemaker: Any, deploy: Callable[..., None], weight: str
) -> None:
    deploy("fraud", blue=(1.0, 1))
    wishes = [{"VariantName": "blue", "DesiredWeight": float(weight)}]
    params = {"EndpointName": "fraud", "DesiredWeightsAndCapacities": wishes}
    answer = sandbox.handle(call_of("sagemaker", "UpdateEndpointWeightsAndCapacities", params, "json"))
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] in ("SerializationException", "ValidationException")
    [variant] = sagemaker.describe_endpoint(EndpointName="fraud")["ProductionVariants"]
    assert variant["DesiredWeight"] == 1.0


def test_a_variant_that_is_named_twice_in_one_change_is_refused(
    sagemaker: Any, deploy: Callable[..., None], refused: Refused
) -> None:
    deploy("fraud", blue=(1.0, 1))
    wishes = [{"VariantName": "blue", "DesiredWeight": weight} for weight in (2.0, 3.0)]
    refusal = refused(
        lambda: sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="fraud", DesiredWeightsAndCapacities=wishes
        )
    )
    assert refusal == ("ValidationException", 'The variant name "blue" was non-unique within the request.', 400)


def test_an_accounts_instances_of_a_type_are_bounded_over_all_its_endpoints(
    sandbox: Sandbox, sagemaker: Any, configure: Callable[..., None], deploy: Callable[..., None], refused: Refused
) -> None:
    deploy("first", blue=(1.0, INSTANCE_QUOTA - 1))
    configure("second-1", blue=(1.0, 2))
    code, text, _ = refused(lambda: sagemaker.create_endpoint(EndpointName="second", EndpointConfigName="second-1"))
    assert code == "ResourceLimitExceeded"
    assert f"is {INSTANCE_QUOTA} Instances, with current utilization of {INSTANCE_QUOTA - 1} Instances" in text
    assert "a request delta of 2 Instances" in text
    deploy("third", blue=(1.0, 1))
    sagemaker.delete_endpoint(EndpointName="first")
    sandbox.schedule.advance(sandbox.timings.create_endpoint)
    sagemaker.create_endpoint(EndpointName="second", EndpointConfigName="second-1")


def test_versions_are_listed_by_their_kind_and_oldest_first(sagemaker: Any) -> None:
    specification = {
        "Containers": [{"Image": "i:1"}],
        "SupportedContentTypes": ["a/b"],
        "SupportedResponseMIMETypes": ["a/b"],
    }
    sagemaker.create_model_package_group(ModelPackageGroupName="g")
    for _ in range(2):
        sagemaker.create_model_package(ModelPackageGroupName="g", InferenceSpecification=specification)
    sagemaker.create_model_package(ModelPackageName="alone", InferenceSpecification=specification)

    def listed(**params: Any) -> list[Any]:
        packages = sagemaker.list_model_packages(**params)["ModelPackageSummaryList"]
        return [package.get("ModelPackageVersion", package.get("ModelPackageName")) for package in packages]

    assert listed(ModelPackageGroupName="g") == [1, 2]
    assert listed(ModelPackageGroupName="g", SortOrder="Descending") == [2, 1]
    assert listed() == ["alone"]
    assert listed(ModelPackageType="Versioned") == [1, 2]
    assert len(listed(ModelPackageType="Both")) == 3


def test_a_token_that_no_page_gave_is_refused_by_training_jobs_too(sagemaker: Any, refused: Refused) -> None:
    assert refused(lambda: sagemaker.list_training_jobs(NextToken="x"))[0] == "ValidationException"
