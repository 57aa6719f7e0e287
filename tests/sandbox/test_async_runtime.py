"""Asynchronous endpoints take a request at once and write its answer, or why there is none, to S3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import ManualClock, Sandbox, connect
from airflow_sm_rollout.sandbox.containers import FunctionHost, Reply

START = 1_700_000_040.0  # 2023-11-14 22:14:00 UTC
BOTH_PATHS = {"S3OutputPath": "s3://out/answers/", "S3FailurePath": "s3://out/failures"}
Refused = Callable[[Callable[[], object]], tuple[str, str, int]]


def answer(model: object, body: bytes) -> Reply:
    """``bad`` fails, ``slow`` takes a minute, and anything else is answered with itself."""
    return Reply(500, b"out of memory") if body == b"bad" else Reply(200, body * 2, seconds=60.0 * (body == b"slow"))


class Account:
    """An asynchronous endpoint with its bucket, and a plain one beside it."""

    def __init__(self, **output: Any) -> None:
        self.sandbox = Sandbox(clock=ManualClock(START), host=FunctionHost(answer))
        session = connect(self.sandbox)
        self.s3, self.sagemaker = session.client("s3"), session.client("sagemaker")
        self.runtime, self.cloudwatch = session.client("sagemaker-runtime"), session.client("cloudwatch")
        self.s3.create_bucket(Bucket="out")
        self.s3.put_object(Bucket="out", Key="in/1", Body=b"1,2;")
        self.sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i:1"})
        variant = {"VariantName": "blue", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        asynchronous = {"AsyncInferenceConfig": {"OutputConfig": output or BOTH_PATHS}}
        for name, more in (("orders", asynchronous), ("plain", {})):
            self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **more)
            self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.sandbox.schedule.advance(180)

    def invoke(self, **params: Any) -> dict[str, Any]:
        taken: dict[str, Any] = self.runtime.invoke_endpoint_async(**{"EndpointName": "orders", **params})
        return taken

    def finish(self) -> dict[str, bytes]:
        """Have all that was taken answered; the objects of the bucket by their key, without the input."""
        self.sandbox.schedule.advance(0)
        self.sandbox.close()
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket="out").get("Contents", [])]
        return {key: self.s3.get_object(Bucket="out", Key=key)["Body"].read() for key in keys if key != "in/1"}

    def sums(self) -> dict[str, float]:
        """The sum of each metric of the endpoint."""
        self.sandbox.schedule.advance(600)
        metrics = self.cloudwatch.list_metrics(Dimensions=[{"Name": "EndpointName", "Value": "orders"}])["Metrics"]
        until = datetime.fromtimestamp(self.sandbox.clock.now(), timezone.utc)
        sums = {}
        for metric in metrics:
            span = {"StartTime": datetime.fromtimestamp(START, timezone.utc), "EndTime": until, "Period": 3600}
            points = self.cloudwatch.get_metric_statistics(**metric, **span, Statistics=["Sum"])["Datapoints"]
            sums[metric["MetricName"]] = sum(point["Sum"] for point in points)
        return sums


def key_of(location: str) -> str:
    return location.removeprefix("s3://out/")


@pytest.mark.parametrize("source", [{"InputLocation": "s3://out/in/1"}, {"Body": b"1,2;"}])
def test_an_answer_stands_where_the_call_said_it_would(source: dict[str, Any]) -> None:
    account = Account()
    taken = account.invoke(**source, InferenceId="order-7")
    assert (taken["InferenceId"], taken["ResponseMetadata"]["HTTPStatusCode"]) == ("order-7", 202)
    assert taken["OutputLocation"].startswith("s3://out/answers/")
    assert taken["FailureLocation"].startswith("s3://out/failures/")
    assert account.finish() == {key_of(taken["OutputLocation"]): b"1,2;1,2;"}


def test_two_requests_have_two_answers() -> None:
    account = Account()
    locations = [key_of(account.invoke(Body=body)["OutputLocation"]) for body in (b"1", b"2")]
    assert account.finish() == {locations[0]: b"11", locations[1]: b"22"}


def test_a_caller_may_name_the_folder_and_the_file() -> None:
    account = Account()
    account.invoke(Body=b"1", S3OutputPathExtension="2023/11", Filename="a.csv")
    assert account.finish() == {"answers/2023/11/a.csv": b"11"}


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"Body": b"bad"}, 'Received server error (500) from primary with message "out of memory"'),
        ({"Body": b"slow", "InvocationTimeoutSeconds": 59}, "Received server error (0) from primary"),
        ({"InputLocation": "s3://out/in/2"}, "s3://out/in/2: S3 answered 404"),
    ],
)
def test_a_failure_is_written_where_the_call_said_it_would_be(params: dict[str, Any], why: str) -> None:
    account = Account()
    taken = account.invoke(**params)
    [(key, text)] = account.finish().items()
    assert key == key_of(taken["FailureLocation"])
    assert text.decode().startswith(why)


def test_without_a_failure_path_a_failure_is_written_nowhere() -> None:
    account = Account(S3OutputPath="s3://out/answers")
    assert "FailureLocation" not in account.invoke(Body=b"bad")
    assert account.finish() == {}


def test_a_slow_answer_within_its_time_is_one() -> None:
    account = Account()
    account.invoke(Body=b"slow", InvocationTimeoutSeconds=60)
    assert list(account.finish().values()) == [b"slowslow"]


def without_instances(account: Account) -> None:
    capacity = {"VariantName": "blue", "DesiredInstanceCount": 0}
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="orders", DesiredWeightsAndCapacities=[capacity]
    )
    account.sandbox.schedule.advance(180)


def test_a_request_waits_for_an_instance() -> None:
    account = Account()
    without_instances(account)
    account.invoke(Body=b"1")
    account.sandbox.schedule.advance(3600)
    capacity = {"VariantName": "blue", "DesiredInstanceCount": 1}
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="orders", DesiredWeightsAndCapacities=[capacity]
    )
    account.sandbox.schedule.advance(180)
    assert list(account.finish().values()) == [b"11"]


def test_a_request_that_waits_too_long_fails() -> None:
    account = Account()
    without_instances(account)
    account.invoke(Body=b"1", RequestTTLSeconds=60)
    account.sandbox.schedule.advance(80)
    assert list(account.finish().values()) == [b"The request expired before an instance could take it."]


def test_what_waits_is_gone_with_its_endpoint() -> None:
    account = Account()
    without_instances(account)
    account.invoke(Body=b"1", RequestTTLSeconds=60)
    account.sagemaker.delete_endpoint(EndpointName="orders")
    account.sandbox.schedule.advance(600)
    assert account.finish() == {}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"EndpointName": "none", "Body": b"1"}, "Endpoint none of account 123456789012 not found."),
        ({"EndpointName": "plain", "Body": b"1"}, "Endpoint plain is synchronous; it takes no InvokeEndpointAsync."),
        ({}, "Provide either InputLocation or Body."),
        ({"Body": b"1", "InputLocation": "s3://out/in/1"}, "Provide either InputLocation or Body."),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(params: dict[str, Any], text: str, refused: Refused) -> None:
    account = Account()
    assert refused(lambda: account.invoke(**params)) == ("ValidationError", text, 400)


@pytest.mark.parametrize(
    ("output", "params"),
    [
        ({**BOTH_PATHS, "NotificationConfig": {"ErrorTopic": "arn:aws:sns:us-east-1:123456789012:t"}}, {"Body": b"1"}),
        ({"KmsKeyId": "k"}, {"Body": b"1"}),
        (BOTH_PATHS, {"InputLocation": "https://out.s3.amazonaws.com/in/1"}),
    ],
)
def test_what_is_not_played_is_refused_by_name(
    output: dict[str, Any], params: dict[str, Any], refused: Refused
) -> None:
    account = Account(**output)
    code, text, status = refused(lambda: account.invoke(**params))
    assert (code, status) == ("NotImplemented", 501)
    assert text.startswith("sandbox does not play ")


def test_a_synchronous_call_is_refused(refused: Refused) -> None:
    account = Account()
    code, text, _ = refused(lambda: account.runtime.invoke_endpoint(EndpointName="orders", Body=b"1"))
    assert (code, text) == ("ValidationError", "Endpoint orders is asynchronous; it takes no InvokeEndpoint.")


def test_errors_and_latency_are_published_and_no_counts_of_requests() -> None:
    account = Account()
    for body in (b"1", b"bad", b"bad"):
        account.invoke(Body=body)
    account.finish()
    sums = account.sums()
    assert (sums["Invocation4XXErrors"], sums["Invocation5XXErrors"]) == (0.0, 2.0)
    assert "ModelLatency" in sums
    assert not {"Invocations", "InvocationsPerInstance", "OverheadLatency"} & sums.keys()


def newest(account: Account, metric: str, **variant: str) -> float | None:
    """The last value of a metric."""
    until = datetime.fromtimestamp(account.sandbox.clock.now(), timezone.utc)
    dimensions = [{"Name": name, "Value": value} for name, value in {"EndpointName": "orders", **variant}.items()]
    points = account.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=dimensions,
        StartTime=datetime.fromtimestamp(START, timezone.utc),
        EndTime=until,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    last = max(points, key=lambda point: point["Timestamp"], default=None)
    return None if last is None else last["Maximum"]


def test_a_queue_is_published_with_its_oldest_request_and_that_nobody_answers_it() -> None:
    account = Account()
    account.sandbox.schedule.advance(120)
    queue = ("ApproximateBacklogSize", "ApproximateAgeOfOldestRequest", "HasBacklogWithoutCapacity")
    assert [newest(account, metric) for metric in queue] == [0, 0, 0]
    without_instances(account)
    account.invoke(Body=b"1")
    account.invoke(Body=b"2")
    account.sandbox.schedule.advance(600)
    size, age, stuck = (newest(account, metric) for metric in queue)
    assert (size, stuck) == (2, 1)
    assert age is not None
    assert 400 < age < 600


def test_what_became_of_a_request_is_published() -> None:
    account = Account()
    account.invoke(Body=b"1")
    account.invoke(Body=b"bad")
    account.finish()
    sums = account.sums()
    assert (sums["InvocationsProcessed"], sums["InvocationFailures"]) == (2, 1)
    assert sums["TimeInBacklog"] == 0
    account.sandbox.schedule.advance(120)
    assert newest(account, "ApproximateBacklogSize") == 0
