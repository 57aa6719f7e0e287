"""One account: each operation of a service that the sandbox plays is answered by somebody who knows its resources, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest
from botocore import xform_name
from moto.core.utils import get_service_model

from airflow_sm_rollout.sandbox import ManualClock, Sandbox, connect
from airflow_sm_rollout.sandbox.surface import PASSED_ON, PLAYED, REFUSED, operations
from tests.sandbox.law import call_of, protocols_of, valid

KINDS = (PLAYED, PASSED_ON, REFUSED)


@pytest.fixture(scope="module")
def account() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.mark.parametrize("service", operations())
def test_every_operation_of_the_service_model_is_in_one_list(service: str) -> None:
    lists = [operations()[service][kind] for kind in KINDS]
    unknown = set(get_service_model(service).operation_names) - set().union(*lists)
    assert unknown == set(), "put each into operations.json: played, passed on or refused"
    assert sum(map(len, lists)) == len(set().union(*lists))
    print(service, {kind: len(names) for kind, names in zip(KINDS, lists, strict=True)})


@pytest.mark.parametrize("service", operations())
def test_what_is_said_to_be_played_is_what_has_code(account: Sandbox, service: str) -> None:
    has_code = {
        name
        for name in get_service_model(service).operation_names
        if any(hasattr(one, xform_name(name)) for one in account.services[service])
    }
    assert has_code == operations()[service][PLAYED] & set(get_service_model(service).operation_names)


def refused() -> Iterator[tuple[str, str]]:
    for service, kinds in operations().items():
        yield from ((service, name) for name in kinds[REFUSED] if name in get_service_model(service).operation_names)


def test_what_is_refused_is_refused_by_name_in_every_protocol(account: Sandbox) -> None:
    walked = 0
    for service, name in refused():
        shape = get_service_model(service).operation_model(name).input_shape
        for protocol in protocols_of(service):
            answer = account.handle(call_of(service, name, valid(shape), protocol))
            assert (answer.status, f"sandbox does not play {name}".encode() in answer.body) == (501, True), answer
            walked += 1
    print(f"{walked} refusals")


@pytest.fixture
def session() -> Any:
    return connect(Sandbox(clock=ManualClock()))


def error_of(operation: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        operation(**params)
    return refusal.value.response["Error"]["Code"], refusal.value.response["Error"]["Message"]


def test_a_client_gets_the_refusal_at_once_and_with_the_operations_name(session: Any) -> None:
    transform = {
        "TransformJobName": "t",
        "ModelName": "m",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/b"}}},
        "TransformOutput": {"S3OutputPath": "s3://a/c"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    expected = ("NotImplemented", "sandbox does not play {}")
    sagemaker, runtime = session.client("sagemaker"), session.client("sagemaker-runtime")
    assert error_of(sagemaker.create_transform_job, **transform) == (
        expected[0],
        expected[1].format("CreateTransformJob"),
    )
    refusal = error_of(runtime.invoke_endpoint_with_response_stream, EndpointName="none", Body=b"x")
    assert refusal == (expected[0], expected[1].format("InvokeEndpointWithResponseStream"))
    detector = {"Namespace": "n", "MetricName": "m", "Stat": "Sum"}
    refusal = error_of(session.client("cloudwatch").put_anomaly_detector, SingleMetricAnomalyDetector=detector)
    assert refusal == (expected[0], expected[1].format("PutAnomalyDetector"))


def test_what_one_operation_makes_the_others_of_its_service_know(session: Any) -> None:
    ssm, sagemaker = session.client("ssm"), session.client("sagemaker")
    ssm.put_parameter(Name="/a/b", Value="1", Type="String", Tags=[{"Key": "team", "Value": "ml"}])
    ssm.put_parameter(Name="/a/b", Value="2", Overwrite=True)
    assert [each["Name"] for each in ssm.describe_parameters()["Parameters"]] == ["/a/b"]
    assert [each["Value"] for each in ssm.get_parameter_history(Name="/a/b")["Parameters"]] == ["1", "2"]
    ssm.label_parameter_version(Name="/a/b", ParameterVersion=1, Labels=["good"])
    assert ssm.get_parameter(Name="/a/b:good")["Parameter"]["Value"] == "1"
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="/a/b", Tags=[{"Key": "k", "Value": "v"}])
    assert len(ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/a/b")["TagList"]) == 2
    sagemaker.create_model_package_group(ModelPackageGroupName="g", Tags=[{"Key": "team", "Value": "ml"}])
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in groups] == ["g"]
    session.client("s3").create_bucket(Bucket="bucket")
    session.client("s3").put_bucket_tagging(Bucket="bucket", Tagging={"TagSet": [{"Key": "team", "Value": "ml"}]})
    tagged = session.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "team", "Values": ["ml"]}])
    arns = [each["ResourceARN"].partition("::")[0].rpartition(":")[2] for each in tagged["ResourceTagMappingList"]]
    assert len(arns) == 3


def test_a_resource_of_motos_is_asked_of_moto(session: Any) -> None:
    sagemaker, scaling = session.client("sagemaker"), session.client("application-autoscaling")
    role = "arn:aws:iam::123456789012:role/r"
    tags = [{"Key": "t", "Value": "v"}]
    definition = json.dumps({"Version": "2020-12-01", "Steps": []})
    made = sagemaker.create_pipeline(
        PipelineName="p", PipelineDefinition=definition, RoleArn=role, ClientRequestToken="t" * 32, Tags=tags
    )["PipelineArn"]
    assert sagemaker.list_tags(ResourceArn=made)["Tags"] == tags
    dynamo = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/t",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    scaling.register_scalable_target(**dynamo, MinCapacity=1, MaxCapacity=2)
    found = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert [target["ResourceId"] for target in found] == ["table/t"]
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    region = session.client("ssm").get_parameter(Name="/aws/service/global-infrastructure/regions/us-east-1")
    assert region["Parameter"]["Value"] == "us-east-1"
