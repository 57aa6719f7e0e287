from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant, choose

Deploy = Callable[..., None]
# A whole minute, so that periods are easy to read.
START = 1_700_000_040.0


class Account:
    """A sandbox whose containers answer from a function, and whose metrics are kept as they were recorded."""

    def __init__(self, predict: Callable[[ModelSpec, bytes], Reply], metrics: Mapping[str, Any] | None = None) -> None:
        self.sandbox = Sandbox(clock=ManualClock(START), host=FunctionHost(predict))
        self.points: list[tuple[str, dict[str, str], float, str, float, float]] = []
        self.sandbox.cloudwatch.record = self.record  # type: ignore[method-assign]
        session = connect(self.sandbox)
        self.sagemaker, self.runtime = session.client("sagemaker"), session.client("sagemaker-runtime")
        self.sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i"})
        entries = [
            {
                "VariantName": name,
                "ModelName": "m",
                "InitialInstanceCount": 2,
                "InitialVariantWeight": weight,
                "InstanceType": "ml.m5.large",
            }
            for name, weight in (("blue", 1), ("green", 0))
        ]
        options = {"MetricsConfig": metrics} if metrics else {}
        self.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=entries, **options)
        self.sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="c")
        self.sandbox.schedule.advance(180)

    def record(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        unit: str,
        at: float,
        visible_at: float,
    ) -> None:
        assert namespace == "AWS/SageMaker"
        self.points.append((metric, dict(dimensions), value, unit, at - START, visible_at - START))

    def invoke(self, **options: Any) -> Any:
        return self.runtime.invoke_endpoint(EndpointName="orders", Body=b"1", ContentType="text/csv", **options)

    def recorded(self, variant: str, config: str | None = None) -> list[tuple[str, float, float, float]]:
        """Name, value, time and visibility of a variant's points; times in seconds from the start."""
        wanted = {"EndpointName": "orders", "VariantName": variant} | ({"EndpointConfigName": config} if config else {})
        return [(metric, value, at, seen) for metric, dims, value, _, at, seen in self.points if dims == wanted]


def answering(status: int, body: bytes = b"{}", seconds: float = 0.0) -> Callable[[ModelSpec, bytes], Reply]:
    return lambda model, request: Reply(status, body, seconds=seconds)


