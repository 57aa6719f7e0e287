"""Each Region of an account has resources of its own; which one a call is for, its client's signature says."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.sandbox import ManualClock, Sandbox, connect
from airflow_sm_rollout.sandbox.wire import HttpRequest

HOME, AWAY = "us-east-1", "eu-west-1"


class Account:
    """Clients of two Regions on one sandbox."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(clock=ManualClock())
        self._session = connect(self.sandbox)

    def client(self, service: str, region: str) -> Any:
        return self._session.client(service, region)

    def deploy(self, region: str, name: str) -> str:
        sagemaker = self.client("sagemaker", region)
        sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": "i:1"})
        variant = {"VariantName": "a", "ModelName": name, "InitialInstanceCount": 60, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        arn: str = sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)["EndpointArn"]
        self.sandbox.schedule.advance(180)
        return arn


@pytest.fixture
def account() -> Account:
    return Account()


def test_one_name_in_two_regions_is_two_endpoints_with_arns_quotas_and_calls_of_their_own(account: Account) -> None:
    arns = {region: account.deploy(region, "orders") for region in (HOME, AWAY)}
    assert arns == {region: f"arn:aws:sagemaker:{region}:123456789012:endpoint/orders" for region in (HOME, AWAY)}
    account.client("sagemaker-runtime", AWAY).invoke_endpoint(EndpointName="orders", Body=b"{}")
    account.sandbox.schedule.advance(300)
    dimensions = [{"Name": "EndpointName", "Value": "orders"}, {"Name": "VariantName", "Value": "a"}]
    counted = {}
    for region in (HOME, AWAY):
        points = account.client("cloudwatch", region).get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=dimensions,
            StartTime=account.sandbox.clock.now() - 900,
            EndTime=account.sandbox.clock.now(),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        counted[region] = sum(point["Sum"] for point in points)
    assert counted == {HOME: 0, AWAY: 1}


def test_what_is_of_another_region_is_not_found(account: Account) -> None:
    arn = account.deploy(HOME, "orders")
    away = account.client("sagemaker", AWAY)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        away.describe_endpoint(EndpointName="orders")
    with pytest.raises(ClientError, match="Could not find model"):
        away.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[
                {"VariantName": "a", "ModelName": "orders", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
            ],
        )
    with pytest.raises(ClientError, match="not found"):
        account.client("sagemaker-runtime", AWAY).invoke_endpoint(EndpointName="orders", Body=b"")
    account.client("ssm", HOME).put_parameter(Name="/p", Value="v", Type="String")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        account.client("ssm", AWAY).get_parameter(Name="/p")
    account.client("sagemaker", HOME).add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    tagged = account.client("resourcegroupstaggingapi", AWAY).get_resources()["ResourceTagMappingList"]
    assert tagged == []


def test_arns_of_every_service_name_the_clients_region(account: Account) -> None:
    account.client("ssm", AWAY).put_parameter(Name="/p", Value="v", Type="String")
    assert f":{AWAY}:" in account.client("ssm", AWAY).get_parameter(Name="/p")["Parameter"]["ARN"]
    cloudwatch = account.client("cloudwatch", AWAY)
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
    assert f":{AWAY}:" in alarm["AlarmArn"]
    assert account.client("cloudwatch", HOME).describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize("region", ["nowhere", "US-EAST-1", "us-east"])
def test_a_signature_for_no_region_is_refused(account: Account, region: str) -> None:
    scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/{region}/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"host": "localhost", "authorization": scope, "x-amz-target": "SageMaker.ListEndpoints"}
    answer = account.sandbox.handle(HttpRequest("POST", "/", "", headers, b"{}"))
    assert (answer.status, b"valid region" in answer.body) == (403, True)
