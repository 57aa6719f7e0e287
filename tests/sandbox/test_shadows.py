"""A shadow variant gets copies of requests; its answers are dropped, its metrics are published."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.inprocess import connect

CALLS = 400


class Shadowed:
    """An endpoint whose shadow, of the given weight beside the production variant's 2.0, fails every call."""

    def __init__(self, weight: float) -> None:
        self.asked: Counter[str] = Counter()
        self.sandbox = Sandbox(clock=ManualClock(), host=FunctionHost(self._predict))
        session = connect(self.sandbox)
        self.runtime, self.cloudwatch = session.client("sagemaker-runtime"), session.client("cloudwatch")
        sagemaker: Any = session.client("sagemaker")
        entries = {}
        for model, its_weight in (("blue", 2.0), ("green", weight)):
            sagemaker.create_model(ModelName=model, PrimaryContainer={"Image": model})
            entry = {"VariantName": model, "ModelName": model, "InitialVariantWeight": its_weight}
            entries[model] = {**entry, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[entries["blue"]], ShadowProductionVariants=[entries["green"]]
        )
        sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="c")
        self.sandbox.schedule.advance(180)

    def _predict(self, model: ModelSpec, body: bytes) -> Reply:
        self.asked[str(model.image)] += 1
        return Reply(200 if model.image == "blue" else 500, json.dumps({"by": model.image}).encode(), seconds=0.01)

    def count(self, metric: str, variant: str) -> float:
        dimensions = [{"Name": "EndpointName", "Value": "orders"}, {"Name": "VariantName", "Value": variant}]
        now = self.sandbox.clock.now()
        points = self.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - 600,
            EndTime=now,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)


@pytest.fixture(params=[2.0, 1.0, 0.0])
def shadowed(request: pytest.FixtureRequest) -> Iterator[Shadowed]:
    shadowed = Shadowed(request.param)
    yield shadowed
    shadowed.sandbox.close()


def test_callers_meet_production_only_and_the_shadow_gets_copies_by_its_weight(
    shadowed: Shadowed, request: pytest.FixtureRequest
) -> None:
    share = request.node.callspec.params["shadowed"] / 2.0
    answers = [shadowed.runtime.invoke_endpoint(EndpointName="orders", Body=b"{}") for _ in range(CALLS)]
    assert {answer["InvokedProductionVariant"] for answer in answers} == {"blue"}
    assert {json.loads(answer["Body"].read())["by"] for answer in answers} == {"blue"}
    shadowed.sandbox.close()  # ends when all copies are answered
    assert shadowed.asked["blue"] == CALLS
    assert shadowed.asked["green"] == pytest.approx(share * CALLS, abs=60 if 0 < share < 1 else 0)
    shadowed.sandbox.schedule.advance(180)
    assert shadowed.count("Invocations", "blue") == CALLS
    assert shadowed.count("Invocations", "green") == shadowed.asked["green"]
    assert shadowed.count("Invocation5XXErrors", "green") == shadowed.asked["green"]
    assert shadowed.count("Invocation5XXErrors", "blue") == 0