def failure_of(call: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(ClientError) as failure:
        call()
    response: dict[str, Any] = failure.value.response
    return response


def test_an_answer_names_its_variant_and_carries_body_and_type() -> None:
    account = Account(lambda model, body: Reply(200, b"got " + body, "text/plain"))
    answer = account.invoke()
    assert answer["Body"].read() == b"got 1"
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "blue"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-invoked-production-variant"] == "blue"


def test_a_target_variant_overrides_even_a_weight_of_zero() -> None:
    account = Account(answering(200))
    assert {account.invoke(TargetVariant="green")["InvokedProductionVariant"] for _ in range(20)} == {"green"}
    assert {account.invoke()["InvokedProductionVariant"] for _ in range(20)} == {"blue"}


def test_requests_are_split_at_random_by_weight() -> None:
    variants = [
        Variant(name, {}, 1.0, 1.0, weight, 1) for name, weight in (("blue", 9.0), ("green", 1.0), ("off", 0.0))
    ]
    rng = random.Random(1)
    chosen = [choose(variants, rng) for _ in range(10_000)]
    counts = {variant.name: chosen.count(variant) for variant in variants}
    assert counts["off"] == 0
    # Within four standard deviations of 1,000.
    assert abs(counts["green"] - 1000) < 4 * math.sqrt(10_000 * 0.1 * 0.9)
    streak = "".join(variant.name[0] for variant in chosen if variant)
    assert "gg" in streak, "a split by turns would never choose the small variant twice in a row"


def test_the_same_seed_splits_the_same_way(sandbox: Sandbox, deploy: Deploy, runtime: Any) -> None:
    deploy("orders", blue=(1, 1), green=(1, 1))
    seen = [runtime.invoke_endpoint(EndpointName="orders", Body=b"")["InvokedProductionVariant"] for _ in range(20)]
    rng = random.Random(0)
    assert seen == [rng.choices(["blue", "green"], [1, 1])[0] for _ in range(20)]


def test_the_instances_of_a_variant_take_turns() -> None:
    variant = Variant("blue", {}, 1.0, 1.0, 1.0, 3)
    variant.containers = [FunctionHost().start(ModelSpec(name, "i")) for name in "abc"]
    turns = [variant.next_container() for _ in range(6)]
    assert all(turns.count(container) == 2 for container in variant.containers)


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (422, "client"), (500, "server"), (503, "server")])
def test_a_failing_container_is_a_model_error(status: int, side: str) -> None:
    account = Account(answering(status, b'{"error": "no column"}'))
    failure = failure_of(account.invoke)
    assert failure["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert failure["Error"]["Code"] == "ModelError"
    assert failure["Error"]["Message"] == (
        f'Received {side} error ({status}) from primary with message "{{"error": "no column"}}". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        "#logEventViewer:group=/aws/sagemaker/Endpoints/orders in account 123456789012 for more information."
    )
    assert failure["OriginalStatusCode"] == status
    assert failure["OriginalMessage"] == '{"error": "no column"}'
    assert failure["LogStreamArn"].endswith("log-group:/aws/sagemaker/Endpoints/orders")


def test_a_container_that_times_out_is_a_server_error_of_status_zero() -> None:
    failure = failure_of(Account(answering(0)).invoke)
    assert failure["Error"]["Message"].startswith(
        'Received server error (0) from primary with message "Your invocation timed out'
    )


def test_an_endpoint_that_does_not_serve_is_not_found(
    sandbox: Sandbox, deploy: Deploy, sagemaker: Any, runtime: Any
) -> None:
    def refusal() -> tuple[str, str]:
        error = failure_of(lambda: runtime.invoke_endpoint(EndpointName="orders", Body=b""))["Error"]
        return error["Code"], error["Message"]

    not_found = ("ValidationError", "Endpoint orders of account 123456789012 not found.")
    assert refusal() == not_found
    deploy("orders", blue=(1, 1))
    runtime.invoke_endpoint(EndpointName="orders", Body=b"")
    with pytest.raises(ClientError, match="Endpoint Orders of account"):
        runtime.invoke_endpoint(EndpointName="Orders", Body=b"")
    sagemaker.delete_endpoint(EndpointName="orders")
    assert refusal() == not_found


def test_a_variant_without_instances_drops_the_request(
    sandbox: Sandbox, deploy: Deploy, sagemaker: Any, runtime: Any
) -> None:
    deploy("orders", blue=(1, 1))
    wish = {"VariantName": "blue", "DesiredInstanceCount": 0}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="orders", DesiredWeightsAndCapacities=[wish])
    sandbox.schedule.advance(134)
    failure = failure_of(lambda: runtime.invoke_endpoint(EndpointName="orders", Body=b""))
    assert (failure["Error"]["Code"], failure["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)


def test_an_endpoint_whose_weights_are_all_zero_drops_the_request(deploy: Deploy, runtime: Any) -> None:
    deploy("orders", blue=(0, 1), green=(0, 1))
    failure = failure_of(lambda: runtime.invoke_endpoint(EndpointName="orders", Body=b""))
    assert (failure["Error"]["Code"], failure["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)


def test_a_body_may_have_six_megabytes_and_no_more(deploy: Deploy, runtime: Any) -> None:
    deploy("orders", blue=(1, 1))
    runtime.invoke_endpoint(EndpointName="orders", Body=b"0" * 6_291_456)
    failure = failure_of(lambda: runtime.invoke_endpoint(EndpointName="orders", Body=b"0" * 6_291_457))
    assert failure["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize(
    ("status", "client_error", "server_error"), [(200, 0.0, 0.0), (400, 1.0, 0.0), (500, 0.0, 1.0), (0, 0.0, 1.0)]
)
def test_each_invocation_is_published_with_zeros_and_ones(
    status: int, client_error: float, server_error: float
) -> None:
    account = Account(answering(status, seconds=0.25))
    account.points.clear()
    if status == 200:
        account.invoke()
    else:
        failure_of(account.invoke)
    for config in (None, "c"):
        values = {metric: value for metric, value, _, _ in account.recorded("blue", config)}
        assert values.pop("OverheadLatency") >= 0
        assert values == {
            "Invocations": 1.0,
            "InvocationsPerInstance": 0.5,
            "Invocation4XXErrors": client_error,
            "Invocation5XXErrors": server_error,
            "InvocationModelErrors": max(client_error, server_error),
            "ModelLatency": 250_000.0,
        }
    assert {unit for metric, _, _, unit, _, _ in account.points if metric.endswith("Latency")} == {"Microseconds"}


def test_points_of_a_period_become_readable_between_30_and_60_seconds_after_its_end() -> None:
    account = Account(answering(200))
    account.points.clear()
    for _ in range(50):
        account.invoke()
    seen = [visible - 240 for metric, _, _, visible in account.recorded("blue") if metric == "Invocations"]
    assert 30 <= min(seen) < 33
    assert 57 < max(seen) <= 60
    # It fills up: about half of it is there half way through.
    assert 20 <= sum(delay < 45 for delay in seen) <= 30


def test_cloudwatch_shows_a_minute_filling_up_and_then_all_of_it(
    sandbox: Sandbox, session: InProcessSession, deploy: Deploy, runtime: Any
) -> None:
    deploy("orders", blue=(1, 1))
    sandbox.schedule.advance(60 - sandbox.clock.now() % 60)
    start = datetime.fromtimestamp(sandbox.clock.now(), timezone.utc)
    for _ in range(60):
        runtime.invoke_endpoint(EndpointName="orders", Body=b"")

    def invocations() -> float | None:
        points = session.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": "EndpointName", "Value": "orders"}, {"Name": "VariantName", "Value": "blue"}],
            StartTime=start,
            EndTime=start + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return points[0]["Sum"] if points else None

    seen = []
    for seconds in (80, 25, 15):
        sandbox.schedule.advance(seconds)
        seen.append(invocations())
    assert seen[0] is None, "20 s after its end a minute is absent"
    assert seen[1] is not None
    assert 20 < seen[1] < 40, "45 s after its end it is partial"
    assert seen[2] == 60, "60 s after its end it is whole"


def test_idle_periods_are_zero_filled_for_counts_only_and_not_by_config() -> None:
    account = Account(answering(200))
    account.points.clear()
    account.invoke()
    account.sandbox.schedule.advance(120)
    zeros = [point for point in account.recorded("blue") if point[1] == 0.0 and point[0].startswith("Invocations")]
    # Blue was busy in the minute from 180 s and idle in the next.
    assert sorted({(metric, at) for metric, _, at, _ in zeros}) == [
        ("Invocations", 240),
        ("InvocationsPerInstance", 240),
    ]
    assert sorted({(metric, at) for metric, _, at, _ in account.recorded("green")}) == [
        ("Invocations", 180),
        ("Invocations", 240),
        ("InvocationsPerInstance", 180),
        ("InvocationsPerInstance", 240),
    ]
    assert account.recorded("green", "c") == []


def test_enhanced_metrics_are_published_in_their_own_period_and_sooner() -> None:
    account = Account(answering(200), {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10})
    account.points.clear()
    account.invoke()
    account.sandbox.schedule.advance(20)
    invocations = [(value, at, seen) for metric, value, at, seen in account.recorded("blue") if metric == "Invocations"]
    assert [(value, at) for value, at, _ in invocations] == [(1.0, 180), (0.0, 190)]
    assert all(at + 15 <= seen <= at + 20 for _, at, seen in invocations)


def test_a_deleted_endpoint_publishes_nothing_more() -> None:
    account = Account(answering(200))
    account.sagemaker.delete_endpoint(EndpointName="orders")
    account.points.clear()
    account.sandbox.schedule.advance(600)
    assert account.points == []
